"""Replies that are more than they seem: nested without end, or compressed although nobody asked for
it. Real HTTP, for every dialect."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import zlib
from collections.abc import Iterator
from functools import cache
from typing import Any

import orjson
import pytest

from native_api.dialects import DIALECTS
from native_api.dialects.shared.json_values import parse_json
from native_api.dialects.shared.nesting import MAX_DEPTH, check_depth
from native_api.exceptions import UpstreamError
from native_api.types import ChatRequest, Provider, Secret, Target
from native_api.upstream import call, replies, transport
from native_api.upstream.attempt_log import AttemptLog
from native_api.upstream.decoders import compression
from native_api.upstream.decoders.compression import PIECE_BYTES, Decompressor
from native_api.upstream.prepared_request import prepare
from tests.aws_eventstream_writer import message
from tests.dialects.stream_folding import fold
from tests.scripted_provider import Exchange, Script, Upstream, running_upstream
from tests.test_recordings import recorded_cases

HI: ChatRequest = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
each_dialect = pytest.mark.parametrize("name", DIALECTS)
both = pytest.mark.parametrize("stream", [False, True], ids=["complete", "streamed"])
CONTENT_TYPES = {
    "sse": "text/event-stream",
    "ndjson": "application/x-ndjson",
    "eventstream": "application/vnd.amazon.eventstream",
}
JSON_TYPE = "application/json"


class Scene:
    """A scripted provider, and one event loop to call it from."""

    def __init__(self, upstream: Upstream, runner: asyncio.Runner) -> None:
        self.url = upstream.url
        self.script = upstream.script
        self.run = runner.run


@pytest.fixture(scope="module")
def server() -> Iterator[Scene]:
    with running_upstream() as running, asyncio.Runner() as runner:
        yield Scene(running, runner)
        runner.run(transport.aclose())


# --- what providers say --------------------------------------------------------------------------------------


@cache
def recorded(name: str, *needed: str) -> dict[str, Any]:
    """The first recording of a dialect that has all that is needed, with an answer in words."""
    found = [
        param.values[0]
        for param in recorded_cases("expected", *needed)
        if param.values[0]["provider"]["dialect"] == name
    ]
    return next(case for case in found if case["expected"]["choices"][0]["message"].get("content"))


def whole(name: str) -> bytes:
    return json.dumps(recorded(name, "reply")["reply"]).encode()


def streamed(name: str) -> bytes:
    if name == "bedrock":
        return base64.b64decode(recorded(name, "stream_base64")["stream_base64"])
    return str(recorded(name, "stream")["stream"]).encode()


def deep(depth: int) -> bytes:
    """An object of this many levels."""
    return b'{"x":' * depth + b"1" + b"}" * depth


def deep_reply(name: str, depth: int) -> bytes:
    """A good reply with one member more."""
    return whole(name)[:-1] + b',"unknown":' + deep(depth - 1) + b"}"


def deep_event(name: str, depth: int) -> bytes:
    framing, data = DIALECTS[name].framing, b'{"unknown":' + deep(depth - 1) + b"}"
    if framing == "eventstream":
        return message({":message-type": "event", ":event-type": "unknown"}, data)
    return data + b"\n" if framing == "ndjson" else b"data: " + data + b"\n\n"


def sends(
    *pieces: bytes, content_type: str = JSON_TYPE, encoding: str = "", status: int = 200
) -> Script:
    """An answer in chunks."""

    async def script(answering: Exchange) -> None:
        encodings = {"content-encoding": encoding} if encoding else {}
        await answering.head(
            status, {"content-type": content_type, "transfer-encoding": "chunked", **encodings}
        )
        for piece in pieces:
            await answering.piece(piece)
        await answering.end()

    return script


def sends_stream(name: str, *pieces: bytes, **more: Any) -> Script:
    return sends(*pieces, content_type=CONTENT_TYPES[DIALECTS[name].framing], **more)


# --- what becomes of it --------------------------------------------------------------------------------------


def text_of(server: Scene, name: str, script: Script, stream: bool) -> str:
    """The text that a provider of this dialect answers."""
    server.script("m", script)
    provider = Provider(
        "p", name, server.url, api_key=Secret("secret"), options={"project": "a-project"}
    )
    return str(server.run(_asked(Target(provider, "m"), stream)))


async def _asked(target: Target, stream: bool) -> str:
    if not stream:
        done = await call.complete(prepare(HI, target), AttemptLog())
        return str(done.completion["choices"][0]["message"]["content"])
    opened = await call.open_stream(prepare({**HI, "stream": True}, target), AttemptLog())
    try:
        chunks = [chunk async for batch in opened for chunk in batch]
    finally:
        await opened.aclose()
    return str(fold(chunks)[0]["message"]["content"])


def expected(name: str, stream: bool) -> str:
    needed = ("stream_base64" if name == "bedrock" else "stream") if stream else "reply"
    return str(recorded(name, needed)["expected"]["choices"][0]["message"]["content"])


def fails(server: Scene, name: str, script: Script, stream: bool) -> UpstreamError:
    with pytest.raises(UpstreamError) as caught:
        text_of(server, name, script, stream)
    return caught.value


# --- nested ----------------------------------------------------------------------------------------------------

TOO_DEEP = pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 300, 100_000])


@each_dialect
def test_a_reply_as_deep_as_may_be_is_an_answer(server: Scene, name: str) -> None:
    assert text_of(server, name, sends(deep_reply(name, MAX_DEPTH)), stream=False) == expected(
        name, stream=False
    )


@each_dialect
def test_an_event_as_deep_as_may_be_is_part_of_an_answer(server: Scene, name: str) -> None:
    script = sends_stream(name, deep_event(name, MAX_DEPTH), streamed(name))
    assert text_of(server, name, script, stream=True) == expected(name, stream=True)


@TOO_DEEP
@both
@each_dialect
def test_a_reply_that_is_nested_too_deeply_is_the_providers_fault(
    server: Scene, name: str, stream: bool, depth: int
) -> None:
    """Also where a stream was asked for and the provider answers in one piece."""
    error = fails(server, name, sends(deep_reply(name, depth)), stream)
    assert (error.status, error.code) == (502, "provider_error")
    assert "nested too deeply" in error.message or "not JSON" in error.message


@TOO_DEEP
@each_dialect
def test_so_is_an_event_of_a_stream(server: Scene, name: str, depth: int) -> None:
    error = fails(
        server, name, sends_stream(name, deep_event(name, depth), streamed(name)), stream=True
    )
    assert (error.status, error.code) == (502, "provider_error")
    assert "nested too deeply" in error.message or "not JSON" in error.message


@TOO_DEEP
@each_dialect
def test_an_error_that_is_nested_too_deeply_keeps_its_status(
    server: Scene, name: str, depth: int
) -> None:
    body = (
        b'{"error": {"message": '
        + deep(depth)
        + b', "code": '
        + deep(depth)
        + b', "type": '
        + deep(depth)
        + b"}}"
    )
    assert fails(server, name, sends(body, status=500), stream=False).status == 502
    assert fails(server, name, sends(body, status=400), stream=True).upstream_status == 400


def test_brackets_inside_of_strings_are_not_levels() -> None:
    check_depth(orjson.dumps({"text": "{[" * 10_000}))
    check_depth(orjson.dumps([[{}]] * 10_000).decode())


def test_text_that_is_not_json_is_left_to_its_reader() -> None:
    check_depth(b"[" * 10_000)


def test_json_in_the_text_of_a_reply_is_not_read_deeper() -> None:
    assert parse_json(deep(MAX_DEPTH).decode()) == orjson.loads(deep(MAX_DEPTH))
    with pytest.raises(UpstreamError, match="nested too deeply"):
        parse_json(deep(MAX_DEPTH + 1).decode())


SERVER_TOOL = [
    {
        "type": "message_start",
        "message": {"id": "m", "model": "m", "usage": {"input_tokens": 1, "output_tokens": 1}},
    },
    {
        "type": "content_block_start",
        "index": 0,
        "content_block": {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
    },
    {
        "type": "content_block_delta",
        "index": 0,
        "delta": {"type": "input_json_delta", "partial_json": deep(300).decode()},
    },
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}},
    {"type": "message_stop"},
]


def test_the_arguments_of_a_providers_own_tool_are_not_read_deeper(server: Scene) -> None:
    """Their text came in pieces, and is sent to the client as a value."""
    events = b"".join(b"data: " + orjson.dumps(event) + b"\n\n" for event in SERVER_TOOL)
    assert fails(server, "anthropic", sends_stream("anthropic", events), stream=True).status == 502


# --- compressed --------------------------------------------------------------------------------------------------


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
def test_one_compression_is_undone(
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
def test_any_other_is_refused(server: Scene, encoding: str, stream: bool) -> None:
    data = gzip.compress(gzip.compress(streamed("openai") if stream else whole("openai")))
    script = (
        sends_stream("openai", data, encoding=encoding)
        if stream
        else sends(data, encoding=encoding)
    )
    error = fails(server, "openai", script, stream)
    assert (error.status, error.code) == (502, "provider_error")
    assert "compressed its answer" in error.message


def test_a_coding_that_is_not_a_compression_changes_nothing(server: Scene) -> None:
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
def test_a_damaged_compression_is_the_providers_fault(
    server: Scene, data: bytes, stream: bool
) -> None:
    script = (
        sends_stream("openai", data, encoding="gzip") if stream else sends(data, encoding="gzip")
    )
    error = fails(server, "openai", script, stream)
    assert error.status == 502
    assert "damaged" in error.message


@both
def test_a_small_reply_does_not_become_a_huge_one(server: Scene, stream: bool) -> None:
    line = b":" + b"x" * 1_000_000 + b"\n"
    bomb = gzip.compress(line * (transport.MAX_REPLY_BYTES // len(line) + 1))
    script = (
        sends_stream("openai", bomb, encoding="gzip") if stream else sends(bomb, encoding="gzip")
    )
    assert fails(server, "openai", script, stream).message == "The provider's answer is too large."


def test_what_is_decompressed_comes_in_small_pieces_up_to_the_limit() -> None:
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
def test_nothing_is_lost_wherever_it_is_cut(size: int, step: int) -> None:
    data = gzip.compress(bytes(number * number % 251 for number in range(size)))
    decompressor = compression.make_decompressor("gzip", 10 * PIECE_BYTES)
    assert decompressor is not None
    made = b"".join(
        piece
        for start in range(0, len(data), step)
        for piece in decompressor.feed(data[start : start + step])
    )
    assert made == gzip.decompress(data)


def test_others_have_their_turn_while_much_is_decompressed(server: Scene) -> None:
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
