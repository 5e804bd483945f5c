"""Deployments for the tests of the recorder: real processes on SQLite and PostgreSQL databases."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import dj_database_url
import psycopg
import pytest

from native_api.usage import recorder
from native_api.usage.entry import UsageEntry
from tests.fork_server import start_python
from tests.servers import environment_for, manage

DATABASES = [
    "postgres" if os.environ.get("TEST_DATABASE_URL", "").startswith("postgres") else "sqlite"
]
"""What tests of any database run on: the kind of database of all tests."""

POSTGRES = os.environ.get("TEST_POSTGRES_URL", "postgres://postgres@127.0.0.1:5432/postgres")


class Child:
    """A process that runs `tests.usage.child_process`.

    `ask` sends a command and waits for its reply.
    """

    def __init__(self, environment: dict[str, str], log: Path) -> None:
        self.log = log
        with log.open("wb") as errors:
            self.process = start_python(
                ["-m", "tests.usage.child_process"], environment, has_pipes=True, errors=errors
            )

    def send(self, command: str, **arguments: Any) -> None:
        self.process.stdin.write(json.dumps([command, arguments]) + "\n")
        self.process.stdin.flush()

    def receive(self) -> Any:
        line = self.process.stdout.readline()
        assert line, self.log.read_text()
        return json.loads(line)

    def ask(self, command: str, **arguments: Any) -> Any:
        self.send(command, **arguments)
        return self.receive()

    def kill(self) -> str:
        """Kill it, and return the rest of its output."""
        self.process.kill()
        rest = self.process.stdout.read()
        self._close()
        return rest

    def stop(self) -> str:
        """End it normally, and return its log."""
        self._close()
        assert self.process.returncode == 0, self.log.read_text()
        return self.log.read_text()

    def _close(self) -> None:
        self.process.stdin.close()
        self.process.wait(60)
        self.process.stdout.close()

    def kill_if_running(self) -> None:
        if self.process.returncode is None:
            self.kill()


class Deployment:
    """A database, a journal directory, and the processes that use both."""

    def __init__(self, kind: str, directory: Path, url: str) -> None:
        self.kind = kind
        self.directory = directory
        self.journal = directory / "journal"
        self.url = url
        self.environment = environment_for(directory, {}, TEST_DATABASE_URL=url)
        self.children: list[Child] = []

    def child(self, **environment: str) -> Child:
        child = Child(
            {**self.environment, **environment}, self.directory / f"child-{len(self.children)}.log"
        )
        self.children.append(child)
        return child

    def files(self, suffix: str = "journal") -> list[Path]:
        return sorted(self.journal.glob(f"*.{suffix}"))

    def catch_up(self) -> dict[str, Any]:
        """Start the site again: write what is left. Returns the recorder's health afterwards."""
        child = self.child()
        assert child.ask("start_and_flush", timeout=60) is True
        health: dict[str, Any] = child.ask("health")
        child.stop()
        return health

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        if self.kind == "sqlite":
            import sqlite3

            connection = sqlite3.connect(
                self.url.removeprefix("sqlite:///"), isolation_level=None, timeout=60
            )
            try:
                return connection.execute(statement).fetchall()
            finally:
                connection.close()
        return ask_postgres(self.url, statement)

    def ids(self) -> list[str]:
        return sorted(
            str(identity).replace("-", "")
            for (identity,) in self.query("SELECT id FROM native_api_usagerecord")
        )

    def close(self) -> None:
        for child in self.children:
            child.kill_if_running()


def ask_postgres(url: str, statement: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement)  # type: ignore[call-overload]
        return cursor.fetchall() if cursor.description else []


def session_count(url: str) -> int:
    """How many connections there are to this database."""
    name = url.rpartition("/")[2]
    query = f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{name}'"
    [[count]] = ask_postgres(POSTGRES, query)
    return int(count)


@contextlib.contextmanager
def refusing_connections(url: str) -> Iterator[None]:
    """Close all connections to the database, and refuse new ones."""
    name = url.rpartition("/")[2]
    ask_postgres(POSTGRES, f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    ask_postgres(
        POSTGRES, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
    )
    try:
        yield
    finally:
        ask_postgres(POSTGRES, f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")


@contextlib.contextmanager
def empty_postgres() -> Iterator[str]:
    """The URL of a new database, which is dropped afterwards. Skips if there is no server."""
    name = f"native_test_{secrets.token_hex(4)}"
    try:
        ask_postgres(POSTGRES, f"CREATE DATABASE {name}")
    except psycopg.OperationalError:
        pytest.skip(f"no PostgreSQL at {POSTGRES}")
    try:
        yield f"{POSTGRES.rpartition('/')[0]}/{name}"
    finally:
        ask_postgres(POSTGRES, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def templates(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The URLs of migrated databases by kind; without "postgres" if there is no server."""
    directory = tmp_path_factory.mktemp("template")
    sqlite = f"sqlite:///{directory / 'db.sqlite3'}"
    manage(environment_for(directory, {}, TEST_DATABASE_URL=sqlite), "migrate", "--verbosity", "0")
    urls = {"sqlite": sqlite}
    name = f"native_usage_{secrets.token_hex(4)}"
    try:
        ask_postgres(POSTGRES, f"CREATE DATABASE {name}")
    except psycopg.OperationalError:
        yield urls
        return
    postgres = f"{POSTGRES.rpartition('/')[0]}/{name}"
    try:
        manage(
            environment_for(directory, {}, TEST_DATABASE_URL=postgres),
            "migrate",
            "--verbosity",
            "0",
        )
        yield {**urls, "postgres": postgres}
    finally:
        ask_postgres(POSTGRES, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=DATABASES)
def deployment(
    request: pytest.FixtureRequest, templates: dict[str, str], tmp_path: Path
) -> Iterator[Deployment]:
    with closing(make_deployment(request.param, templates[request.param], tmp_path)) as made:
        yield made


@pytest.fixture
def postgres(templates: dict[str, str], tmp_path: Path) -> Iterator[Deployment]:
    if "postgres" not in templates:
        pytest.skip(f"no PostgreSQL at {POSTGRES}")
    with closing(make_deployment("postgres", templates["postgres"], tmp_path)) as made:
        yield made


def make_deployment(kind: str, template: str, directory: Path) -> Deployment:
    if kind == "sqlite":
        shutil.copy(dj_database_url.parse(template)["NAME"], directory / "db.sqlite3")
        return Deployment(kind, directory, f"sqlite:///{directory / 'db.sqlite3'}")
    made = Deployment(kind, directory, template)
    made.query(
        "TRUNCATE native_api_usagerecord, native_api_dailyusage, native_api_apikey, auth_user "
        "CASCADE"
    )
    return made


@pytest.fixture
def journal_directory(tmp_path: Path, settings: Any) -> Path:
    settings.NATIVE_API = {"JOURNAL_DIR": str(tmp_path / "journal")}
    return tmp_path / "journal"


@pytest.fixture
def records(monkeypatch: pytest.MonkeyPatch) -> list[UsageEntry]:
    """The entries passed to the recorder, in order."""
    recorded: list[UsageEntry] = []
    monkeypatch.setattr(recorder, "record", recorded.append)
    return recorded
