"""Limits how many requests of this process each target gets at a time, with a short queue.

Rules:
1. MAX_CONCURRENCY counts per process: counting over all processes would cost each call a round
   trip, and a slot of a process that died would have to time out. With N processes a target gets
   at most N times as many requests.
2. If no slot is free, a call waits, first come first served, for `QUEUE_SECONDS` at most. No more
   calls wait than there are slots; the others go to the next target at once.
3. A slot that becomes free is handed to the first waiter: no later call can take it.
4. A slot is released exactly once, however its call ends. Calls on several event loops, each in its
   own thread, may share a target.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from typing import Final

from native_api.types import Target

QUEUE_SECONDS: Final = 0.5


class Waiter:
    """A call that waits for a slot."""

    __slots__ = ("_loop", "future", "has_slot")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.future: asyncio.Future[None] = self._loop.create_future()
        self.has_slot = False

    def hand_over_slot(self) -> bool:
        """Called once, from any thread. Returns False if the waiter's event loop is closed."""
        self.has_slot = True
        try:
            self._loop.call_soon_threadsafe(self._wake)
        except RuntimeError:
            return False
        return True

    def _wake(self) -> None:
        if not self.future.done():
            self.future.set_result(None)


class ConcurrencyLimiter:
    """`in_use` has the number of requests under way by `Target.key`; no entry means none."""

    def __init__(self, queue_seconds: float = QUEUE_SECONDS) -> None:
        self.in_use: dict[str, int] = {}
        self._queue_seconds = queue_seconds
        self._queues: dict[str, deque[Waiter]] = {}
        self.after_fork()

    def after_fork(self) -> None:
        """None of the parent's requests are under way in the child."""
        self._lock = threading.Lock()
        self.in_use.clear()
        self._queues.clear()

    async def acquire(self, target: Target) -> bool:
        """Take a slot, waiting for one if the queue is short enough. Returns False if there is
        none."""
        key, limit = target.key, target.max_concurrency
        with self._lock:
            in_use = self.in_use.get(key, 0)
            if limit is None or in_use < limit:
                self.in_use[key] = in_use + 1
                return True
            queue = self._queues.setdefault(key, deque())
            if len(queue) >= limit:
                return False
            waiter = Waiter()
            queue.append(waiter)
        return await self._wait(key, waiter)

    async def _wait(self, key: str, waiter: Waiter) -> bool:
        try:
            # Not wait_for: in Python 3.11 it loses a cancellation that comes together with the
            # result.
            async with asyncio.timeout(self._queue_seconds):
                await waiter.future
        except TimeoutError:
            return self._stop_waiting(key, waiter)
        except BaseException:
            if self._stop_waiting(key, waiter):
                self.release(key)
            raise
        return True

    def _stop_waiting(self, key: str, waiter: Waiter) -> bool:
        """Leave the queue. Returns whether the waiter got a slot at the last moment."""
        with self._lock:
            if not waiter.has_slot:
                self._queues[key].remove(waiter)
                self._drop_if_empty(key)
            return waiter.has_slot

    def release(self, key: str) -> None:
        with self._lock:
            if self._hand_over_slot(key):
                return
            if self.in_use[key] > 1:
                self.in_use[key] -= 1
            else:
                del self.in_use[key]

    def _hand_over_slot(self, key: str) -> bool:
        """Give a slot to the first waiter. Returns False if there is none."""
        queue = self._queues.get(key)
        while queue:
            waiter = queue.popleft()
            self._drop_if_empty(key)
            if waiter.hand_over_slot():
                return True
        return False

    def _drop_if_empty(self, key: str) -> None:
        if not self._queues[key]:
            del self._queues[key]
