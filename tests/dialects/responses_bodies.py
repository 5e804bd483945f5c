"""Bodies of clients of Responses for tests of their forwarding, and how they are forwarded."""

from __future__ import annotations

import json
from typing import Any

from native_api.dialects import DIALECTS
from native_api.dialects.shared.memo import freeze
from native_api.types import Provider, Target

DIALECT = DIALECTS["openai_responses"]
USER: dict[str, Any] = {"role": "user", "content": "Hi"}
MESSAGE: dict[str, Any] = {
    "type": "message",
    "id": "msg_1",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "output_text", "text": "Ho", "annotations": [], "logprobs": []}],
}
CALL: dict[str, Any] = {
    "type": "function_call",
    "id": "fc_1",
    "call_id": "call_1",
    "name": "no.such/name at 'other' wires",
    "arguments": '{"file_id": "file_1"}',
    "namespace": "n",
}
RESULT: dict[str, Any] = {"type": "function_call_output", "call_id": "call_1", "output": "ok"}
REASONING: dict[str, Any] = {
    "type": "reasoning",
    "id": "rs_1",
    "summary": [],
    "content": None,
    "encrypted_content": "c2VjcmV0",
}
FUNCTION: dict[str, Any] = {
    "type": "function",
    "name": "f",
    "parameters": {"properties": {"conversation_id": {"type": "string"}, "model": {}}},
}
WRITTEN: dict[str, Any] = {
    "model": "fast",
    "instructions": "Be brief.",
    "input": [
        USER,
        MESSAGE,
        CALL,
        {"type": "of tomorrow", "mood": "calm"},
        RESULT,
        {"role": "user", "content": [{"type": "input_text", "text": "And?"}, {"type": "new"}]},
    ],
    "tools": [
        FUNCTION,
        {"type": "namespace", "name": "n", "tools": [FUNCTION]},
        {"type": "web_search", "external_web_access": False},
        {"type": "custom", "name": "g", "format": {"type": "grammar", "syntax": "lark"}},
        {"type": "of_tomorrow", "strength": 3},
    ],
    "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": []},
    "include": ["message.output_text.logprobs"],
    "text": {"format": {"type": "json_schema", "name": "a", "schema": {}}, "verbosity": "low"},
    "temperature": 0.5,
    "top_p": None,
    "max_output_tokens": 50,
    "service_tier": "flex",
    "metadata": {"thread_id": "t"},
    "client_metadata": {"thread_id": "t", "conversation_id": "c"},
    "background": False,
    "conversation": None,
    "weather": {"sky": "blue"},
    "stream": True,
    "stream_options": {"include_obfuscation": False},
    "store": False,
}
"""With fields, items, parts and tools that nobody knows yet."""


def make_target(model: str = "gpt-4.1", **provider: Any) -> Target:
    return Target(Provider("p", "openai_responses", "https://api.example/v1", **provider), model)


def forward(body: dict[str, Any], target: Target | None = None) -> Any:
    """The upstream request. The body is frozen: a change would raise."""
    return DIALECT.forward(freeze({"model": "fast", **body}), target or make_target())


def send(body: dict[str, Any], target: Target | None = None) -> Any:
    return json.loads(forward(body, target).content)
