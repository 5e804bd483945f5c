"""Single flight: whoever asks for what is just being fetched waits for that call, instead of making
one too. Rules:

1. All who wait get the outcome of the one call, also if it is an error.
2. A call belongs to nobody: who made it may be cancelled or stop waiting, and the others still get
   its outcome.
3. A call that takes `max_seconds` is taken for lost: the next caller makes another.
4. In a forked process no call is under way.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Final, Generic, TypeVar

from native_api.forks import reset_after_fork

K = TypeVar("K")
T = TypeVar("T")


class SingleFlight(Generic[K, T]):
    """The calls under way, by key. Threads and event loops share them."""

    def __init__(
        self, max_seconds: float = float("inf"), clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.max_seconds: Final = max_seconds
        self._clock = clock
        self._start()
        reset_after_fork(self._start)

    def _start(self) -> None:
        self._lock = threading.Lock()
        self._calls: dict[K, tuple[Future[T], float]] = {}
        """The call of each key, and when it began."""

    def join(self, key: K, submit: Callable[[], Future[T]]) -> Future[T]:
        """The call under way, or a new one, which `submit` gives to another thread.

        Any thread and event loop can wait for it.
        """
        with self._lock:
            call = self._call_under_way(key)
            if call is not None:
                return call
            call = self._begin(key, submit())
        call.add_done_callback(partial(self._end, key))
        return call

    def run(self, key: K, function: Callable[[], T], wait: Callable[[Future[T]], T]) -> T:
        """The outcome of the call under way, for which `wait` waits, or else of `function`, called
        in this thread."""
        with self._lock:
            call = self._call_under_way(key)
            if call is None:
                own = self._begin(key, Future[T]())
                own.set_running_or_notify_cancel()
        if call is not None:
            return wait(call)
        try:
            result = function()
        except BaseException as error:
            self._end(key, own)
            own.set_exception(error)
            raise
        self._end(key, own)
        own.set_result(result)
        return result

    def forget(self) -> None:
        """Let nobody join the calls under way: what they find may be outdated."""
        with self._lock:
            self._calls.clear()

    def _call_under_way(self, key: K) -> Future[T] | None:
        call, began_at = self._calls.get(key, (None, 0.0))
        if call is None or call.done() or self._clock() - began_at >= self.max_seconds:
            return None
        return call

    def _begin(self, key: K, call: Future[T]) -> Future[T]:
        self._calls[key] = call, self._clock()
        return call

    def _end(self, key: K, call: Future[T]) -> None:
        with self._lock:
            if self._calls.get(key, (None, 0.0))[0] is call:
                del self._calls[key]
