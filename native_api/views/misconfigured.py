"""Answers requests while a setting of the site is invalid: 503, and a line in the log at most once
a minute."""

from __future__ import annotations

import threading
import time
from typing import Final

from native_api.exceptions import ConfigurationError, Misconfigured
from native_api.logs import get_logger

logger = get_logger("native_api.conf")

LOG_INTERVAL_SECONDS: Final = 60.0

_lock: Final = threading.Lock()
_logged_at: dict[str, float] = {}
"""Monotonic time of the last line of each error. There are few: each is in a setting."""


def misconfigured(error: ConfigurationError) -> Misconfigured:
    """The error's answer. The client learns no setting and no value; the log names them."""
    reason = str(error)
    if _is_due(reason):
        logger.error("No request is answered until this is corrected. %s", reason)
    return Misconfigured(reason)


def _is_due(reason: str) -> bool:
    with _lock:
        now = time.monotonic()
        if now - _logged_at.get(reason, float("-inf")) < LOG_INTERVAL_SECONDS:
            return False
        _logged_at[reason] = now
        return True
