"""A pool of threads for calls that may hang. Waiting for their results is in `executors`.

Rules:
1. At most `size` calls run at once, and of each lane at most `lane.size`. Calls that may run are
   made in the order in which they came.
2. A call that was given up while it runs counts no more: another thread takes its place. At most
   `max_given_up` are replaced in this way, so that what hangs does not collect threads and
   connections.
3. Of the idle threads, the one used last makes the next call. So what threads keep, such as memory
   and connections, belongs to few of them.
4. Threads are daemons: the end of the process does not wait for a call that hangs.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from itertools import count
from typing import Any, Final, Protocol, TypeVar
from weakref import WeakSet

from native_api.logs import get_logger

T = TypeVar("T")

logger = get_logger("native_api.background")

IDLE_SECONDS: Final = 1.0
"""Idle time after which a thread closes what it has open, such as database connections."""

_numbers: Final = count()


class Lane(Protocol):
    """A kind of calls, and how many of them may run at once."""

    size: int


class Call(Future[T]):
    """A call that waits, runs, or is done. `is_given_up`: nobody waits any more while it runs."""

    is_given_up = False

    def __init__(self, lane: Lane, function: Callable[[], T]) -> None:
        super().__init__()
        self.lane, self.function, self.number = lane, function, next(_numbers)
        self.submitted_at = time.monotonic()


class ThreadPool:
    """`run` makes a call in a thread. `on_idle` runs in one that has been idle for IDLE_SECONDS, or
    that ends."""

    def __init__(
        self,
        name: str,
        size: int,
        max_given_up: int,
        run: Callable[[Call[Any]], Any],
        on_idle: Callable[[], None],
    ) -> None:
        self._name, self._size, self._max_given_up = name, size, max_given_up
        self._run, self._on_idle = run, on_idle
        self._lock = threading.RLock()
        self._waiting: dict[Lane, deque[Call[Any]]] = {}
        self._running: set[Call[Any]] = set()
        self._given_up: set[Call[Any]] = set()
        self._idle_threads = 0
        self._resting: list[threading.Condition] = []
        """Of idle threads that wait to be woken, the one used last at the end."""
        self._started_threads = 0
        self._threads: WeakSet[threading.Thread] = WeakSet()
        self._is_closed = False

    def submit(self, call: Call[Any]) -> None:
        with self._lock:
            waiting = self._waiting.setdefault(call.lane, deque())
            while waiting and waiting[0].cancelled():  # calls that hang do not collect others
                waiting.popleft()
            waiting.append(call)
            self._wake_thread()

    def give_up(self, call: Call[Any]) -> None:
        """Let another thread take the place of the one that makes this call, if it is running."""
        with self._lock:
            call.is_given_up = True
            if call in self._running and len(self._given_up) < self._max_given_up:
                self._running.remove(call)
                self._given_up.add(call)
                self._wake_thread()

    def pending_calls(self) -> list[Call[Any]]:
        """The calls that wait or run, without those that were given up."""
        with self._lock:
            return [*self._running, *(call for calls in self._waiting.values() for call in calls)]

    def close(self) -> None:
        """End the threads when they have made the calls that wait. Those that run are given up."""
        with self._lock:
            self._is_closed = True
            for call in self._running:
                call.is_given_up = True
            while self._resting:
                self._resting.pop().notify()

    def join(self, seconds: float) -> None:
        """Wait until the threads of a closed pool have ended."""
        ends_at = time.monotonic() + seconds
        for thread in list(self._threads):
            thread.join(max(0.0, ends_at - time.monotonic()))

    # --- with the lock ---------------------------------------------------------------------------

    def _wake_thread(self) -> None:
        """See to it that there is a thread for each call that may run."""
        runnable = sum(min(len(calls), self._room(lane)) for lane, calls in self._waiting.items())
        if self._idle_threads < runnable and not self._is_full():
            name = f"{self._name}_{self._started_threads}"
            thread = threading.Thread(target=self._work, name=name, daemon=True)
            thread.start()
            self._threads.add(thread)
            self._started_threads += 1
            self._idle_threads += 1  # not if it cannot be started
        elif runnable and self._resting:
            self._resting.pop().notify()

    def _room(self, lane: Lane) -> int:
        return lane.size - sum(call.lane is lane for call in self._running)

    def _is_full(self) -> bool:
        return self._idle_threads + len(self._running) >= self._size

    def _next_lane(self) -> Lane | None:
        """The lane of the call that is to be made next."""
        lanes = [lane for lane in self._waiting if self._room(lane) > 0]
        return min(lanes, key=lambda lane: self._waiting[lane][0].number, default=None)

    def _take(self) -> Call[Any] | None:
        while (lane := self._next_lane()) is not None:
            call = self._waiting[lane].popleft()
            if not self._waiting[lane]:
                del self._waiting[lane]
            if call.set_running_or_notify_cancel():
                self._idle_threads -= 1
                self._running.add(call)
                return call
        return None

    def _is_needless(self) -> bool:
        """Whether one idle thread can end."""
        is_over = self._is_closed and not self._waiting
        return is_over or self._idle_threads + len(self._running) > self._size

    # --- in the threads --------------------------------------------------------------------------

    def _work(self) -> None:
        timeout: float | None = IDLE_SECONDS
        while not self._ends():
            call = self._wait_for_call(timeout)
            timeout = IDLE_SECONDS if call else None
            if call is None:
                self._be_idle()
            else:
                self._make(call)
            del call
        self._be_idle()

    def _be_idle(self) -> None:
        try:
            self._on_idle()
        except Exception as error:  # such as that of a connection which is closed already
            logger.info("An idle thread could not close everything (%s).", type(error).__name__)

    def _ends(self) -> bool:
        with self._lock:
            is_needless = self._is_needless()
            self._idle_threads -= is_needless
            return is_needless

    def _wait_for_call(self, seconds: float | None) -> Call[Any] | None:
        with self._lock:
            ends_at = None if seconds is None else time.monotonic() + seconds
            while not (self._next_lane() or self._is_needless()):
                left = None if ends_at is None else ends_at - time.monotonic()
                if left is not None and left <= 0:
                    break
                self._rest(left)
            return self._take()

    def _rest(self, seconds: float | None) -> None:
        """Wait to be woken, for so long at most."""
        woken = threading.Condition(self._lock)
        self._resting.append(woken)
        woken.wait(seconds)
        if woken in self._resting:
            self._resting.remove(woken)

    def _make(self, call: Call[Any]) -> None:
        try:
            result = self._run(call)
        except BaseException as error:
            self._note_end(call)
            call.set_exception(error)
            del call  # a reference cycle with the exception
        else:
            self._note_end(call)
            call.set_result(result)

    def _note_end(self, call: Call[Any]) -> None:
        with self._lock:
            self._running.discard(call)
            self._given_up.discard(call)
            self._idle_threads += 1
