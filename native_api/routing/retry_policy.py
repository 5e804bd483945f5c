"""What a provider's fault means: for the call that met it, and for the health of its target. Pure.

    what                                              the call                       the target
    connection refused, not found, not in time        again, then the next target    failed, for all callers
    connection lost; 408, 5xx                         again, then the next target    failed, for this caller first
    429                                               again, then the next target    limited
    too slow: first token, whole reply                the next target                failed, for this caller first
    401, 402, 403                                     the next target                its key was refused, for this caller first
    an error or nonsense in a 200; a redirect         the next target                failed, for this caller first
    the conversation is too long                      the route's CONTEXT_FALLBACKS  nothing
    400, 413, 422                                     that is the answer             nothing
    409, 425                                          again, then the next target    nothing
    any other 4xx                                     the next target                nothing

Rules:
1. A provider's `x-should-retry` decides between "again" and "the next target", but never for what
   will fail again.
2. What too slow has cost once is not spent on the same target twice.
3. A status that speaks of the request never counts against a target: nobody may put it out of order
   for others. What else a request can bring about counts for its own caller first (`health`).
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from native_api.exceptions import ProviderFault, UpstreamTimeout
from native_api.upstream.faults import NO_SOCKET

FINAL_STATUSES: Final = frozenset({400, 413})
"""Of our own answer: errors that another target would give too."""

KEY_REFUSED: Final = frozenset({401, 402, 403})
OF_THE_PROVIDER: Final = KEY_REFUSED | {407, 408, 429}
"""Those of 4xx that may tell how the provider is, its key or the way to it."""

OF_THE_REQUEST: Final = frozenset(range(400, 500)) - OF_THE_PROVIDER
"""Statuses that speak of the request: wrong, too large, of a kind or to a place that the provider
does not have."""

AGAIN: Final = frozenset({408, 409, 425, 429})
NEVER_AGAIN: Final = KEY_REFUSED | {400, 404, 405, 406, 410, 411, 413, 414, 415, 416, 422, 431, 451}
"""Whatever the provider says of it."""

HARMLESS: Final = OF_THE_REQUEST | KEY_REFUSED | {429}

CONNECTION: Final = frozenset({"connection_failed", "connection_lost", NO_SOCKET})

LONGEST_PATIENCE: Final = 60.0
"""Seconds of `retry-after` up to which the official SDKs obey it; beyond, they come again at
once."""


class RetryDecision(Enum):
    AGAIN = "the same target once more"
    ELSEWHERE = "another target"
    LONGER = "a route with a longer context"
    NEVER = "nowhere"


def decide_retry(fault: ProviderFault) -> RetryDecision:
    """What the call that met `fault` does next."""
    if fault.code == "context_length_exceeded":
        return RetryDecision.LONGER
    if fault.status in FINAL_STATUSES:
        return RetryDecision.NEVER
    status = fault.upstream_status or 0
    if status in NEVER_AGAIN:
        return RetryDecision.ELSEWHERE
    if fault.should_retry is not None:
        return RetryDecision.AGAIN if fault.should_retry else RetryDecision.ELSEWHERE
    return (
        RetryDecision.AGAIN
        if status in AGAIN or status >= 500 or fault.code in CONNECTION
        else RetryDecision.ELSEWHERE
    )


def counts_against(fault: ProviderFault) -> bool:
    """Whether the target failed, as far as its circuit is concerned."""
    if fault.status in FINAL_STATUSES or fault.code in ("context_length_exceeded", NO_SOCKET):
        return False
    status = fault.upstream_status or 0
    return isinstance(fault, UpstreamTimeout) or status not in HARMLESS


def helps_to_retry(fault: ProviderFault) -> bool:
    """Whether the client's own retry has a chance: else it is told not to (`x-should-retry:
    false`)."""
    status = fault.upstream_status or 0
    patient = fault.retry_after is None or fault.retry_after <= LONGEST_PATIENCE
    return (
        fault.should_retry is not False
        and status not in NEVER_AGAIN
        and not 300 <= status < 400
        and patient
    )


def retry_headers(seconds: int) -> dict[str, str]:
    """Headers of a refusal that holds for so long."""
    return {
        "retry-after": str(seconds),
        **({"x-should-retry": "false"} if seconds > LONGEST_PATIENCE else {}),
    }
