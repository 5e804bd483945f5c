"""Shows what an event costs if client and provider both speak OpenAI's wire, and what it costs if
its chunk is translated and written anew, in one run on one core.

    python -m benchmarks.same_wire [--seconds 1]

Measured is all that is done for an event between the provider's bytes and the client's: decoding,
reading, counting, writing. Four events arrive in one piece, as they do from a busy provider.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import Any

from benchmarks.translation import best
from native_api.dialects import DIALECTS
from native_api.inbound.openai.chat import ChatStreamWriter
from native_api.operations import CHAT
from native_api.types import Provider, Target
from native_api.upstream.decoders import DECODERS

LIMIT = 0.8
EVENTS = 200
EVENTS_PER_PIECE = 4
WITH_USAGE = {"stream_options": {"include_usage": True}}

DIALECT = DIALECTS["openai"]
TARGET = Target(Provider("p", "openai", "https://api.example/v1"), "gpt-x")
HEAD = {"id": "chatcmpl-1", "created": 1759436804, "model": "gpt-x"}


def build_event(delta: dict[str, Any], number: int) -> bytes:
    """An event with all members that OpenAI sends."""
    chunk = {
        "id": "chatcmpl-CMKAuuvC6E26nL6HLZzTrysEvC8Ln",
        "object": "chat.completion.chunk",
        "created": 1759436804,
        "model": "gpt-4o-2024-08-06",
        "service_tier": "default",
        "system_fingerprint": "fp_cbf1785567",
        "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}],
        "usage": None,
        "obfuscation": "zLrnbPKVod1"[: number % 11],
    }
    return b"data: " + json.dumps(chunk, separators=(",", ":")).encode() + b"\n\n"


def build_pieces() -> list[bytes]:
    events = [build_event({"role": "assistant", "content": "", "refusal": None}, 0)]
    words = [" word", " another", ",", "\n\n", ' "quoted"', " the", " é"]
    events += [
        build_event({"content": words[number % len(words)]}, number) for number in range(1, EVENTS)
    ]
    return [
        b"".join(events[start : start + EVENTS_PER_PIECE])
        for start in range(0, EVENTS, EVENTS_PER_PIECE)
    ]


PIECES = build_pieces()


def translate() -> None:
    decoder, parser = DECODERS["sse"](), DIALECT.stream(TARGET)
    output, writer = CHAT.new_output({}), ChatStreamWriter()
    for piece in PIECES:
        chunks = [chunk for event in decoder.feed(piece) for chunk in parser.feed(event)]
        for chunk in chunks:
            chunk.update(HEAD)  # type: ignore[typeddict-item]
        output.add_chunks(chunks)
        writer.feed(chunks)


def forward(body: dict[str, Any]) -> None:
    decoder, editor = DECODERS["sse"](), DIALECT.editor(TARGET, body)
    output, writer = CHAT.new_output({}), ChatStreamWriter()
    assert editor is not None
    for piece in PIECES:
        events = [item for event in decoder.feed(piece) for item in editor.feed(event)]
        assert all(data is not None for _, data in events)
        output.add_chunks([chunk for chunk, _ in events])
        writer.forward(events)


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--seconds", type=float, default=1.0, help="for each figure")
    seconds = arguments.parse_args().seconds
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    translated = best(translate, seconds) / EVENTS
    print(f"{'translated':24}{translated:>6.2f} µs per event")
    ratios = []
    for name, body in (("forwarded", {}), ("forwarded, with usage", WITH_USAGE)):
        forwarded = best(lambda body=body: forward(body), seconds) / EVENTS  # type: ignore[misc]
        ratios.append(forwarded / translated)
        print(f"{name:24}{forwarded:>6.2f} µs per event, {ratios[-1]:.2f} of it (limit {LIMIT})")
    if max(ratios) > LIMIT:
        sys.exit("over the limit")


if __name__ == "__main__":
    main()
