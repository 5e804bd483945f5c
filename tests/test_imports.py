"""Imports point one way: views -> gateway, inbound -> access, limits, catalog, routing -> upstream,
usage -> dialects -> types."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.cases import Cases, for_each

PACKAGE = Path(__file__).resolve().parent.parent / "native_api"

LEVELS = [
    {"forks"},
    {"types", "exceptions", "logs", "signals", "bounded_cache"},
    {"conf"},
    {"secret_keys"},
    {"dialects", "background", "models"},
    {"usage", "hooks"},
    {"operations"},
    {"upstream"},
    {"pricing"},
    {"routing"},
    {"catalog", "limits"},
    {"access", "maintenance"},
    {"authentication", "throttling", "inbound"},
    {"gateway"},
    {"views"},
    {"asgi"},
    {"admin", "management", "checks", "urls", "testing", "tasks", "receivers"},
    {"apps", "pytest_plugin"},
]
"""The rooms from the bottom up. A module imports from its own room, or from a room that is
lower."""

NEIGHBOURS = {("types", "exceptions"), ("exceptions", "types")}
"""Rooms of one level that may import each other."""

WITHOUT_DJANGO = {
    "bounded_cache",
    "forks",
    "types",
    "exceptions",
    "dialects",
    "operations",
    "upstream",
}
WITHOUT_INPUT_OR_OUTPUT = {"types", "exceptions", "dialects", "operations"}
INPUT_OR_OUTPUT = {
    "socket",
    "asyncio",
    "httpx",
    "aiohttp",
    "requests",
    "time",
    "random",
    "threading",
    "os",
    "urllib.request",
    "secrets",
}


def modules() -> list[Path]:
    return [
        path
        for path in PACKAGE.rglob("*.py")
        if ("migrations" not in path.parts and path.parent != PACKAGE) or path.parent == PACKAGE
    ]


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def level_of(room: str) -> int:
    return next(number for number, rooms in enumerate(LEVELS) if room in rooms)


@cache
def imports(path: Path) -> list[str]:
    return list(find_imports(path))


def find_imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{name.name}" for name in node.names)


def rooms_imported(path: Path) -> set[str]:
    return {
        name.split(".")[1]
        for name in imports(path)
        if name.startswith("native_api.") and name.count(".")
    }


CHECKED = [path for path in modules() if room_of(path) not in ("__init__", "migrations")]


def in_rooms(rooms: set[str]) -> Cases:
    return [(str(path.relative_to(PACKAGE)), path) for path in CHECKED if room_of(path) in rooms]


ALL = set(map(room_of, CHECKED))


@for_each(lambda: in_rooms(ALL))
def test_imports_point_down(path: Path) -> None:
    room = room_of(path)
    for imported in rooms_imported(path) - {room}:
        assert level_of(imported) < level_of(room) or (room, imported) in NEIGHBOURS, (
            f"{room} must not import {imported}"
        )


@for_each(lambda: in_rooms(WITHOUT_DJANGO))
def test_dialects_and_upstream_do_not_use_django(path: Path) -> None:
    assert not [
        name for name in imports(path) if name.split(".")[0] in ("django", "rest_framework")
    ]


@for_each(lambda: in_rooms(WITHOUT_INPUT_OR_OUTPUT))
def test_dialects_are_pure(path: Path) -> None:
    used = {
        name
        for name in imports(path)
        if name.split(".")[0] in INPUT_OR_OUTPUT or name in INPUT_OR_OUTPUT
    }
    assert not used


@for_each(lambda: in_rooms(ALL))
def test_no_file_is_crowded(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 400
