"""How many requests of this process are under way at each target, and the short queue where that is
limited.

Rules:
1. MAX_CONCURRENCY counts per process: counting over all of them would cost each call a round trip,
   and a slot of a process that died would have to be waited for. With N processes a target gets at
   most N times as many.
2. Where no place is free a call waits its turn, first come first served, for `QUEUE_SECONDS` at the
   most; no more wait than there are places. The others go to the next target at once.
3. A place that becomes free is handed to the first who waits: nobody who comes later gets it.
4. A place is given back exactly once, however its call ends. Calls of several event loops, in their
   threads, may share a target.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from typing import Final

from native_api.types import Target

QUEUE_SECONDS: Final = 0.5


class Waiter:
    """One who waits."""

    __slots__ = ("_loop", "come", "future")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.future: asyncio.Future[None] = self._loop.create_future()
        self.come = False

    def call(self) -> bool:
        """From any thread, once. False where whoever waited is gone with their event loop."""
        self.come = True
        try:
            self._loop.call_soon_threadsafe(self._wake)
        except RuntimeError:
            return False
        return True

    def _wake(self) -> None:
        if not self.future.done():
            self.future.set_result(None)


class ConcurrencyLimiter:
    """`taken` has the number of requests under way at each target, by its key; nothing where there
    are none."""

    def __init__(self, queue_seconds: float = QUEUE_SECONDS) -> None:
        self.taken: dict[str, int] = {}
        self._queue_seconds = queue_seconds
        self._queues: dict[str, deque[Waiter]] = {}
        self.after_fork()

    def after_fork(self) -> None:
        """Nothing of the parent's is under way in the child."""
        self._lock = threading.Lock()
        self.taken.clear()
        self._queues.clear()

    async def take(self, target: Target) -> bool:
        """Take a place, waiting for it where that is worth while. False where there is none."""
        key, limit = target.key, target.max_concurrency
        with self._lock:
            taken = self.taken.get(key, 0)
            if limit is None or taken < limit:
                self.taken[key] = taken + 1
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
            return self._leave(key, waiter)
        except BaseException:
            if self._leave(key, waiter):
                self.give_back(key)
            raise
        return True

    def _leave(self, key: str, waiter: Waiter) -> bool:
        """Wait no longer. Whether the turn came at the last moment."""
        with self._lock:
            if not waiter.come:
                self._queues[key].remove(waiter)
                self._drop_if_empty(key)
            return waiter.come

    def give_back(self, key: str) -> None:
        with self._lock:
            if self._hand_on(key):
                return
            if self.taken[key] > 1:
                self.taken[key] -= 1
            else:
                del self.taken[key]

    def _hand_on(self, key: str) -> bool:
        """Give a place to the first who waits. False where nobody does."""
        queue = self._queues.get(key)
        while queue:
            waiter = queue.popleft()
            self._drop_if_empty(key)
            if waiter.call():
                return True
        return False

    def _drop_if_empty(self, key: str) -> None:
        if not self._queues[key]:
            del self._queues[key]
