"""Worker threads for synchronous calls that may hang."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, Final, TypeVar

from django.db import close_old_connections, connections

from native_api import logs

T = TypeVar("T")

IDLE_SECONDS: Final = 1.0
"""After which a thread that keeps its connections closes them."""


class HangingCall(TimeoutError):
    """A call in a worker thread did not return in time. It was left behind."""


class Threads:
    """Worker threads for one kind of call. They stay, so connections that belong to a thread or its
    context are used again.

    With `keep_connections`, so do connections to databases, whatever CONN_MAX_AGE says, until a
    thread had nothing to do for a while.
    """

    def __init__(self, name: str, size: int, keep_connections: bool = False) -> None:
        self._name, self._size, self._keep_connections = name, size, keep_connections
        self._renew()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._renew)

    def _renew(self) -> None:
        self._lock = threading.Lock()
        self._executor = self._new_executor()

    def _new_executor(self) -> Executor:
        if self._keep_connections:
            return _ConnectedThreads(self._size, self._name)
        return ThreadPoolExecutor(self._size, thread_name_prefix=self._name)

    def submit(self, function: Callable[..., T], *args: Any) -> Future[T]:
        with self._lock:
            return self._executor.submit(
                _looked_after, self._keep_connections, logs.request_id.get(), function, *args
            )

    async def run(self, seconds: float, function: Callable[..., T], *args: Any) -> T:
        """The call's result. Raises HangingCall after `seconds`. A caller that is cancelled leaves
        the call to its end."""
        return await self.wait(seconds, self.submit(function, *args))

    async def wait(self, seconds: float, call: Future[T]) -> T:
        """`run` for a call that was submitted before, perhaps by another, on whose result any
        number may wait."""
        done, _ = await asyncio.wait([asyncio.wrap_future(call)], timeout=seconds)
        if not done:
            self.leave_behind()
            raise HangingCall(f"no answer in {seconds:g} s")
        return done.pop().result()

    def result(self, seconds: float, function: Callable[..., T], *args: Any) -> T:
        """`run` for synchronous callers."""
        call = self.submit(function, *args)
        try:
            return call.result(seconds)
        except TimeoutError:
            if call.done():
                raise
            self.leave_behind()
            raise HangingCall(f"no answer in {seconds:g} s") from None

    async def glance(self, seconds: float, call: Future[T]) -> None:
        """Give a call that was submitted before a moment to return. It goes on where that is too
        short."""
        await asyncio.wait([asyncio.wrap_future(call)], timeout=seconds)

    def leave_behind(self) -> None:
        """Begin with new threads. Those that hang end when their calls do."""
        with self._lock:
            self._executor.shutdown(wait=False)
            self._executor = self._new_executor()


def _looked_after(
    keep_connections: bool, request_id: str, function: Callable[..., T], *args: Any
) -> T:
    """The call, with database connections handled as Django does around each request.

    The rest of the caller's context stays behind: Django's caches keep a connection for each
    context.
    """
    logs.request_id.set(request_id)
    _close_old_connections(keep_connections)
    try:
        return function(*args)
    finally:
        _close_old_connections(keep_connections)


def _close_old_connections(keep: bool) -> None:
    if keep:
        for connection in connections.all(initialized_only=True):
            connection.close_at = None
    close_old_connections()


class _ConnectedThreads(Executor):
    """Threads that close their connections once there was nothing to do for `IDLE_SECONDS`: an open
    one is in the way of those who want to move or drop the database."""

    def __init__(self, size: int, name: str) -> None:
        self._size, self._name = size, name
        self._calls: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._idle = threading.Semaphore(0)

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        call: Future[Any] = Future()
        self._calls.put((call, partial(function, *args, **kwargs)))
        if not self._idle.acquire(blocking=False) and len(self._threads) < self._size:
            thread = threading.Thread(
                target=self._work, name=f"{self._name}_{len(self._threads)}", daemon=True
            )
            self._threads.append(thread)
            thread.start()
        return call

    def _work(self) -> None:
        while True:
            item = self._next()
            if item is None:
                break
            call, function = item
            if call.set_running_or_notify_cancel():
                try:
                    call.set_result(function())
                except BaseException as error:
                    call.set_exception(error)
            del item, call, function
            self._idle.release()
        connections.close_all()

    def _next(self) -> tuple[Future[Any], Callable[[], Any]] | None:
        while True:
            try:
                return self._calls.get(timeout=IDLE_SECONDS)
            except Empty:
                connections.close_all()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        for _ in self._threads:
            self._calls.put(None)
