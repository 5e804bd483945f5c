"""Calls from the site's own Python: synchronous from any thread, asynchronous on any loop, and on
both sides of a fork."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path

import pytest

from tests.fork_server import run_python
from tests.front.conftest import native_api
from tests.scripted_provider import Upstream
from tests.servers import environment_for


@pytest.mark.parametrize(
    ("how", "count"),
    [
        ("from_threads", 8),
        ("from_loops", 4),
        ("across_a_fork", 5),
        ("after_a_fork_in_the_middle", 1),
    ],
)
def test_every_call_is_answered_and_recorded(
    how: str, count: int, template: tuple[Path, str], upstream: Upstream, tmp_path: Path
) -> None:
    shutil.copy(template[0] / "db.sqlite3", tmp_path)
    environment = environment_for(tmp_path, native_api(upstream), LOG_LEVEL="WARNING")
    done = run_python(["-m", "tests.front.python_calls", how], environment)
    assert json.loads(done.stdout) == ["Hello there"] * count, done.stderr
    assert done.stderr == ""
    assert records(tmp_path / "db.sqlite3") == [("a task", "ok")] * count


def records(database: Path) -> list[tuple[str, str]]:
    connection = sqlite3.connect(database, timeout=60)
    try:
        return connection.execute("SELECT user_name, status FROM native_api_usagerecord").fetchall()
    finally:
        connection.close()
