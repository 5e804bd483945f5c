"""Counts the input tokens of a chat as the target would that answers it.

Rules:
1. The target is chosen as for a call. Its provider counts if its wire can; otherwise the count is
   an estimate. So is that of a request whose files would have to be fetched first.
2. A provider that fails is no reason to refuse: the next target is asked, and in the end the
   estimate for the first one is the answer. What a provider refuses as the client's mistake is the
   client's to correct.
3. Counting says nothing about the health of a target: many providers of a wire lack this endpoint.
   Nothing is retried and no call is hedged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, NamedTuple

from native_api.exceptions import NativeError, ProviderFault, UnsupportedField
from native_api.operations import COUNT_TOKENS
from native_api.routing import strategies
from native_api.routing.call_plan import CallPlan, ReserveLimits
from native_api.routing.pool import TargetPool
from native_api.types import Target
from native_api.upstream import call
from native_api.upstream.attempt_log import AttemptLog
from native_api.upstream.prepared_request import PreparedRequest, prepare

SECONDS: Final = 15.0
"""For which one provider is waited for."""


class TokenCount(NamedTuple):
    """The input tokens of a request, and the hints that the target's dialect cannot express."""

    input_tokens: int
    is_estimated: bool
    omitted: tuple[str, ...] = ()


async def count_tokens(
    body: Mapping[str, Any],
    plan: CallPlan,
    attempts: AttemptLog,
    pool: TargetPool,
    reserve: ReserveLimits,
) -> TokenCount:
    """The count of the first target whose provider can count. Raises NativeError."""
    await pool.health.pull()
    traits = strategies.RequestTraits(False, plan.conversation, plan.caller)
    estimate: TokenCount | None = None
    refusal: NativeError | None = None
    for target in strategies.candidates(plan.route, pool, traits, set(), strategies.AVAILABLE):
        try:
            prepared = prepare(body, target, COUNT_TOKENS, plan.client_body)
        except UnsupportedField as reason:
            refusal = refusal or reason
            continue
        await reserve(plan.route, prepared)
        attempts.target, attempts.route = target, plan.route.name
        omitted = prepared.request.omitted
        estimate = estimate or TokenCount(prepared.tokens, True, omitted)
        counting = _build_counting_request(prepared, target)
        if counting is None or attempts.count >= plan.attempt_limits.max_attempts:
            return estimate
        count = await _ask(counting, pool, plan, attempts)
        if count is not None:
            return TokenCount(count, False, omitted)
    if estimate is None and refusal is not None:
        raise refusal
    return estimate or _estimate_unsent(body, plan)


def _estimate_unsent(body: Mapping[str, Any], plan: CallPlan) -> TokenCount:
    """The estimate if no target can be called now."""
    written = body if plan.client_body is None else plan.client_body.body
    return TokenCount(COUNT_TOKENS.estimate_input(written), True)


def _build_counting_request(prepared: PreparedRequest, target: Target) -> PreparedRequest | None:
    """What is sent to the provider; None if it cannot count this."""
    if not prepared.wire:
        return None
    request = prepared.dialect.count_tokens_request(prepared.request, target)
    return None if request is None else replace(prepared, request=request)


async def _ask(
    counting: PreparedRequest, pool: TargetPool, plan: CallPlan, attempts: AttemptLog
) -> int | None:
    """The provider's count; None if it fails or has no time."""
    permit = await pool.admit(counting.target, plan.caller)
    if permit is None:
        return None
    try:
        return await call.count_tokens(counting, attempts, SECONDS)
    except ProviderFault as fault:
        if _is_clients_mistake(fault):
            fault.provider = counting.target.provider.name
            raise
        return None
    finally:
        permit.release()


def _is_clients_mistake(fault: ProviderFault) -> bool:
    """A 400, unless it says that the model cannot be counted for, as Bedrock's does of some: "The
    provided model doesn't support counting tokens" (read 2026-11)."""
    return fault.status == 400 and "counting tokens" not in fault.message
