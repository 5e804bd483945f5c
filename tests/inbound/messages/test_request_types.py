"""Every field, block and tool of the newest official SDK is accepted, at every depth, and goes on
as it was written; what is known is checked, and what is not passes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import pytest
from anthropic.types import message_count_tokens_params, message_create_params
from anthropic.types.beta import message_count_tokens_params as beta_count_tokens_params
from anthropic.types.beta import message_create_params as beta_create_params
from django.test import override_settings

from native_api.exceptions import InvalidRequest
from native_api.inbound.anthropic.messages.serializer import (
    MessagesSerializer,
    TokenCountSerializer,
)
from tests.cases import each, for_each
from tests.inbound.messages.requests import HELLO, build, parse, unify_all
from tests.inbound.test_sdk_types import list_values, read_hints

ROOT = Path(__file__).resolve().parents[3]
CREATE = (
    message_create_params.MessageCreateParamsStreaming,
    beta_create_params.MessageCreateParamsStreaming,
)
COUNT = (
    message_count_tokens_params.MessageCountTokensParams,
    beta_count_tokens_params.MessageCountTokensParams,
)


def list_requests() -> Iterator[tuple[str, Any]]:
    for types in CREATE:
        for name, hint in read_hints(types).items():
            for number, value in enumerate(list_values(hint, name)):
                yield f"{types.__module__} {name} #{number}", build(**{name: value})


def test_every_field_is_known() -> None:
    assert sorted(read_hints(*CREATE).keys() - MessagesSerializer().fields.keys()) == []
    assert sorted(read_hints(*COUNT).keys() - TokenCountSerializer().fields.keys()) == []


def test_the_page_names_every_field() -> None:
    page = (ROOT / "docs" / "anthropic.md").read_text()
    named = set(re.findall(r"[a-z_]+", " ".join(re.findall(r"`([^`]+)`", page))))
    assert sorted(read_hints(*CREATE).keys() - named - {"model", "messages"}) == []


def test_the_walk_reaches_the_depths_of_the_types() -> None:
    text = str([request for _, request in list_requests()])
    for member in ("cache_control", "ttl", "encrypted_index", "clear_at", "budget_tokens"):
        assert f"'{member}'" in text, anthropic.__version__


@for_each(list_requests)
@override_settings(NATIVE_API={"UNKNOWN_FIELDS": "refuse"})
def test_every_request_of_the_sdk_goes_on_as_it_is(request: Any) -> None:
    client_body = parse(request).client_body
    assert client_body is not None
    assert client_body.body == without_signatures(request)


def without_signatures(request: Any) -> Any:
    """The request without what only a provider can have written, and no gateway has sealed."""
    messages = [
        {**message, "content": [clean(block) for block in message["content"]]}
        if isinstance(message.get("content"), list)
        else message
        for message in request["messages"]
    ]
    return {**request, "messages": messages}


def clean(block: Any) -> Any:
    if block["type"] == "compaction":
        signed = ("signature", "encrypted_content")
        return {name: value for name, value in block.items() if name not in signed or not value}
    if block["type"] not in ("thinking", "redacted_thinking"):
        return block
    return {name: "" if name in ("signature", "data") else value for name, value in block.items()}


@for_each(list_requests)
def test_every_request_is_translated_or_refused_by_name(request: Any) -> None:
    error = find_error(request)
    assert error is None or re.split(r"[.\[]", error.param or "")[0] in request


def find_error(request: Any) -> InvalidRequest | None:
    try:
        unify_all(request)
    except InvalidRequest as error:
        return error
    return None


@each("field", [("mood", "calm"), ("Max_Tokens", 5), ("output_format", {"type": "x"})])
def test_unknown_fields_pass_and_are_reported_by_other_wires(field: tuple[str, Any]) -> None:
    parsed = parse(**dict([field]))
    assert parsed.dropped_fields == []
    assert parsed.client_body is not None
    assert parsed.client_body.body[field[0]] == field[1]


def test_unknown_fields_of_other_wires_are_reported() -> None:
    assert unify_all(mood="calm")[1] == ["mood"]


def test_unknown_fields_are_dropped_or_refused_if_the_site_says_so() -> None:
    with override_settings(NATIVE_API={"UNKNOWN_FIELDS": "drop"}):
        parsed = parse(mood="calm")
    assert parsed.dropped_fields == ["mood"]
    assert parsed.client_body is not None
    assert "mood" not in parsed.client_body.body
    with (
        override_settings(NATIVE_API={"UNKNOWN_FIELDS": "refuse"}),
        pytest.raises(InvalidRequest, match="mood"),
    ):
        parse(mood="calm")


MOODY = {
    "messages": [
        {"role": "user", "tone": 1, "content": [{"type": "text", "text": "a", "mood": 1}]}
    ],
    "tools": [{"name": "f", "input_schema": {"any": "thing"}, "mood": 1}],
    "thinking": {"type": "adaptive", "mood": 1},
}
"""A request with members that nobody knows."""


def test_unknown_members_of_other_wires_are_reported() -> None:
    assert unify_all(**MOODY)[1] == [
        "messages.tone", "messages.content.mood", "tools.mood", "thinking.mood",
    ]  # fmt: skip


def test_unknown_members_are_dropped_or_refused_if_the_site_says_so() -> None:
    with override_settings(NATIVE_API={"UNKNOWN_FIELDS": "drop"}):
        parsed = parse(**MOODY)
    assert parsed.dropped_fields == [
        "messages[0].tone",
        "messages[0].content[0].mood",
        "tools[0].mood",
        "thinking.mood",
    ]
    assert parsed.client_body is not None
    assert "mood" not in str(parsed.client_body.body)
    assert parsed.client_body.body["tools"] == [{"name": "f", "input_schema": {"any": "thing"}}]
    with (
        override_settings(NATIVE_API={"UNKNOWN_FIELDS": "refuse"}),
        pytest.raises(InvalidRequest) as caught,
    ):
        parse(**MOODY)
    assert caught.value.param == "messages[0].tone"


NEW_BLOCK = {"type": "hologram", "light": 3, "cache_control": None}


@each(
    "message",
    [
        {"role": "user", "content": [NEW_BLOCK]},
        {"role": "assistant", "content": [NEW_BLOCK]},
        {"role": "user", "content": [{"type": "text", "text": "a", "mood": 1}], "tone": "x"},
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": "t", "content": [NEW_BLOCK]}],
        },
        {"role": "user", "content": [{"type": "image", "source": {"type": "beam"}}]},
    ],
)
def test_new_blocks_and_members_go_on(message: Any) -> None:
    client_body = parse(messages=[HELLO, message]).client_body
    assert client_body is not None
    assert client_body.body["messages"][1] == message


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"max_tokens": None}, "max_tokens"),
    ({"max_tokens": "5"}, "max_tokens"),
    ({"max_tokens": -1}, "max_tokens"),
    ({"model": 5}, "model"),
    ({"model": None}, "model"),
    ({"messages": None}, "messages"),
    ({"messages": []}, "messages"),
    ({"messages": "Hi"}, "messages"),
    ({"messages": [5]}, "messages[0]"),
    ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role"),
    ({"messages": [{"role": "user"}]}, "messages[0].content"),
    ({"messages": [HELLO, {"role": "user", "content": [{"text": "a"}]}]}, "messages[1].content[0].type"),
    ({"system": 5}, "system"),
    ({"system": [{"type": "text"}]}, "system[0].text"),
    ({"tools": [{"name": "f"}]}, "tools[0].input_schema"),
    ({"tools": [{"name": "f", "input_schema": "x"}]}, "tools[0].input_schema"),
    ({"tool_choice": {"type": "tool"}}, "tool_choice.name"),
    ({"tool_choice": "auto"}, "tool_choice"),
    ({"thinking": {"type": "enabled"}}, "thinking.budget_tokens"),
    ({"stop_sequences": "x"}, "stop_sequences"),
    ({"metadata": {"user_id": 5}}, "metadata.user_id"),
    ({"stream": "yes"}, "stream"),
    ({"temperature": "hot"}, "temperature"),
    ({"fallbacks": ["m", 5]}, "fallbacks[1]"),
    ({"fallbacks": [{"model": "m"}, "m"]}, "fallbacks[1]"),
    ({"betas": ["a b"]}, "betas[0]"),
    ({"betas": "a"}, "betas"),
    ({"output_config": {"format": {"type": "json_schema"}}}, "output_config.format.schema"),
    ({"cache_control": {}}, "cache_control.type"),
]  # fmt: skip
BLOCKS: list[tuple[dict[str, Any], str]] = [
    ({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": 5}}, ".source.data"),
    ({"type": "image"}, ".source"),
    ({"type": "document", "source": {"type": "url"}}, ".source.url"),
    ({"type": "tool_use", "id": "a", "name": "f", "input": "{}"}, ".input"),
    ({"type": "tool_result", "content": "x"}, ".tool_use_id"),
    ({"type": "tool_result", "tool_use_id": "a", "is_error": "no"}, ".is_error"),
    ({"type": "tool_result", "tool_use_id": "a", "content": [{"type": "text"}]}, ".content[0].text"),
    ({"type": "thinking", "signature": "x"}, ".thinking"),
    ({"type": "search_result", "content": "x", "source": "s", "title": "t"}, ".content"),
    ({"type": "text", "text": "a", "cache_control": True}, ".cache_control"),
]  # fmt: skip


def list_wrong() -> Iterator[tuple[str, Any]]:
    for fields, path in WRONG:
        yield path, (fields, path)
    for block, path in BLOCKS:
        yield (
            path,
            ({"messages": [{"role": "user", "content": [block]}]}, "messages[0].content[0]" + path),
        )


@for_each(list_wrong)
def test_a_wrong_type_is_an_error_that_names_the_place(case: tuple[dict[str, Any], str]) -> None:
    fields, path = case
    with pytest.raises(InvalidRequest) as caught:
        parse(**fields)
    assert caught.value.param == path
    assert caught.value.message.startswith(f"{path}: ")
