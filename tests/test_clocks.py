"""No test decides by a wall clock. What waits, waits in `tests/waiting.py`."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

TESTS = Path(__file__).resolve().parent
WAITING = TESTS / "waiting.py"
PROVIDER = TESTS / "scripted_provider.py"
"""Its pauses are a provider's own slowness."""

CLOCKS = frozenset(
    f"time.{name}{unit}"
    for name in ("monotonic", "perf_counter", "process_time", "thread_time")
    for unit in ("", "_ns")
)
CLIENTS = frozenset(
    f"httpx.{name}" for name in ("get", "post", "request", "stream", "Client", "AsyncClient")
) | {"sqlite3.connect", "socket.create_connection"}
"""Whose own time-out is a few seconds, which a busy machine exceeds."""


def test_only_one_module_sleeps_or_reads_a_clock() -> None:
    assert [
        place
        for path in sorted(TESTS.rglob("*.py"))
        if path != WAITING
        for place in find_clocks(path)
    ] == []


def test_clients_wait_as_long_as_their_test_says() -> None:
    assert [
        place for path in sorted(TESTS.rglob("*.py")) for place in find_own_timeouts(path)
    ] == []


@cache
def nodes_of(path: Path) -> list[ast.AST]:
    return list(ast.walk(ast.parse(path.read_text())))


def find_clocks(path: Path) -> Iterator[str]:
    for node in nodes_of(path):
        if isinstance(node, ast.ImportFrom) and node.module == "time":
            yield f"{path.name}:{node.lineno}: from time import"
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if (
                name in CLOCKS
                or name == "time.sleep"
                or (
                    name == "asyncio.sleep"
                    and ast.unparse(node) != "asyncio.sleep(0)"
                    and path != PROVIDER
                )
            ):
                yield f"{path.name}:{node.lineno}: {name}"


def find_own_timeouts(path: Path) -> Iterator[str]:
    for node in nodes_of(path):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in CLIENTS:
            given = {keyword.arg for keyword in node.keywords}
            if not given & {"timeout", "transport", None}:
                yield f"{path.name}:{node.lineno}: {ast.unparse(node.func)} without a timeout"


def test_a_test_that_measures_is_found(tmp_path: Path) -> None:
    path = tmp_path / "test_x.py"
    path.write_text(
        "import asyncio, time\n"
        "began = time.perf_counter()\n"
        "time.sleep(1)\n"
        "asyncio.sleep(0)\n"
        "asyncio.sleep(0.1)\n"
        "clock = time.monotonic\n"
    )
    assert [place.partition(":")[2] for place in find_clocks(path)] == [
        "2: time.perf_counter",
        "3: time.sleep",
        "5: asyncio.sleep",
    ]
