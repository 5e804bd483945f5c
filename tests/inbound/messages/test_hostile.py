"""Whatever stands at a place of a Messages request, it is refused or sent: no value makes the gateway
fail, neither when it is read nor at any wire."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from native_api.dialects import DIALECTS
from native_api.exceptions import InvalidRequest
from native_api.inbound.anthropic.messages.blocks import BLOCKS
from tests.cases import for_each
from tests.dialects.request_targets import TARGETS
from tests.dialects.test_odd_values import find_places, put
from tests.inbound.messages.requests import PNG, claude_code, parse
from tests.inbound.messages.test_opened import replayed, signed

Json = dict[str, Any]
CACHED = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
PICTURE = {"type": "base64", "media_type": "image/png", "data": PNG}
TEXT = {"type": "text", "text": "Hm.", **CACHED}
REQUEST: Json = {
    "model": "m",
    "max_tokens": 5000,
    "stream": True,
    "betas": ["a-1"],
    "metadata": {"user_id": "u"},
    "service_tier": "auto",
    "speed": "standard",
    "temperature": 1,
    "top_k": 5,
    "cache_control": {"type": "ephemeral"},
    "thinking": {"type": "enabled", "budget_tokens": 2000, "display": "summarized"},
    "output_config": {
        "effort": "low",
        "format": {"type": "json_schema", "schema": {"type": "object", "properties": {}}},
        "task_budget": {"type": "tokens", "total": 5},
    },
    "context_management": {"edits": [{"type": "clear_thinking_20251015"}]},
    "fallbacks": ["other"],
    "provider_options": {},
    "system": [{"type": "text", "text": "x-anthropic-billing-header: a=b;"}, TEXT],
    "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
    "tools": [
        {
            "name": "f",
            "description": "D",
            "input_schema": {"type": "object", "properties": {"a": {"type": "string"}}},
            "strict": False,
            "input_examples": [{"a": "b"}],
            **CACHED,
        },
        {"type": "tool_search_tool_regex", "name": "s"},
    ],
    "messages": [
        {
            "role": "user",
            "content": [
                TEXT,
                {"type": "image", "source": PICTURE, **CACHED},
                {"type": "document", "source": {"type": "text", "data": "A"}, "title": "T"},
                {
                    "type": "document",
                    "source": {"type": "content", "content": [TEXT]},
                    "context": "C",
                    "citations": {"enabled": True},
                },
                {"type": "search_result", "source": "s", "title": "t", "content": [TEXT]},
            ],
        },
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "Hm.", "signature": signed()},
                {"type": "redacted_thinking", "data": replayed(calls={"c": {}})},
                {"type": "thinking", "thinking": "Hm.", "signature": ""},
                {**TEXT, "citations": [{"type": "char_location", "cited_text": "A"}]},
                {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"q": 1}},
                {"type": "web_search_tool_result", "tool_use_id": "s", "content": [{}]},
                {"type": "fallback", "from": {"model": "a"}, "to": {"model": "b"}},
                {"type": "tool_use", "id": "c", "name": "f", "input": {"a": "b"}, "caller": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "c",
                    "is_error": True,
                    "content": [TEXT, {"type": "image", "source": PICTURE}],
                    **CACHED,
                }
            ],
        },
        {
            "role": "system",
            "clear_at": "never",
            "output_config": {"effort": "low"},
            "content": [
                TEXT,
                {"type": "tool_removal", "tool": {"type": "tool_reference", "name": "g"}},
                {
                    "type": "tool_addition",
                    "tool": {
                        "type": "tool_definition",
                        "definition": {"name": "g", "input_schema": {"type": "object"}},
                    },
                },
            ],
        },
        {"role": "assistant", "content": [{"type": "compaction", "content": None}, TEXT]},
        {"role": "user", "content": "Go on."},
    ],
}
ODD_VALUES: tuple[Any, ...] = (None, 1, "x", [1], {"type": [], "ttl": []}, {"type": "text"})
WIRES = {target.provider.dialect: target for target in TARGETS.values()}


def send(request: Any) -> int:
    """Build the request for every wire. Returns how many of them take it."""
    try:
        client_body = parse(request).client_body
    except InvalidRequest:
        return 0
    assert client_body is not None
    return sum(takes(client_body, target) for target in WIRES.values())


def takes(client_body: Any, target: Any) -> bool:
    dialect = DIALECTS[target.provider.dialect]
    forwarder = dialect.forwarder(client_body.wire, target)
    try:
        if forwarder is None:
            dialect.request(client_body.translate(), target)
        else:
            forwarder.forward(client_body.body, target)
            client_body.translate()
    except InvalidRequest:
        return False
    return True


def test_every_wire_takes_the_requests_themselves() -> None:
    assert send(REQUEST) == len(WIRES)
    assert send(claude_code()) == len(WIRES)


@for_each(lambda: [(f"{place}", place) for place in find_places(REQUEST)])
def test_no_value_makes_the_gateway_fail(place: tuple[Any, ...]) -> None:
    for value in ODD_VALUES:
        send(put(REQUEST, place, value))


def list_block_places() -> Iterator[tuple[str, Any]]:
    for place in find_places(REQUEST):
        value: Any = REQUEST
        for key in place:
            value = value[key]
        if isinstance(place[-1], int) and isinstance(value, dict) and "type" in value:
            yield f"{place}", place


@for_each(list_block_places)
def test_no_block_at_the_wrong_place_makes_the_gateway_fail(place: tuple[Any, ...]) -> None:
    """Nor one without its members."""
    for kind in BLOCKS:
        send(put(REQUEST, place, {"type": kind}))
        send(put(REQUEST, place, WHOLE | {"type": kind}))


WHOLE: Json = {
    "text": "Hm.", "source": PICTURE, "content": [TEXT], "title": "T", "thinking": "Hm.", "id": "x",
    "name": "f", "input": {}, "tool_use_id": "x", "file_id": "x", "tool_name": "f",
    "tool": {"type": "tool_reference", "name": "f"},
}  # fmt: skip
"""The members that any block needs."""

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 2**70) | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(("type", "text", "content", "source", "id", "name", "role", "data")),
            inner | st.sampled_from(("text", "image", "tool_use", "user", "base64", "document")),
            max_size=4,
        )
    ),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(place=st.sampled_from(list(find_places(REQUEST))), value=JSON)
def test_no_json_makes_the_gateway_fail(place: tuple[Any, ...], value: Any) -> None:
    send(put(REQUEST, place, value))


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.sampled_from(tuple(REQUEST)), JSON, max_size=6))
def test_no_fields_make_the_gateway_fail(fields: Json) -> None:
    send(json.loads(json.dumps({**fields, "model": "m"})))
