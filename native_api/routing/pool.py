"""What one process knows of all its targets, and the lease that a call holds while it talks to one of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

from native_api.exceptions import ProviderFault
from native_api.routing.concurrency import Slots
from native_api.routing.health import Health
from native_api.routing.health_states import NotShared, SharedState, Standing
from native_api.routing.latency import Speeds
from native_api.types import Target

WALL: Final = time.time
STEADY: Final = time.monotonic


class Fleet:
    """Health, places and speeds of the targets. One for the process; tests make their own, with clocks of their own."""

    def __init__(
        self,
        shared: SharedState | None = None,
        wall: Callable[[], float] = WALL,
        steady: Callable[[], float] = STEADY,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.health = Health(shared or NotShared(), wall)
        self.slots = Slots()
        self.speeds = Speeds(steady)
        self.clock = steady
        self.sleep = sleep

    def after_fork(self) -> None:
        self.health.after_fork()
        self.slots.after_fork()

    async def admit(self, target: Target, caller: str = "") -> Lease | None:
        """Leave for this caller to call the target now; None if it is out of order or has no place free."""
        if not await self.slots.take(target):
            return None
        try:
            standing = await self.health.admit(target, caller)
        except BaseException:
            self.slots.give_back(target.key)
            raise
        if standing is None:
            self.slots.give_back(target.key)
            return None
        return Lease(self, target, standing, caller)


class Lease:
    """Leave to call one target. Whoever holds it tells how the call went, and calls `release` in the end."""

    __slots__ = ("_caller", "_fleet", "_released", "standing", "target")

    def __init__(self, fleet: Fleet, target: Target, standing: Standing, caller: str = "") -> None:
        self._fleet = fleet
        self._caller = caller
        self._released = False
        self.target = target
        self.standing = standing

    def began(self) -> None:
        """The first chunk of a stream is there."""
        self._fleet.health.began(self.target, self.standing, self._caller)
        self.standing = Standing.GOOD

    def succeeded(self) -> None:
        self._fleet.health.succeeded(self.target, self.standing, self._caller)
        self.standing = Standing.GOOD

    def failed(self, fault: ProviderFault) -> bool:
        """The call met this fault. Whether the target may be called again at once."""
        health = self._fleet.health
        health.failed(self.target, self.standing, fault, self._caller)
        self.standing = health.standing(self.target, self._caller)
        return self.standing is not Standing.OUT

    def release(self) -> None:
        """Give the place back. Calling it again does nothing."""
        if not self._released:
            self._released = True
            self._fleet.health.left(self.target, self.standing, self._caller)
            self._fleet.slots.give_back(self.target.key)
