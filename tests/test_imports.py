"""The import rules of the design: asgi -> views -> serializers, gateway -> usage, catalog, engine -> dialects, providers -> types."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "native_api"

LEVELS = [
    {"model_names"},
    {"types", "exceptions", "memo", "logs", "private_files"},
    {"dialects", "providers", "prices"},
    {"engine", "conf", "outages", "signals"},
    {"models", "bridge", "headers"},
    {"snapshots", "body_limits", "json_structure"},
    {"usage"},
    {"catalog", "definitions", "shared", "keys"},
    {"limits", "standing"},
    {"gateway", "plans", "probes", "permissions", "authentication", "throttling", "renderers", "parsers"},
    {"serializers"},
    {"views"},
    {"asgi"},
    {"admin", "management", "checks", "urls", "apps"},
]
"""From the bottom up: a module imports from its own level only within its own room, else from lower ones."""

SIDEWAYS = {
    ("types", "exceptions"),
    ("exceptions", "types"),
    ("catalog", "definitions"),
    ("gateway", "plans"),
    ("gateway", "permissions"),
    ("gateway", "probes"),
    ("plans", "permissions"),
    ("urls", "views"),
    ("apps", "checks"),
}
"""Neighbours that may know each other."""

WITHOUT_DJANGO = {"model_names", "types", "exceptions", "memo", "dialects", "providers", "prices", "engine"}
WITHOUT_INPUT_OR_OUTPUT = {"model_names", "types", "exceptions", "dialects", "providers", "prices"}
INPUT_OR_OUTPUT = {"socket", "asyncio", "httpx", "aiohttp", "requests", "time", "random", "threading", "os", "urllib.request", "secrets"}


def modules() -> list[Path]:
    return [path for path in PACKAGE.rglob("*.py") if ("migrations" not in path.parts and path.parent != PACKAGE) or path.parent == PACKAGE]


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def level_of(room: str) -> int:
    return next(number for number, rooms in enumerate(LEVELS) if room in rooms)


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{name.name}" for name in node.names)


def rooms_imported(path: Path) -> set[str]:
    return {name.split(".")[1] for name in imports(path) if name.startswith("native_api.") and name.count(".")}


CHECKED = [path for path in modules() if room_of(path) not in ("__init__", "migrations")]


@pytest.mark.parametrize("path", CHECKED, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down(path: Path) -> None:
    room = room_of(path)
    for imported in rooms_imported(path) - {room}:
        assert level_of(imported) < level_of(room) or (room, imported) in SIDEWAYS, f"{room} must not import {imported}"


@pytest.mark.parametrize("path", [path for path in CHECKED if room_of(path) in WITHOUT_DJANGO], ids=lambda path: path.name)
def test_dialects_and_engine_know_no_django(path: Path) -> None:
    assert not [name for name in imports(path) if name.split(".")[0] in ("django", "rest_framework")]


@pytest.mark.parametrize("path", [path for path in CHECKED if room_of(path) in WITHOUT_INPUT_OR_OUTPUT], ids=lambda path: path.name)
def test_dialects_are_pure(path: Path) -> None:
    assert not [name for name in imports(path) if name.split(".")[0] in INPUT_OR_OUTPUT or name in INPUT_OR_OUTPUT]


@pytest.mark.parametrize("path", CHECKED, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_file_is_crowded(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 400
