"""What happens to a key in the other processes of a site, and while its database is really away."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.servers import ROOT, environment_for, make_template, manage, until


class Asking:
    """A running `tests.access.key_lookup_process`."""

    def __init__(self, environment: dict[str, str]) -> None:
        command = [sys.executable, "-m", "tests.access.key_lookup_process"]
        self.process = subprocess.Popen(
            command,
            env=environment,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def answer(self, key: str) -> str:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(f"{key}\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()


@contextmanager
def asking(environment: dict[str, str]) -> Iterator[Asking]:
    running = Asking(environment)
    try:
        yield running
    finally:
        running.process.communicate(timeout=60)


@pytest.fixture
def site(tmp_path: Path) -> tuple[dict[str, str], str]:
    key = make_template(tmp_path)
    return environment_for(tmp_path, {}), key


def change_and_wait(site: tuple[dict[str, str], str], change: Any) -> list[float]:
    """Seconds until each of two processes, both of which knew the key, refuses it."""
    environment, key = site
    with ExitStack() as stack:
        both = [stack.enter_context(asking(environment)) for _ in range(2)]
        assert [one.answer(key) for one in both] == ["accepted tests"] * 2
        change(environment, key)
        changed = time.monotonic()
        waited = []
        for one in both:
            until(lambda one=one: one.answer(key) == "invalid_api_key", "the key to be refused")
            waited.append(time.monotonic() - changed)
        return waited


def test_a_revocation_is_seen_by_every_process_within_five_seconds(site: Any) -> None:
    assert (
        max(
            change_and_wait(
                site, lambda environment, key: manage(environment, "native_key", "revoke", key[:11])
            )
        )
        < 5
    )


def test_a_rotation_ends_the_old_key_in_every_process_within_five_seconds(site: Any) -> None:
    assert (
        max(
            change_and_wait(
                site, lambda environment, key: manage(environment, "native_key", "rotate", key[:11])
            )
        )
        < 5
    )


def test_deactivating_the_owner_is_seen_by_every_process_within_five_seconds(
    site: Any, tmp_path: Path
) -> None:
    def deactivate(environment: dict[str, str], key: str) -> None:
        with sqlite3.connect(tmp_path / "db.sqlite3", timeout=60) as connection:
            connection.execute("UPDATE auth_user SET is_active = 0")
        connection.close()

    assert max(change_and_wait(site, deactivate)) < 5


def test_cached_keys_survive_a_locked_database(site: Any, tmp_path: Path) -> None:
    environment, key = site
    unknown = manage(environment, "native_key", "create", "alice", "--name", "other")
    lock = sqlite3.connect(tmp_path / "db.sqlite3", isolation_level=None, timeout=60)
    with asking(environment) as one:
        assert one.answer(key) == "accepted tests"
        lock.execute("BEGIN EXCLUSIVE")
        outage_over = time.monotonic() + 4  # longer than an entry is fresh
        while time.monotonic() < outage_over:
            assert one.answer(key) == "accepted tests"
            assert one.answer(unknown) == "database_unavailable"
        lock.execute("ROLLBACK")
        until(lambda: one.answer(unknown) == "accepted other", "the database to be asked again")
    lock.close()
