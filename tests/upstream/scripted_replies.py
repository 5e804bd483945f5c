"""Replies of every dialect, made of recordings, with faults added."""

from __future__ import annotations

import asyncio
import base64
import json
from functools import cache
from typing import Any

import pytest

from native_api.dialects import DIALECTS
from native_api.dialects.shared.nesting import MAX_DEPTH
from native_api.exceptions import UpstreamError
from native_api.types import ChatRequest, Provider, Secret, Target
from native_api.upstream import call
from native_api.upstream.attempt_log import AttemptLog
from native_api.upstream.prepared_request import prepare
from tests.aws_eventstream_writer import message
from tests.dialects.stream_folding import fold
from tests.recorded_cases import recorded_cases
from tests.scripted_provider import Exchange, Script, Upstream

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


@cache
def recorded(name: str, *needed: str) -> dict[str, Any]:
    """The first recording of a dialect that has all that is needed, with an answer in words."""
    matching = [
        case
        for _, case in recorded_cases("expected", *needed)
        if case["provider"]["dialect"] == name
    ]
    return next(
        case for case in matching if case["expected"]["choices"][0]["message"].get("content")
    )


def whole(name: str) -> bytes:
    return json.dumps(recorded(name, "reply")["reply"]).encode()


BEDROCK_CHUNK = {":message-type": "event", ":event-type": "chunk"}
STREAM_OF = {"bedrock": ("bedrock", "stream_base64"), "anthropic_bedrock": ("anthropic", "stream")}
"""Dialect -> whose recorded stream it reads, and the recording's member, if they are others."""


def wrap_in_chunk(data: bytes) -> bytes:
    """An event of Anthropic's as Bedrock's InvokeModel sends it."""
    return message(BEDROCK_CHUNK, json.dumps({"bytes": base64.b64encode(data).decode()}).encode())


def streamed(name: str) -> bytes:
    if name == "anthropic_bedrock":
        lines = streamed("anthropic").splitlines()
        return b"".join(wrap_in_chunk(line[6:]) for line in lines if line.startswith(b"data: "))
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
    if name == "anthropic_bedrock":
        return wrap_in_chunk(data)
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


def sends_stream(name: str, *pieces: bytes, **options: Any) -> Script:
    return sends(*pieces, content_type=CONTENT_TYPES[DIALECTS[name].framing], **options)


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
        return str(done.reply["choices"][0]["message"]["content"])
    opened = await call.open_stream(prepare({**HI, "stream": True}, target), AttemptLog())
    try:
        chunks = [chunk async for batch in opened for chunk in batch]
    finally:
        await opened.aclose()
    return str(fold(chunks)[0]["message"]["content"])


def expected(name: str, stream: bool) -> str:
    recording = STREAM_OF.get(name, (name, "stream")) if stream else (name, "reply")
    return str(recorded(*recording)["expected"]["choices"][0]["message"]["content"])


def fails(server: Scene, name: str, script: Script, stream: bool) -> UpstreamError:
    with pytest.raises(UpstreamError) as caught:
        text_of(server, name, script, stream)
    return caught.value


TOO_DEEP = pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 300, 100_000])
