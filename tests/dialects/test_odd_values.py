"""Whatever stands at a place of a request, it is refused or sent: no value makes the gateway fail."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from native_api.dialects import DIALECTS
from native_api.exceptions import NativeError
from native_api.inbound.openai import ChatCompletions
from tests.cases import for_each
from tests.dialects.request_targets import TARGETS

PIXEL = {"url": "data:image/png;base64,AAAA", "mime_type": "image/png"}
MARK = {"mode": "explicit", "ttl": "30m"}
SIGNED = {"google": {"thought_signature": "x", "issued_by": "gemini"}}
CALL: dict[str, Any] = {
    "id": "c",
    "type": "function",
    "index": 0,
    "status": "done",
    "thought_signature": "s",
    "caller": {"type": "direct"},
    "prompt_cache_breakpoint": MARK,
    "function": {"name": "f", "arguments": "{}", "provider_specific_fields": {"caller": {}}},
    "provider_specific_fields": {"thought_signature": "x"},
    "extra_content": SIGNED,
}
PARAMETERS: dict[str, Any] = {
    "anyOf": [
        {"properties": {"a": {"type": ["string", "null"], "enum": ["a"]}}, "required": ["a"]},
        {"$ref": "#/$defs/b"},
    ],
    "$defs": {"b": {"type": "object", "properties": {"b": {"const": 1}}}},
}
ANSWER: dict[str, Any] = {
    "role": "assistant",
    "content": "Hm.",
    "reasoning": "I think",
    "thinking_blocks": [{"type": "thinking", "thinking": "t", "signature": "s"}],
    "provider_specific_fields": {"reasoning_details": [{"type": "reasoning.text", "text": "t"}]},
    "reasoning_details": [{"type": "reasoning.encrypted", "data": "x", "format": "gemini"}],
    "provider_content": [{"format": "anthropic", "block": {"type": "x"}, "issued_by": "anthropic"}],
    "images": [{"type": "image_url", "image_url": PIXEL, "index": 0, "extra_content": SIGNED}],
    "annotations": [{"type": "url_citation", "url_citation": {"url": "https://a.example"}}],
    "tool_calls": [CALL],
}
CHAT: dict[str, Any] = {
    "model": "m",
    "stream": True,
    "models": ["a"],
    "session_id": "s",
    "tags": ["a"],
    "litellm_metadata": {"a": {"b": 1}},
    "metadata": {"a": 1},
    "usage": {"include": True},
    "fallbacks": [{"model": "x"}],
    "stream_options": {"include_usage": True, "continuous_usage_stats": True},
    "tool_choice": {"type": "auto"},
    "response_format": {"type": "json_object"},
    "reasoning": {"effort": "high", "max_tokens": 5, "summary": "auto"},
    "thinking": {"type": "enabled", "budget_tokens": 5},
    "think": True,
    "thinking_budget": 7,
    "chat_template_kwargs": {"thinking": True, "x": 1},
    "reasoning_format": "parsed",
    "top_k": 5,
    "stop_token_ids": [1],
    "prompt_cache_options": {"mode": "implicit", "ttl": "30m"},
    "moderation": {"model": "m", "policy": {"input": {"mode": "x"}}},
    "acme": {"a": [1]},
    "messages": [
        {"role": "system", "content": "x", "mood": "y", "prompt_cache_breakpoint": MARK},
        {
            "role": "user",
            "cache_control": {"type": "ephemeral"},
            "content": [
                {"type": "text", "text": "Hi", "prompt_cache_breakpoint": MARK, "id": "1"},
                {"type": "image_url", "image_url": PIXEL, "prompt_cache_breakpoint": MARK},
            ],
        },
        ANSWER,
        {"role": "tool", "tool_call_id": "c", "content": [{"type": "text", "text": "ok"}]},
        {"role": "assistant", "content": "x", "function_call": {"name": "g", "arguments": "{}"}},
        {"role": "function", "name": "g", "content": "x"},
    ],
    "tools": [
        {
            "type": "function",
            "function": {
                "name": "f",
                "parameters": PARAMETERS,
                "cache_control": {"type": "ephemeral"},
            },
            "prompt_cache_breakpoint": MARK,
        }
    ],
}
ODD_VALUES: tuple[Any, ...] = (1, [1], {"type": [], "ttl": []})
WIRES = {target.provider.dialect: target for target in TARGETS.values()}


def find_places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for key, inner in items:
        yield (*place, key)
        yield from find_places(inner, (*place, key))


def put(chat: Any, place: tuple[Any, ...], value: Any) -> Any:
    """A copy of the request with another value at this place."""
    edited = owner = json.loads(json.dumps(chat))
    for key in place[:-1]:
        owner = owner[key]
    owner[place[-1]] = value
    return edited


def send(chat: Any) -> int:
    """Build the request for every wire. Returns how many of them take it."""
    try:
        body: Any = ChatCompletions().parse(chat).body
    except NativeError:
        return 0
    return sum(takes(body, target) for target in WIRES.values())


def takes(body: Any, target: Any) -> bool:
    try:
        DIALECTS[target.provider.dialect].request(body, target)
    except NativeError:
        return False
    return True


def test_every_wire_takes_the_request_itself() -> None:
    assert send(CHAT) == len(WIRES)


@for_each(lambda: [(f"{place}", place) for place in find_places(CHAT)])
def test_no_value_makes_the_gateway_fail(place: tuple[Any, ...]) -> None:
    for value in ODD_VALUES:
        send(put(CHAT, place, value))
