"""What clients of OpenRouter, LiteLLM's proxy, vLLM and old SDKs send beside OpenAI's own fields, as
the gateway understands it, field by field."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from native_api.exceptions import InvalidRequest
from native_api.inbound.base import ParsedRequest
from native_api.inbound.openai import ChatCompletions
from native_api.inbound.openai.foreign_fields import (
    LEFT_OUT,
    REFUSED,
    UNDERSTOOD,
    adapt_fields,
)
from native_api.types.chat import EXTENSION_FIELDS, UNIFIED_FIELDS
from tests.cases import each, for_each

CHAT: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
TOOL = {"type": "function", "function": {"name": "f"}}
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}
ANSWER = {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA}}


def parse(**fields: Any) -> ParsedRequest:
    written = {**CHAT, **fields}
    before = deepcopy(written)
    parsed = ChatCompletions().parse(written)
    assert written == before, "what the client wrote is not changed"
    return parsed


UNDERSTOOD_AS: dict[str, tuple[dict[str, Any], dict[str, Any], list[str]]] = {
    "stream options without a stream": ({"stream_options": {"include_usage": True}}, {}, []),
    "stream options without a stream, said": (
        {"stream": False, "stream_options": {"include_usage": True}},
        {"stream": False},
        [],
    ),
    "usage in every event of a stream": (
        {"stream": True, "stream_options": {"include_usage": True, "continuous_usage_stats": True}},
        {"stream": True, "stream_options": {"include_usage": True}},
        [],
    ),
    "no top logprobs": ({"top_logprobs": 0}, {}, []),
    "no top logprobs, said": ({"logprobs": False, "top_logprobs": 0}, {"logprobs": False}, []),
    "any tool": (
        {"tools": [TOOL], "tool_choice": "any"},
        {"tools": [TOOL], "tool_choice": "required"},
        [],
    ),
    "any tool, in Anthropic's shape": (
        {"tools": [TOOL], "tool_choice": {"type": "any"}},
        {"tools": [TOOL], "tool_choice": "required"},
        [],
    ),
    "a tool in Anthropic's shape": (
        {"tools": [TOOL], "tool_choice": {"type": "tool", "name": "f"}},
        {"tools": [TOOL], "tool_choice": TOOL},
        [],
    ),
    "OpenRouter's models": ({"models": ["m", "x", "y"]}, {"fallbacks": ["x", "y"]}, []),
    "OpenRouter's models beside fallbacks": (
        {"models": ["x", "y"], "fallbacks": ["y"]},
        {"fallbacks": ["y", "x"]},
        [],
    ),
    "OpenRouter's usage": ({"usage": {"include": True}}, {}, []),
    "another usage": ({"usage": {"detailed": True}}, {}, ["usage"]),
    "a session": ({"session_id": "s"}, {"conversation_id": "s"}, []),
    "LiteLLM's session": ({"litellm_session_id": "s"}, {"conversation_id": "s"}, []),
    "a session beside a conversation": (
        {"session_id": "s", "conversation_id": "c"},
        {"conversation_id": "c"},
        ["session_id"],
    ),
    "a session that is too long": ({"session_id": "s" * 257}, {}, ["session_id"]),
    "LiteLLM's fallbacks": ({"fallbacks": [{"model": "x"}, "y"]}, {"fallbacks": ["x", "y"]}, []),
    "tags": ({"tags": ["a", "b"]}, {"metadata": {"tags": "a,b"}}, []),
    "tags beside metadata": (
        {"tags": ["a"], "metadata": {"k": "v"}},
        {"metadata": {"k": "v", "tags": "a"}},
        [],
    ),
    "metadata with other values": (
        {"metadata": {"a": 1, "b": {"c": {"d": True}, "e": 1.5}, "f": ["x", "y"], "g": None}},
        {"metadata": {"a": "1", "b.c.d": "true", "b.e": "1.5", "f": "x,y"}},
        [],
    ),
    "metadata without a form": (
        {"metadata": {"a": 1, "b": [{"c": 1}]}},
        {"metadata": {"a": "1"}},
        ["metadata"],
    ),
    "metadata without any form": ({"metadata": {"b": [1]}}, {}, ["metadata"]),
    "more metadata than a record has": (
        {"litellm_metadata": {f"k{n:02}": n for n in range(17)}},
        {"metadata": {f"k{n:02}": str(n) for n in range(16)}},
        ["metadata"],
    ),
    "LiteLLM's metadata": (
        {"metadata": {"a": "own"}, "litellm_metadata": {"a": 1, "b": "x\0", "c": "y"}},
        {"metadata": {"a": "own", "c": "y"}},
        ["metadata"],
    ),
    "a schema beside json_object": (
        {"response_format": {"type": "json_object", "schema": SCHEMA}},
        {"response_format": ANSWER},
        [],
    ),
    "a schema beside json_schema": (
        {"response_format": {"type": "json_schema", "schema": SCHEMA}},
        {"response_format": ANSWER},
        [],
    ),
    "a schema without a name": (
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": None, "schema": SCHEMA},
            }
        },
        {"response_format": ANSWER},
        [],
    ),
    "empty words to another gateway": ({"num_retries": 0, "cache": {}, "guardrails": []}, {}, []),
}


@for_each(UNDERSTOOD_AS.items)
def test_a_field_is_understood(case: tuple[dict[str, Any], dict[str, Any], list[str]]) -> None:
    """The same in the request that is translated and in the one that goes on as written."""
    written, understood, omitted = case
    parsed = parse(**written)
    assert parsed.body == {**CHAT, **understood}
    assert parsed.dropped_fields == omitted
    assert parsed.client_body is not None
    assert parsed.client_body.body == {**CHAT, **understood}


@each("name", sorted(LEFT_OUT))
def test_words_to_another_gateway_are_left_out_and_reported(name: str) -> None:
    parsed = parse(**{name: "x"})
    assert (parsed.body, parsed.dropped_fields) == (CHAT, [name])
    assert parsed.client_body is not None
    assert parsed.client_body.body == CHAT


@each("name", sorted(REFUSED))
def test_a_field_that_cannot_be_followed_is_an_error_that_says_what_to_do(name: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse(**{name: ["x"]})
    assert (refused.value.param, refused.value.code) == (name, "unsupported_field")
    assert "`" in refused.value.message or "provider_options" in refused.value.message
    assert parse(**{name: None}).body == CHAT


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"models": "m"}, "models"),
    ({"models": ["m", 3]}, "models[1]"),
    ({"models": ["m"] * 18}, "models"),
    ({"tags": [3]}, "tags[0]"),
    ({"tags": "a"}, "tags"),
    ({"litellm_metadata": "a"}, "litellm_metadata"),
    ({"session_id": 3}, "session_id"),
    ({"fallbacks": [{"model": "x", "api_key": "y"}]}, "fallbacks[0]"),
    ({"metadata": {str(number): "x" for number in range(17)}}, "metadata"),
    ({"tool_choice": "any"}, "tool_choice"),
    ({"top_logprobs": 2}, "top_logprobs"),
    ({"usage": {"include": True}, "model": 3}, "model"),
]


@each("fields, path", WRONG)
def test_a_wrong_value_is_named_where_the_client_wrote_it(
    fields: dict[str, Any], path: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse(**fields)
    assert refused.value.param == path, fields


def test_openrouters_models_name_the_model() -> None:
    parsed = ChatCompletions().parse({"models": ["x", "y"], "messages": CHAT["messages"]})
    assert parsed.body == {**CHAT, "model": "x", "fallbacks": ["y"]}


def test_a_plain_request_is_not_copied() -> None:
    assert adapt_fields(CHAT)[0] is CHAT


def test_the_docs_say_what_becomes_of_each_field() -> None:
    page = Path("docs/messages.md").read_text()
    table = page.split("## Fields of other gateways and servers")[1].split("\n## ")[0]
    assert [name for name in sorted(UNDERSTOOD) if f"`{name}`" not in table] == []
    table = page.split("## Sampling and reasoning of other APIs")[1].split("\n## ")[0]
    assert [name for name in sorted(EXTENSION_FIELDS) if f"`{name}`" not in table] == []


def test_each_field_is_in_one_place() -> None:
    assert not REFUSED.keys() & (LEFT_OUT | UNIFIED_FIELDS)
    assert not LEFT_OUT & UNIFIED_FIELDS
    assert REFUSED.keys() <= UNDERSTOOD
