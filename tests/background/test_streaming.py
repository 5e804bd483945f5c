"""Streams between a source on an event loop and a reader that may be slow, synchronous, or gone."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from native_api import background
from tests.waiting import auntil

PING = b": ping\n\n"


class Words:
    """A source of byte pieces that waits at callables and counts its closes."""

    def __init__(self, *words: bytes | Callable[[], Awaitable[Any]] | Exception) -> None:
        self.words = words
        self.given = 0
        self.closed = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for word in self.words:
            if isinstance(word, Exception):
                raise word
            if isinstance(word, bytes):
                self.given += 1
                yield word
            else:
                await word()

    async def aclose(self) -> None:
        self.closed += 1


async def forever() -> None:
    await asyncio.Event().wait()


def test_everything_arrives_in_order_and_the_source_is_closed() -> None:
    async def scenario() -> None:
        source = Words(b"a", b"b", lambda: asyncio.sleep(0), b"c")
        assert (
            b"".join([piece async for piece in background.AsyncStream(source, 10, PING)]) == b"abc"
        )
        assert source.closed == 1

    asyncio.run(scenario())


def test_keep_alives_fill_a_silence_without_disturbing_the_source() -> None:
    async def scenario() -> None:
        gate = asyncio.Event()
        stream = background.AsyncStream(Words(b"a", gate.wait, b"b"), 0.01, PING)
        assert await anext(stream) == b"a"
        assert await anext(stream) == PING
        assert await anext(stream) == PING
        gate.set()
        assert await anext(stream) == b"b"
        await stream.aclose()

    asyncio.run(scenario())


def test_a_slow_reader_makes_the_source_wait() -> None:
    async def scenario() -> None:
        source = Words(*[b"x" * (background.MAX_BUFFERED_BYTES // 2)] * 20)
        stream = background.AsyncStream(source, 10, PING)
        for _ in range(50):
            await asyncio.sleep(0)
        assert source.given < 6
        assert sum([len(piece) async for piece in stream]) == 10 * background.MAX_BUFFERED_BYTES

    asyncio.run(scenario())


@pytest.mark.parametrize("begun", [False, True])
def test_a_dropped_reader_closes_the_source(begun: bool) -> None:
    """As a response is that a middleware replaces."""

    async def scenario() -> None:
        source = Words(b"a", forever)
        stream = background.AsyncStream(source, 10, PING)
        if begun:
            assert await anext(stream) == b"a"
        del stream
        for _ in range(5):
            await asyncio.sleep(0)
        assert source.closed == 1

    asyncio.run(scenario())


def test_a_stream_that_nobody_begins_to_read_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        read, unread = Words(b"a", forever), Words(b"a", forever)
        streams = [background.AsyncStream(read, 10, PING), background.AsyncStream(unread, 10, PING)]
        assert await anext(streams[0]) == b"a"
        await asyncio.gather(streams[1]._pump.task, return_exceptions=True)
        await streams[1].aclose()
        assert (read.closed, unread.closed) == (0, 1)
        await streams[0].aclose()

    monkeypatch.setattr("native_api.background.streaming.MAX_UNREAD_SECONDS", 0.01)
    asyncio.run(scenario())


@pytest.mark.parametrize("steps", [0, 1, 2, 5])
def test_a_reader_that_leaves_closes_the_source_even_before_it_began(steps: int) -> None:
    async def scenario() -> None:
        source = Words(b"a", forever)
        stream = background.AsyncStream(source, 10, PING)
        for _ in range(steps):
            await asyncio.sleep(0)
        await stream.aclose()
        await stream.aclose()
        assert source.closed == 1

    asyncio.run(scenario())


def test_closing_from_another_thread_closes_the_source() -> None:
    async def scenario() -> None:
        source = Words(b"a", forever)
        stream = background.AsyncStream(source, 10, PING)
        await anext(stream)
        await asyncio.get_running_loop().run_in_executor(None, stream.close)
        while not source.closed:
            await asyncio.sleep(0)

    asyncio.run(asyncio.wait_for(scenario(), 60))


def test_a_server_that_stops_closes_all_streams() -> None:
    async def scenario() -> None:
        sources = [Words(b"a", forever) for _ in range(3)]
        streams = [background.AsyncStream(source, 10, PING) for source in sources]
        assert await anext(streams[0]) == b"a"
        await background.close_streams()
        assert [source.closed for source in sources] == [1] * 3

    asyncio.run(scenario())


def test_an_error_of_the_source_is_raised_after_its_pieces() -> None:
    async def scenario() -> None:
        source = Words(b"a", LookupError("gone"))
        stream = background.AsyncStream(source, 10, PING)
        assert await anext(stream) == b"a"
        with pytest.raises(LookupError):
            await anext(stream)
        await stream.aclose()
        assert source.closed == 1

    asyncio.run(scenario())


def test_synchronous_readers_get_pieces_and_keep_alives() -> None:
    pinged = threading.Event()
    source = Words(b"a", lambda: auntil(pinged.is_set, "a keep-alive"), b"b")
    stream, pieces = background.SyncStream(source, 0.01, PING), list[bytes]()
    for piece in stream:
        pieces.append(piece)
        if piece == PING:
            pinged.set()
    assert b"".join(piece for piece in pieces if piece != PING) == b"ab"
    assert PING in pieces
    stream.close()
    assert source.closed == 1


def test_a_synchronous_reader_that_leaves_closes_the_source() -> None:
    source = Words(b"a", forever)
    stream = background.SyncStream(source, 10, PING)
    assert next(stream) == b"a"
    stream.close()
    assert source.closed == 1


def test_many_threads_share_one_loop() -> None:
    async def loop_and_thread() -> tuple[int, int]:
        return id(asyncio.get_running_loop()), threading.get_ident()

    seen: set[tuple[int, int]] = set()
    threads = [
        threading.Thread(target=lambda: seen.add(background.run(loop_and_thread())))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 1
    assert threading.get_ident() not in {thread for _, thread in seen}
