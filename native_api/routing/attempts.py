"""Makes the attempts of a call: one target after the other, until one answers.

Rules:
1. A target whose fault may pass is retried after a pause, `retries` times. Then comes the route's
   next target, then the fallbacks (the request's, else the route's, each a route of its own), then,
   in the same order, the degraded targets. Each target is tried once per request, plus its retries.
   `retry_policy` says what a fault means.
2. A conversation that is too long goes to the route's `context_fallbacks`; if it has none, the call
   fails.
3. A target that cannot express the request, that is not usable, or for which the caller's limits do
   not suffice, is skipped. If none is left, the first one's reason is the error. The request is
   built once per target, and limits are reserved before the target is called.
4. `AttemptLimits` bounds the attempts and the time in which they may begin. A running attempt has
   its target's own timeouts.
5. Nothing is retried once a chunk was handed on.
6. The caller sees the last provider's error. If no provider was called, because all circuits are
   open or no slot is free, it is a 503 that says when to try again.
7. However a call ends, also by cancellation, its slot is released and what it opened is closed.
8. Hedging (`hedging`): two walks over the same targets instead of one, if the route says so.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from math import ceil
from typing import Any, Final, Generic, Protocol, TypeVar

from native_api.exceptions import (
    BudgetExceeded,
    DatabaseUnavailable,
    NativeError,
    NoTargetAvailable,
    ProviderFault,
    ProviderUnusable,
    RateLimited,
    UnsupportedField,
    UpstreamTimeout,
)
from native_api.routing import hedging, strategies
from native_api.routing.call_plan import CallPlan, ReserveLimits, reserve_nothing
from native_api.routing.health_states import TargetState
from native_api.routing.pool import TargetPermit, TargetPool
from native_api.routing.retry_policy import (
    RetryDecision,
    add_retry_headers,
    decide_retry,
    pause_before_retry,
    retry_headers,
)
from native_api.routing.route import P95, Route
from native_api.routing.routed_stream import RoutedStream
from native_api.types import Json, Target, Usage
from native_api.upstream import call
from native_api.upstream.attempt_log import AttemptLog
from native_api.upstream.prepared_request import PreparedRequest, fetch_files, prepare

BUSY_SECONDS: Final = 1
"""`retry-after` if all targets are healthy and no slot is free."""


class TargetReply(Protocol):
    """The result of an attempt."""

    @property
    def target(self) -> Target: ...
    @property
    def usage(self) -> Usage | None: ...
    def unread_deltas(self) -> Iterable[Json]: ...
    async def aclose(self) -> None: ...


ReplyT = TypeVar("ReplyT", bound=TargetReply)


async def complete(
    body: Mapping[str, Any],
    plan: CallPlan,
    attempts: AttemptLog,
    pool: TargetPool,
    reserve: ReserveLimits = reserve_nothing,
) -> call.UpstreamReply:
    """The first complete reply of a target. Raises NativeError."""
    return await AttemptLoop(body, plan, attempts, pool, _complete, reserve).run()


async def open_stream(
    body: Mapping[str, Any],
    plan: CallPlan,
    attempts: AttemptLog,
    pool: TargetPool,
    reserve: ReserveLimits = reserve_nothing,
) -> RoutedStream:
    """The first stream that a target begins. Raises NativeError."""
    return await AttemptLoop(body, plan, attempts, pool, _open_stream, reserve).run()


async def _complete(
    prepared: PreparedRequest, permit: TargetPermit, attempts: AttemptLog
) -> call.UpstreamReply:
    completion = await call.complete(prepared, attempts)
    permit.record_success()
    permit.release()
    return completion


async def _open_stream(
    prepared: PreparedRequest, permit: TargetPermit, attempts: AttemptLog
) -> RoutedStream:
    stream = RoutedStream(await call.open_stream(prepared, attempts), permit)
    try:
        permit.record_first_chunk()
    except BaseException:
        await stream.aclose()
        raise
    return stream


class AttemptLoop(Generic[ReplyT]):
    """The attempts of one call. `attempt` makes one of them."""

    def __init__(
        self,
        body: Mapping[str, Any],
        plan: CallPlan,
        attempts: AttemptLog,
        pool: TargetPool,
        attempt: Callable[[PreparedRequest, TargetPermit, AttemptLog], Awaitable[ReplyT]],
        reserve: ReserveLimits = reserve_nothing,
    ) -> None:
        self._body = body
        self._plan = plan
        self._attempts = attempts
        self._pool = pool
        self._attempt = attempt
        self._reserve = reserve
        self._traits = strategies.RequestTraits(
            bool(body.get("stream")), plan.conversation, plan.caller
        )
        self._started_at = pool.clock()
        self._attempt_count = 0
        self._fault: ProviderFault | None = None
        self._limit_error: NativeError | None = None
        self._is_final = False
        self._is_too_long = False
        self._visited_routes: list[Route] = []
        self._tried: set[str] = set()

    async def run(self) -> ReplyT:
        """The first reply. Raises NativeError."""
        await self._pool.health.pull()
        for route, states in self._routes():
            reply = await self._try_route(route, states)
            if reply is not None:
                self._attempts.target, self._attempts.route = reply.target, route.name
                return reply
            if self._is_final or self._is_exhausted():
                break
        raise self._error()

    def _routes(self) -> Iterator[tuple[Route, frozenset[TargetState]]]:
        """The route and its fallbacks, then the degraded targets of both.

        Once the conversation turns out to be too long, the context fallbacks replace the others.
        """
        queue, took_fallbacks, took_context_fallbacks = deque([self._plan.route]), False, False
        while queue:
            route = queue.popleft()
            self._visited_routes.append(route)
            yield route, strategies.AVAILABLE
            if self._is_too_long and not took_context_fallbacks:
                took_fallbacks = took_context_fallbacks = True
                self._visited_routes, queue = [], deque(self._plan.context_fallbacks())
            elif not queue and not took_fallbacks:
                took_fallbacks, queue = True, deque(self._plan.fallbacks())
        for route in self._visited_routes:
            yield route, strategies.DEGRADED
        if self._is_too_long and not took_context_fallbacks:
            for route in self._plan.context_fallbacks():
                yield route, strategies.AVAILABLE

    async def _try_route(self, route: Route, states: frozenset[TargetState]) -> ReplyT | None:
        """The route's first reply; None if no target of it gives one."""
        targets = strategies.candidates(route, self._pool, self._traits, self._tried, states)
        delay = hedging.hedge_delay(route, self._pool.latency, self._traits.stream)
        if delay is None:
            return await self._walk(route, targets)
        return await hedging.race(lambda: self._walk(route, targets), delay, self._discard)

    async def _walk(self, route: Route, targets: Iterator[Target]) -> ReplyT | None:
        """The first reply of one target after the other. Two walks may share the targets."""
        for target in targets:
            if self._is_exhausted():
                return None
            prepared = await self._prepare(route, target)
            permit = await self._pool.admit(target, self._plan.caller) if prepared else None
            if prepared is None or permit is None:
                continue
            outcome = await self._try_target(route, permit, prepared)
            if not isinstance(outcome, RetryDecision):
                return outcome
            if outcome in (RetryDecision.FAIL, RetryDecision.LONGER_CONTEXT):
                return None
        return None

    async def _prepare(self, route: Route, target: Target) -> PreparedRequest | None:
        """The request for this target, reserved in the caller's limits.

        Returns None if the target cannot express it or the limits do not suffice. Files are fetched
        only if the limits suffice for the rest.
        """
        source = self._body, target, self._plan.operation, self._plan.client_body
        try:
            prepared = prepare(*source)
            await self._reserve(route, prepared)
            if not prepared.wire:
                prepared = await fetch_files(*source)
                await self._reserve(route, prepared)
        except UnsupportedField as reason:
            self._attempts.skipped.append((target, reason))
            return None
        except (RateLimited, BudgetExceeded, DatabaseUnavailable) as error:
            self._limit_error = self._limit_error or error
            return None
        return prepared

    async def _try_target(
        self, route: Route, permit: TargetPermit, prepared: PreparedRequest
    ) -> ReplyT | RetryDecision:
        """The target's reply, with retries; else what to do next."""
        retries = 0
        try:
            while True:
                try:
                    return await self._try_once(route, permit, prepared)
                except ProviderFault as fault:
                    decision, pause = self._record_fault(route, permit, fault, retries)
                if pause is None:
                    break
                await self._pool.sleep(pause)
                retries += 1
        except ProviderUnusable as reason:
            self._attempts.skipped.append((permit.target, reason))
            decision = RetryDecision.NEXT_TARGET
        except BaseException:
            permit.release()
            raise
        permit.release()
        return decision

    async def _try_once(
        self, route: Route, permit: TargetPermit, prepared: PreparedRequest
    ) -> ReplyT:
        attempts, target, clock = self._attempts, permit.target, self._pool.clock
        self._attempt_count += 1
        attempts.target, attempts.route = target, route.name
        started_at = clock()
        try:
            reply = await self._attempt(prepared, permit, attempts)
        except asyncio.CancelledError:
            if attempts.target is not target:
                attempts.hedged.append((target, None))
            raise
        except UpstreamTimeout:
            self._record_latency(route, target, clock() - started_at)
            raise
        try:
            self._record_latency(route, target, clock() - started_at)
        except BaseException:
            await reply.aclose()
            raise
        attempts.target = target
        return reply

    def _record_latency(self, route: Route, target: Target, seconds: float) -> None:
        if route.strategy == "fastest":
            self._pool.latency.add(target.key, self._traits.stream, seconds)
        if route.hedge_after == P95:
            self._pool.latency.add_to_route(route.name, self._traits.stream, seconds)

    async def _discard(self, reply: ReplyT) -> None:
        """Close the reply that lost a race, and note it for the usage record."""
        self._attempts.hedged.append((reply.target, reply.usage, *reply.unread_deltas()))
        await reply.aclose()

    # --- faults and limits -----------------------------------------------------------------------

    def _record_fault(
        self, route: Route, permit: TargetPermit, fault: ProviderFault, retries: int
    ) -> tuple[RetryDecision, float | None]:
        """Note a fault. Returns what it means, and the pause before the same target is retried;
        None if it is not."""
        fault.provider = permit.target.provider.name
        decision = decide_retry(fault)
        self._fault = fault
        self._is_final = self._is_final or decision is RetryDecision.FAIL
        self._is_too_long = self._is_too_long or decision is RetryDecision.LONGER_CONTEXT
        is_callable = permit.record_failure(fault)
        if (
            decision is not RetryDecision.SAME_TARGET
            or retries >= permit.target.retries
            or not is_callable
            or self._is_exhausted()
        ):
            return decision, None
        return decision, self._pause(route, fault, retries)

    def _pause(self, route: Route, fault: ProviderFault, retries: int) -> float | None:
        other = strategies.next_target(
            route, self._pool, self._traits, self._tried, strategies.AVAILABLE
        )
        pause = pause_before_retry(fault, retries, has_other_targets=other is not None)
        if pause is None or self._elapsed() + pause >= self._plan.attempt_limits.start_within:
            return None
        return pause

    def _elapsed(self) -> float:
        return self._pool.clock() - self._started_at

    def _is_exhausted(self) -> bool:
        """Whether no further attempt may begin."""
        limits = self._plan.attempt_limits
        return self._attempt_count >= limits.max_attempts or self._elapsed() >= limits.start_within

    def _error(self) -> Exception:
        """Why there is no reply: the last provider's error, else our own."""
        if self._fault is not None:
            return add_retry_headers(self._fault)
        if self._limit_error is not None:
            return self._limit_error
        targets = [target for route in self._visited_routes for target in route.targets]
        skipped = self._attempts.skipped
        if skipped and {target.key for target in targets} <= {target.key for target, _ in skipped}:
            return skipped[0][1]
        return self._unavailable(targets)

    def _unavailable(self, targets: Iterable[Target]) -> NativeError:
        wait = self._pool.health.seconds_until_half_open(targets, self._plan.caller)
        seconds = ceil(wait or BUSY_SECONDS)
        return NoTargetAvailable(
            f"No provider can serve this model right now: all are failing or busy. Try again in "
            f"{seconds} s, or use another model.",
            headers=retry_headers(seconds),
        )
