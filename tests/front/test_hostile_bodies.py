"""Bodies that are nearly valid, at the endpoints of Responses and Messages: whatever is wrong with
them is the client's to correct, and never a failure of the gateway."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client, override_settings

PIXEL = "aGk="
NATIVE_API: dict[str, Any] = {
    "PROVIDERS": {"echo": {}},
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": [],
    "DEFAULT_THROTTLE_CLASSES": [],
    "CONVERSATION_ID_FROM": ["metadata.user_id", "prompt_cache_key", "session_id"],
}
MESSAGE: dict[str, Any] = {
    "model": "echo/m",
    "max_tokens": 50,
    "system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}],
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Hi"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}},
                {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "x"}},
            ],
        },
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "t", "signature": "x"},
                {"type": "text", "text": "a"},
                {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}},
            ],
        },
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "r"}]},
        {"role": "system", "content": "In the middle."},
    ],
    "tools": [
        {"name": "f", "description": "d", "input_schema": {"type": "object"}, "strict": True},
        {"type": "web_search_20250305", "name": "web_search"},
    ],
    "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
    "thinking": {"type": "enabled", "budget_tokens": 2000},
    "output_config": {"effort": "low"},
    "metadata": {"user_id": "u"},
    "stop_sequences": ["x"],
    "context_management": {"edits": []},
}  # fmt: skip
RESPONSE: dict[str, Any] = {
    "model": "echo/m",
    "instructions": "i",
    "input": [
        {"role": "developer", "content": "d"},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]},
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "nseal1.x"},
        {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": [{"type": "input_text", "text": "o"}]},
        {"type": "custom_tool_call", "call_id": "c2", "name": "g", "input": "x"},
        {"type": "custom_tool_call_output", "call_id": "c2", "output": "x"},
        {"role": "assistant", "id": "msg_1", "content": [{"type": "output_text", "text": "a"}]},
    ],
    "tools": [
        {"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": False},
        {"type": "namespace", "name": "n", "tools": [{"type": "function", "name": "f"}]},
        {"type": "custom", "name": "g", "format": {"type": "text"}},
        {"type": "web_search"},
    ],
    "reasoning": {"effort": "low", "summary": "auto"},
    "text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}}},
    "include": ["reasoning.encrypted_content"],
    "metadata": {"a": "b"},
    "prompt_cache_key": "k",
}  # fmt: skip
BODIES = {
    "messages": MESSAGE,
    "messages/count_tokens": MESSAGE,
    "responses": RESPONSE,
    "responses/input_tokens": RESPONSE,
    "responses/compact": RESPONSE,
}
ODD: list[Any] = [
    None, 0, -1, 1.5, True, "", "x", "\ud83d", [], {}, [None], [[]], [{}], {"type": "x"},
    {"type": None}, {"a": {"b": [1]}}, "a" * 3000, 10**30, "type", "none",
]  # fmt: skip
MEMBERS = ("x", "type", "content", "role", "id", "cache_control", "output", "input", "name")
COUNT = 150
"""Bodies for each endpoint."""


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every object and list with each of its keys."""
    keys = value.keys() if isinstance(value, dict) else range(len(value))
    for key in list(keys):
        yield value, key
        if isinstance(value[key], dict | list):
            yield from places(value[key])


def spoil(body: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    """The body with up to three members that are odd, missing, or too many."""
    spoilt = copy.deepcopy(body)
    for _ in range(chance.choice([1, 1, 1, 2, 3])):
        holder, key = chance.choice(list(places(spoilt)))
        odd = copy.deepcopy(chance.choice(ODD))
        change = chance.random()
        if change < 0.6:
            holder[key] = odd
        elif change < 0.75:
            del holder[key]
        elif isinstance(holder, dict):
            holder[chance.choice(MEMBERS)] = odd
        else:
            holder.insert(0, copy.deepcopy(chance.choice(holder)))
        if not spoilt:
            break
    return spoilt


@pytest.mark.parametrize("endpoint", BODIES)
def test_no_body_makes_an_endpoint_fail(
    endpoint: str, transactional_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("native_api.usage.recorder.record", lambda entry: None)
    chance, client, statuses = random.Random(endpoint), Client(), set()
    with override_settings(NATIVE_API=NATIVE_API):
        for number in range(COUNT):
            body = {**spoil(BODIES[endpoint], chance), "stream": number % 3 == 0}
            answer: Any = client.post(
                f"/native/v1/{endpoint}", json.dumps(body), content_type="application/json"
            )
            content = b"".join(answer) if answer.streaming else answer.content
            assert answer.status_code in (200, 400, 404), (answer.status_code, content, body)
            assert b'"internal_error"' not in content, body
            assert b"response.failed" not in content, body
            statuses.add(answer.status_code)
    assert {200, 400} <= statuses
