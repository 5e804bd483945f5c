"""Streams between a source on an event loop and a reader that may be slow, synchronous, or gone."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import Final, Protocol

from native_api.background import test_environment
from native_api.background.loop import CLOSE_TIMEOUT_SECONDS, background_loop, run

MAX_BUFFERED_BYTES: Final = 1024 * 1024
"""How much may wait for a slow client before its upstream has to wait too."""

MAX_STALL_SECONDS: Final = 120.0
"""How long a client with a full buffer may read nothing before it counts as disconnected."""

MAX_UNREAD_SECONDS: Final = 30.0
"""Time in which somebody has to start to read a stream. Servers do so at once."""


class Source(Protocol):
    """What a stream reads from. `aclose` may be called before the first item is requested."""

    def __aiter__(self) -> AsyncIterator[bytes]: ...
    async def aclose(self) -> None: ...


_pumps: Final[weakref.WeakSet[_Pump]] = weakref.WeakSet()


async def close_streams() -> None:
    """Close all streams on this loop. For a server that shuts down, whose clients are cut off."""
    loop = asyncio.get_running_loop()
    await asyncio.gather(
        *(pump.aclose() for pump in list(_pumps) if pump.loop is loop), return_exceptions=True
    )


class _Pump:
    """Moves pieces from the source to the buffer, and closes the source at the end.

    It does not refer to its reader, which may be dropped.
    """

    def __init__(self, source: Source) -> None:
        self.pieces: list[bytes] = []
        self.has_ended = False
        self.piece_or_end: asyncio.Future[bool] | None = None
        self.loop = asyncio.get_running_loop()
        self._source = source
        self._size = 0
        self._drained: asyncio.Future[bool] | None = None
        self._closing: asyncio.Task[None] | None = None
        _pumps.add(self)
        self.task = self.loop.create_task(self._run())
        # A callback, not a `finally` in the task: a task that is cancelled before its first step
        # never reaches its `finally`.
        self.task.add_done_callback(self._on_end)

    async def _run(self) -> None:
        async for piece in self._source:
            await self._put(piece)

    def _on_end(self, task: asyncio.Task[None]) -> None:
        self.has_ended = True
        _wake(self.piece_or_end)
        self._closing = self.loop.create_task(self._source.aclose())

    async def _put(self, piece: bytes) -> None:
        while self._size > MAX_BUFFERED_BYTES:
            await self._wait_until_read()
        self.pieces.append(piece)
        self._size += len(piece)
        _wake(self.piece_or_end)
        if test_environment.is_active():
            # What a test does not read must not end while the test does, or later.
            await self._wait_until_read()

    async def _wait_until_read(self) -> None:
        self._drained = self.loop.create_future()
        async with asyncio.timeout(MAX_STALL_SECONDS):
            await self._drained

    def take_all(self) -> bytes:
        """All buffered pieces, joined. The buffer is empty afterwards."""
        pieces = b"".join(self.pieces)
        self.pieces.clear()
        self._size = 0
        _wake(self._drained)
        return pieces

    def abandon(self) -> None:
        """`stop`, for a reader that is gone without a word. In a test it waits for the next one:
        its end would be recorded at any moment, while the test rolls back for example."""
        if test_environment.is_active():
            test_environment.call_in_next_test(self.stop)
        else:
            self.stop()

    def stop(self) -> None:
        """Cancel the task. May be called from any thread."""
        if not self.task.done():
            with suppress(RuntimeError):  # the loop is closed, and its tasks with it
                self.loop.call_soon_threadsafe(self.task.cancel)

    async def aclose(self) -> None:
        if not self.task.done():
            self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        await asyncio.sleep(0)  # the task's callback runs one step later
        if self._closing is not None:
            await self._closing


def _wake(future: asyncio.Future[bool] | None, result: bool = True) -> None:
    if future is not None and not future.done():
        future.set_result(result)


class AsyncStream:
    """The reader's end under ASGI: an async iterator of byte pieces, on the loop it is made on.

    Django closes the responses it sends, but not one that a middleware drops and replaces. So a
    stream that is no longer referenced, or that nobody started to read within `MAX_UNREAD_SECONDS`,
    is closed too.
    """

    def __init__(self, source: Source, keepalive: float, ping: bytes) -> None:
        """`ping` is sent after `keepalive` seconds of silence, and again and again."""
        self._keepalive, self._ping = keepalive, ping
        self._pump = _Pump(source)
        self._unread_timer: asyncio.TimerHandle | None = self._pump.loop.call_later(
            MAX_UNREAD_SECONDS, self._pump.abandon
        )
        weakref.finalize(self, self._pump.abandon).atexit = False

    def __aiter__(self) -> AsyncStream:
        return self

    async def __anext__(self) -> bytes:
        pump = self._pump
        if self._unread_timer is not None:
            self._unread_timer.cancel()
            self._unread_timer = None
        while not pump.pieces:
            if pump.has_ended:
                await pump.task
                await pump.aclose()
                raise StopAsyncIteration
            if not await self._wait():
                return self._ping
        return pump.take_all()

    async def _wait(self) -> bool:
        """Wait for a piece or the end; False if neither came in time."""
        pump = self._pump
        pump.piece_or_end = pump.loop.create_future()
        timer = pump.loop.call_later(self._keepalive, _wake, pump.piece_or_end, False)
        try:
            return await pump.piece_or_end
        finally:
            timer.cancel()

    def close(self) -> None:
        """Stop the pump.

        Django calls this, from any thread, when the response ends or the client disconnects.
        """
        self._pump.stop()

    async def aclose(self) -> None:
        """Stop the pump and wait until the upstream is closed. Calling it again does nothing."""
        await self._pump.aclose()


class SyncStream:
    """The reader's end under WSGI: an iterator of byte pieces, driven on the background loop."""

    def __init__(self, source: Source, keepalive: float, ping: bytes) -> None:
        self._stream = run(_open(source, keepalive, ping))
        self._closed = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        piece = run(_next_or_none(self._stream))
        if piece is None:
            raise StopIteration
        return piece

    def close(self) -> None:
        """Close the stream and wait. Calling it again does nothing.

        Django calls this when the response ends or the client disconnects.
        """
        if self._closed:
            return
        self._closed = True
        closing = asyncio.run_coroutine_threadsafe(self._stream.aclose(), background_loop.get())
        closing.result(CLOSE_TIMEOUT_SECONDS)


async def _open(source: Source, keepalive: float, ping: bytes) -> AsyncStream:
    return AsyncStream(source, keepalive, ping)


async def _next_or_none(stream: AsyncStream) -> bytes | None:
    async for piece in stream:
        return piece
    return None
