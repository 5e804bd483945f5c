"""Attempts: one call, tried at one target after the other until one answers.

Rules:
1. A target that may answer next time is asked again after a pause, `retries` times; then comes the
   next target of the route, then the fallbacks: the request's, else the route's, each a route of
   its own; then, in the same order, the targets that are a last resort (`routing`). No target has
   two turns. `verdicts` says what a fault means.
2. A pause is short, and doubles, with chance in it so that calls do not come back together. The
   provider's `retry-after` is obeyed; where it is longer than is worth waiting, the next target is
   better.
3. A conversation that is too long goes to the route's `context_fallbacks`, and nowhere where it
   names none.
4. A target that cannot express the request, that is not usable, or for which the caller's limits
   have no room, is skipped; if none is left, the first one's reason is the answer. The request is
   built once for a target, and limits are asked before the target is.
5. The `AttemptLimits` bounds attempts and the time in which they may begin. A running attempt has
   its target's own timeouts.
6. Nothing is tried again once a chunk was handed on.
7. The last provider's error is what the caller sees. Where nobody was asked, since all are out of
   order or have no place free, it is 503, with the time after which it is worth while.
8. However a call ends, cancelled too, its place is given back and what it began is closed.
9. Hedging (`hedging`): two walks over the same targets instead of one. Off unless the route says
   so.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from math import ceil
from typing import Final, Generic, Protocol, TypeVar

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
from native_api.routing.health_states import TargetState
from native_api.routing.pool import TargetPermit, TargetPool
from native_api.routing.retry_policy import (
    RetryDecision,
    decide_retry,
    helps_to_retry,
    retry_headers,
)
from native_api.routing.route import ATTEMPT_LIMITS, AttemptLimits, Route
from native_api.types import ChatCompletionChunk, ChatRequest, Json, Target, Usage
from native_api.upstream import call
from native_api.upstream.attempt_log import AttemptLog

FIRST_PAUSE: Final = 0.2
LAST_PAUSE: Final = 5.0

PATIENCE: Final = 10.0
"""Seconds of a provider's `retry-after` that a call waits where it has no other target."""

PATIENCE_WITH_OTHERS: Final = 1.0
"""The same where it has."""

BUSY_SECONDS: Final = 1
"""`retry-after` where all targets are healthy and have no place free."""


@dataclass(slots=True)
class CallPlan:
    """What a call may try. `fallbacks` and `context_fallbacks` are asked for routes only when they
    are needed."""

    route: Route
    fallbacks: Callable[[], Iterable[Route]] = tuple
    context_fallbacks: Callable[[], Iterable[Route]] = tuple
    conversation: int | None = None
    attempt_limits: AttemptLimits = ATTEMPT_LIMITS
    caller: str = ""
    """Who asks, as far as the health of targets is concerned (`Caller.identity`)."""


class TargetReply(Protocol):
    """What an attempt brings."""

    @property
    def target(self) -> Target: ...
    @property
    def usage(self) -> Usage | None: ...
    def unread(self) -> Iterable[Json]:
        """The deltas that came and were not handed on."""

    async def aclose(self) -> None: ...


ReplyT = TypeVar("ReplyT", bound=TargetReply)


ReserveLimits = Callable[[Route, call.PreparedRequest], Awaitable[None]]
"""Makes sure that the caller may make an attempt with this request. Raises RateLimited,
BudgetExceeded or DatabaseUnavailable."""


async def reserve_nothing(route: Route, prepared: call.PreparedRequest) -> None:
    """Of callers whom no limit binds."""


async def complete(
    chat: ChatRequest,
    plan: CallPlan,
    attempts: AttemptLog,
    pool: TargetPool,
    reserve: ReserveLimits = reserve_nothing,
) -> call.UpstreamCompletion:
    """The first reply that a target gives. Raises NativeError."""
    return await AttemptLoop(chat, plan, attempts, pool, _complete, reserve).run()


async def open_stream(
    chat: ChatRequest,
    plan: CallPlan,
    attempts: AttemptLog,
    pool: TargetPool,
    reserve: ReserveLimits = reserve_nothing,
) -> RoutedStream:
    """The first stream that a target begins. Raises NativeError."""
    return await AttemptLoop(chat, plan, attempts, pool, _open_stream, reserve).run()


async def _complete(
    prepared: call.PreparedRequest, permit: TargetPermit, attempts: AttemptLog
) -> call.UpstreamCompletion:
    completed = await call.complete(prepared, attempts)
    permit.succeeded()
    permit.release()
    return completed


async def _open_stream(
    prepared: call.PreparedRequest, permit: TargetPermit, attempts: AttemptLog
) -> RoutedStream:
    stream = RoutedStream(await call.open_stream(prepared, attempts), permit)
    try:
        permit.began()
    except BaseException:
        await stream.aclose()
        raise
    return stream


class RoutedStream:
    """A reply's chunks, in batches, and the place at its target that it holds. Iterate once, then
    `aclose`."""

    def __init__(self, upstream: call.UpstreamStream, permit: TargetPermit) -> None:
        self.omitted = upstream.omitted
        self.target = upstream.target
        self._upstream = upstream
        self._permit = permit

    @property
    def usage(self) -> Usage | None:
        """What the provider has told so far."""
        return self._upstream.usage

    def unread(self) -> Iterable[Json]:
        return self._upstream.unread()

    async def __aiter__(self) -> AsyncIterator[list[ChatCompletionChunk]]:
        try:
            async for batch in self._upstream:
                yield batch
        except ProviderFault as fault:
            fault.provider = self.target.provider.name
            self._permit.failed(fault)
            raise
        self._permit.succeeded()
        self._permit.release()

    async def aclose(self) -> None:
        try:
            await self._upstream.aclose()
        finally:
            self._permit.release()


class AttemptLoop(Generic[ReplyT]):
    """One call under way."""

    def __init__(
        self,
        chat: ChatRequest,
        plan: CallPlan,
        attempts: AttemptLog,
        pool: TargetPool,
        attempt: Callable[[call.PreparedRequest, TargetPermit, AttemptLog], Awaitable[ReplyT]],
        reserve: ReserveLimits = reserve_nothing,
    ) -> None:
        self._chat = chat
        self._plan = plan
        self._attempts = attempts
        self._pool = pool
        self._attempt = attempt
        self._reserve_limits = reserve
        self._traits = strategies.RequestTraits(
            bool(chat.get("stream")), plan.conversation, plan.caller
        )
        self._began = pool.clock()
        self._tries = 0
        self._fault: ProviderFault | None = None
        self._refused: NativeError | None = None
        self._final = False
        self._too_long = False
        self._passed: list[Route] = []
        self._tried: set[str] = set()

    async def run(self) -> ReplyT:
        """The answer. Raises NativeError."""
        await self._pool.health.listen()
        for route, states in self._routes():
            answer = await self._try_route(route, states)
            if answer is not None:
                self._attempts.target, self._attempts.route = answer.target, route.name
                return answer
            if self._final or self._spent():
                break
        raise self._refusal()

    def _routes(self) -> Iterator[tuple[Route, frozenset[TargetState]]]:
        """The route, its fallbacks, then the last resorts of both. Those for long conversations
        once it is found to be one."""
        ahead, at_fallbacks, at_longer = deque([self._plan.route]), False, False
        while ahead:
            route = ahead.popleft()
            self._passed.append(route)
            yield route, strategies.AVAILABLE
            if self._too_long and not at_longer:
                at_fallbacks = at_longer = True
                self._passed, ahead = [], deque(self._plan.context_fallbacks())
            elif not ahead and not at_fallbacks:
                at_fallbacks, ahead = True, deque(self._plan.fallbacks())
        for route in self._passed:
            yield route, strategies.DEGRADED
        if self._too_long and not at_longer:
            for route in self._plan.context_fallbacks():
                yield route, strategies.AVAILABLE

    async def _try_route(self, route: Route, states: frozenset[TargetState]) -> ReplyT | None:
        """The route's answer; None where no target of it gives one."""
        targets = strategies.candidates(route, self._pool, self._traits, self._tried, states)
        delay = hedging.delay(route, self._pool.speeds, self._traits.stream)
        if delay is None:
            return await self._walk(route, targets)
        return await hedging.race(lambda: self._walk(route, targets), delay, self._lose)

    async def _walk(self, route: Route, targets: Iterator[Target]) -> ReplyT | None:
        """The first answer from one target after the other. Two walks may share the targets."""
        for target in targets:
            if self._spent():
                return None
            prepared = await self._prepare(route, target)
            permit = await self._pool.admit(target, self._plan.caller) if prepared else None
            if prepared is None or permit is None:
                continue
            outcome = await self._ask(route, permit, prepared)
            if not isinstance(outcome, RetryDecision):
                return outcome
            if outcome in (RetryDecision.NEVER, RetryDecision.LONGER):
                return None
        return None

    async def _prepare(self, route: Route, target: Target) -> call.PreparedRequest | None:
        """The request for this target, with room for it in the caller's limits; None if the target
        cannot take it or there is no room.

        Files are fetched only for callers who have room for the rest.
        """
        try:
            prepared = call.prepare(self._chat, target)
            await self._reserve_limits(route, prepared)
            if not prepared.wire:
                prepared = await call.fetch_files(self._chat, target)
                await self._reserve_limits(route, prepared)
        except UnsupportedField as reason:
            self._attempts.skipped.append((target, reason))
            return None
        except (RateLimited, BudgetExceeded, DatabaseUnavailable) as refusal:
            self._refused = self._refused or refusal
            return None
        return prepared

    async def _ask(
        self, route: Route, permit: TargetPermit, prepared: call.PreparedRequest
    ) -> ReplyT | RetryDecision:
        """The target's answer, asked for again where that is worth while; else what to do without
        it."""
        again = 0
        try:
            while True:
                try:
                    return await self._once(route, permit, prepared)
                except ProviderFault as fault:
                    decision, pause = self._note_fault(route, permit, fault, again)
                if pause is None:
                    break
                await self._pool.sleep(pause)
                again += 1
        except ProviderUnusable as reason:
            self._attempts.skipped.append((permit.target, reason))
            decision = RetryDecision.ELSEWHERE
        except BaseException:
            permit.release()
            raise
        permit.release()
        return decision

    async def _once(
        self, route: Route, permit: TargetPermit, prepared: call.PreparedRequest
    ) -> ReplyT:
        attempts, target, clock = self._attempts, permit.target, self._pool.clock
        self._tries += 1
        attempts.target, attempts.route = target, route.name
        began = clock()
        try:
            answer = await self._attempt(prepared, permit, attempts)
        except asyncio.CancelledError:
            if attempts.target is not target:
                attempts.hedged.append((target, None))
            raise
        except UpstreamTimeout:
            self._measure(route, target, clock() - began)
            raise
        try:
            self._measure(route, target, clock() - began)
        except BaseException:
            await answer.aclose()
            raise
        attempts.target = target
        return answer

    def _measure(self, route: Route, target: Target, seconds: float) -> None:
        if route.strategy == "fastest":
            self._pool.speeds.add(target.key, self._traits.stream, seconds)
        if route.hedge_after == "p95":
            self._pool.speeds.add_to_route(route.name, self._traits.stream, seconds)

    async def _lose(self, answer: ReplyT) -> None:
        """An answer that came second."""
        self._attempts.hedged.append((answer.target, answer.usage, *answer.unread()))
        await answer.aclose()

    # --- what went wrong ---------------------------------------------------------------------------------------

    def _note_fault(
        self, route: Route, permit: TargetPermit, fault: ProviderFault, again: int
    ) -> tuple[RetryDecision, float | None]:
        """Note a fault: what it means, and the seconds after which the same target is asked again;
        None where it is not."""
        fault.provider = permit.target.provider.name
        decision = decide_retry(fault)
        self._fault = fault
        self._final = self._final or decision is RetryDecision.NEVER
        self._too_long = self._too_long or decision is RetryDecision.LONGER
        callable_still = permit.failed(fault)
        if (
            decision is not RetryDecision.AGAIN
            or again >= permit.target.retries
            or not callable_still
            or self._spent()
        ):
            return decision, None
        return decision, self._pause(route, permit, fault, again)

    def _pause(
        self, route: Route, permit: TargetPermit, fault: ProviderFault, again: int
    ) -> float | None:
        pause = fault.retry_after
        if pause is None:
            pause = min(FIRST_PAUSE * 2**again, LAST_PAUSE) * random.uniform(0.5, 1.0)  # noqa: S311
        others = (
            strategies.following(route, self._pool, self._traits, self._tried, strategies.AVAILABLE)
            is not None
        )
        worth_while = pause <= (PATIENCE_WITH_OTHERS if others else PATIENCE)
        return (
            pause
            if worth_while and self._elapsed() + pause < self._plan.attempt_limits.seconds
            else None
        )

    def _elapsed(self) -> float:
        return self._pool.clock() - self._began

    def _spent(self) -> bool:
        return (
            self._tries >= self._plan.attempt_limits.attempts
            or self._elapsed() >= self._plan.attempt_limits.seconds
        )

    def _refusal(self) -> Exception:
        """Why there is no answer: the last provider's word, else ours."""
        if self._fault is not None:
            return _with_retry_headers(self._fault)
        if self._refused is not None:
            return self._refused
        targets = [target for route in self._passed for target in route.targets]
        skipped = self._attempts.skipped
        if skipped and {target.key for target in targets} <= {target.key for target, _ in skipped}:
            return skipped[0][1]
        return self._unavailable(targets)

    def _unavailable(self, targets: Iterable[Target]) -> NativeError:
        seconds = ceil(self._pool.health.wait_for(targets, self._plan.caller) or BUSY_SECONDS)
        return NoTargetAvailable(
            f"No provider can serve this model right now. Try again in {seconds} s.",
            headers=retry_headers(seconds),
        )


def _with_retry_headers(fault: ProviderFault) -> ProviderFault:
    """The fault, with what helps the client to decide when to come back."""
    if not helps_to_retry(fault):
        fault.headers["x-should-retry"] = "false"
    if fault.retry_after is not None:
        fault.headers["retry-after"] = str(ceil(fault.retry_after))
    return fault
