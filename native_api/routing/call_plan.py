"""The plan of a call: which routes it may try, and what it may spend on trying."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from native_api.operations import CHAT, Operation
from native_api.routing.route import DEFAULT_ATTEMPT_LIMITS, AttemptLimits, Route
from native_api.types import ClientBody
from native_api.upstream.prepared_request import PreparedRequest


@dataclass(slots=True)
class CallPlan:
    """What a call may try. `fallbacks` and `context_fallbacks` are called only if they are
    needed."""

    route: Route
    fallbacks: Callable[[], Iterable[Route]] = tuple
    context_fallbacks: Callable[[], Iterable[Route]] = tuple
    conversation: int | None = None
    attempt_limits: AttemptLimits = DEFAULT_ATTEMPT_LIMITS
    caller: str = ""
    """`Caller.identity`, for the health of targets."""
    operation: Operation = CHAT
    client_body: ClientBody | None = None
    """For targets that speak the client's wire."""


ReserveLimits = Callable[[Route, PreparedRequest], Awaitable[None]]
"""Reserves, in the caller's limits, what an attempt with this request may use. Raises RateLimited,
BudgetExceeded or DatabaseUnavailable."""


async def reserve_nothing(route: Route, prepared: PreparedRequest) -> None:
    """For callers without limits."""
