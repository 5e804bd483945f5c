"""Where synchronous callers meet the event loop. The only file that knows threads and loops.

Rules:
1. Under ASGI everything runs on the server's own loop; nothing here starts another.
2. Under WSGI, and for synchronous Python callers, one background loop per process runs the engine. It is started when
   first needed and again after a fork, so a pre-forking server is safe.
3. A stream is driven by one long-lived task, the pump, that feeds a bounded buffer. The reader takes all that is there
   in one piece, or a keep-alive comment where nothing came for a while. Timeouts that the source holds across
   items live in the pump's task and keep working.
4. Closing the reader's end cancels the pump, which closes the source, which closes the upstream connection.
5. A synchronous call that may hang (a database, a cache) is made in threads apart from the loop's own, which everybody needs.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
import weakref
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, Final, Protocol, TypeVar

from django.db import close_old_connections, connections

from native_api import logs

T = TypeVar("T")

KEEP_ALIVE: Final = b": keep-alive\n\n"
MAX_BUFFERED: Final = 1024 * 1024
"""Bytes that may wait for a slow client before its upstream is left to wait too."""

MAX_STALL: Final = 120.0
"""Seconds that a client with a full buffer may take nothing before it is taken for gone."""

CLOSE_TIMEOUT: Final = 5.0
"""Seconds that a synchronous close waits for the upstream connection to be gone."""

IDLE_SECONDS: Final = 1.0
"""After which a thread that keeps its connections closes them."""


class BackgroundLoop:
    """The process's own event loop, in a daemon thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pid = 0

    def get(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None or self._pid != os.getpid():
                self._loop, self._pid = self._start(), os.getpid()
            return self._loop

    def _start(self) -> asyncio.AbstractEventLoop:
        loop = _new_loop()
        threading.Thread(target=loop.run_forever, name="native-api-loop", daemon=True).start()
        # Not at import: what is registered last is called first, and streams that end here are recorded after that.
        atexit.register(self._end, os.getpid())
        return loop

    def _end(self, pid: int) -> None:
        """When the process ends: close what the loop's generators hold, such as connections to providers."""
        if self._loop is not None and pid == os.getpid():
            with suppress(Exception):
                asyncio.run_coroutine_threadsafe(self._loop.shutdown_asyncgens(), self._loop).result(CLOSE_TIMEOUT)


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


_background = BackgroundLoop()


def _forget_lock_of_parent() -> None:
    _background._lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_lock_of_parent)


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run `coroutine` on the background loop and wait for its result. For synchronous callers."""
    return asyncio.run_coroutine_threadsafe(coroutine, _background.get()).result()


async def relay(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run `coroutine` on the background loop and await its result on another loop. For async views under WSGI."""
    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coroutine, _background.get()))


class HangingCall(TimeoutError):
    """A call in a worker thread did not return in time. It was left behind."""


class Threads:
    """Worker threads for one kind of call. They stay, so connections that belong to a thread or its context are used again.

    With `keep_connections`, so do connections to databases, whatever CONN_MAX_AGE says, until a thread had nothing to do for a while.
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
            return self._executor.submit(_looked_after, self._keep_connections, logs.request_id.get(), function, *args)

    async def run(self, seconds: float, function: Callable[..., T], *args: Any) -> T:
        """The call's result. Raises HangingCall after `seconds`. A caller that is cancelled leaves the call to its end."""
        return await self.wait(seconds, self.submit(function, *args))

    async def wait(self, seconds: float, call: Future[T]) -> T:
        """`run` for a call that was submitted before, perhaps by another, on whose result any number may wait."""
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
        """Give a call that was submitted before a moment to return. It goes on where that is too short."""
        await asyncio.wait([asyncio.wrap_future(call)], timeout=seconds)

    def leave_behind(self) -> None:
        """Begin with new threads. Those that hang end when their calls do."""
        with self._lock:
            self._executor.shutdown(wait=False)
            self._executor = self._new_executor()


def _looked_after(keep_connections: bool, request_id: str, function: Callable[..., T], *args: Any) -> T:
    """The call, with database connections handled as Django does around each request.

    The rest of the caller's context stays behind: Django's caches keep a connection for each context.
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
    """Threads that close their connections once there was nothing to do for `IDLE_SECONDS`: an open one is in the way of those who
    want to move or drop the database."""

    def __init__(self, size: int, name: str) -> None:
        self._size, self._name = size, name
        self._calls: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._idle = threading.Semaphore(0)

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        call: Future[Any] = Future()
        self._calls.put((call, partial(function, *args, **kwargs)))
        if not self._idle.acquire(blocking=False) and len(self._threads) < self._size:
            thread = threading.Thread(target=self._work, name=f"{self._name}_{len(self._threads)}", daemon=True)
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


class Source(Protocol):
    """What a stream is made of. `aclose` may come before the first item was asked for."""

    def __aiter__(self) -> AsyncIterator[bytes]: ...
    async def aclose(self) -> None: ...


_streams: Final[weakref.WeakSet[AsyncStream]] = weakref.WeakSet()


async def close_streams() -> None:
    """Close what streams there still are on this loop. For a server that shuts down, whose clients have been cut off."""
    here = asyncio.get_running_loop()
    await asyncio.gather(*(stream.aclose() for stream in list(_streams) if stream._loop is here), return_exceptions=True)


class AsyncStream:
    """The reader's end under ASGI: an async iterator of byte pieces, driven on the loop it is made on."""

    def __init__(self, source: Source, keepalive: float) -> None:
        self._source = source
        self._keepalive = keepalive
        self._pieces: list[bytes] = []
        self._size = 0
        self._ended = False
        self._more: asyncio.Future[bool] | None = None
        self._room: asyncio.Future[bool] | None = None
        self._loop = asyncio.get_running_loop()
        self._closing: asyncio.Task[None] | None = None
        _streams.add(self)
        self._pump = self._loop.create_task(self._run())
        # Not in a `finally` of the pump's: a task that is cancelled before its first step never gets there.
        self._pump.add_done_callback(self._pumped)

    async def _run(self) -> None:
        async for piece in self._source:
            await self._put(piece)

    def _pumped(self, pump: asyncio.Task[None]) -> None:
        self._ended = True
        _wake(self._more)
        self._closing = self._loop.create_task(self._source.aclose())

    async def _put(self, piece: bytes) -> None:
        while self._size > MAX_BUFFERED:
            self._room = self._loop.create_future()
            async with asyncio.timeout(MAX_STALL):
                await self._room
        self._pieces.append(piece)
        self._size += len(piece)
        _wake(self._more)

    def __aiter__(self) -> AsyncStream:
        return self

    async def __anext__(self) -> bytes:
        while not self._pieces:
            if self._ended:
                await self._pump
                await self.aclose()
                raise StopAsyncIteration
            if not await self._wait():
                return KEEP_ALIVE
        return self._take()

    async def _wait(self) -> bool:
        """Wait for a piece or the end; False where neither came in time."""
        self._more = self._loop.create_future()
        timer = self._loop.call_later(self._keepalive, _wake, self._more, False)
        try:
            return await self._more
        finally:
            timer.cancel()

    def _take(self) -> bytes:
        pieces = b"".join(self._pieces)
        self._pieces.clear()
        self._size = 0
        _wake(self._room)
        return pieces

    def close(self) -> None:
        """Stop the pump. Django calls this, from any thread, when the reply is over or the client has left."""
        if not self._pump.done() and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._pump.cancel)

    async def aclose(self) -> None:
        """Stop the pump and wait until the upstream is closed. Calling it again does nothing."""
        if not self._pump.done():
            self._pump.cancel()
        await asyncio.gather(self._pump, return_exceptions=True)
        await asyncio.sleep(0)  # the pump's callback comes one step behind it
        if self._closing is not None:
            await self._closing


def _wake(future: asyncio.Future[bool] | None, result: bool = True) -> None:
    if future is not None and not future.done():
        future.set_result(result)


class SyncStream:
    """The reader's end under WSGI: an iterator of byte pieces, driven on the background loop."""

    def __init__(self, source: Source, keepalive: float) -> None:
        self._stream = run(_opened(source, keepalive))

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        piece = run(_next_or_none(self._stream))
        if piece is None:
            raise StopIteration
        return piece

    def close(self) -> None:
        """Called by Django when the reply is over or the client has left."""
        closing = asyncio.run_coroutine_threadsafe(self._stream.aclose(), _background.get())
        closing.result(CLOSE_TIMEOUT)


async def _opened(source: Source, keepalive: float) -> AsyncStream:
    return AsyncStream(source, keepalive)


async def _next_or_none(stream: AsyncStream) -> bytes | None:
    async for piece in stream:
        return piece
    return None
