"""What goes wrong at the first start is one sentence that says what to do, not a traceback."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from gatewayproject.environment import database, logging, secret_key
from native_api.management.database_errors import describe_error
from tests.fork_server import run_python
from tests.front.test_quickstart import environment
from tests.servers import ROOT
from tests.waiting import HANG_SECONDS


def error_of(env: dict[str, str], *arguments: str) -> str:
    """The one line on stderr with which the command ends."""
    done = run_python(["-m", "manage", *arguments], env)
    assert done.returncode == 1, done.stdout
    [line] = done.stderr.splitlines()
    return line


def start_error(folder: Path, *arguments: str, **more: str) -> str:
    return error_of(environment(folder, **more), "native_quickstart", "--no-serve", *arguments)


@pytest.mark.parametrize("port", ["80000", "0", "-1"])
def test_a_port_that_does_not_exist(tmp_path: Path, port: str) -> None:
    expected = f"CommandError: --port must be between 1 and 65535, not {port}."
    assert start_error(tmp_path, f"--port={port}") == expected
    assert not (tmp_path / "db.sqlite3").exists()


@pytest.mark.parametrize("host", ["192.0.2.1", "..", "a" * 70 + ".b"])
def test_a_host_that_this_machine_does_not_have(tmp_path: Path, host: str) -> None:
    assert f"Cannot listen on {host}:" in start_error(tmp_path, "--host", host)


def test_a_folder_for_the_journal_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    line = start_error(tmp_path, JOURNAL_DIR=str(tmp_path / "file" / "journal"))
    assert line == (
        f"CommandError: The folder {tmp_path}/file/journal cannot be used (Not a directory). Set "
        "JOURNAL_DIR to a folder that you may write to."
    )


def test_a_folder_for_the_database_that_does_not_exist(tmp_path: Path) -> None:
    line = start_error(tmp_path, DATABASE_URL=f"sqlite:///{tmp_path}/nowhere/db.sqlite3")
    assert f"The database {tmp_path}/nowhere/db.sqlite3 cannot be opened or created." in line


def test_a_secret_key_that_cannot_be_created(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SECRET_KEY", raising=False)
    (tmp_path / "file").touch()
    with pytest.raises(ImproperlyConfigured, match="Make its folder writable, or set SECRET_KEY"):
        secret_key(tmp_path / "file")


def test_a_database_that_another_process_has_locked(tmp_path: Path) -> None:
    path = tmp_path / "db.sqlite3"
    with contextlib.closing(sqlite3.connect(path, timeout=60, isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode = WAL")
        other.execute("BEGIN EXCLUSIVE")
        line = start_error(tmp_path, DATABASE_URL=f"sqlite:///{path}?timeout=0")
    assert line == (
        f"CommandError: The database {path} is locked by another process. Wait until that has "
        "finished, or stop it, and run this again."
    )


def test_a_database_server_that_is_away(tmp_path: Path) -> None:
    line = start_error(tmp_path, DATABASE_URL="postgres://a:secret@127.0.0.1:9/b")
    assert line.startswith("CommandError: The database cannot be used: ")
    assert "secret" not in line


COMMANDS = [
    ("native_key", "list"),
    ("native_key", "create", "alice", "--name", "x"),
    ("native_prune", "--older-than", "30d"),
    ("native_totals",),
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_database_without_tables(tmp_path: Path, command: tuple[str, ...]) -> None:
    done = run_python(["-m", "manage", *command], environment(tmp_path))
    assert done.returncode == 1, done.stdout
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1] == (
        "CommandError: The database lacks tables or columns of this version. Run 'manage.py "
        "migrate' first."
    )


@pytest.mark.parametrize(
    "message",
    [
        "no such table: native_api_apikey",
        'relation "native_api_apikey" does not exist\nLINE 1: SELECT',
        "(1146, \"Table 'x.native_api_apikey' doesn't exist\")",
        "column native_api_apikey.digest does not exist",
    ],
)
def test_missing_tables_are_known_in_the_words_of_each_database(message: str) -> None:
    assert "manage.py migrate" in describe_error(Exception(message))


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"DATABASE_URL": "nonsense"}, "DATABASE_URL is not a valid database URL."),
        ({"DATABASE_URL": "oops://x"}, "DATABASE_URL is not a valid database URL."),
        ({"CACHE_URL": "memcached://x"}, "CACHE_URL: unknown scheme 'memcached'"),
        ({"LOG_LEVEL": "LOUD"}, "LOG_LEVEL must be one of DEBUG, INFO,"),
        ({"LOG_FORMAT": "xml"}, "LOG_FORMAT must be one of json, text."),
    ],
)
def test_a_variable_that_cannot_be_read(
    tmp_path: Path, variables: dict[str, str], sentence: str
) -> None:
    assert start_error(tmp_path, **variables).startswith(f"The settings cannot be used: {sentence}")


def test_a_traceback_can_be_asked_for(tmp_path: Path) -> None:
    command = [sys.executable, "manage.py", "native_quickstart", "--traceback"]
    env = environment(tmp_path, LOG_LEVEL="LOUD")
    done = subprocess.run(
        command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=HANG_SECONDS
    )
    assert "Traceback" in done.stderr


def test_options_in_the_url_of_a_database_are_kept() -> None:
    options = database("sqlite:////x/db.sqlite3?timeout=3")["OPTIONS"]
    assert options["timeout"] == 3
    assert options["transaction_mode"] == "IMMEDIATE"


def test_lines_of_the_log_are_json_unless_somebody_reads_them() -> None:
    assert logging("info", "")["formatters"].keys() == {"json"}
    assert logging("info", "text")["formatters"].keys() == {"text"}
