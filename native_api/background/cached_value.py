"""What settings and rows say together, read once and used by every request until it is too old.

Rules:
1. A request sees one value from beginning to end; a value never changes.
2. A value older than `MAX_AGE` is not used: an admin's change is live in every process within that
   time.
3. While the database is away the last value stays in use, with one warning. What there is without
   any is the reader's to say.
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

MAX_AGE: Final = 4.0
"""Seconds. The promise is 5; the rest is for the query."""

PATIENCE: Final = 2.0
"""Seconds that requests wait for a database that does not answer."""

_threads: Final = background.Threads("native-api-catalog", 2)


class CachedValue(Generic[T]):
    """One value per process. It is replaced as a whole, so using it needs no lock.

    `read` makes it and may raise DatabaseError; `without_database` makes what is used where there
    never was one. `what` is for the log.
    """

    def __init__(self, what: str, read: Callable[[], T], without_database: Callable[[], T]) -> None:
        self._what, self._read, self._without_database = what, read, without_database
        self._value: T | None = None
        self._read_at = float("-inf")
        self._changes = 0
        self._away = False
        self.after_fork()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self.after_fork)
        # After the receiver that conf has connected when it was imported, so that the new settings
        # are the ones read.
        setting_changed.connect(self._start_anew)

    def after_fork(self) -> None:
        """A lock held by a thread that the child does not have would never be released."""
        self.lock = threading.Lock()

    def current(self) -> T:
        """The value to use now. May query the database: not for an event loop."""
        fresh = self._fresh()
        return self._load() if fresh is None else fresh

    async def acurrent(self) -> T:
        """The value to use now. Waits for a worker thread only where the present one is too old,
        and not long."""
        fresh = self._fresh()
        if fresh is not None:
            return fresh
        try:
            return await _threads.run(PATIENCE, self._load)
        except background.HangingCall as error:
            return self._go_on(error)

    def forget(self, *args: Any, **kwargs: Any) -> None:
        """Have the next request read anew. Also a receiver for any signal."""
        self._changes += 1
        self._read_at = float("-inf")

    def _fresh(self) -> T | None:
        return self._value if time.monotonic() - self._read_at < MAX_AGE else None

    def _load(self) -> T:
        with self.lock:
            fresh = self._fresh()
            if fresh is not None:
                return fresh
            changes, read_at = self._changes, time.monotonic()
            try:
                self._value = value = self._read()
            except DatabaseError as error:
                return self._go_on(error)
            self._away = False
            if changes == self._changes:  # else it was read too early, perhaps
                self._read_at = read_at
            return value

    def _go_on(self, error: Exception) -> T:
        if not self._away:
            self._away = True
            logger.warning(
                "The database cannot be read (%s); %s stay as they were.",
                type(error).__name__,
                self._what,
            )
        value = self._without_database() if self._value is None else self._value
        self._value, self._read_at = value, time.monotonic()
        return value

    def _start_anew(self, *, setting: str, **kwargs: Any) -> None:
        if setting == "NATIVE_API":
            self._value = None
            self.forget()
