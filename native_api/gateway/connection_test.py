"""Checks of targets by one tiny call each: can it be reached, is the key good, is the model there,
how long does it take.

For `manage.py native_check` and the admin's "test connection". A probe goes straight to its target,
whatever the state of that; a good answer ends any trouble that was known of it. A probe costs
tokens, so it leaves a usage record (endpoint `check`).

The gateway makes probes too (`doubts`): what only one caller met concerns all if a probe meets it
as well. Nobody waits for them, and nobody can make it send many.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from native_api.background.loop import background
from native_api.exceptions import NativeError, ProviderFault, ProviderUnusable, UpstreamTimeout
from native_api.gateway.call_record import CallRecord
from native_api.logs import get_logger, new_request_id
from native_api.pricing import lookup
from native_api.routing.health_sync import pool, sync
from native_api.routing.pool import TargetPool
from native_api.routing.retry_policy import KEY_REFUSED
from native_api.types import Caller, ChatRequest, Target
from native_api.upstream import call
from native_api.upstream.attempt_log import AttemptLog
from native_api.upstream.faults import was_sent

SECONDS: Final = 20.0
AT_ONCE: Final = 8

EVERY: Final = 25.0
"""Seconds between two probes of one target that the gateway makes, over all processes; shorter than
the first cool-down."""

EVERY_OF_A_CALLER: Final = 5.0
"""Seconds between two probes that one caller gives reason for."""

LONGEST_WAIT: Final = 20.0
"""Seconds that a probe waits for its caller's others; more of them than fit in are not made."""

MAX_REMEMBERED: Final = 4096
PROBER: Final = Caller(user_name="native_api")
"""Whose probes the gateway's own are, on record."""

logger = get_logger("native_api.routing")


@dataclass(slots=True)
class Outcome:
    """What a probe found. None means that it could not be told."""

    target: Target
    reachable: bool | None = None
    authorised: bool | None = None
    model_exists: bool | None = None
    milliseconds: int | None = None
    cost: Decimal | None = None
    problem: str = ""
    fault: ProviderFault | None = None
    """The provider's, if there was one."""

    @property
    def is_good(self) -> bool:
        return not self.problem


async def probe_all(
    targets: Iterable[Target], caller: Caller, request_id: str, seconds: float = SECONDS
) -> list[Outcome]:
    """One outcome for each target, in their order. A few are called at a time."""
    places = asyncio.Semaphore(AT_ONCE)

    async def one(target: Target) -> Outcome:
        async with places:
            outcome = await probe(target, caller, request_id, seconds)
        if outcome.is_good:
            pool.health.proved(target)
        return outcome

    return await asyncio.gather(
        *(one(target) for target in {target.key: target for target in targets}.values())
    )


async def probe(
    target: Target, caller: Caller, request_id: str, seconds: float = SECONDS
) -> Outcome:
    """Never raises for what a provider does."""
    chat: ChatRequest = {
        "model": str(target),
        "messages": [{"role": "user", "content": "Say OK."}],
        "max_completion_tokens": 16,
    }
    call_record = CallRecord(chat, caller, request_id, "check")
    call_record.attempts.target = target
    await lookup.aready()
    outcome, started = Outcome(target), time.monotonic()
    try:
        with call_record:
            completed = await _asked(chat, target, call_record.attempts, seconds)
            outcome.milliseconds = round((time.monotonic() - started) * 1000)
            call_record.told_all(completed.completion)
    except NativeError as error:
        return _what_is_wrong(outcome, error)
    outcome.reachable = outcome.authorised = outcome.model_exists = True
    outcome.cost = lookup.cost(target, completed.usage)
    return outcome


async def _asked(
    chat: ChatRequest, target: Target, attempts: AttemptLog, seconds: float
) -> call.UpstreamCompletion:
    try:
        async with asyncio.timeout(seconds):
            return await call.complete(call.prepare(chat, target), attempts)
    except TimeoutError:
        raise UpstreamTimeout(f"No answer in {seconds:g} s.") from None


def _what_is_wrong(outcome: Outcome, error: NativeError) -> Outcome:
    outcome.problem = error.message
    if isinstance(error, ProviderUnusable):
        outcome.problem = error.reason
    if not isinstance(error, ProviderFault):
        return outcome
    outcome.fault = error
    status = error.upstream_status
    if status is None:
        outcome.reachable = (
            was_sent(error)
            and error.code != "connection_lost"
            and not isinstance(error, UpstreamTimeout)
        )
        return outcome
    outcome.reachable = True
    if status in KEY_REFUSED:
        outcome.authorised = False
    elif status == 404:
        outcome.authorised, outcome.model_exists = True, False
    elif status in (400, 422, 429):
        outcome.authorised = True
    return outcome


# --- the gateway's own -------------------------------------------------------------------------------------


class Doubts:
    """Probes of targets of which only one caller had something bad to tell. Made on the background
    loop, for whose end nobody waits."""

    def __init__(self, pool: TargetPool, clock: Callable[[], float] = time.monotonic) -> None:
        self._pool = pool
        self._clock = clock
        self._not_before: OrderedDict[tuple[str, str], float] = OrderedDict()

    def ask(self, target: Target, caller: str) -> None:
        """Have the target probed soon, unless that was done lately or this caller gave reason for
        many. From any thread; never waits."""
        of_target, of_caller = ("target", target.key), ("caller", caller)
        now = self._clock()
        wait = max(0.0, self._not_before.get(of_caller, now) - now)
        if self._not_before.get(of_target, now) <= now and wait <= LONGEST_WAIT:
            self._note(of_target, now + wait + EVERY)
            self._note(of_caller, now + wait + EVERY_OF_A_CALLER)
            asyncio.run_coroutine_threadsafe(self._settle(target, wait), background.get())

    def _note(self, key: tuple[str, str], not_before: float) -> None:
        self._not_before[key] = not_before
        while len(self._not_before) > MAX_REMEMBERED:
            self._not_before.popitem(last=False)

    async def _settle(self, target: Target, wait: float = 0.0) -> None:
        try:
            await asyncio.sleep(wait)
            if await sync.claim(f"probe of {target.key}", EVERY):
                await self._probe(target)
        except Exception:
            logger.exception("The probe of %s failed in the gateway.", target)

    async def _probe(self, target: Target) -> None:
        """Not beside as many calls as the target takes: it would only show that they are under
        way."""
        if not await self._pool.slots.take(target):
            return
        try:
            outcome = await probe(
                target, PROBER, new_request_id(), min(SECONDS, target.timeouts.total)
            )
        finally:
            self._pool.slots.give_back(target.key)
        if outcome.is_good or outcome.fault is not None:
            self._pool.health.probed(target, outcome.fault)


doubts: Final = Doubts(pool)
