"""The gateway: a server process of the project in this repository, with settings and a database in
a folder of its own."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx

from tests.servers import free_port, stop
from tests.waiting import until

ROOT: Final = Path(__file__).resolve().parents[2]
START_SECONDS: Final = 60.0
RECORD_SECONDS: Final = 10.0
FAILURE_LENGTH: Final = 1500
"""The end of a traceback says enough."""

SETTINGS: Final = """
import json
from pathlib import Path

from gatewayproject.settings import *

NATIVE_API = {**NATIVE_API, **json.loads(Path(__file__).with_name("native_api.json").read_text())}
"""


@dataclass
class Gateway:
    """A running gateway: its address, its keys by name, and where it keeps its records."""

    url: str
    keys: Mapping[str, str]
    folder: Path

    def records(self, key_name: str, **wanted: Any) -> list[sqlite3.Row]:
        """The usage records of a key, oldest first."""
        where = " AND ".join(["api_key_name = ?", *(f"{name} = ?" for name in wanted)])
        query = f"SELECT * FROM native_api_usagerecord WHERE {where} ORDER BY id"
        connection = sqlite3.connect(self.folder / "db.sqlite3", timeout=START_SECONDS)
        connection.row_factory = sqlite3.Row
        with contextlib.closing(connection):
            return connection.execute(query, (key_name, *wanted.values())).fetchall()

    def wait_for_records(self, key_name: str, count: int, **wanted: Any) -> list[sqlite3.Row]:
        """All records of a key, once there are as many of those wanted: they are written behind
        the answers."""
        with contextlib.suppress(AssertionError):
            until(lambda: len(self.records(key_name, **wanted)) >= count, "records", RECORD_SECONDS)
        return self.records(key_name)

    def log(self) -> str:
        return (self.folder / "server.log").read_text(errors="replace")

    def failures(self) -> Iterator[str]:
        """What the log says of failures inside the gateway: exceptions, and lines that are no
        JSON, such as warnings of Python."""
        for text in self.log().splitlines():
            line = json.loads(text) if text.startswith("{") else {"message": text}
            if "exception" in line or "level" not in line or line["level"] == "critical":
                yield f"{line['message']}\n{line.get('exception', '')[-FAILURE_LENGTH:]}".strip()


@contextlib.contextmanager
def running_gateway(
    folder: Path, native_api: Mapping[str, Any], key_owners: Mapping[str, str]
) -> Iterator[Gateway]:
    """A gateway with these settings. `key_owners`: name of a key -> its user."""
    folder.mkdir()
    (folder / "acceptance_settings.py").write_text(SETTINGS)
    (folder / "native_api.json").write_text(json.dumps(native_api))
    environment = _environment(folder)
    keys = _populate(environment, key_owners)
    port = free_port()
    options = ["--port", str(port), "--no-access-log", "--log-level", "warning"]
    command = [sys.executable, "-m", "uvicorn", "gatewayproject.asgi:application", *options]
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            command, env=environment, cwd=folder, stdout=log, stderr=log, stdin=subprocess.DEVNULL
        )
    gateway = Gateway(f"http://127.0.0.1:{port}/native", keys, folder)
    try:
        until(lambda: _is_live(gateway, process), "the gateway to start", START_SECONDS)
        yield gateway
    finally:
        stop(process)


def _environment(folder: Path) -> dict[str, str]:
    kept = ("PATH", "HOME", "LANG", "TMPDIR")
    return {
        **{name: os.environ[name] for name in kept if name in os.environ},
        "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)]),
        "DJANGO_SETTINGS_MODULE": "acceptance_settings",
        "DATABASE_URL": f"sqlite:///{folder / 'db.sqlite3'}",
        "SECRET_KEY": "only for the providers of this folder",
        "JOURNAL_DIR": str(folder / "journal"),
        "LOG_FORMAT": "json",
        "NO_PROXY": "*",
    }


def _populate(environment: Mapping[str, str], key_owners: Mapping[str, str]) -> dict[str, str]:
    wanted = [f"{name}={user}" for name, user in key_owners.items()]
    done = subprocess.run(
        [sys.executable, "-m", "scripts.acceptance.populate", *wanted],
        env={**environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
    )
    if done.returncode:
        raise RuntimeError(f"The gateway's database cannot be made:\n{done.stderr}")
    keys: dict[str, str] = json.loads(done.stdout)
    return keys


def _is_live(gateway: Gateway, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None, gateway.log()
    with contextlib.suppress(httpx.HTTPError):
        url = f"{gateway.url}/health/live"
        return httpx.get(url, trust_env=False).status_code == 200
    return False
