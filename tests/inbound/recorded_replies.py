"""Replies of all dialects, from the recordings, as inbound formats get them: complete and in chunks,
with the marks of their issuer and with what the gateway fills in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from typing import Any

from native_api.dialects import DIALECTS
from native_api.dialects.shared.token_counts import join_usage
from native_api.exceptions import UpstreamError
from native_api.types import Event, Target
from native_api.upstream.decoders import DECODERS
from tests import corpus_files
from tests.cases import Cases
from tests.dialects.stream_folding import fold
from tests.recorded_cases import build_target, read_stream, recorded_cases
from tests.test_corpus import build_target as build_corpus_target
from tests.test_corpus import read_raw

HEAD = {"id": "chatcmpl-1", "created": 1_790_000_000, "model": "m-1"}
CHUNK_MEMBERS = frozenset({"object", "choices", "usage"})


@dataclass
class RecordedReply:
    """One reply in both forms. The last chunk has the usage."""

    wire: str
    completion: Any
    chunks: list[Any]


def load_replies() -> Cases:
    """All recorded replies, those of ../shared/corpus too if it is available. They are not to be
    changed."""
    return _load_once()


@cache
def _load_once() -> Cases:
    return [*_load_cases(), *_load_corpus()]


def _load_corpus() -> Cases:
    for name, recording in corpus_files.select(lambda recording: recording["status"] < 400)():
        wire, target = corpus_files.find_wire(recording), build_corpus_target(recording)
        if "body" in recording:
            yield name, read_complete(wire, recording["body"], target)
        else:
            yield from _stream_case(name, wire, read_raw(recording), target)


def _load_cases() -> Cases:
    for name, case in recorded_cases("reply"):
        wire = case["provider"]["dialect"]
        if case.get("endpoint") != "embeddings":
            yield name, read_complete(wire, case["reply"], build_target(case))
    for name, case in recorded_cases():
        if case.keys() & {"stream", "stream_base64"}:
            wire = case["provider"]["dialect"]
            yield from _stream_case(name, wire, read_stream(case), build_target(case))


def _stream_case(
    name: str, wire: str, raw: bytes, target: Target
) -> Iterator[tuple[str, RecordedReply]]:
    try:
        yield f"{name} (streamed)", read_streamed(wire, raw, target)
    except UpstreamError:
        return  # The recording ends with an error.


def read_complete(wire: str, body: Any, target: Target) -> RecordedReply:
    """A complete reply. Its only chunk before that of the usage has all of the message."""
    completion: Any = json.loads(json.dumps(DIALECTS[wire].response(body, target)))
    completion["choices"] = completion["choices"][:1]
    _fill_in(completion)
    for choice in completion["choices"]:
        _fill_call_ids(choice["message"].get("tool_calls") or ())
    delta = deepcopy(completion["choices"][0]["message"])
    for index, call in enumerate(delta.get("tool_calls") or ()):
        call["index"] = index
    choice = {**completion["choices"][0], "delta": delta}
    del choice["message"]
    chunk = {**completion, "object": "chat.completion.chunk", "choices": [choice]}
    usage = chunk.pop("usage", None)
    return RecordedReply(wire, completion, [chunk, build_usage_chunk(usage)])


def read_streamed(wire: str, raw: bytes, target: Target) -> RecordedReply:
    """A stream. The complete reply is its chunks, folded as clients do."""
    dialect = DIALECTS[wire]
    parser, decoder = dialect.stream(target), DECODERS[dialect.framing]()
    events: list[Event] = [*decoder.feed(raw), *decoder.close()]
    chunks: Any = [chunk for event in events for chunk in parser.feed(event)]
    chunks += parser.close()
    chunks = json.loads(json.dumps(chunks))
    _fill_in(chunks[0])
    for chunk in chunks:
        chunk |= {name: chunks[0][name] for name in HEAD}
        chunk["choices"] = [choice for choice in chunk["choices"] if choice["index"] == 0]
        for choice in chunk["choices"]:
            _fill_call_ids(
                [call for call in choice["delta"].get("tool_calls") or () if "id" in call]
            )
    chunks = [chunk for chunk in chunks if chunk["choices"]]
    usage = json.loads(json.dumps(parser.usage and join_usage(parser.usage, parser.usage)))
    completion: Any = {"object": "chat.completion", "choices": fold(chunks)}
    for chunk in chunks:
        completion |= {name: chunk[name] for name in chunk.keys() - CHUNK_MEMBERS}
    if usage:
        completion["usage"] = usage
    return RecordedReply(wire, completion, [*chunks, build_usage_chunk(usage)])


def build_usage_chunk(usage: Any) -> Any:
    return {**HEAD, "object": "chat.completion.chunk", "choices": [], "usage": usage}


def _fill_in(reply: Any) -> None:
    for name, value in HEAD.items():
        reply[name] = reply.get(name) or value


def _fill_call_ids(calls: Any) -> None:
    for call in calls:
        call["id"] = call["id"] or f"call_{call.get('index', calls.index(call))}"
