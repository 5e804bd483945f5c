"""Real server processes of the test site, one per kind of server, on loopback and with a database
of their own."""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import os
import random
import shutil
import socket
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.fork_server import ROOT, ForkedProcess, run_python, start_python
from tests.waiting import HANG_SECONDS, until

UVICORN = ["--no-access-log", "--log-level", "warning", "--timeout-graceful-shutdown", "3"]

COMMANDS = {
    "uvicorn": ["-m", "uvicorn", "tests.site_asgi:application", "--port", "{port}", *UVICORN],
    "uvicorn-django": [
        "-m",
        "uvicorn",
        "--factory",
        "django.core.asgi:get_asgi_application",
        "--port",
        "{port}",
        *UVICORN,
    ],
    "gunicorn": [
        "-m",
        "gunicorn",
        "tests.site_wsgi",
        "--worker-class",
        "gthread",
        "--threads",
        "16",
        "--bind",
        "127.0.0.1:{port}",
    ],
    "gunicorn-sync": [
        "-m",
        "gunicorn",
        "tests.site_wsgi",
        "--workers",
        "2",
        "--bind",
        "127.0.0.1:{port}",
    ],
    "runserver": ["-m", "django", "runserver", "--noreload", "127.0.0.1:{port}"],
}

OTHER_COMMANDS = {
    "daphne": ["-m", "daphne", "--port", "{port}", "tests.site_asgi:application"],
    "hypercorn": ["-m", "hypercorn", "--bind", "127.0.0.1:{port}", "tests.site_asgi:application"],
    "granian": [
        "-m",
        "granian",
        "--interface",
        "asgi",
        "--port",
        "{port}",
        "tests.site_asgi:application",
    ],
    "waitress": ["-m", "waitress", "--listen", "127.0.0.1:{port}", "tests.site_wsgi:application"],
}
"""Of servers that the dependency group `servers` installs, by their module."""


@dataclass
class Site:
    """A running server: its API's address, a key, and where it keeps things."""

    kind: str
    process: ForkedProcess
    url: str
    key: str
    database: Path
    journal: Path
    log_path: Path
    environment: dict[str, str]

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.key}"}

    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def log_lines(self) -> list[dict[str, Any]]:
        """The structured part of the log."""
        return [json.loads(line) for line in self.log().splitlines() if line.startswith("{")]

    def rows(self, query: str, *values: Any) -> list[sqlite3.Row]:
        connection = sqlite3.connect(self.database, timeout=HANG_SECONDS)
        connection.row_factory = sqlite3.Row
        try:
            return connection.execute(query, values).fetchall()
        finally:
            connection.close()

    def usage(self, **wanted: Any) -> list[sqlite3.Row]:
        """Usage records with these values, oldest first."""
        where = " AND ".join(f"{name} = ?" for name in wanted) or "1"
        return self.rows(
            f"SELECT * FROM native_api_usagerecord WHERE {where} ORDER BY id", *wanted.values()
        )

    def wait_for_usage(self, count: int = 1, **wanted: Any) -> list[sqlite3.Row]:
        """The records, once the recorder has written as many. It works behind the answers, so tests
        wait for it."""
        return until(
            lambda: (rows := self.usage(**wanted)) and len(rows) >= count and rows,
            f"{count} usage records {wanted}",
        )


def free_port() -> int:
    """One that no connection of another test is given meanwhile: below those that systems give."""
    while True:
        port = random.SystemRandom().randrange(10_000, 32_000)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port


def _is_inherited(name: str) -> bool:
    """No keys and addresses of providers. Without bytecode each of many processes would compile the site again."""
    own = ("_API_KEY", "_BASE_URL", "_API_BASE")
    return not name.endswith(own) and name != "PYTHONDONTWRITEBYTECODE"


def environment_for(folder: Path, native_api: dict[str, Any], **more: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if _is_inherited(name)}
    return {
        **inherited,
        "DJANGO_SETTINGS_MODULE": "tests.site_settings",
        "NATIVE_API": json.dumps(
            {
                "JOURNAL_DIR": str(folder / "journal"),
                "MAINTENANCE": {"AUTOMATIC": False},
                **native_api,
            }
        ),
        "TEST_DATABASE_URL": f"sqlite:///{folder / 'db.sqlite3'}",
        "PYTHONPATH": str(ROOT),
        "PYTHONWARNINGS": "default",
        "PYTHONUNBUFFERED": "1",
        "NO_PROXY": "*",
        **more,
    }


def manage(environment: dict[str, str], *arguments: str) -> str:
    """Run a management command in the site and return what it printed on stdout."""
    return run(environment, "-m", "django", *arguments)


def run(environment: dict[str, str], *arguments: str) -> str:
    done = run_python(arguments, environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def make_template(folder: Path) -> str:
    """A migrated database with the user alice and her key, to be copied for each server. Returns
    the key."""
    return populate(environment_for(folder, {}))


def populate(environment: dict[str, str]) -> str:
    """Tables, the user alice and her key, in the environment's database. Returns the key. What is
    the same for all on SQLite is made once and copied."""
    url = environment["TEST_DATABASE_URL"]
    if not url.startswith("sqlite") or "SITE_SETTINGS" in environment:
        return run(environment, "-m", "tests.populate")
    database, key = _populated_database()
    shutil.copy(database, url.removeprefix("sqlite:///"))
    return key


@functools.cache
def _populated_database() -> tuple[Path, str]:
    folder = Path(tempfile.mkdtemp(prefix="native-api-template-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    key = run(environment_for(folder, {}), "-m", "tests.populate")
    return folder / "db.sqlite3", key


@contextlib.contextmanager
def running_site(
    kind: str,
    folder: Path,
    template: Path,
    key: str,
    native_api: dict[str, Any],
    prefix: str = "/native",
    **more: str,
) -> Iterator[Site]:
    if (
        "TEST_DATABASE_URL" not in more
        and not (folder / "db.sqlite3").exists()
        and (template / "db.sqlite3").exists()
    ):
        shutil.copy(template / "db.sqlite3", folder / "db.sqlite3")
    environment = environment_for(folder, native_api, **more)
    port = free_port()
    command = [part.format(port=port) for part in (COMMANDS | OTHER_COMMANDS)[kind]]
    log_path = folder / f"{kind}-{port}.log"
    with log_path.open("wb") as log:
        process = start_python(command, environment, output=log, errors=log)
    site = Site(
        kind,
        process,
        f"http://127.0.0.1:{port}{prefix}",
        key,
        folder / "db.sqlite3",
        folder / "journal",
        log_path,
        environment,
    )
    try:
        _wait_until_live(site)
        yield site
    finally:
        stop(process)


def stop(process: ForkedProcess | subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(HANG_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _wait_until_live(site: Site) -> None:
    def live() -> bool:
        assert site.process.poll() is None, site.log()
        with contextlib.suppress(httpx.HTTPError):
            return (
                httpx.get(
                    f"{site.url}/health/live", timeout=HANG_SECONDS, trust_env=False
                ).status_code
                == 200
            )
        return False

    until(live, f"the server to start:\n{site.log()}", 2 * HANG_SECONDS)
