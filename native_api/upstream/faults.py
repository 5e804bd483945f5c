"""Codes of faults without a status, and the headers in which a provider says whether and when to
retry. What follows from them is decided in `routing.retry_policy`."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import Final

from native_api.exceptions import MAX_RETRY_AFTER, ProviderFault

UNPROVOKED: Final = frozenset({"connection_failed", "connect_timeout"})
"""Codes of faults that no caller can cause: nothing was sent."""

NO_SOCKET: Final = "no_connection_left"
"""The code of a connection that the gateway itself had no means to open."""

NOT_CONNECTED: Final = UNPROVOKED | {NO_SOCKET}
"""Codes of faults that came before anything was sent."""


def was_sent(fault: ProviderFault) -> bool:
    """Whether the provider saw the request."""
    return fault.code not in NOT_CONNECTED


def parse_should_retry(header: str | None) -> bool | None:
    """A provider's `x-should-retry`, which the official SDKs obey; None if absent or unknown."""
    return {"true": True, "false": False}.get((header or "").strip().lower())


def parse_retry_date(header: str | None, now: float) -> float | None:
    """A `retry-after` that is a date, in seconds from `now`, bounded; None if it is not a date.

    RFC 9110, section 10.2.3.
    """
    try:
        moment = parsedate_to_datetime(header or "").timestamp()
    except (TypeError, ValueError, OverflowError):
        return None
    return min(max(0.0, moment - now), MAX_RETRY_AFTER)
