"""Writes records at once, with the connection of the test: for Django's test environment.

A test that may not use the database has no records.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from native_api.background import executors
from native_api.background.test_environment import DatabaseForbidden
from native_api.usage import writer
from native_api.usage.entry import UsageEntry
from native_api.usage.journal import location
from native_api.usage.last_used import KeyUseTimes

_lane: Final = executors.database.lane()

HEALTH: Final[dict[str, Any]] = {
    "backlog": 0,
    "oldest_seconds": 0.0,
    "writable": True,
    "error": None,
    "rejected": 0,
}
"""Of a recorder that has nothing left to write."""


def record(entry: UsageEntry) -> None:
    """Raises what prevents the database from taking the record."""
    _run(_write, entry)


def note_key_use(key_id: int) -> None:
    _run(_write_key_use, key_id)


def _run(function: Callable[..., None], *args: Any) -> None:
    with suppress(DatabaseForbidden):
        _lane.submit(function, *args).result()


def _write(entry: UsageEntry) -> None:
    # As the journal gives it back: the record is the same as in production.
    entries = [UsageEntry.from_json(entry.to_json())]
    for _, error in writer.write(entries, location.database_alias(), may_be_written=True):
        raise error


def _write_key_use(key_id: int) -> None:
    uses = KeyUseTimes()
    uses.note_use(key_id)
    uses.write(location.database_alias())
