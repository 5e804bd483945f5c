"""Answers requests while a setting of the site is invalid: 503, and a line in the log at most once
a minute."""

from __future__ import annotations

from typing import Final

from native_api.exceptions import ConfigurationError, Misconfigured
from native_api.logs import LogInterval, get_logger

logger = get_logger("native_api.conf")

log_interval: Final = LogInterval()
"""One line for each error. There are few: each is in a setting."""


def misconfigured(error: ConfigurationError) -> Misconfigured:
    """The error's answer. The client learns no setting and no value; the log names them."""
    reason = str(error)
    if log_interval.is_due(reason):
        logger.error("No request is answered until this is corrected. %s", reason)
    return Misconfigured(reason)
