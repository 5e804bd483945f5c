"""Backs off from a cache that failed: nobody asks it for a second, and the log says so at most once
a minute.

Code that goes on with its last value keeps its own time: `access.keys.cache`, `access.grants` and
`background.cached_value` for the database, `routing.shared_cache` for the cache.
"""

from __future__ import annotations

import logging
import time
from typing import Final

RETRY_SECONDS: Final = 1.0
WARN_INTERVAL_SECONDS: Final = 60.0


class Backoff:
    """`warning` is the log message, with one `%s` for the error."""

    def __init__(self, logger: logging.Logger, warning: str) -> None:
        self._logger, self._warning = logger, warning
        self.reset()

    def reset(self) -> None:
        self._retry_at = 0.0
        self._warned_at = float("-inf")

    @property
    def is_active(self) -> bool:
        """Whether it is too early to use the dependency again."""
        return time.monotonic() < self._retry_at

    def start(self, error: Exception) -> None:
        now = time.monotonic()
        self._retry_at = now + RETRY_SECONDS
        if now - self._warned_at > WARN_INTERVAL_SECONDS:
            self._warned_at = now
            self._logger.warning(self._warning, f"{type(error).__name__}: {error}"[:200])
