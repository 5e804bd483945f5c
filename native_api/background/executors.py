"""Worker threads for synchronous calls that may hang, such as those to the database or the cache.

Rare blocking calls that have nothing to do with Django are in `blocking`.
"""

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
"""Idle time after which a thread that keeps its database connections closes them."""


class CallTimeout(TimeoutError):
    """A call in a worker thread did not return in time. The call itself goes on."""


class WorkerThreads:
    """Worker threads for one kind of call. They are reused, and so are connections (to a cache, for
    example) that belong to a thread.

    With `keep_connections`, database connections are kept too, whatever CONN_MAX_AGE is, until a
    thread has been idle for `IDLE_SECONDS`.
    """

    def __init__(self, name: str, size: int, keep_connections: bool = False) -> None:
        self._name, self._size, self._keep_connections = name, size, keep_connections
        self._start()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._start)

    def _start(self) -> None:
        self._lock = threading.Lock()
        self._executor = self._make_executor()

    def _make_executor(self) -> Executor:
        if self._keep_connections:
            return _ConnectedThreads(self._size, self._name)
        return ThreadPoolExecutor(self._size, thread_name_prefix=self._name)

    def submit(self, function: Callable[..., T], *args: Any) -> Future[T]:
        with self._lock:
            return self._executor.submit(
                _run_as_request, self._keep_connections, logs.request_id.get(), function, *args
            )

    async def run(self, seconds: float, function: Callable[..., T], *args: Any) -> T:
        """The call's result. Raises CallTimeout after `seconds`.

        If the caller is cancelled, the call goes on.
        """
        return await self.wait_for(seconds, self.submit(function, *args))

    async def wait_for(self, seconds: float, call: Future[T]) -> T:
        """`run` for a call that was already submitted. Any number of callers may wait for it."""
        done, _ = await asyncio.wait([asyncio.wrap_future(call)], timeout=seconds)
        if not done:
            raise self._give_up(seconds)
        return done.pop().result()

    def run_sync(self, seconds: float, function: Callable[..., T], *args: Any) -> T:
        """`run` for synchronous callers."""
        call = self.submit(function, *args)
        try:
            return call.result(seconds)
        except TimeoutError:
            if call.done():
                raise
            raise self._give_up(seconds) from None

    async def wait_briefly(self, seconds: float, call: Future[T]) -> None:
        """Give a submitted call some time to return. Does not fail if that is too short."""
        await asyncio.wait([asyncio.wrap_future(call)], timeout=seconds)

    def _give_up(self, seconds: float) -> CallTimeout:
        self.replace_threads()
        return CallTimeout(f"no answer in {seconds:g} s")

    def replace_threads(self) -> None:
        """Start again with new threads. Those that hang end when their calls do."""
        with self._lock:
            self._executor.shutdown(wait=False)
            self._executor = self._make_executor()


def _run_as_request(
    keep_connections: bool, request_id: str, function: Callable[..., T], *args: Any
) -> T:
    """The call, with database connections handled as Django does around each request.

    Only the request's id is taken from the caller's context: Django's caches keep one connection
    per context.
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
    """Threads that close their database connections when they have been idle for `IDLE_SECONDS`.

    An open connection would block whoever wants to move or drop the database.
    """

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
            item = self._next_call()
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

    def _next_call(self) -> tuple[Future[Any], Callable[[], Any]] | None:
        """The next call; None when the threads are to end."""
        while True:
            try:
                return self._calls.get(timeout=IDLE_SECONDS)
            except Empty:
                connections.close_all()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        for _ in self._threads:
            self._calls.put(None)
