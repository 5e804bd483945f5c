"""Leaving a dependency alone for a moment after it failed, so that not every request waits for it,
and saying so once a minute."""

from __future__ import annotations

import logging
import time
from typing import Final

RETRY: Final = 1.0
WARN_EVERY: Final = 60.0


class Backoff:
    """`told` is the warning, with one `%s` for what went wrong."""

    def __init__(self, logger: logging.Logger, told: str) -> None:
        self._logger, self._told = logger, told
        self.end()

    def end(self) -> None:
        """Start anew."""
        self._ask_again_at = 0.0
        self._warned_at = float("-inf")

    @property
    def is_on(self) -> bool:
        """Whether it is too early to ask again."""
        return time.monotonic() < self._ask_again_at

    def begin(self, error: Exception) -> None:
        now = time.monotonic()
        self._ask_again_at = now + RETRY
        if now - self._warned_at > WARN_EVERY:
            self._warned_at = now
            self._logger.warning(self._told, f"{type(error).__name__}: {error}"[:200])
