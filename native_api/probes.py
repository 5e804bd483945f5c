"""Checks of targets by one tiny call each: can it be reached, is the key good, is the model there, how long does it take.

For `manage.py native_check` and the admin's "test connection". A probe goes straight to its target, whatever the state of that; a
good answer ends any trouble that was known of it. A probe costs tokens, so it leaves a usage record (endpoint `check`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from native_api.engine import exchange
from native_api.engine.verdicts import KEY_REFUSED, was_sent
from native_api.exceptions import NativeError, ProviderFault, ProviderUnusable, UpstreamTimeout
from native_api.shared import fleet
from native_api.types import Attempts, Caller, ChatRequest, Target
from native_api.usage import pricing
from native_api.usage.meter import Meter

SECONDS: Final = 20.0
AT_ONCE: Final = 8


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

    @property
    def is_good(self) -> bool:
        return not self.problem


async def probe_all(targets: Iterable[Target], caller: Caller, request_id: str, seconds: float = SECONDS) -> list[Outcome]:
    """One outcome for each target, in their order. A few are called at a time."""
    places = asyncio.Semaphore(AT_ONCE)

    async def one(target: Target) -> Outcome:
        async with places:
            return await probe(target, caller, request_id, seconds)

    return await asyncio.gather(*(one(target) for target in {target.key: target for target in targets}.values()))


async def probe(target: Target, caller: Caller, request_id: str, seconds: float = SECONDS) -> Outcome:
    """Never raises for what a provider does."""
    chat: ChatRequest = {
        "model": str(target),
        "messages": [{"role": "user", "content": "Say OK."}],
        "max_completion_tokens": 16,
    }
    meter = Meter(chat, caller, request_id, "check")
    meter.attempts.target = target
    await pricing.aready()
    outcome, started = Outcome(target), time.monotonic()
    try:
        with meter:
            completed = await _asked(chat, target, meter.attempts, seconds)
            outcome.milliseconds = round((time.monotonic() - started) * 1000)
            meter.told_all(completed.completion)
    except NativeError as error:
        return _what_is_wrong(outcome, error)
    fleet.health.proved(target)
    outcome.reachable = outcome.authorised = outcome.model_exists = True
    outcome.cost = pricing.cost(target, completed.usage)
    return outcome


async def _asked(chat: ChatRequest, target: Target, attempts: Attempts, seconds: float) -> exchange.Completed:
    try:
        async with asyncio.timeout(seconds):
            return await exchange.complete(exchange.prepare(chat, target), attempts)
    except TimeoutError:
        raise UpstreamTimeout(f"No answer in {seconds:g} s.") from None


def _what_is_wrong(outcome: Outcome, error: NativeError) -> Outcome:
    outcome.problem = error.message
    if isinstance(error, ProviderUnusable):
        outcome.problem = error.reason
    if not isinstance(error, ProviderFault):
        return outcome
    status = error.upstream_status
    if status is None:
        outcome.reachable = was_sent(error) and error.code != "connection_lost" and not isinstance(error, UpstreamTimeout)
        return outcome
    outcome.reachable = True
    if status in KEY_REFUSED:
        outcome.authorised = False
    elif status == 404:
        outcome.authorised, outcome.model_exists = True, False
    elif status in (400, 422, 429):
        outcome.authorised = True
    return outcome
