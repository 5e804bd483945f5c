"""Scripted replies of Cohere's and Ollama's own wires: a call of a tool, complete and streamed."""

from __future__ import annotations

import json
from typing import Any

from tests.scripted_provider import Exchange, Script, says, streams


def either(whole: Any, streamed: Script) -> Script:
    """Answers as it was asked."""

    async def script(exchange: Exchange) -> None:
        await (streamed if exchange.received.body["stream"] else says(whole))(exchange)

    return script


def sse(*events: Any) -> tuple[bytes, ...]:
    return tuple(
        f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events
    )


def ndjson(*lines: Any) -> Script:
    """A stream of lines, with other scripts in between."""

    async def script(exchange: Exchange) -> None:
        await exchange.head(
            200, {"content-type": "application/x-ndjson", "transfer-encoding": "chunked"}
        )
        for line in lines:
            await (
                line(exchange)
                if callable(line)
                else exchange.piece(json.dumps(line).encode() + b"\n")
            )
        await exchange.end()

    return script


def message(content: Any) -> dict[str, Any]:
    return {"delta": {"message": content}}


PLAN = "I will look it up."
COHERE_CALL = {
    "id": "weather_1",
    "type": "function",
    "function": {"name": "weather", "arguments": '{"city":"Oslo"}'},
}
COHERE_USAGE = {
    "billed_units": {"input_tokens": 5, "output_tokens": 7},
    "tokens": {"input_tokens": 500, "output_tokens": 70},
    "cached_tokens": 64,
}
COHERE_CALLS = either(
    {
        "id": "r",
        "finish_reason": "TOOL_CALL",
        "message": {"role": "assistant", "tool_plan": PLAN, "tool_calls": [COHERE_CALL]},
        "usage": COHERE_USAGE,
    },
    streams(
        *sse(
            {"type": "message-start", "id": "r"},
            {"type": "tool-plan-delta", **message({"tool_plan": PLAN})},
            {
                "type": "tool-call-start",
                "index": 0,
                **message(
                    {
                        "tool_calls": {
                            **COHERE_CALL,
                            "function": {"name": "weather", "arguments": ""},
                        }
                    }
                ),
            },
            {
                "type": "tool-call-delta",
                "index": 0,
                **message({"tool_calls": {"function": {"arguments": '{"city":"Oslo"}'}}}),
            },
            {"type": "tool-call-end", "index": 0},
            {"type": "message-end", "delta": {"finish_reason": "TOOL_CALL", "usage": COHERE_USAGE}},
        )
    ),
)

OLLAMA_CALL = {"function": {"name": "weather", "arguments": {"city": "Oslo"}}}
OLLAMA_END = {
    "model": "calls",
    "done": True,
    "done_reason": "stop",
    "prompt_eval_count": 500,
    "eval_count": 70,
}
OLLAMA_CALLS = either(
    {
        **OLLAMA_END,
        "message": {
            "role": "assistant",
            "content": "",
            "thinking": PLAN,
            "tool_calls": [OLLAMA_CALL],
        },
    },
    ndjson(
        {"message": {"thinking": PLAN}, "done": False},
        {"message": {"content": "", "tool_calls": [OLLAMA_CALL]}, "done": False},
        OLLAMA_END,
    ),
)
