"""Values read from the database and used by all requests until they are too old.

Rules:
1. A value is used for `max_age` seconds, counted from before its query. So a change in the admin
   takes effect in every process within 5 seconds. A value never changes.
2. Concurrent readers of one key share a single query (single flight).
3. While the database cannot be read, the last value stays in use: for `grace` seconds after it was
   read, or without an end. The reader decides what is used if there is none.
4. A query that was under way when something changed may be outdated: its result is not kept.
5. Keys without a row (their value is None) are kept apart: guessing cannot evict the others.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from typing import Any, Final, Generic, NamedTuple, TypeVar

from django.db import Error as DatabaseError

from native_api.background import executors, test_environment
from native_api.background.outages import MAX_ERROR_LENGTH, ResourceUnavailable
from native_api.background.single_flight import SingleFlight
from native_api.bounded_cache import BoundedCache
from native_api.forks import reset_after_fork
from native_api.logs import LogInterval, get_logger

K = TypeVar("K")
V = TypeVar("V")

logger = get_logger("native_api.background")

MAX_AGE_SECONDS: Final = 4.0
"""Changes are promised to be live within 5 seconds; the rest is for the query."""

DATABASE_TIMEOUT_SECONDS: Final = 2.0
"""How long requests wait for a database that does not answer."""

RETRY_SECONDS: Final = 1.0
"""How long the last value is used again when a query failed."""

MAX_MISSING_SHARE: Final = 10
"""At most 1/10 as many keys without a row are kept as others."""

_lane: Final = executors.database.lane()


def is_fresh(checked_at: float, max_age: float) -> bool:
    """Whether a value that was read from the database at this time may be used without a query. In
    tests it may not: a row may be changed in any way, or rolled back."""
    return not test_environment.is_active() and time.monotonic() - checked_at < max_age


class Entry(NamedTuple, Generic[V]):
    """`checked_at` is `read_at`, unless a later query failed. `expirations` is how often all values
    had been expired by then."""

    value: V
    read_at: float
    checked_at: float
    expirations: int


class CachedValues(Generic[K, V]):
    """Values by key, bounded. They are replaced as a whole, so using them needs no lock.

    `read` makes the value of a key, and may raise DatabaseError. `without_database` returns or
    raises what a reader gets if there is no last value. `name` is for the log.
    """

    def __init__(
        self,
        name: str,
        read: Callable[[K], V],
        without_database: Callable[[], V],
        max_size: int,
        max_age: float = MAX_AGE_SECONDS,
        grace: float = float("inf"),
    ) -> None:
        self._name, self._read, self._without_database = name, read, without_database
        self._max_age, self._grace = max_age, grace
        self._entries = BoundedCache[K, Entry[V]](max_size)
        self._missing = BoundedCache[K, Entry[V]](max(1, max_size // MAX_MISSING_SHARE))
        self._flights = SingleFlight[K, V](DATABASE_TIMEOUT_SECONDS)
        self._changes = self._expirations = 0
        self._log_interval = LogInterval()
        self._start()
        reset_after_fork(self._start)

    def _start(self) -> None:
        self._lock = threading.Lock()

    # --- reading ---------------------------------------------------------------------------------

    def fresh(self, key: K) -> Entry[V] | None:
        """The value, if it can be used without a query."""
        entry = self._entries.get(key) or self._missing.get(key)
        if (
            entry is None
            or entry.expirations != self._expirations
            or not is_fresh(entry.checked_at, self._max_age)
        ):
            return None
        return entry

    def get(self, key: K) -> V:
        """The value to use now. May query the database: not for use on an event loop."""
        entry = self.fresh(key)
        if entry is not None:
            return entry.value
        load = partial(_lane.run_here, self._load, key)
        try:
            # While the database is down it is refused at once; a query under way may hang.
            return load() if _lane.is_down else self._flights.run(key, load, _wait)
        except (DatabaseError, ResourceUnavailable) as error:
            return self._keep_last(key, error)

    async def aget(self, key: K) -> V:
        """The value to use now. Waits for a worker thread only if the value is too old."""
        entry = self.fresh(key)
        if entry is not None:
            return entry.value
        submit = partial(_lane.submit, self._load, key)
        try:
            call = submit() if _lane.is_down else self._flights.join(key, submit)
            return await _lane.wait_for(DATABASE_TIMEOUT_SECONDS, call)
        except (DatabaseError, ResourceUnavailable) as error:
            return self._keep_last(key, error)

    def _load(self, key: K) -> V:
        entry = self.fresh(key)
        if entry is not None:  # read while this call waited for a thread
            return entry.value
        changes, read_at = self._changes, time.monotonic()
        value = self._read(key)
        with self._lock:
            if changes == self._changes:
                self._store(key, Entry(value, read_at, read_at, self._expirations))
        return value

    def _store(self, key: K, entry: Entry[V]) -> None:
        is_missing = entry.value is None
        (self._entries if is_missing else self._missing).discard(key)
        (self._missing if is_missing else self._entries)[key] = entry

    def _keep_last(self, key: K, error: Exception) -> V:
        if _is_notable(error) and self._log_interval.is_due():
            logger.warning(
                "The %s cannot be read (%s). Those that were read last stay in use.",
                self._name,
                f"{type(error).__name__}: {error}"[:MAX_ERROR_LENGTH],
            )
        last, now = self._entries.get(key), time.monotonic()
        entry = last
        if entry is None or now - entry.read_at > self._grace:
            entry = Entry(self._without_database(), now, now, 0)
        retried_at = now - self._max_age + RETRY_SECONDS
        with self._lock:
            if self._entries.get(key) is last:  # else it was dropped, or read after all
                self._entries[key] = entry._replace(
                    checked_at=retried_at, expirations=self._expirations
                )
        return entry.value

    # --- changes ---------------------------------------------------------------------------------

    def expire(self) -> None:
        """Read all values again before they are used. Until then they are kept for outages."""
        with self._change():
            self._expirations += 1

    def discard_where(self, matches: Callable[[K, V], bool]) -> None:
        """Drop the values for which `matches` is true, also for outages. For keys that are
        strings."""
        with self._change():
            for entries in (self._entries, self._missing):
                for key, entry in entries.items():
                    if matches(key, entry.value):
                        entries.discard(key)

    def clear(self) -> None:
        """Drop all values, also for outages."""
        with self._change():
            self._entries.clear()
            self._missing.clear()

    @contextmanager
    def _change(self) -> Iterator[None]:
        """Queries under way are forgotten without the lock: in tests one that is just being joined
        waits for it."""
        with self._lock:
            self._changes += 1
            yield
        self._flights.forget()


def _is_notable(error: Exception) -> bool:
    """An outage has been logged, and a test that may not use the database knows it."""
    return not _lane.is_down and not isinstance(error, test_environment.DatabaseForbidden)


def _wait(call: Future[V]) -> V:
    return _lane.wait_for_sync(DATABASE_TIMEOUT_SECONDS, call)


class CachedValue(CachedValues[None, V]):
    """One such value per process."""

    def __init__(self, name: str, read: Callable[[], V], without_database: Callable[[], V]) -> None:
        super().__init__(name, lambda _: read(), without_database, max_size=1)

    def current(self) -> V:
        """The value to use now. May query the database: not for use on an event loop."""
        return self.get(None)

    async def acurrent(self) -> V:
        """The value to use now. Waits for a worker thread only if the value is too old."""
        return await self.aget(None)

    def forget(self, *args: Any, **kwargs: Any) -> None:
        """Make the next request read the value again. Can be connected to any signal."""
        self.expire()
