"""What a provider's fault means: for the call that met it, and for the health of its target. Pure.

    what                                              the call                       the target
    connection refused, lost; 408, 409, 429, 5xx      again, then the next target    failed (409: nothing; 429: limited)
    too slow: connecting, first token, whole reply    the next target                failed
    401, 402, 403                                     the next target                its key was refused
    404                                               the next target                nothing
    an error or nonsense in a 200; a redirect         the next target                failed
    the conversation is too long                      the route's CONTEXT_FALLBACKS  nothing
    400, 413, 422                                     that is the answer             nothing

Rules:
1. A provider's `x-should-retry` decides between "again" and "the next target", but never for what will fail again.
2. What too slow has cost once is not spent on the same target twice.
3. What a caller's own request may bring about (400, 404, 409, 413) never counts against a target: nobody may put it out of
   order for others.
"""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from enum import Enum
from typing import Final

from native_api.exceptions import MAX_RETRY_AFTER, ProviderFault, UpstreamTimeout

FINAL_STATUSES: Final = frozenset({400, 413})
"""Of our own answer: errors that another target would give too."""

NEVER_AGAIN: Final = frozenset({400, 401, 402, 403, 404, 413, 422})
AGAIN: Final = frozenset({408, 409, 429})
NOT_CONNECTED: Final = frozenset({"connection_failed", "connect_timeout"})
"""Codes of faults that came before anything was sent."""

CONNECTION: Final = frozenset({"connection_failed", "connection_lost"})
KEY_REFUSED: Final = frozenset({401, 402, 403})
HARMLESS: Final = frozenset({404, 409, 429}) | KEY_REFUSED

LONGEST_PATIENCE: Final = 60.0
"""Seconds of `retry-after` up to which the official SDKs obey it; beyond, they come again at once."""


class Verdict(Enum):
    AGAIN = "the same target once more"
    ELSEWHERE = "another target"
    LONGER = "a route with a longer context"
    NEVER = "nowhere"


def verdict_of(fault: ProviderFault) -> Verdict:
    """What the call that met `fault` does next."""
    if fault.code == "context_length_exceeded":
        return Verdict.LONGER
    if fault.status in FINAL_STATUSES:
        return Verdict.NEVER
    status = fault.upstream_status or 0
    if status in NEVER_AGAIN:
        return Verdict.ELSEWHERE
    if fault.should_retry is not None:
        return Verdict.AGAIN if fault.should_retry else Verdict.ELSEWHERE
    return Verdict.AGAIN if status in AGAIN or status >= 500 or fault.code in CONNECTION else Verdict.ELSEWHERE


def counts_against(fault: ProviderFault) -> bool:
    """Whether the target failed, as far as its circuit is concerned."""
    if fault.status in FINAL_STATUSES or fault.code == "context_length_exceeded":
        return False
    status = fault.upstream_status or 0
    return isinstance(fault, UpstreamTimeout) or status not in HARMLESS


def was_sent(fault: ProviderFault) -> bool:
    """Whether the provider saw the request."""
    return fault.code not in NOT_CONNECTED


def helps_to_retry(fault: ProviderFault) -> bool:
    """Whether the client's own retry has a chance: else it is told not to (`x-should-retry: false`)."""
    status = fault.upstream_status or 0
    patient = fault.retry_after is None or fault.retry_after <= LONGEST_PATIENCE
    return fault.should_retry is not False and status not in NEVER_AGAIN and not 300 <= status < 400 and patient


def should_retry(header: str | None) -> bool | None:
    """A provider's `x-should-retry`, which the official SDKs obey; None where it is not told."""
    return {"true": True, "false": False}.get((header or "").strip().lower())


def seconds_until(header: str | None, now: float) -> float | None:
    """A `retry-after` that is a date, in seconds from `now`, bounded; None where it is none (RFC 9110, section 10.2.3)."""
    try:
        moment = parsedate_to_datetime(header or "").timestamp()
    except (TypeError, ValueError, OverflowError):
        return None
    return min(max(0.0, moment - now), MAX_RETRY_AFTER)


def come_again(seconds: int) -> dict[str, str]:
    """Headers of a refusal that holds for so long."""
    return {"retry-after": str(seconds), **({"x-should-retry": "false"} if seconds > LONGEST_PATIENCE else {})}
