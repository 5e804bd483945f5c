"""Replies that are compressed although that was not requested, for every dialect. Real HTTP."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from typing import Any

import pytest

from native_api.exceptions import UpstreamError
from native_api.upstream import replies, transport
from native_api.upstream.decoders import compression
from native_api.upstream.decoders.compression import PIECE_BYTES, Decompressor
from tests.upstream.scripted_replies import (
    Scene,
    both,
    each_dialect,
    expected,
    fails,
    sends,
    sends_stream,
    streamed,
    text_of,
    whole,
)


def in_two_members(data: bytes) -> bytes:
    return gzip.compress(data[:50]) + gzip.compress(data[50:])


COMPRESSIONS = [
    ("gzip", gzip.compress),
    ("X-GZIP", gzip.compress),
    ("deflate", zlib.compress),
    ("identity, gzip", gzip.compress),
    ("gzip", in_two_members),
]


@pytest.mark.parametrize(
    ("encoding", "compress"), COMPRESSIONS, ids=["gzip", "x-gzip", "deflate", "identity", "members"]
)
@both
@each_dialect
def test_a_single_compression_is_undone(
    server: Scene, name: str, stream: bool, encoding: str, compress: Any
) -> None:
    data = compress(streamed(name) if stream else whole(name))
    pieces = [data[start : start + 40] for start in range(0, len(data), 40)]
    script = (
        sends_stream(name, *pieces, encoding=encoding)
        if stream
        else sends(*pieces, encoding=encoding)
    )
    assert text_of(server, name, script, stream) == expected(name, stream)


@both
@pytest.mark.parametrize(
    "encoding", ["gzip, gzip", "gzip,br", "deflate, gzip", "br", "zstd", "compress"]
)
def test_other_compressions_are_refused(server: Scene, encoding: str, stream: bool) -> None:
    data = gzip.compress(gzip.compress(streamed("openai") if stream else whole("openai")))
    script = (
        sends_stream("openai", data, encoding=encoding)
        if stream
        else sends(data, encoding=encoding)
    )
    error = fails(server, "openai", script, stream)
    assert (error.status, error.code) == (502, "provider_error")
    assert "compressed its answer" in error.message


def test_a_coding_that_is_not_a_compression_is_ignored(server: Scene) -> None:
    assert text_of(
        server, "openai", sends(whole("openai"), encoding="utf-8"), stream=False
    ) == expected("openai", stream=False)


def test_errors_are_decompressed_too(server: Scene) -> None:
    body = gzip.compress(b'{"error": {"message": "bad tool"}}')
    assert (
        "bad tool"
        in fails(server, "openai", sends(body, encoding="gzip", status=400), stream=False).message
    )


@both
@pytest.mark.parametrize("encoding", ["gzip", "gzip, gzip", "br"])
def test_an_error_that_cannot_be_read_keeps_its_status(
    server: Scene, encoding: str, stream: bool
) -> None:
    bomb = gzip.compress(b" " * 2 * replies.MAX_ERROR_BYTES)
    assert (
        fails(server, "openai", sends(bomb, encoding=encoding, status=503), stream).upstream_status
        == 503
    )


@both
@pytest.mark.parametrize(
    "data",
    [b"no gzip at all", gzip.compress(b"{}" * 500)[:-8] + b"x" * 8, gzip.compress(b"{}") + b"more"],
    ids=["other", "changed", "more"],
)
def test_a_damaged_compression_is_a_provider_fault(
    server: Scene, data: bytes, stream: bool
) -> None:
    script = (
        sends_stream("openai", data, encoding="gzip") if stream else sends(data, encoding="gzip")
    )
    error = fails(server, "openai", script, stream)
    assert error.status == 502
    assert "damaged" in error.message


@both
def test_a_decompressed_reply_is_limited(server: Scene, stream: bool) -> None:
    line = b":" + b"x" * 1_000_000 + b"\n"
    bomb = gzip.compress(line * (transport.MAX_REPLY_BYTES // len(line) + 1))
    script = (
        sends_stream("openai", bomb, encoding="gzip") if stream else sends(bomb, encoding="gzip")
    )
    assert fails(server, "openai", script, stream).message == "The provider's answer is too large."


def test_decompressed_data_comes_in_small_pieces_up_to_the_limit() -> None:
    bomb = gzip.compress(b"x" * 100 * PIECE_BYTES)
    assert [len(piece) for piece in Decompressor(100 * PIECE_BYTES).feed(bomb)] == [
        PIECE_BYTES
    ] * 100
    pieces = Decompressor(3 * PIECE_BYTES).feed(bomb)
    assert [len(next(pieces)) for _ in range(3)] == [PIECE_BYTES] * 3
    with pytest.raises(UpstreamError, match="too large"):
        next(pieces)


@pytest.mark.parametrize(
    "size", [0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES]
)
@pytest.mark.parametrize("step", [1, 7, 10_000])
def test_nothing_is_lost_at_any_cut(size: int, step: int) -> None:
    data = gzip.compress(bytes(number * number % 251 for number in range(size)))
    decompressor = compression.make_decompressor("gzip", 10 * PIECE_BYTES)
    assert decompressor is not None
    made = b"".join(
        piece
        for start in range(0, len(data), step)
        for piece in decompressor.feed(data[start : start + step])
    )
    assert made == gzip.decompress(data)


def test_other_tasks_run_during_a_long_decompression(server: Scene) -> None:
    """Counted, not timed: between any two pieces of what was received at once, whoever else is
    ready runs."""
    pieces = 200
    server.script("m", sends(gzip.compress(b"x" * pieces * PIECE_BYTES), encoding="gzip"))

    async def turns_of_another() -> int:
        turns = 0

        async def another() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        response = await transport.send(
            "POST", f"{server.url}/chat", {"accept-encoding": "identity"}, b'{"model": "m"}', 5
        )
        task = asyncio.create_task(another())
        await transport.read_body(response)
        task.cancel()
        await response.aclose()
        return turns

    assert server.run(turns_of_another()) >= pieces
