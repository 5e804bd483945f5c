"""What one process knows of all its targets, and the lease that a call holds while it talks to one
of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

from native_api.exceptions import ProviderFault
from native_api.routing.concurrency import ConcurrencyLimiter
from native_api.routing.health import Health
from native_api.routing.health_states import NotShared, SharedState, TargetState
from native_api.routing.latency import LatencyTracker
from native_api.types import Target

WALL: Final = time.time
STEADY: Final = time.monotonic


class TargetPool:
    """Health, places and speeds of the targets. One for the process; tests make their own, with
    clocks of their own."""

    def __init__(
        self,
        shared: SharedState | None = None,
        wall: Callable[[], float] = WALL,
        steady: Callable[[], float] = STEADY,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.health = Health(shared or NotShared(), wall)
        self.slots = ConcurrencyLimiter()
        self.speeds = LatencyTracker(steady)
        self.clock = steady
        self.sleep = sleep

    def after_fork(self) -> None:
        self.health.after_fork()
        self.slots.after_fork()

    async def admit(self, target: Target, caller: str = "") -> TargetPermit | None:
        """Leave for this caller to call the target now; None if it is out of order or has no place
        free."""
        if not await self.slots.take(target):
            return None
        try:
            state = await self.health.admit(target, caller)
        except BaseException:
            self.slots.give_back(target.key)
            raise
        if state is None:
            self.slots.give_back(target.key)
            return None
        return TargetPermit(self, target, state, caller)


class TargetPermit:
    """Leave to call one target. Whoever holds it tells how the call went, and calls `release` in
    the end."""

    __slots__ = ("_caller", "_pool", "_released", "state", "target")

    def __init__(
        self, pool: TargetPool, target: Target, state: TargetState, caller: str = ""
    ) -> None:
        self._pool = pool
        self._caller = caller
        self._released = False
        self.target = target
        self.state = state

    def began(self) -> None:
        """The first chunk of a stream is there."""
        self._pool.health.began(self.target, self.state, self._caller)
        self.state = TargetState.HEALTHY

    def succeeded(self) -> None:
        self._pool.health.succeeded(self.target, self.state, self._caller)
        self.state = TargetState.HEALTHY

    def failed(self, fault: ProviderFault) -> bool:
        """The call met this fault. Whether the target may be called again at once."""
        health = self._pool.health
        health.failed(self.target, self.state, fault, self._caller)
        self.state = health.state(self.target, self._caller)
        return self.state is not TargetState.OPEN

    def release(self) -> None:
        """Give the place back. Calling it again does nothing."""
        if not self._released:
            self._released = True
            self._pool.health.left(self.target, self.state, self._caller)
            self._pool.slots.give_back(self.target.key)
