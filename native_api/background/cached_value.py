"""A value read from settings and the database, shared by all requests until it is too old.

Rules:
1. A request uses one value from beginning to end; a value never changes.
2. A value older than `MAX_AGE_SECONDS` is not used, so a change in the admin takes effect in every
   process within that time.
3. While the database is unavailable the last value stays in use, with one warning. The reader
   decides what is used if there never was one.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar

from django.core.signals import setting_changed
from django.db import Error as DatabaseError

from native_api import background
from native_api.logs import get_logger

T = TypeVar("T")

logger = get_logger("native_api.background")

MAX_AGE_SECONDS: Final = 4.0
"""Changes are promised to be live within 5 seconds; the rest is for the query."""

DATABASE_TIMEOUT_SECONDS: Final = 2.0
"""How long requests wait for a database that does not answer."""

_threads: Final = background.WorkerThreads("native-api-catalog", 2)


class CachedValue(Generic[T]):
    """One value per process. It is replaced as a whole, so using it needs no lock.

    `read` makes the value and may raise DatabaseError. `without_database` makes the value that is
    used if none was ever read. `name` is for the log.
    """

    def __init__(self, name: str, read: Callable[[], T], without_database: Callable[[], T]) -> None:
        self._name, self._read, self._without_database = name, read, without_database
        self._value: T | None = None
        self._read_at = float("-inf")
        self._changes = 0
        self._is_database_down = False
        self.after_fork()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self.after_fork)
        # Runs after the receiver that conf connected when it was imported, so the value is made
        # from the new settings.
        setting_changed.connect(self._on_setting_changed)

    def after_fork(self) -> None:
        """Replace the lock: one held by a thread of the parent would never be released."""
        self.lock = threading.Lock()

    def current(self) -> T:
        """The value to use now. May query the database: not for use on an event loop."""
        fresh = self._fresh()
        return self._load() if fresh is None else fresh

    async def acurrent(self) -> T:
        """The value to use now. Waits for a worker thread only if the cached value is too old."""
        fresh = self._fresh()
        if fresh is not None:
            return fresh
        try:
            return await _threads.run(DATABASE_TIMEOUT_SECONDS, self._load)
        except background.CallTimeout as error:
            return self._keep_last(error)

    def forget(self, *args: Any, **kwargs: Any) -> None:
        """Make the next request read the value again. Can be connected to any signal."""
        self._changes += 1
        self._read_at = float("-inf")

    def _fresh(self) -> T | None:
        return self._value if time.monotonic() - self._read_at < MAX_AGE_SECONDS else None

    def _load(self) -> T:
        with self.lock:
            fresh = self._fresh()
            if fresh is not None:
                return fresh
            changes, read_at = self._changes, time.monotonic()
            try:
                self._value = value = self._read()
            except DatabaseError as error:
                return self._keep_last(error)
            self._is_database_down = False
            if changes == self._changes:  # else it may have been read before the change
                self._read_at = read_at
            return value

    def _keep_last(self, error: Exception) -> T:
        if not self._is_database_down:
            self._is_database_down = True
            logger.warning(
                "The database cannot be read (%s); the last known %s stay in use.",
                type(error).__name__,
                self._name,
            )
        value = self._without_database() if self._value is None else self._value
        self._value, self._read_at = value, time.monotonic()
        return value

    def reset(self) -> None:
        """`forget`, and do not use the value while the database is unavailable either."""
        self._value = None
        self.forget()

    def _on_setting_changed(self, *, setting: str, **kwargs: Any) -> None:
        if setting == "NATIVE_API":
            self.reset()
