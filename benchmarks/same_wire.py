"""Shows what an event costs if client and provider speak the same wire, as a ratio of what it costs
on OpenAI's, and what that costs if its chunk is translated and written anew, in one run on one core.

    python -m benchmarks.same_wire [--seconds 1]

Measured is all that is done for an event between the provider's bytes and the client's: decoding,
reading, counting, writing. Four events arrive in one piece, as they do from a busy provider. Also
measured is what `forward` costs for a coding agent's request of 115 KB.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from typing import Any, Final

from benchmarks.translation import best
from native_api.access.sealing import CallerSeal
from native_api.dialects import DIALECTS
from native_api.inbound.anthropic.messages.stream import MessagesStreamWriter
from native_api.inbound.base import ClientContext, ParsedRequest, StreamWriter
from native_api.inbound.openai.chat import ChatStreamWriter
from native_api.inbound.openai.responses.stream import ResponsesStreamWriter
from native_api.operations import CHAT
from native_api.types import Caller, Provider, Target
from native_api.upstream.decoders import DECODERS

TRANSLATED_LIMIT: Final = 0.8
"""Of a translated chunk, for a forwarded one of OpenAI's."""
WIRE_LIMIT: Final = 0.8
"""Of a forwarded chunk of OpenAI's, for a forwarded event of another wire."""
FORWARD_LIMIT: Final = 1000.0
"""Microseconds."""
EVENTS: Final = 200
EVENTS_PER_PIECE: Final = 4
WITH_USAGE: Final = {"stream_options": {"include_usage": True}}
HEAD: Final = {"id": "chatcmpl-1", "created": 1759436804, "model": "gpt-x"}
CONTEXT: Final = ClientContext({}, CallerSeal(Caller()))
MODELS: Final = {
    "openai": "gpt-x", "openai_responses": "gpt-5.5", "anthropic": "claude-opus-4-8",
}  # fmt: skip
TARGETS: Final = {
    name: Target(Provider("p", name, "https://api.example/v1"), model)
    for name, model in MODELS.items()
}

# --- events --------------------------------------------------------------------------------------

WORDS: Final = [" word", " another", ",", "\n\n", ' "quoted"', " the", " é"]
PADDING: Final = "zLrnbPKVod1"


def write_event(data: dict[str, Any], spaces: int = 0) -> bytes:
    """An event as the providers write it, with a name unless it is a chunk."""
    name = f"event: {data['type']}\n" if "type" in data else ""
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=False)
    return f"{name}data: {text[:-1]}{' ' * spaces}}}\n\n".encode()


def write_chunk(delta: dict[str, Any], number: int) -> bytes:
    """An event with all members that OpenAI sends."""
    return write_event(
        {
            "id": "chatcmpl-CMKAuuvC6E26nL6HLZzTrysEvC8Ln",
            "object": "chat.completion.chunk",
            "created": 1759436804,
            "model": "gpt-4o-2024-08-06",
            "service_tier": "default",
            "system_fingerprint": "fp_cbf1785567",
            "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}],
            "usage": None,
            "obfuscation": PADDING[: number % 11],
        }
    )


def write_chat(word: str, number: int) -> bytes:
    role = {"role": "assistant", "content": "", "refusal": None}
    return write_chunk({"content": word} if number else role, number)


def write_responses(word: str, number: int) -> bytes:
    if number == 0:
        response = {"id": "resp_1", "model": "gpt-5.5", "output": [], "store": False}
        return write_event({"type": "response.created", "response": response})
    return write_event(
        {
            "type": "response.output_text.delta",
            "delta": word,
            "logprobs": [],
            "item_id": "msg_078b21da0e109d4800699cc4c88de08193a6aee635562aaba5",
            "content_index": 0,
            "obfuscation": PADDING[: number % 11],
            "output_index": 0,
            "sequence_number": number,
        }
    )


def write_messages(word: str, number: int) -> bytes:
    if number == 0:
        message = {"id": "msg_1", "model": "claude", "usage": {"input_tokens": 1}}
        return write_event({"type": "message_start", "message": message})
    delta = {"type": "text_delta", "text": word}
    return write_event({"type": "content_block_delta", "index": 0, "delta": delta}, number % 11)


def build_pieces(write: Callable[[str, int], bytes]) -> list[bytes]:
    events = [write(WORDS[number % len(WORDS)], number) for number in range(EVENTS)]
    return [
        b"".join(events[start : start + EVENTS_PER_PIECE])
        for start in range(0, EVENTS, EVENTS_PER_PIECE)
    ]


PIECES: Final = {
    "openai": build_pieces(write_chat),
    "openai_responses": build_pieces(write_responses),
    "anthropic": build_pieces(write_messages),
}
WRITERS: Final[dict[str, Callable[[ParsedRequest], StreamWriter]]] = {
    "openai": lambda parsed: ChatStreamWriter(),
    "openai_responses": ResponsesStreamWriter,
    "anthropic": MessagesStreamWriter,
}

# --- what is measured ----------------------------------------------------------------------------


def translate() -> None:
    decoder, parser = DECODERS["sse"](), DIALECTS["openai"].stream(TARGETS["openai"])
    output, writer = CHAT.new_output({}), ChatStreamWriter()
    for piece in PIECES["openai"]:
        chunks = [chunk for event in decoder.feed(piece) for chunk in parser.feed(event)]
        for chunk in chunks:
            chunk.update(HEAD)  # type: ignore[typeddict-item]
        output.add_chunks(chunks)
        writer.feed(chunks)


def forward(wire: str, body: dict[str, Any]) -> None:
    decoder, editor = DECODERS["sse"](), DIALECTS[wire].editor(TARGETS[wire], body)
    output, writer = CHAT.new_output({}), WRITERS[wire](ParsedRequest(body, [], context=CONTEXT))
    assert editor is not None
    for piece in PIECES[wire]:
        events = [item for event in decoder.feed(piece) for item in editor.feed(event)]
        assert None not in [event.data for event in events]
        output.add_chunks([event.chunk for event in events])
        writer.forward(events)


def build_agents_request(wire: str) -> dict[str, Any]:
    """A coding agent's request, with 24 tools and twenty turns, on this wire."""
    about = {
        f"p{index}": {"type": "string", "description": "What it is. " * 4} for index in range(6)
    }
    schema = {"type": "object", "properties": {**about, "conversation_id": {"type": "string"}}}
    described = {"description": 'Use this tool "well".\n' * 120}
    prompt = "You are a coding agent. " * 300
    if wire == "openai_responses":
        tools = [
            {"type": "function", "name": f"f{index}", "parameters": schema, **described}
            for index in range(24)
        ]
        items: list[dict[str, Any]] = [
            {"type": "reasoning", "summary": [], "encrypted_content": "e" * 800, "issued_by": "p"},
            {"type": "function_call", "call_id": "c", "name": "f1", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c", "output": "a line\n" * 150},
        ]
        return {"model": "m", "instructions": prompt, "input": items * 10, "tools": tools}
    turns: list[dict[str, Any]] = []
    for index in range(10):
        thinking = {"thinking": "hm", "signature": "s" * 800, "issued_by": "p"}
        call = {"type": "tool_use", "id": f"toolu_{index}", "name": "f1", "input": {"p": 1}}
        result = {"type": "tool_result", "tool_use_id": call["id"], "content": "a line\n" * 150}
        turns.append({"role": "assistant", "content": [{"type": "thinking", **thinking}, call]})
        turns.append({"role": "user", "content": [result]})
    tools = [{"name": f"f{index}", "input_schema": schema, **described} for index in range(24)]
    return {"model": "m", "max_tokens": 9, "system": prompt, "messages": turns, "tools": tools}


# --- the report ----------------------------------------------------------------------------------


class Report:
    """Prints figures, and remembers whether any is over its limit."""

    def __init__(self) -> None:
        self.is_over = False

    def add(self, name: str, cost: float, base: float, limit: float) -> None:
        ratio = cost / base
        self.is_over |= ratio > limit
        print(f"{name:32}{cost:>6.2f} µs per event, {ratio:.2f} of it (limit {limit})")

    def add_forward(self, wire: str, microseconds: float) -> None:
        self.is_over |= microseconds > FORWARD_LIMIT
        print(f"{wire:32}{microseconds:>6.0f} µs for 115 KB (limit {FORWARD_LIMIT:.0f})")


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--seconds", type=float, default=1.0, help="for each figure")
    seconds = arguments.parse_args().seconds
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    report = Report()
    translated = best(translate, seconds) / EVENTS
    print(f"{'translated':32}{translated:>6.2f} µs per event")
    for name, body in (("forwarded, with usage", WITH_USAGE), ("forwarded", {})):
        chat = best(lambda body=body: forward("openai", body), seconds) / EVENTS  # type: ignore[misc]
        report.add(name, chat, translated, TRANSLATED_LIMIT)
    for wire in ("openai_responses", "anthropic"):
        cost = best(lambda wire=wire: forward(wire, {}), seconds) / EVENTS  # type: ignore[misc]
        report.add(f"forwarded, {wire}", cost, chat, WIRE_LIMIT)
        request = build_agents_request(wire)
        dialect, target = DIALECTS[wire], TARGETS[wire]
        forwarding = best(
            lambda dialect=dialect, request=request, target=target: dialect.forward(  # type: ignore[misc]
                request, target
            ),
            seconds,
        )
        report.add_forward(f"forward, {wire}", forwarding)
    if report.is_over:
        sys.exit("over the limit")


if __name__ == "__main__":
    main()
