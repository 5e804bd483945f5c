"""Streams between a source on an event loop and a reader that may be slow, synchronous, or gone."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncIterator, Iterator
from typing import Final, Protocol

from native_api.bridge.loop import CLOSE_TIMEOUT, background, run

KEEP_ALIVE: Final = b": keep-alive\n\n"
MAX_BUFFERED: Final = 1024 * 1024
"""Bytes that may wait for a slow client before its upstream is left to wait too."""

MAX_STALL: Final = 120.0
"""Seconds that a client with a full buffer may take nothing before it is taken for gone."""


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
        closing = asyncio.run_coroutine_threadsafe(self._stream.aclose(), background.get())
        closing.result(CLOSE_TIMEOUT)


async def _opened(source: Source, keepalive: float) -> AsyncStream:
    return AsyncStream(source, keepalive)


async def _next_or_none(stream: AsyncStream) -> bytes | None:
    async for piece in stream:
        return piece
    return None
