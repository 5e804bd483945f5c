"""What clients of other servers write into messages, calls and tools is understood: whoever sends
it, the unified request and the body for providers of the same wire say the same in OpenAI's words."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from native_api.exceptions import InvalidRequest
from native_api.inbound.openai import ChatCompletions
from tests.cases import each, for_each

FORMAT = ChatCompletions()
USER: dict[str, Any] = {"role": "user", "content": "Hi"}
CALL: dict[str, Any] = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "f", "arguments": "{}"},
}
TEXT: dict[str, Any] = {"type": "text", "text": "Hi"}
CACHED = {"type": "ephemeral", "ttl": "1h"}
SIGNED = {
    "type": "reasoning.text",
    "text": "Hm.",
    "signature": "s",
    "format": "anthropic",
    "index": 0,
    "issued_by": "eu",
}
BLOCK = {"format": "anthropic", "index": 0, "block": {"type": "server_tool_use", "id": "x"}}
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
TOOL: dict[str, Any] = {"type": "function", "function": {"name": "f"}}


def parse(**fields: Any) -> Any:
    data = {"model": "m", "messages": [USER], **fields}
    before = deepcopy(data)
    parsed = FORMAT.parse(data)
    assert data == before, "what the client wrote is not changed"
    assert parsed.client_body is not None
    return parsed


def answered(**members: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": "a", **members}


# Recorded from LiteLLM 1.110 with `openai/MODEL`: a reply's message is appended as it is.
LITELLM_ECHO: dict[str, Any] = {
    "content": "Let me look",
    "role": "assistant",
    "tool_calls": [{**CALL, "extra_content": {"google": {"thought_signature": "abc"}}}],
    "images": [{**IMAGE, "index": 0}],
    "reasoning_content": "Hm.",
    "provider_specific_fields": {"reasoning_details": [SIGNED], "provider_content": [BLOCK]},
    "annotations": [],
}

# Written -> in OpenAI's words, and what is left out and reported.
MESSAGES: dict[str, tuple[dict[str, Any], dict[str, Any], list[str]]] = {
    "LiteLLM's echo of a reply": (
        LITELLM_ECHO,
        {
            **{k: v for k, v in LITELLM_ECHO.items() if k != "provider_specific_fields"},
            "reasoning_details": [SIGNED],
            "provider_content": [BLOCK],
        },
        [],
    ),
    "what was not wrapped wins": (
        answered(
            reasoning_content="own", provider_specific_fields={"reasoning_content": "wrapped"}
        ),
        answered(reasoning_content="own"),
        [],
    ),
    "what LiteLLM alone knows": (
        answered(provider_specific_fields={"citations": [1], "refusal": None}),
        answered(),
        ["messages.provider_specific_fields"],
    ),
    "a wrapper that is not an object": (
        answered(provider_specific_fields="x"),
        answered(),
        ["messages.provider_specific_fields"],
    ),
    "an empty wrapper": (answered(provider_specific_fields={}), answered(), []),
    "a wrapper in a message of the user": (
        {**USER, "provider_specific_fields": {"reasoning_content": "x"}},
        USER,
        ["messages.provider_specific_fields"],
    ),
    "LiteLLM's thinking blocks": (
        answered(
            reasoning_content="Hm.",
            thinking_blocks=[
                {"type": "thinking", "thinking": "Hm.", "signature": "s", "issued_by": "eu"},
                {"type": "redacted_thinking", "data": "d"},
            ],
        ),
        answered(
            reasoning_content="Hm.",
            reasoning_details=[
                SIGNED,
                {"type": "reasoning.encrypted", "data": "d", "format": "anthropic", "index": 1},
            ],
        ),
        [],
    ),
    "thinking blocks beside the details": (
        answered(reasoning_details=[SIGNED], thinking_blocks=[{"type": "thinking"}]),
        answered(reasoning_details=[SIGNED]),
        [],
    ),
    "a block without a signature": (
        answered(thinking_blocks=[{"type": "thinking", "thinking": "Hm.", "signature": ""}]),
        answered(
            reasoning_details=[
                {"type": "reasoning.text", "text": "Hm.", "format": "anthropic", "index": 0}
            ]
        ),
        [],
    ),
    "the reasoning of vLLM, OpenRouter, Groq and Ollama": (
        answered(reasoning="Hm."),
        answered(reasoning_content="Hm."),
        [],
    ),
    "reasoning by both names": (
        answered(reasoning="Hm.", reasoning_content="Hm."),
        answered(reasoning_content="Hm."),
        [],
    ),
    "an id": ({**USER, "id": "msg_1"}, USER, ["messages.id"]),
    "a cache mark of a message": (
        {**USER, "cache_control": CACHED},
        {"role": "user", "content": [{**TEXT, "cache_control": CACHED}]},
        [],
    ),
    "a cache mark of a message of parts": (
        {"role": "system", "content": [TEXT, TEXT], "cache_control": CACHED},
        {"role": "system", "content": [TEXT, {**TEXT, "cache_control": CACHED}]},
        [],
    ),
    "a cache mark of a message without text": (
        {"role": "assistant", "content": None, "tool_calls": [CALL], "cache_control": CACHED},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        ["messages.cache_control"],
    ),
    "a call without a type": (
        answered(tool_calls=[{k: v for k, v in CALL.items() if k != "type"}]),
        answered(tool_calls=[CALL]),
        [],
    ),
    "a custom call without a type": (
        answered(tool_calls=[{"id": "1", "custom": {"name": "c", "input": ""}}]),
        answered(tool_calls=[{"id": "1", "type": "custom", "custom": {"name": "c", "input": ""}}]),
        [],
    ),
    "a signature in a call": (
        answered(tool_calls=[{**CALL, "thought_signature": "abc"}]),
        answered(tool_calls=[{**CALL, "extra_content": {"google": {"thought_signature": "abc"}}}]),
        [],
    ),
    "a signature that LiteLLM has wrapped": (
        answered(
            tool_calls=[{**CALL, "provider_specific_fields": {"thought_signature": "abc", "x": 1}}]
        ),
        answered(tool_calls=[{**CALL, "extra_content": {"google": {"thought_signature": "abc"}}}]),
        ["messages.tool_calls.provider_specific_fields"],
    ),
    "a signature that LiteLLM has wrapped in the function": (
        answered(
            tool_calls=[
                {
                    **CALL,
                    "function": {
                        **CALL["function"],
                        "provider_specific_fields": {"thought_signature": "abc"},
                    },
                }
            ]
        ),
        answered(tool_calls=[{**CALL, "extra_content": {"google": {"thought_signature": "abc"}}}]),
        [],
    ),
    "our own member that was wrapped": (
        answered(
            tool_calls=[
                {**CALL, "provider_specific_fields": {"extra_content": {"google": {"a": 1}}}}
            ]
        ),
        answered(tool_calls=[{**CALL, "extra_content": {"google": {"a": 1}}}]),
        [],
    ),
    "a caller and a state of a call": (
        answered(tool_calls=[{**CALL, "caller": {"type": "direct"}, "status": "completed"}]),
        answered(
            tool_calls=[{**CALL, "extra_content": {"anthropic": {"caller": {"type": "direct"}}}}]
        ),
        ["messages.tool_calls.status"],
    ),
    "an image as a string": (
        {"role": "user", "content": [{"type": "image_url", "image_url": "https://a.example/i"}]},
        {
            "role": "user",
            "content": [{"type": "image_url", "image_url": {"url": "https://a.example/i"}}],
        },
        [],
    ),
    "a type beside an image's address, and an id": (
        {
            "role": "user",
            "content": [
                {
                    "type": "image_url",
                    "id": "p1",
                    "annotations": [],
                    "image_url": {"url": "https://a.example/i", "mime_type": "image/png"},
                }
            ],
        },
        {
            "role": "user",
            "content": [{"type": "image_url", "image_url": {"url": "https://a.example/i"}}],
        },
        [
            "messages.content.annotations",
            "messages.content.id",
            "messages.content.image_url.mime_type",
        ],
    ),
    "a type beside a file": (
        {
            "role": "user",
            "content": [
                {"type": "file", "file": {"file_data": "data:,x", "format": "application/pdf"}}
            ],
        },
        {"role": "user", "content": [{"type": "file", "file": {"file_data": "data:,x"}}]},
        ["messages.content.file.format"],
    ),
    "nulls of huggingface_hub": ({**USER, "name": None, "tool_calls": None}, USER, []),
    "nulls of an answer": (
        answered(tool_calls=None, function_call=None, refusal=None, name=None),
        answered(function_call=None, refusal=None),
        [],
    ),
    "nulls of a part": (
        {"role": "user", "content": [{**TEXT, "image_url": None, "foo": None}]},
        {"role": "user", "content": [TEXT]},
        [],
    ),
    "nulls of an image": (
        {
            "role": "user",
            "content": [{**IMAGE, "image_url": {**IMAGE["image_url"], "detail": None}}],
        },
        {"role": "user", "content": [IMAGE]},
        [],
    ),
    "nulls of a call": (
        answered(
            tool_calls=[
                {**CALL, "custom": None, "function": {**CALL["function"], "description": None}}
            ]
        ),
        answered(tool_calls=[CALL]),
        [],
    ),
}


@for_each(MESSAGES.items)
def test_a_message_is_read_in_openais_words(
    case: tuple[dict[str, Any], dict[str, Any], list[str]],
) -> None:
    written, expected, left_out = case
    parsed = parse(messages=[USER, written, USER])
    assert parsed.client_body.body["messages"] == [USER, expected, USER]
    said = {name: value for name, value in expected.items() if value is not None}
    if expected["role"] == "assistant":
        said.setdefault("content", None)
    assert parsed.body["messages"] == [USER, said, USER]
    assert parsed.dropped_fields == left_out


TOOLS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "without a type": ({"function": {"name": "f"}}, TOOL),
    "custom, without a type": (
        {"custom": {"name": "c"}},
        {"type": "custom", "custom": {"name": "c"}},
    ),
    "a cache mark of a function": (
        {"type": "function", "function": {"name": "f", "cache_control": CACHED}},
        {**TOOL, "cache_control": CACHED},
    ),
    "nulls": (
        {**TOOL, "cache_control": None, "function": {"name": "f", "strict": None, "x": None}},
        TOOL,
    ),
    "nulls in a schema": (
        {"type": "function", "function": {"name": "f", "parameters": {"default": None}}},
        {"type": "function", "function": {"name": "f", "parameters": {"default": None}}},
    ),
}


@for_each(TOOLS.items)
def test_a_tool_is_read_in_openais_words(case: tuple[dict[str, Any], dict[str, Any]]) -> None:
    written, expected = case
    parsed = parse(tools=[TOOL, written])
    assert parsed.body["tools"] == parsed.client_body.body["tools"] == [TOOL, expected]


def test_what_needs_no_change_goes_on_as_it_is() -> None:
    data = {"model": "m", "messages": [USER, answered(tool_calls=[CALL])], "tools": [TOOL]}
    parsed = FORMAT.parse(data)
    assert parsed.client_body is not None
    assert parsed.client_body.body["messages"] is data["messages"]
    assert parsed.client_body.body["tools"] is data["tools"]


@each(
    "kind, advice",
    [
        ("input_text", "'text'"),
        ("output_text", "'text'"),
        ("input_image", "'image_url'"),
        ("image", "'image_url'"),
        ("input_file", "'file'"),
        ("document", "'file'"),
        ("thinking", "reasoning_details"),
        ("redacted_thinking", "reasoning_details"),
        ("tool_use", "tool_calls"),
        ("tool_result", "'tool'"),
    ],
)
def test_a_part_of_another_api_is_an_error_that_names_the_right_one(kind: str, advice: str) -> None:
    part = {"type": kind, "text": "x"}
    with pytest.raises(InvalidRequest) as refused:
        parse(messages=[{"role": "user", "content": [part]}])
    assert refused.value.param == "messages[0].content[0].type"
    assert advice in refused.value.message


@each("kind, meant", [("texts", "text"), ("image_uri", "image_url"), ("input_adio", "input_audio")])
def test_a_misspelt_part_is_an_error(kind: str, meant: str) -> None:
    with pytest.raises(InvalidRequest, match=f"did you mean '{meant}'") as refused:
        parse(messages=[{"role": "user", "content": [{"type": kind}]}])
    assert refused.value.param == "messages[0].content[0].type"


def test_a_flat_tool_is_an_error_that_says_where_its_name_belongs() -> None:
    with pytest.raises(InvalidRequest, match="members of `function`") as refused:
        parse(tools=[{"type": "function", "name": "f", "parameters": {}}])
    assert refused.value.param == "tools[0].function"


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "details": (
        answered(provider_specific_fields={"reasoning_details": "x"}),
        "reasoning_details",
    ),
    "extra content": (
        answered(
            tool_calls=[{**CALL, "provider_specific_fields": {"extra_content": {"google": 1}}}]
        ),
        "tool_calls[0].extra_content.google",
    ),
    "a cache mark": ({**USER, "cache_control": 5}, "content[0].cache_control"),
    "a call": (answered(tool_calls=[5]), "tool_calls[0]"),
    "calls": (answered(tool_calls=5), "tool_calls"),
    "a part": ({"role": "user", "content": [5]}, "content[0]"),
    "content": ({"role": "user", "content": 5}, "content"),
    "a tool call's function": (answered(tool_calls=[{"function": 5}]), "tool_calls[0].type"),
}


@for_each(WRONG.items)
def test_a_foreign_member_of_another_shape_is_an_error(case: tuple[dict[str, Any], str]) -> None:
    message, path = case
    with pytest.raises(InvalidRequest) as refused:
        parse(messages=[message])
    assert refused.value.param == f"messages[0].{path}"


def test_thinking_blocks_of_another_shape_are_left_out() -> None:
    parsed = parse(messages=[answered(thinking_blocks=[1])])
    assert parsed.body["messages"] == [answered()]
    assert parsed.dropped_fields == ["messages.thinking_blocks"]
