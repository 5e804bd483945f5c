"""The unified request, field by field."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from native_api.exceptions import InvalidRequest
from native_api.inbound.json_body import parse_json
from native_api.inbound.openai import ChatCompletionSerializer
from native_api.types import ChatRequest
from tests.dialects.work_counter import count_calls
from tests.inbound.test_json_body import JSON

SERIALIZER = ChatCompletionSerializer()
HI = {"role": "user", "content": "Hi"}
LOCAL_FILE = {"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}
CALL_WITHOUT_ARGUMENTS = {"id": "1", "type": "function", "function": {"name": "f"}}
CALL_WITH_AN_OBJECT = {"id": "1", "type": "function", "function": {"name": "f", "arguments": {}}}
CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
TOOL = {
    "type": "function",
    "function": {"name": "f", "parameters": {"type": "object", "anything": [1, {"goes": None}]}},
}


def checked(messages: Any = None, **fields: Any) -> Any:
    return SERIALIZER.check(
        {"model": "m", "messages": [HI] if messages is None else messages, **fields}
    )[0]


def refused(messages: Any = None, **fields: Any) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        checked(messages, **fields)
    assert caught.value.message.startswith(f"{caught.value.param}: ")
    return caught.value


def test_every_field_of_the_vocabulary_is_checked() -> None:
    assert SERIALIZER.fields.keys() == ChatRequest.__annotations__.keys()


GOOD: list[dict[str, Any]] = [
    {"tier": "simple"},
    {"stream": True, "stream_options": {"include_usage": True}},
    {"temperature": 1, "top_p": 0.5},
    {"stop": "END"},
    {"stop": ["a", "b"]},
    {"logit_bias": {"50256": -100}},
    {"logprobs": True, "top_logprobs": 5},
    {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "f"}}},
    {"tools": [TOOL], "tool_choice": "required", "parallel_tool_calls": False},
    {"tools": [{"type": "custom", "custom": {"name": "c", "format": {"type": "text"}}}]},
    {"tools": [{**TOOL, "cache_control": {"type": "ephemeral", "ttl": "1h"}}]},
    {
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "x", "schema": {"type": "object"}, "strict": True},
        }
    },
    {"response_format": {"type": "json_object"}},
    {"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "wav"}},
    {"prediction": {"type": "content", "content": "text"}},
    {"metadata": {"team": "a"}, "user": "u", "store": False, "service_tier": "flex"},
    {
        "web_search_options": {
            "user_location": {"type": "approximate", "approximate": {"city": "Oslo"}}
        }
    },
    {
        "conversation_id": "c1",
        "fallbacks": ["other"],
        "provider_options": {"anthropic": {"top_k": 3}},
    },
    {"reasoning_effort": "high", "verbosity": "low"},
]


@pytest.mark.parametrize("fields", GOOD, ids=lambda fields: ",".join(fields))
def test_a_sound_field_is_passed_on_unchanged(fields: dict[str, Any]) -> None:
    assert checked(**fields) == {"model": "m", "messages": [HI], **fields}


def test_null_means_absent() -> None:
    assert checked(temperature=None, tools=None, stop=None) == {"model": "m", "messages": [HI]}


BAD: list[tuple[dict[str, Any], str, str]] = [
    ({"temperature": "1"}, "temperature", "expected a number, not a string"),
    ({"temperature": True}, "temperature", "expected a number, not a boolean"),
    ({"max_tokens": 1.0}, "max_tokens", "expected an integer"),
    ({"max_tokens": 0}, "max_tokens", "expected 1 or more"),
    ({"n": True}, "n", "expected an integer, not a boolean"),
    ({"stream": 1}, "stream", "expected true or false"),
    ({"stop": [1]}, "stop[0]", "expected a string"),
    ({"max_completion_tokens": -1}, "max_completion_tokens", "leave it out"),
    ({"stream_options": {"include_usage": "yes"}}, "stream_options.include_usage", "true or false"),
    ({"top_logprobs": 3}, "top_logprobs", "logprobs is true"),
    ({"tool_choice": "required"}, "tool_choice", "there are tools"),
    ({"tools": [TOOL], "tool_choice": "requird"}, "tool_choice", "did you mean 'required'?"),
    ({"tools": [{"type": "function", "function": {}}]}, "tools[0].function.name", "required"),
    ({"response_format": {"type": "json"}}, "response_format.type", "response format"),
    ({"response_format": {"type": "json_schema"}}, "response_format.json_schema", "required"),
    ({"reasoning_effort": "hgih"}, "reasoning_effort", "did you mean 'high'?"),
    ({"logit_bias": {"5": "x"}}, "logit_bias.5", "expected a number"),
    ({"metadata": {"a": 1}}, "metadata.a", "expected a string"),
    ({"metadata": {"a": "x\0"}}, "metadata.a", "NUL"),
    ({"metadata": {str(number): "x" for number in range(17)}}, "metadata", "at most 16"),
    ({"metadata": {"a": "x" * 513}}, "metadata.a", "at most 512"),
    ({"model": "m" * 201}, "model", "at most 200"),
    ({"model": "a\0b"}, "model", "NUL"),
    ({"model": ""}, "model", "empty"),
    ({"conversation_id": "c" * 300}, "conversation_id", "at most 256"),
    ({"provider_options": {"openai": 3}}, "provider_options.openai", "expected an object"),
    ({"temprature": 1}, "temprature", "did you mean 'temperature'?"),
    ({"x" * 500: 1}, "x" * 50, "at most 100 characters"),
]


@pytest.mark.parametrize(
    ("fields", "path", "words"), BAD, ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_wrong_field_is_named_and_explained(
    fields: dict[str, Any], path: str, words: str
) -> None:
    error = refused(**fields)
    assert (error.param, words in error.message) == (path, True), error.message


GOOD_MESSAGES: list[dict[str, Any]] = [
    {"role": "system", "content": "x"},
    {
        "role": "developer",
        "content": [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}],
    },
    {"role": "user", "content": "", "name": "n"},
    {
        "role": "user",
        "content": [
            {
                "type": "image_url",
                "image_url": {"url": "https://example.com/a.png", "detail": "low"},
            }
        ],
    },
    {
        "role": "user",
        "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}],
    },
    {
        "role": "user",
        "content": [{"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}}],
    },
    {
        "role": "user",
        "content": [
            {
                "type": "file",
                "file": {"file_data": "data:application/pdf;base64,AA==", "filename": "a.pdf"},
            }
        ],
    },
    {"role": "user", "content": [{"type": "file", "file": {"file_id": "f-1"}}]},
    {"role": "assistant", "content": "x"},
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "assistant", "content": None, "refusal": "no"},
    {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]},
    {
        "role": "assistant",
        "content": "x",
        "reasoning_content": "y",
        "reasoning_details": [{"type": "reasoning.text", "text": "y"}],
    },
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [{**CALL, "extra_content": {"google": {"thought_signature": "s"}}}],
    },
    {"role": "tool", "content": "result", "tool_call_id": "call_1"},
    {
        "role": "tool",
        "content": [{"type": "text", "text": "x"}],
        "tool_call_id": "call_1",
        "is_error": True,
    },
    {"role": "function", "content": "x", "name": "f"},
]


@pytest.mark.parametrize("message", GOOD_MESSAGES, ids=lambda message: message["role"])
def test_a_sound_message_is_passed_on_unchanged(message: dict[str, Any]) -> None:
    assert checked([HI, message])["messages"] == [HI, message]


def test_what_an_sdk_sends_back_of_a_reply_is_taken() -> None:
    echoed = {
        "role": "assistant",
        "content": "x",
        "refusal": None,
        "audio": None,
        "function_call": None,
        "tool_calls": None,
    }
    assert checked([HI, {**echoed, "annotations": [], "parsed": None}])["messages"][1] == {
        "role": "assistant",
        "content": "x",
        "annotations": [],
    }
    parsed = {**CALL, "index": 0, "function": {**CALL["function"], "parsed_arguments": {"a": 1}}}
    assert checked([HI, {"role": "assistant", "tool_calls": [parsed]}])["messages"][1][
        "tool_calls"
    ] == [CALL]


BAD_MESSAGES: list[tuple[Any, str]] = [
    ("Hi", "messages[0]"),
    ({}, "messages[0].role"),
    ({"role": "assistent", "content": "x"}, "messages[0].role"),
    ({"role": "user"}, "messages[0].content"),
    ({"role": "user", "content": None}, "messages[0].content"),
    ({"role": "user", "content": 3}, "messages[0].content"),
    ({"role": "user", "content": []}, "messages[0].content"),
    ({"role": "user", "content": ["x"]}, "messages[0].content[0]"),
    ({"role": "user", "content": [{"type": "text"}]}, "messages[0].content[0].text"),
    ({"role": "user", "content": [{"type": "texts", "text": "x"}]}, "messages[0].content[0].type"),
    ({"role": "user", "content": [{"type": "image_url", "image_url": "https://x"}]}, "messages[0].content[0].image_url"),
    ({"role": "user", "content": [LOCAL_FILE]}, "messages[0].content[0].image_url.url"),
    ({"role": "user", "content": [{"type": "file", "file": {"filename": "a"}}]}, "messages[0].content[0].file"),
    ({"role": "user", "content": "x", "tool_call_id": 1}, "messages[0].tool_call_id"),
    ({"role": "user", "content": "x", "tool_calls": "f"}, "messages[0].tool_calls"),
    ({"role": "system", "content": [{"type": "image_url", "image_url": {"url": "https://x"}}]}, "messages[0].content[0].type"),
    ({"role": "assistant"}, "messages[0].content"),
    ({"role": "assistant", "content": None}, "messages[0].content"),
    ({"role": "assistant", "tool_calls": [CALL_WITHOUT_ARGUMENTS]}, "messages[0].tool_calls[0].function.arguments"),
    ({"role": "assistant", "tool_calls": [CALL_WITH_AN_OBJECT]}, "messages[0].tool_calls[0].function.arguments"),
    ({"role": "tool", "content": "x"}, "messages[0].tool_call_id"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("message", "path"), BAD_MESSAGES, ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_wrong_message_is_named_to_the_place(message: Any, path: str) -> None:
    assert refused([message]).param == path


@pytest.mark.parametrize("missing", ["model", "messages"])
def test_what_is_missing_is_named(missing: str) -> None:
    data = {"model": "m", "messages": [HI]}
    del data[missing]
    with pytest.raises(InvalidRequest, match=f"{missing}: this field is required"):
        SERIALIZER.check(data)


NAMES = st.sampled_from([*ChatRequest.__annotations__, "role", "content", "type"])


@given(
    st.dictionaries(NAMES, JSON | st.lists(st.dictionaries(NAMES, JSON), max_size=3), max_size=6)
)
def test_anything_is_a_request_or_refused_with_a_place(data: dict[str, Any]) -> None:
    path = ""
    try:
        SERIALIZER.check(data)
    except InvalidRequest as error:
        path = error.param or "none"
    assert path != "none"


def test_it_works_as_any_drf_serializer_does() -> None:
    good = ChatCompletionSerializer(data={"model": "m", "messages": [HI]})
    bad = ChatCompletionSerializer(data={"model": 7, "messages": [HI]})
    assert good.is_valid()
    assert good.validated_data["messages"] == [HI]
    assert not bad.is_valid()
    assert list(bad.errors) == ["model"]


def test_a_megabyte_in_a_thousand_messages_is_read_and_checked_with_a_few_calls_each() -> None:
    said = [
        {"role": "user", "content": "x" * 970},
        {
            "role": "assistant",
            "content": [{"type": "text", "text": 'She said: "ah": ' + "x" * 920}],
        },
    ]
    body = orjson.dumps({"model": "m", "messages": said * 500})
    assert len(body) > 950_000

    def check() -> None:
        SERIALIZER.check(parse_json(body))

    check()  # what is made once and remembered
    assert count_calls(check) < 1000 * 50  # 34 a message


# --- how long lists may be -----------------------------------------------------------------------

TEXT_PART = {"type": "text", "text": "x"}
MINIMAL = {"model": "m", "messages": [HI]}
IMAGE = {"image_url": {"url": "data:,"}}

LONG_LISTS: dict[str, tuple[int, Any]] = {
    "messages": (10_000, lambda n: {"messages": [{"role": "user", "content": "x"}] * n}),
    "messages[0].content": (
        10_000,
        lambda n: {"messages": [{"role": "user", "content": [TEXT_PART] * n}]},
    ),
    "messages[0].tool_calls": (
        10_000,
        lambda n: {"messages": [{"role": "assistant", "tool_calls": [CALL] * n}]},
    ),
    "messages[0].reasoning_details": (
        10_000,
        lambda n: {
            "messages": [{"role": "assistant", "content": "x", "reasoning_details": [{}] * n}]
        },
    ),
    "messages[0].images": (
        10_000,
        lambda n: {"messages": [{"role": "assistant", "content": "x", "images": [IMAGE] * n}]},
    ),
    "tools": (1024, lambda n: {"tools": [TOOL] * n}),
    "stop": (1000, lambda n: {"stop": ["x"] * n}),
    "modalities": (10, lambda n: {"modalities": ["text"] * n}),
    "fallbacks": (16, lambda n: {"fallbacks": ["m"] * n}),
}


@pytest.mark.parametrize("path", LONG_LISTS)
def test_a_list_has_a_bound_and_the_error_names_it(path: str) -> None:
    maximum, fields = LONG_LISTS[path]
    SERIALIZER.check({**MINIMAL, **fields(maximum)})
    with pytest.raises(
        InvalidRequest, match=f"expected at most {maximum} items, not {maximum + 1}"
    ) as refused:
        SERIALIZER.check({**MINIMAL, **fields(maximum + 1)})
    assert refused.value.param == path


EXTENSIONS: list[tuple[dict[str, Any], str, str]] = [
    ({"top_k": 0.5}, "top_k", "expected an integer"),
    ({"min_p": "0.1"}, "min_p", "expected a number"),
    ({"stop_token_ids": [1, "2"]}, "stop_token_ids[1]", "expected an integer"),
    ({"ignore_eos": 1}, "ignore_eos", "true or false"),
    ({"reasoning": {"effort": "hgih"}}, "reasoning.effort", "did you mean 'high'?"),
    ({"reasoning": "high"}, "reasoning", "expected an object"),
    ({"reasoning": {"max_tokens": "1"}}, "reasoning.max_tokens", "expected an integer"),
    ({"thinking": {"type": 1}}, "thinking.type", "expected a string"),
    ({"thinking": {"budget_tokens": 1.5}}, "thinking.budget_tokens", "expected an integer"),
    ({"think": "yes"}, "think", "expected one of"),
    ({"think": 1}, "think", "true or false"),
    ({"chat_template_kwargs": []}, "chat_template_kwargs", "expected an object"),
    ({"moderation": {}}, "moderation.model", "required"),
    ({"prompt_cache_options": {"ttl": 30}}, "prompt_cache_options.ttl", "expected a string"),
]


@pytest.mark.parametrize(
    ("fields", "path", "words"),
    EXTENSIONS,
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_wrong_extension_is_named_and_explained(
    fields: dict[str, Any], path: str, words: str
) -> None:
    error = refused(**fields)
    assert (error.param, words in error.message) == (path, True), error.message


def test_null_members_of_a_fields_object_are_absent() -> None:
    fields = {"reasoning": {"effort": None, "max_tokens": 5}, "moderation": {"model": "m", "x": 1}}
    assert checked(**fields) == {
        "model": "m",
        "messages": [HI],
        "reasoning": {"max_tokens": 5},
        "moderation": {"model": "m", "x": 1},
    }
