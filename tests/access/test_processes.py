"""What happens to a key in the other processes of a site, and while its database is really away."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.fork_server import start_python
from tests.servers import environment_for, make_template, manage, until


class Asking:
    """A running `tests.access.key_lookup_process`."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.process = start_python(
            ["-m", "tests.access.key_lookup_process"], environment, has_pipes=True
        )

    def answer(self, key: str) -> str:
        self._send(key)
        return self.process.stdout.readline().strip()

    def pass_time(self, seconds: float) -> None:
        self._send(f"+{seconds}")

    def _send(self, line: str) -> None:
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()


@contextmanager
def asking(environment: dict[str, str]) -> Iterator[Asking]:
    running = Asking(environment)
    try:
        yield running
    finally:
        running.process.finish()


@pytest.fixture
def site(tmp_path: Path) -> tuple[dict[str, str], str]:
    key = make_template(tmp_path)
    return environment_for(tmp_path, {}), key


def assert_refused_after(site: tuple[dict[str, str], str], change: Any) -> None:
    """After this change, both of two processes that knew the key refuse it within five seconds of
    their clocks."""
    environment, key = site
    with ExitStack() as stack:
        both = [stack.enter_context(asking(environment)) for _ in range(2)]
        assert [one.answer(key) for one in both] == ["accepted tests"] * 2
        change(environment, key)
        for one in both:
            one.pass_time(5)
        assert [one.answer(key) for one in both] == ["invalid_api_key"] * 2


def test_a_revocation_is_seen_by_every_process_within_five_seconds(site: Any) -> None:
    assert_refused_after(
        site, lambda environment, key: manage(environment, "native_key", "revoke", key[:11])
    )


def test_a_rotation_ends_the_old_key_in_every_process_within_five_seconds(site: Any) -> None:
    assert_refused_after(
        site, lambda environment, key: manage(environment, "native_key", "rotate", key[:11])
    )


def test_deactivating_the_owner_is_seen_by_every_process_within_five_seconds(
    site: Any, tmp_path: Path
) -> None:
    def deactivate(environment: dict[str, str], key: str) -> None:
        with sqlite3.connect(tmp_path / "db.sqlite3", timeout=60) as connection:
            connection.execute("UPDATE auth_user SET is_active = 0")
        connection.close()

    assert_refused_after(site, deactivate)


def test_cached_keys_survive_a_locked_database(site: Any, tmp_path: Path) -> None:
    environment, key = site
    unknown = manage(environment, "native_key", "create", "alice", "--name", "other")
    lock = sqlite3.connect(tmp_path / "db.sqlite3", isolation_level=None, timeout=60)
    with asking({**environment, "PATIENCE": "production"}) as one:
        until(lambda: one.answer(key) == "accepted tests", "the key to be cached")
        lock.execute("BEGIN EXCLUSIVE")
        one.pass_time(4)  # longer than an entry is fresh
        assert one.answer(key) == "accepted tests"
        assert one.answer(unknown) == "database_unavailable"
        lock.execute("ROLLBACK")
        until(lambda: one.answer(unknown) == "accepted other", "the database to be asked again")
    lock.close()
