"""A cache of API keys, so that a request needs no query to find its key. Rules:

1. A row is used for MAX_AGE seconds, counted from before its query. So a key that was revoked, or
   whose owner was deactivated, stops working in every process within 5 seconds. Expiry is checked
   on every use.
2. Concurrent lookups of one uncached key share a single query (single flight).
3. While the database is unavailable (it fails, or does not answer within TIMEOUT), a cached key
   stays valid for GRACE seconds after it was last read; any other key is a 503. Meanwhile one
   request per RETRY interval queries the database and the others do not wait.
4. Digests that are not in the database are cached apart: guessing cannot evict valid keys.
"""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from concurrent.futures import Future
from typing import Any, Final, NamedTuple

from django.db import InterfaceError, OperationalError, connections, router
from django.db.models.signals import post_delete, post_save

from native_api import background
from native_api.access.keys.text import PREFIX_LENGTH, Shape, digest, parse
from native_api.exceptions import DatabaseUnavailable, InvalidApiKey
from native_api.logs import get_logger
from native_api.models import ApiKey

logger = get_logger("native_api.access")

# Seconds.
MAX_AGE: Final = 3.0
GRACE: Final = 300.0
TIMEOUT: Final = 2.0
RETRY: Final = 1.0

MAX_ENTRIES: Final = 10_000


class Entry(NamedTuple):
    """The row of one digest, with its owner loaded; None if there is no such row."""

    key: ApiKey | None
    read_at: float


_threads: Final = background.WorkerThreads("native-api-keys", 4)

Lookup = Future[Entry | None]
"""A query under way. Its result is None if the database did not answer."""


class KeyCache:
    """Digest -> Entry, bounded, one per process. Requests share the rows and must not change
    them."""

    def __init__(
        self,
        max_age: float = MAX_AGE,
        grace: float = GRACE,
        timeout: float = TIMEOUT,
        size: int = MAX_ENTRIES,
    ) -> None:
        self._max_age, self._grace, self._timeout, self._size = max_age, grace, timeout, size
        self._keys: OrderedDict[str, Entry] = OrderedDict()
        self._missing: OrderedDict[str, Entry] = OrderedDict()
        self._is_database_down = False
        self._retry_at = 0.0
        self._changes = 0
        self.after_fork()

    def after_fork(self) -> None:
        """Replace what threads of the parent may have held or started: they do not exist here."""
        self._lock = threading.Lock()
        self._lookups: dict[str, Lookup] = {}

    def get(self, text: str) -> ApiKey:
        """The key with this text, if it is valid. Raises InvalidApiKey, DatabaseUnavailable."""
        hashed = digest(text)
        entry = self._fresh(hashed)
        if entry is None:
            _check_well_formed(text)
            entry = self._find(hashed)
        return _check_usable(entry, text)

    async def aget(self, text: str) -> ApiKey:
        """`get` for an event loop: an uncached key is looked up in a worker thread."""
        hashed = digest(text)
        entry = self._fresh(hashed)
        if entry is None:
            _check_well_formed(text)
            entry = await self._afind(hashed)
        return _check_usable(entry, text)

    def forget(self, key: ApiKey) -> None:
        """Drop this key, so that its next use queries the database. Lookups under way are
        ignored."""
        with self._lock:
            self._changes += 1
            self._lookups.clear()
            self._missing.pop(key.digest, None)
            for hashed in [
                hashed
                for hashed, entry in self._keys.items()
                if entry.key is not None and entry.key.pk == key.pk
            ]:
                del self._keys[hashed]

    def clear(self) -> None:
        """Drop everything."""
        with self._lock:
            self._changes += 1
            self._lookups.clear()
            self._keys.clear()
            self._missing.clear()
            self._is_database_down = False

    def _fresh(self, hashed: str) -> Entry | None:
        entry = self._keys.get(hashed) or self._missing.get(hashed)
        if entry is None or time.monotonic() - entry.read_at >= self._max_age:
            return None
        return entry

    # --- single flight ---------------------------------------------------------------------------

    def _find(self, hashed: str) -> Entry:
        lookup, is_new = self._join_or_start(hashed)
        if is_new:
            self._load(hashed, lookup)
        try:
            return lookup.result(self._timeout) or self._without_database(hashed)
        except TimeoutError:
            self._give_up(hashed, lookup)
            return self._without_database(hashed)

    async def _afind(self, hashed: str) -> Entry:
        lookup, is_new = self._join_or_start(hashed)
        if is_new:
            _threads.submit(self._load, hashed, lookup)
        try:
            return await _threads.wait_for(self._timeout, lookup) or self._without_database(hashed)
        except background.CallTimeout:
            self._give_up(hashed, lookup)
            return self._without_database(hashed)

    def _join_or_start(self, hashed: str) -> tuple[Lookup, bool]:
        """The lookup of this digest, and whether it is new: then the caller has to run it."""
        with self._lock:
            if self._is_database_down and not self._is_retry_due():
                return _unanswered(), False
            lookup = self._lookups.get(hashed)
            if lookup is not None:
                return lookup, False
            lookup = self._lookups[hashed] = Future()
            lookup.set_running_or_notify_cancel()
            return lookup, True

    def _is_retry_due(self) -> bool:
        if time.monotonic() < self._retry_at:
            return False
        self._retry_at = time.monotonic() + RETRY
        return True

    def _load(self, hashed: str, lookup: Lookup) -> None:
        try:
            lookup.set_result(self._fresh(hashed) or self._query(hashed))
        except BaseException as error:
            lookup.set_exception(error)
        finally:
            self._finish(hashed, lookup)

    def _finish(self, hashed: str, lookup: Lookup) -> None:
        """Remove the lookup, so that the next request starts another."""
        with self._lock:
            if self._lookups.get(hashed) is lookup:
                del self._lookups[hashed]

    def _give_up(self, hashed: str, lookup: Lookup) -> None:
        self._finish(hashed, lookup)
        self._note_database_down(f"no answer in {self._timeout:g} s")

    # --- the database ----------------------------------------------------------------------------

    def _query(self, hashed: str) -> Entry | None:
        changes, read_at = self._changes, time.monotonic()
        try:
            entry = Entry(_row(hashed), read_at)
        except (OperationalError, InterfaceError) as error:
            self._note_database_down(str(error).strip() or type(error).__name__)
            return None
        with self._lock:
            if self._is_database_down:
                self._is_database_down = False
                logger.warning("The database can be read again. API keys are looked up as usual.")
            if changes == self._changes:
                self._store(hashed, entry)
        return entry

    def _store(self, hashed: str, entry: Entry) -> None:
        """Every use after MAX_AGE stores again, so the least recently used entry is the first."""
        if entry.key is not None:
            entries, other, size = self._keys, self._missing, self._size
        else:
            entries, other, size = self._missing, self._keys, max(1, self._size // 10)
        other.pop(hashed, None)
        entries[hashed] = entry
        entries.move_to_end(hashed)
        if len(entries) > size:
            entries.popitem(last=False)

    def _note_database_down(self, reason: str) -> None:
        with self._lock:
            was_down, self._is_database_down = self._is_database_down, True
            if not was_down:
                self._retry_at = time.monotonic() + RETRY
        if not was_down:
            logger.warning(
                "The database cannot be read (%s). Cached API keys stay valid for %d s.",
                reason,
                self._grace,
            )

    def _without_database(self, hashed: str) -> Entry:
        entry = self._keys.get(hashed)
        if entry is None or time.monotonic() - entry.read_at > self._grace:
            raise DatabaseUnavailable(headers={"retry-after": "5"})
        return entry


def _unanswered() -> Lookup:
    """A finished lookup without an answer, for requests that must not wait for the database."""
    lookup: Lookup = Future()
    lookup.set_result(None)
    return lookup


def _check_well_formed(text: str) -> None:
    if parse(text) is not Shape.KEY:
        raise InvalidApiKey(
            "The API key is malformed: its checksum does not match. Check that it was copied whole."
        )


def _check_usable(entry: Entry, text: str) -> ApiKey:
    key = entry.key
    if key is None or not key.is_active or not key.owner.is_active:
        raise InvalidApiKey(f"The API key {text[:PREFIX_LENGTH]}… is unknown, revoked or expired.")
    return key


def _row(hashed: str) -> ApiKey | None:
    """The key's row, from the writable database: a replica may lag behind a revocation."""
    alias = router.db_for_write(ApiKey)
    rows = ApiKey._base_manager.using(alias).select_related("owner").filter(digest=hashed)
    connection = connections[alias]
    may_be_stale = connection.connection is not None and not connection.in_atomic_block
    try:
        return rows.first()
    except (OperationalError, InterfaceError):
        # A connection that was opened before the database restarted fails once.
        if may_be_stale:
            connection.close_if_unusable_or_obsolete()
        if not may_be_stale or connection.connection is not None:
            raise
        return rows.first()


cache: Final = KeyCache()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=cache.after_fork)


def _forget_changed(*, instance: ApiKey, **kwargs: Any) -> None:
    cache.forget(instance)


post_save.connect(_forget_changed, sender=ApiKey)
post_delete.connect(_forget_changed, sender=ApiKey)
