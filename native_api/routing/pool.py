"""What one process knows of all its targets, and the permit a call holds while it talks to one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

from native_api.exceptions import ProviderFault
from native_api.routing.concurrency import ConcurrencyLimiter
from native_api.routing.health import Health
from native_api.routing.health_states import SharedHealth, TargetState, UnsharedHealth
from native_api.routing.latency import LatencyTracker
from native_api.types import Target

WALL_CLOCK: Final = time.time
STEADY_CLOCK: Final = time.monotonic


class TargetPool:
    """Health, concurrency and latency of the targets.

    A process has one (`health_sync.target_pool`); tests make their own, with their own clocks.
    """

    def __init__(
        self,
        shared: SharedHealth | None = None,
        wall: Callable[[], float] = WALL_CLOCK,
        steady: Callable[[], float] = STEADY_CLOCK,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.health = Health(shared or UnsharedHealth(), wall)
        self.concurrency = ConcurrencyLimiter()
        self.latency = LatencyTracker(steady)
        self.clock = steady
        self.sleep = sleep

    def after_fork(self) -> None:
        self.health.after_fork()
        self.concurrency.after_fork()

    async def admit(self, target: Target, caller: str = "") -> TargetPermit | None:
        """A permit to call the target now; None if its circuit is open or no slot is free."""
        if not await self.concurrency.acquire(target):
            return None
        try:
            state = await self.health.admit(target, caller)
        except BaseException:
            self.concurrency.release(target.key)
            raise
        if state is None:
            self.concurrency.release(target.key)
            return None
        return TargetPermit(self, target, state, caller)


class TargetPermit:
    """Permission to call one target. The holder records the outcome, then calls `release`."""

    __slots__ = ("_caller", "_pool", "_released", "state", "target")

    def __init__(
        self, pool: TargetPool, target: Target, state: TargetState, caller: str = ""
    ) -> None:
        self._pool = pool
        self._caller = caller
        self._released = False
        self.target = target
        self.state = state

    def record_first_chunk(self) -> None:
        """The first chunk of a stream arrived."""
        self._pool.health.record_first_chunk(self.target, self.state, self._caller)
        self.state = TargetState.HEALTHY

    def record_success(self) -> None:
        self._pool.health.record_success(self.target, self.state, self._caller)
        self.state = TargetState.HEALTHY

    def record_failure(self, fault: ProviderFault) -> bool:
        """The call met this fault. Returns whether the target may be called again at once."""
        health = self._pool.health
        health.record_failure(self.target, self.state, fault, self._caller)
        self.state = health.state(self.target, self._caller)
        return self.state is not TargetState.OPEN

    def release(self) -> None:
        """Give the slot back. Calling it again does nothing."""
        if not self._released:
            self._released = True
            self._pool.health.record_no_result(self.target, self.state, self._caller)
            self._pool.concurrency.release(self.target.key)
