"""Streams between a source on an event loop and a reader that may be slow, synchronous, or gone."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import Final, Protocol

from native_api.background.loop import CLOSE_TIMEOUT, background, run

KEEP_ALIVE: Final = b": keep-alive\n\n"
MAX_BUFFERED: Final = 1024 * 1024
"""Bytes that may wait for a slow client before its upstream is left to wait too."""

MAX_STALL: Final = 120.0
"""Seconds that a client with a full buffer may take nothing before it is taken for gone."""

MAX_UNREAD: Final = 30.0
"""Seconds in which somebody has to begin to read a stream. Servers do so at once."""


class Source(Protocol):
    """What a stream is made of. `aclose` may come before the first item was asked for."""

    def __aiter__(self) -> AsyncIterator[bytes]: ...
    async def aclose(self) -> None: ...


_pumps: Final[weakref.WeakSet[_Pump]] = weakref.WeakSet()


async def close_streams() -> None:
    """Close what streams there still are on this loop. For a server that shuts down, whose clients
    have been cut off."""
    here = asyncio.get_running_loop()
    await asyncio.gather(
        *(pump.aclose() for pump in list(_pumps) if pump.loop is here), return_exceptions=True
    )


class _Pump:
    """Moves pieces from the source to the buffer, and closes the source at the end. Knows nothing
    of its reader, who may be dropped."""

    def __init__(self, source: Source) -> None:
        self.pieces: list[bytes] = []
        self.ended = False
        self.more: asyncio.Future[bool] | None = None
        self.loop = asyncio.get_running_loop()
        self._source = source
        self._size = 0
        self._room: asyncio.Future[bool] | None = None
        self._closing: asyncio.Task[None] | None = None
        _pumps.add(self)
        self.task = self.loop.create_task(self._run())
        # Not in a `finally` of the task's: one that is cancelled before its first step never gets
        # there.
        self.task.add_done_callback(self._pumped)

    async def _run(self) -> None:
        async for piece in self._source:
            await self._put(piece)

    def _pumped(self, task: asyncio.Task[None]) -> None:
        self.ended = True
        _wake(self.more)
        self._closing = self.loop.create_task(self._source.aclose())

    async def _put(self, piece: bytes) -> None:
        while self._size > MAX_BUFFERED:
            self._room = self.loop.create_future()
            async with asyncio.timeout(MAX_STALL):
                await self._room
        self.pieces.append(piece)
        self._size += len(piece)
        _wake(self.more)

    def take(self) -> bytes:
        pieces = b"".join(self.pieces)
        self.pieces.clear()
        self._size = 0
        _wake(self._room)
        return pieces

    def stop(self) -> None:
        """From any thread."""
        if not self.task.done():
            with suppress(RuntimeError):  # the loop is closed, and its tasks with it
                self.loop.call_soon_threadsafe(self.task.cancel)

    async def aclose(self) -> None:
        if not self.task.done():
            self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        await asyncio.sleep(0)  # the task's callback comes one step behind it
        if self._closing is not None:
            await self._closing


def _wake(future: asyncio.Future[bool] | None, result: bool = True) -> None:
    if future is not None and not future.done():
        future.set_result(result)


class AsyncStream:
    """The reader's end under ASGI: an async iterator of byte pieces, driven on the loop it is made
    on.

    Django closes what it sends, but not a response that a middleware drops, for an error page or
    for an answer of its own. A stream that nobody holds any more, or that nobody has begun to read
    in MAX_UNREAD seconds, is therefore closed too.
    """

    def __init__(self, source: Source, keepalive: float) -> None:
        self._keepalive = keepalive
        self._pump = _Pump(source)
        self._unread: asyncio.TimerHandle | None = self._pump.loop.call_later(
            MAX_UNREAD, self._pump.stop
        )
        weakref.finalize(self, self._pump.stop).atexit = False

    def __aiter__(self) -> AsyncStream:
        return self

    async def __anext__(self) -> bytes:
        pump = self._pump
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None
        while not pump.pieces:
            if pump.ended:
                await pump.task
                await pump.aclose()
                raise StopAsyncIteration
            if not await self._wait():
                return KEEP_ALIVE
        return pump.take()

    async def _wait(self) -> bool:
        """Wait for a piece or the end; False where neither came in time."""
        pump = self._pump
        pump.more = pump.loop.create_future()
        timer = pump.loop.call_later(self._keepalive, _wake, pump.more, False)
        try:
            return await pump.more
        finally:
            timer.cancel()

    def close(self) -> None:
        """Stop the pump. Django calls this, from any thread, when the reply is over or the client
        has left."""
        self._pump.stop()

    async def aclose(self) -> None:
        """Stop the pump and wait until the upstream is closed. Calling it again does nothing."""
        await self._pump.aclose()


class SyncStream:
    """The reader's end under WSGI: an iterator of byte pieces, driven on the background loop."""

    def __init__(self, source: Source, keepalive: float) -> None:
        self._stream = run(_opened(source, keepalive))
        self._closed = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        piece = run(_next_or_none(self._stream))
        if piece is None:
            raise StopIteration
        return piece

    def close(self) -> None:
        """Called by Django when the reply is over or the client has left. Calling it again does
        nothing."""
        if self._closed:
            return
        self._closed = True
        closing = asyncio.run_coroutine_threadsafe(self._stream.aclose(), background.get())
        closing.result(CLOSE_TIMEOUT)


async def _opened(source: Source, keepalive: float) -> AsyncStream:
    return AsyncStream(source, keepalive)


async def _next_or_none(stream: AsyncStream) -> bytes | None:
    async for piece in stream:
        return piece
    return None
