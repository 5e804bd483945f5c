"""What a provider's fault means: for the call that met it, and for the health of its target.

    fault                                          the call                     the target
    connection refused, no DNS, connect timeout    again, then the next target  failed, for all
    connection lost; 408, 5xx                      again, then the next target  failed, for one
    429                                            again, then the next target  rate-limited
    too slow: first token, complete reply          the next target              failed, for one
    401, 402, 403                                  the next target              key refused, for one
    an error or nonsense in a 200; a redirect      the next target              failed, for one
    the conversation is too long                   CONTEXT_FALLBACKS            nothing
    400, 413, 422                                  fails with that error        nothing
    409, 425                                       again, then the next target  nothing
    any other 4xx                                  the next target              nothing

"For one" means: for this caller first (`health` says when for all).

Rules:
1. A provider's `x-should-retry` decides between "again" and "the next target", but never for what
   will fail again.
2. A timeout is never retried on the same target.
3. A status that is about the request never counts against a target: no caller may open its circuit
   for others. Other faults that a request can cause count for its own caller first (`health`).
4. Pauses are short and double, with jitter so that calls do not come back together. The provider's
   `retry-after` is obeyed; if it is too long to wait for, the next target is better.
"""

from __future__ import annotations

import random
from enum import Enum
from math import ceil
from typing import Final

from native_api.exceptions import ProviderFault, UpstreamTimeout
from native_api.upstream.faults import NO_SOCKET

FINAL_STATUSES: Final = frozenset({400, 413})
"""Statuses of our own error: faults that another target would have too."""

AUTH_FAILED_STATUSES: Final = frozenset({401, 402, 403})
PROVIDER_STATUSES: Final = AUTH_FAILED_STATUSES | {407, 408, 429}
"""4xx statuses that may be about the provider, its key or the way to it."""

REQUEST_STATUSES: Final = frozenset(range(400, 500)) - PROVIDER_STATUSES
"""Statuses that are about the request: wrong, too large, or unknown to the provider."""

RETRYABLE_STATUSES: Final = frozenset({408, 409, 425, 429})
PERMANENT_STATUSES: Final = AUTH_FAILED_STATUSES | {
    400, 404, 405, 406, 410, 411, 413, 414, 415, 416, 422, 431, 451,
}  # fmt: skip
"""Statuses that are never retried on the same target, even if the provider says so."""

HARMLESS_STATUSES: Final = REQUEST_STATUSES | AUTH_FAILED_STATUSES | {429}

CONNECTION_CODES: Final = frozenset({"connection_failed", "connection_lost", NO_SOCKET})

MAX_SDK_WAIT_SECONDS: Final = 60.0
"""The official SDKs obey a `retry-after` up to this; beyond it they retry at once."""

FIRST_PAUSE_SECONDS: Final = 0.2
MAX_PAUSE_SECONDS: Final = 5.0

MAX_WAIT_SECONDS: Final = 10.0
"""How long a call waits for a provider's `retry-after` if it has no other target."""

MAX_WAIT_WITH_OTHERS_SECONDS: Final = 1.0
"""The same if it has."""


class RetryDecision(Enum):
    """What a call does after a fault."""

    SAME_TARGET = "retry the same target"
    NEXT_TARGET = "try the next target"
    LONGER_CONTEXT = "try the routes with a longer context"
    FAIL = "fail"


def decide_retry(fault: ProviderFault) -> RetryDecision:
    """What the call that met `fault` does next."""
    if fault.code == "context_length_exceeded":
        return RetryDecision.LONGER_CONTEXT
    if fault.status in FINAL_STATUSES:
        return RetryDecision.FAIL
    status = fault.upstream_status or 0
    if status in PERMANENT_STATUSES:
        return RetryDecision.NEXT_TARGET
    if fault.should_retry is not None:
        return RetryDecision.SAME_TARGET if fault.should_retry else RetryDecision.NEXT_TARGET
    return (
        RetryDecision.SAME_TARGET
        if status in RETRYABLE_STATUSES or status >= 500 or fault.code in CONNECTION_CODES
        else RetryDecision.NEXT_TARGET
    )


def pause_before_retry(fault: ProviderFault, retries: int, has_other_targets: bool) -> float | None:
    """Seconds to wait before the same target is called again; None if that is too long.

    `retries` is the number of retries already made.
    """
    pause = fault.retry_after
    if pause is None:
        jitter = random.uniform(0.5, 1.0)  # noqa: S311
        pause = min(FIRST_PAUSE_SECONDS * 2**retries, MAX_PAUSE_SECONDS) * jitter
    longest = MAX_WAIT_WITH_OTHERS_SECONDS if has_other_targets else MAX_WAIT_SECONDS
    return pause if pause <= longest else None


def counts_as_failure(fault: ProviderFault) -> bool:
    """Whether the fault counts against the target's circuit."""
    if fault.status in FINAL_STATUSES or fault.code in ("context_length_exceeded", NO_SOCKET):
        return False
    status = fault.upstream_status or 0
    return isinstance(fault, UpstreamTimeout) or status not in HARMLESS_STATUSES


def is_worth_retrying(fault: ProviderFault) -> bool:
    """Whether the client's own retry may succeed. If not, it gets `x-should-retry: false`."""
    status = fault.upstream_status or 0
    is_soon = fault.retry_after is None or fault.retry_after <= MAX_SDK_WAIT_SECONDS
    return (
        fault.should_retry is not False
        and status not in PERMANENT_STATUSES
        and not 300 <= status < 400
        and is_soon
    )


def add_retry_headers(fault: ProviderFault) -> ProviderFault:
    """The fault itself, with headers that tell the client whether and when to retry."""
    if not is_worth_retrying(fault):
        fault.headers["x-should-retry"] = "false"
    if fault.retry_after is not None:
        fault.headers["retry-after"] = str(ceil(fault.retry_after))
    return fault


def retry_headers(seconds: int) -> dict[str, str]:
    """The headers of an error that lasts for so many seconds."""
    return {
        "retry-after": str(seconds),
        **({"x-should-retry": "false"} if seconds > MAX_SDK_WAIT_SECONDS else {}),
    }
