"""Backs off from a cache that failed: nobody asks it for a second or two, and the log says so at
most once a minute.

Code that goes on with its last value keeps its own time: `access.keys.cache`, `access.grants` and
`background.cached_value` for the database.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

from native_api.logs import LogInterval

RETRY_SECONDS: Final = 1.0


class Backoff:
    """`warning` is the log message, with one `%s` for the error."""

    def __init__(
        self,
        logger: logging.Logger,
        warning: str,
        retry_seconds: float = RETRY_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._logger, self._warning = logger, warning
        self.retry_seconds, self._clock = retry_seconds, clock
        self._interval = LogInterval(clock)
        self.reset()

    def reset(self) -> None:
        self._retry_at = float("-inf")
        self._interval.reset()

    @property
    def is_active(self) -> bool:
        """Whether it is too early to use the dependency again."""
        return self._clock() < self._retry_at

    def start(self, error: Exception) -> None:
        self._retry_at = self._clock() + self.retry_seconds
        if self._interval.is_due():
            self._logger.warning(self._warning, f"{type(error).__name__}: {error}"[:200])
