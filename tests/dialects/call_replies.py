"""A reply with one call of the function `f`, on every wire: complete, and streamed in pieces."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Complete = Callable[[Any], Any]
Streamed = Callable[[Any, list[str]], list[Any]]


def _anthropic(arguments: Any) -> Any:
    return {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "m",
        "content": [{"type": "tool_use", "id": "c1", "name": "f", "input": arguments}],
        "stop_reason": "tool_use", "usage": {"input_tokens": 1, "output_tokens": 1},
    }  # fmt: skip


def _anthropic_stream(whole: Any, pieces: list[str]) -> list[Any]:
    block = {"type": "tool_use", "id": "c1", "name": "f", "input": whole or {}}
    return [
        {"type": "message_start", "message": {"id": "msg_1", "model": "m", "content": []}},
        {"type": "content_block_start", "index": 0, "content_block": block},
        *(
            {
                "type": "content_block_delta", "index": 0,
                "delta": {"type": "input_json_delta", "partial_json": piece},
            }
            for piece in pieces
        ),
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}},
        {"type": "message_stop"},
    ]  # fmt: skip


def _bedrock(arguments: Any) -> Any:
    use = {"toolUseId": "c1", "name": "f", "input": arguments}
    return {
        "output": {"message": {"role": "assistant", "content": [{"toolUse": use}]}},
        "stopReason": "tool_use",
    }


def _bedrock_stream(whole: Any, pieces: list[str]) -> list[Any]:
    use = {"toolUseId": "c1", "name": "f", **({"input": whole} if whole else {})}
    return [
        ("messageStart", {"role": "assistant"}),
        ("contentBlockStart", {"contentBlockIndex": 0, "start": {"toolUse": use}}),
        *(
            (
                "contentBlockDelta",
                {"contentBlockIndex": 0, "delta": {"toolUse": {"input": piece}}},
            )
            for piece in pieces
        ),
        ("contentBlockStop", {"contentBlockIndex": 0}),
        ("messageStop", {"stopReason": "tool_use"}),
    ]


def _cohere_call(arguments: Any) -> Any:
    return {"id": "c1", "type": "function", "function": {"name": "f", "arguments": arguments}}


def _cohere(arguments: Any) -> Any:
    return {
        "id": "x", "message": {"role": "assistant", "tool_calls": [_cohere_call(arguments)]},
        "finish_reason": "TOOL_CALL",
    }  # fmt: skip


def _cohere_stream(whole: Any, pieces: list[str]) -> list[Any]:
    def build(kind: str, call: Any) -> Any:
        return {"type": kind, "index": 0, "delta": {"message": {"tool_calls": call}}}

    return [
        {"type": "message-start", "id": "x", "delta": {"message": {"role": "assistant"}}},
        build("tool-call-start", _cohere_call(whole or "")),
        *(build("tool-call-delta", {"function": {"arguments": piece}}) for piece in pieces),
        {"type": "tool-call-end", "index": 0},
        {"type": "message-end", "delta": {"finish_reason": "TOOL_CALL"}},
    ]


def _gemini(arguments: Any) -> Any:
    part = {"functionCall": {"id": "c1", "name": "f", "args": arguments}}
    content = {"role": "model", "parts": [part]}
    return {"responseId": "r", "candidates": [{"content": content, "finishReason": "STOP"}]}


def _ollama(arguments: Any) -> Any:
    call = {"id": "c1", "function": {"name": "f", "arguments": arguments}}
    message = {"role": "assistant", "content": "", "tool_calls": [call]}
    return {"model": "m", "message": message, "done": True, "done_reason": "stop"}


def _openai(arguments: Any) -> Any:
    message = {"role": "assistant", "content": None, "tool_calls": [_cohere_call(arguments)]}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
    return {"id": "x", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}


def _openai_stream(whole: Any, pieces: list[str]) -> list[Any]:
    def build(call: Any, reason: str | None = None) -> Any:
        delta = {"tool_calls": [{"index": 0, **call}]} if call else {}
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        return {"id": "x", "created": 1, "model": "m", "choices": [choice]}

    return [
        build(_cohere_call(whole or "")),
        *(build({"function": {"arguments": piece}}) for piece in pieces),
        build(None, "tool_calls"),
        "[DONE]",
    ]


def _responses_call(arguments: Any) -> Any:
    return {
        "type": "function_call", "id": "fc_1", "call_id": "c1", "name": "f",
        "arguments": arguments,
    }  # fmt: skip


def _responses(arguments: Any) -> Any:
    output = [_responses_call(arguments)]
    return {"id": "r", "created_at": 1, "model": "m", "status": "completed", "output": output}


def _responses_stream(whole: Any, pieces: list[str]) -> list[Any]:
    place = {"item_id": "fc_1", "output_index": 0}
    call = _responses_call("".join(pieces) or whole or "")
    kind = "response.function_call_arguments.delta"
    return [
        {
            "type": "response.output_item.added", "output_index": 0,
            "item": _responses_call(whole or ""),
        },
        *({"type": kind, **place, "delta": piece} for piece in pieces),
        {"type": "response.output_item.done", "output_index": 0, "item": call},
        {"type": "response.completed", "response": {**_responses(""), "output": [call]}},
    ]  # fmt: skip


COMPLETE: dict[str, Complete] = {
    "anthropic": _anthropic,
    "bedrock": _bedrock,
    "cohere": _cohere,
    "gemini": _gemini,
    "ollama": _ollama,
    "openai": _openai,
    "openai_responses": _responses,
}
STREAMED: dict[str, Streamed] = {
    "anthropic": _anthropic_stream,
    "bedrock": _bedrock_stream,
    "cohere": _cohere_stream,
    "openai": _openai_stream,
    "openai_responses": _responses_stream,
}
"""A stream of a call whose arguments come whole in its first event, in pieces, or both."""
VALUES = frozenset({"anthropic", "bedrock", "gemini", "ollama"})
"""The wires whose calls have a value, not its JSON."""
