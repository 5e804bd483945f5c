"""Tests the connection to targets with one tiny call each: is it reachable, is the key valid, does
the model exist, how long does it take.

For `manage.py native_check` and the admin's "test connection". A probe calls its target whatever
its state is; a good answer closes its circuit. A probe costs tokens, so it leaves a usage record
(endpoint `check`).

The gateway also sends probes by itself (`HealthProbes`): a fault that only one caller met opens the
circuit for everybody only if a probe meets it too. Requests do not wait for these probes, and no
caller can make the gateway send many.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from native_api.background.loop import background_loop
from native_api.bounded_cache import BoundedCache
from native_api.exceptions import NativeError, ProviderFault, ProviderUnusable, UpstreamTimeout
from native_api.gateway.call_record import CallRecord
from native_api.logs import get_logger, new_request_id
from native_api.pricing import lookup
from native_api.routing.health_sync import health_sync, target_pool
from native_api.routing.pool import TargetPool
from native_api.routing.retry_policy import AUTH_FAILED_STATUSES
from native_api.types import Caller, ChatRequest, Target
from native_api.upstream import call
from native_api.upstream.attempt_log import AttemptLog
from native_api.upstream.faults import was_sent
from native_api.upstream.prepared_request import prepare

TIMEOUT_SECONDS: Final = 20.0
MAX_CONCURRENT_PROBES: Final = 8

TARGET_INTERVAL_SECONDS: Final = 25.0
"""Between two probes of one target that the gateway sends by itself, over all processes; shorter
than the first cool-down."""

CALLER_INTERVAL_SECONDS: Final = 5.0
"""Between two probes that faults of one caller lead to."""

MAX_DELAY_SECONDS: Final = 20.0
"""A probe that its caller's other probes would delay by more than this is not sent."""

MAX_REMEMBERED: Final = 4096
"""Targets and callers whose last probe is remembered."""

PROBER: Final = Caller(user_name="native_api")
"""The caller in the records of the gateway's own probes."""

logger = get_logger("native_api.routing")


@dataclass(slots=True)
class ProbeResult:
    """What a probe found. None means that it could not find out."""

    target: Target
    reachable: bool | None = None
    authorised: bool | None = None
    model_exists: bool | None = None
    milliseconds: int | None = None
    cost: Decimal | None = None
    problem: str = ""
    fault: ProviderFault | None = None
    """The provider's error, if it sent one."""

    @property
    def is_good(self) -> bool:
        return not self.problem


async def probe_all(
    targets: Iterable[Target], caller: Caller, request_id: str, seconds: float = TIMEOUT_SECONDS
) -> list[ProbeResult]:
    """One result per target, in the order of the targets."""
    slots = asyncio.Semaphore(MAX_CONCURRENT_PROBES)

    async def one(target: Target) -> ProbeResult:
        async with slots:
            result = await probe(target, caller, request_id, seconds)
        if result.is_good:
            target_pool.health.record_check_success(target)
        return result

    return await asyncio.gather(
        *(one(target) for target in {target.key: target for target in targets}.values())
    )


async def probe(
    target: Target, caller: Caller, request_id: str, seconds: float = TIMEOUT_SECONDS
) -> ProbeResult:
    """Probe one target. A provider's error is in the result and is not raised."""
    chat: ChatRequest = {
        "model": str(target),
        "messages": [{"role": "user", "content": "Say OK."}],
        "max_completion_tokens": 16,
    }
    call_record = CallRecord(chat, caller, request_id, endpoint="check")
    call_record.attempts.target = target
    await lookup.ensure_ready()
    result, started = ProbeResult(target), time.monotonic()
    try:
        with call_record:
            reply = await _call_target(chat, target, call_record.attempts, seconds)
            result.milliseconds = round((time.monotonic() - started) * 1000)
            call_record.on_reply(reply.reply)
    except NativeError as error:
        return _with_error(result, error)
    result.reachable = result.authorised = result.model_exists = True
    result.cost = lookup.cost(target, reply.usage)
    return result


async def _call_target(
    chat: ChatRequest, target: Target, attempts: AttemptLog, seconds: float
) -> call.UpstreamReply:
    try:
        async with asyncio.timeout(seconds):
            return await call.complete(prepare(chat, target), attempts)
    except TimeoutError:
        raise UpstreamTimeout(f"No answer in {seconds:g} s.") from None


def _with_error(result: ProbeResult, error: NativeError) -> ProbeResult:
    result.problem = error.message
    if isinstance(error, ProviderUnusable):
        result.problem = error.reason
    if not isinstance(error, ProviderFault):
        return result
    result.fault = error
    status = error.upstream_status
    if status is None:
        result.reachable = (
            was_sent(error)
            and error.code != "connection_lost"
            and not isinstance(error, UpstreamTimeout)
        )
        return result
    result.reachable = True
    if status in AUTH_FAILED_STATUSES:
        result.authorised = False
    elif status == 404:
        result.authorised, result.model_exists = True, False
    elif status in (400, 422, 429):
        result.authorised = True
    return result


# --- probes that the gateway sends by itself -----------------------------------------------------


class HealthProbes:
    """Probes of targets at which only one caller met faults. They run on the background loop."""

    def __init__(self, pool: TargetPool, clock: Callable[[], float] = time.monotonic) -> None:
        self._pool = pool
        self._clock = clock
        self._not_before = BoundedCache[tuple[str, str], float](MAX_REMEMBERED)

    def schedule(self, target: Target, caller: str) -> None:
        """Probe the target soon, unless it, or this caller, had a probe recently.

        Thread-safe; does not wait.
        """
        target_key, caller_key = ("target", target.key), ("caller", caller)
        now = self._clock()
        delay = max(0.0, self._not_before.get(caller_key, now) - now)
        if self._not_before.get(target_key, now) <= now and delay <= MAX_DELAY_SECONDS:
            self._not_before[target_key] = now + delay + TARGET_INTERVAL_SECONDS
            self._not_before[caller_key] = now + delay + CALLER_INTERVAL_SECONDS
            asyncio.run_coroutine_threadsafe(self._run(target, delay), background_loop.get())

    async def _run(self, target: Target, delay: float = 0.0) -> None:
        try:
            await asyncio.sleep(delay)
            if await health_sync.claim(f"probe of {target.key}", TARGET_INTERVAL_SECONDS):
                await self._probe(target)
        except Exception:
            logger.exception("The gateway could not send a probe to %s.", target)

    async def _probe(self, target: Target) -> None:
        """Probe, unless all of the target's slots are taken: it would only show that it is busy."""
        if not await self._pool.concurrency.acquire(target):
            return
        try:
            result = await probe(
                target, PROBER, new_request_id(), min(TIMEOUT_SECONDS, target.timeouts.total)
            )
        finally:
            self._pool.concurrency.release(target.key)
        if result.is_good or result.fault is not None:
            self._pool.health.record_probe(target, result.fault)


health_probes: Final = HealthProbes(target_pool)
