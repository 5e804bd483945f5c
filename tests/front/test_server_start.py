"""What a killed process has left is written when any server starts, before its first request, and
by no other command."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.fork_server import run_python, start_python
from tests.front.conftest import OTHER_KINDS
from tests.servers import COMMANDS, OTHER_COMMANDS, environment_for, free_port, stop, until

RECORD_AND_DIE = """
import os, signal
import django
django.setup()
from native_api.usage import recorder
from native_api.usage.entry import UsageEntry
recorder.record(UsageEntry(request_id="left", endpoint="chat/completions", model="m", provider="p"))
os.kill(os.getpid(), signal.SIGKILL)
"""

RUN_COMMAND = """
import sys
from native_api.background import serving
from django.core.management import execute_from_command_line
serving.ServerStart.schedule = lambda self: print("serves", flush=True)
execute_from_command_line(["manage.py", *sys.argv[1:]])
"""

SERVERS = {
    "uvicorn, Django's own application": COMMANDS["uvicorn-django"],
    "gunicorn": COMMANDS["gunicorn"],
    "gunicorn, which forks when it has loaded the site": [*COMMANDS["gunicorn-sync"], "--preload"],
    "runserver": COMMANDS["runserver"],
    "runserver, which watches the files": [
        part for part in COMMANDS["runserver"] if part != "--noreload"
    ],
}


@contextmanager
def running(command: list[str], environment: dict[str, str], log_path: Path) -> Iterator[None]:
    port = free_port()
    arguments = [part.format(port=port) for part in command]
    with log_path.open("wb") as log:
        process = start_python(arguments, environment, output=log, errors=log)
    try:
        yield
    finally:
        stop(process)


@pytest.mark.parametrize("kind", [*SERVERS, *OTHER_KINDS])
def test_what_a_killed_process_has_left_is_written_when_a_server_starts(
    kind: str, template: tuple[Path, str], tmp_path: Path
) -> None:
    environment = environment_for(tmp_path, {})
    database = tmp_path / "db.sqlite3"
    database.write_bytes((template[0] / "db.sqlite3").read_bytes())
    run_python(["-c", RECORD_AND_DIE], environment)
    assert rows(database) == []
    log_path = tmp_path / "log"
    with running((SERVERS | OTHER_COMMANDS)[kind], environment, log_path):
        until(lambda: rows(database) == ["left"], f"the record\n{log_path.read_text()}", 60)
        until(lambda: not list((tmp_path / "journal").iterdir()), "its file to be removed")
    log = log_path.read_text()
    assert "RuntimeWarning" not in log, "of the database being used before the apps are ready"
    assert "DeprecationWarning" not in log, "of a fork beside threads"


def rows(database: Path) -> list[str]:
    connection = sqlite3.connect(database, timeout=20)
    try:
        found = connection.execute("SELECT request_id FROM native_api_usagerecord").fetchall()
    finally:
        connection.close()
    return [request_id for (request_id,) in found]


@pytest.mark.parametrize(
    ("command", "serves"),
    [
        ("check", False),
        ("migrate --plan", False),
        ("makemigrations --check --dry-run", False),
        ("shell -c pass", False),
        ("runserver --help", False),
        ("runserver --noreload --help", True),
        ("runserver --help --noreload", True),
    ],
)
def test_commands_do_not_serve_but_for_runserver(
    command: str, serves: bool, template: tuple[Path, str], tmp_path: Path
) -> None:
    """The one that watches the files does not either."""
    environment = environment_for(template[0], {})
    done = run_python(["-c", RUN_COMMAND, *command.split()], environment)
    assert done.returncode == 0, done.stderr
    assert ("serves" in done.stdout.splitlines()) == serves
