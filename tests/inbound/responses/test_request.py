"""Requests for responses: what is checked, what is refused, what goes on as it was written, and
what of a request routing reads."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from django.test import override_settings

from native_api.dialects.openai_responses.state import STATE_WAY_ROUND
from native_api.exceptions import InvalidRequest, UnsupportedField
from tests.cases import each
from tests.inbound.contexts import context_of
from tests.inbound.responses.request_reading import FORMAT, find_fault, parse, read_body, unify

USER = {"role": "user", "content": "Hi"}
PART = {"type": "input_image", "image_url": 5}


@each(
    "fields, message",
    [
        ({"model": 5}, "model: expected a string, not a number"),
        ({"input": 5}, "input: expected a string or a list of items, not a number"),
        ({"input": [5]}, "input[0]: expected an object, not a number"),
        ({"input": [USER, {"type": 5}]}, "input[1].type: expected a string, not a number"),
        ({"input": [{"content": "Hi"}]}, "input[0].type: this field is required"),
        ({"input": [{**USER, "role": "human"}]}, "input[0].role: expected one of user, assistant"),
        ({"input": [{"role": "user"}]}, "input[0].content: this field is required"),
        (
            {"input": [USER, USER, {"role": "user", "content": [PART]}]},
            "input[2].content[0].image_url: expected a string, not a number",
        ),
        (
            {"input": [{"type": "function_call", "name": "f", "arguments": "{}"}]},
            "input[0].call_id: this field is required",
        ),
        (
            {"input": [{"type": "reasoning", "summary": [{"type": "summary_text", "text": 1}]}]},
            "input[0].summary[0].text: expected a string, not a number",
        ),
        ({"input": []}, "input: expected at least one item"),
        ({"input": None}, "input: this field is required"),
        ({"model": None}, "model: this field is required"),
        ({"tools": [{"type": "function"}]}, "tools[0].name: this field is required"),
        (
            {"tools": [{"type": "namespace", "name": "n", "tools": [{"type": "function"}]}]},
            "tools[0].tools[0].name: this field is required",
        ),
        ({"tools": {}}, "tools: expected a list, not an object"),
        ({"tool_choice": "any"}, "tool_choice: expected one of none, auto, required"),
        ({"tool_choice": {"type": "function"}}, "tool_choice.name: this field is required"),
        ({"text": {"format": {"type": "json_schema"}}}, "text.format.name: this field is required"),
        ({"text": {"verbosity": "loud"}}, "text.verbosity: expected one of low, medium, high"),
        ({"reasoning": {"effort": 3}}, "reasoning.effort: expected a string, not a number"),
        ({"max_output_tokens": 0}, "max_output_tokens: expected 1 or more"),
        ({"temperature": "1"}, "temperature: expected a number, not a string"),
        ({"metadata": {"a": 1}}, "metadata.a: expected a string, not a number"),
        ({"store": "yes"}, "store: expected true or false, not a string"),
        ({"stream": 1}, "stream: expected true or false, not a number"),
        ({"include": "x"}, "include: expected a list, not a string"),
        ({"truncation": "some"}, "truncation: expected one of auto, disabled"),
    ],
)
def test_a_wrong_value_is_an_error_that_names_its_place(
    fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse(**fields)
    assert caught.value.message.startswith(message)
    assert caught.value.param == message.partition(":")[0]


@each(
    "field, value",
    [
        ("conversation", "conv_1"),
        ("conversation", {"id": "conv_1"}),
        ("background", True),
        ("prompt", {"id": "pmpt_1"}),
    ],
)
def test_what_nobody_offers_is_refused_by_name(field: str, value: Any) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse(**{field: value})
    assert (caught.value.code, caught.value.param) == ("unsupported_field", field)


@each("field", ["conversation", "background", "prompt", "previous_response_id", "tools", "text"])
def test_null_is_absence(field: str) -> None:
    unified, omitted = unify(**{"background": False, field: None})
    assert unified == unify()[0]
    assert omitted == []


def test_unknown_members_that_are_not_translated_are_reported() -> None:
    part = {"type": "input_text", "text": "Hi", "sky": 1, "null": None}
    _, omitted = unify(
        input=[
            {"role": "user", "content": [part], "mood": 1},
            {"role": "user", "mood": 1, "content": "?"},
        ],
        tools=[{"type": "web_search", "tone": 1}],
        text={"format": {"type": "json_schema", "name": "a", "schema": {}, "tint": 1}},
    )
    assert omitted == ["input.content.sky", "input.mood", "tools.tone", "text.format.tint"]


def test_unknown_fields_and_members_are_never_refused() -> None:
    odd = {"temprature": 1, "input": [{**USER, "contents": 1}, {"type": "messsage", "x": 1}]}
    tools = [{"type": "functions", "names": "x"}]
    body = read_body(**odd, tools=tools, text={"verbos": 1}).body
    assert body == {"model": "m", **odd, "tools": tools, "text": {"verbos": 1}}


@override_settings(NATIVE_API={"UNKNOWN_FIELDS": "drop"})
def test_a_site_can_drop_them() -> None:
    parsed = parse(mood=1, input=[{**USER, "mood": 1}], reasoning={"effort": "low", "mood": 1})
    assert parsed.dropped_fields == ["mood", "input[0].mood", "reasoning.mood"]
    assert parsed.client_body is not None
    assert parsed.client_body.body == {
        "model": "m",
        "input": [USER],
        "reasoning": {"effort": "low"},
    }


def test_what_goes_on_is_what_was_written() -> None:
    written = {
        "model": "m",
        "instructions": None,
        "input": [
            {"type": "reasoning", "id": "rs_1", "summary": [], "content": None},
            {"role": "user", "content": [{"type": "input_text", "text": "Hi", "new": None}]},
        ],
        "tools": [{"type": "function", "name": "f", "parameters": None, "strict": None}],
        "client_metadata": {"session": None},
        "new_field": [{"a": None}],
    }
    given = copy.deepcopy(written)
    client_body = FORMAT.parse(given, context_of()).client_body
    assert client_body is not None
    assert client_body.wire == "openai_responses"
    assert client_body.body == written
    assert client_body.unified
    assert client_body.body == given == written


def test_routing_reads_the_head_only() -> None:
    head = parse(
        stream=True,
        max_output_tokens=5,
        metadata={"a": "b"},
        service_tier="flex",
        conversation_id="c",
        fallbacks=["n"],
        provider_options={"openai": {"x": 1}},
        temperature=1,
        instructions="Be brief.",
    ).body
    assert head == {
        "model": "m",
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_completion_tokens": 5,
        "metadata": {"a": "b"},
        "service_tier": "flex",
        "conversation_id": "c",
        "fallbacks": ["n"],
        "provider_options": {"openai": {"x": 1}},
    }


def test_a_tier_stands_for_a_model() -> None:
    assert parse(model=None, tier="simple").body["tier"] == "simple"


# --- the unified request -------------------------------------------------------------------------


def test_a_text_is_a_message() -> None:
    unified, omitted = unify(instructions="Be brief.")
    assert unified == {
        "model": "m",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hi"},
        ],
    }
    assert omitted == []


SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}


@each(
    "written, unified",
    [
        ({"max_output_tokens": 9}, {"max_completion_tokens": 9}),
        ({"temperature": 0.5, "top_p": 0.1}, {"temperature": 0.5, "top_p": 0.1}),
        ({"top_logprobs": 2}, {"logprobs": True, "top_logprobs": 2}),
        ({"top_logprobs": 0}, {}),
        ({"include": ["message.output_text.logprobs"]}, {"logprobs": True}),
        ({"include": ["reasoning.encrypted_content"]}, {}),
        ({"stream": True}, {"stream": True, "stream_options": {"include_usage": True}}),
        ({"stream_options": {"include_obfuscation": False}}, {}),
        ({"reasoning": {"effort": "low"}}, {"reasoning_effort": "low"}),
        (
            {"reasoning": {"effort": None, "summary": "auto"}},
            {"reasoning": {"summary": "auto"}},
        ),
        ({"reasoning": {"generate_summary": "auto"}}, {"reasoning": {"summary": "auto"}}),
        ({"text": {"verbosity": "low", "format": {"type": "text"}}}, {"verbosity": "low"}),
        (
            {"text": {"format": {"type": "json_object"}}},
            {"response_format": {"type": "json_object"}},
        ),
        (
            {"text": {"format": {"type": "json_schema", "name": "n", "schema": SCHEMA}}},
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "n", "schema": SCHEMA},
                }
            },
        ),
        ({"prompt_cache_options": {"ttl": "30m"}}, {"prompt_cache_options": {"ttl": "30m"}}),
        ({"truncation": "disabled", "store": True, "background": False}, {}),
        ({"parallel_tool_calls": False, "user": "u"}, {"parallel_tool_calls": False, "user": "u"}),
    ],
)
def test_a_field_in_the_unified_words(written: Any, unified: Any) -> None:
    found, omitted = unify(**written)
    assert {name: found[name] for name in found if name not in ("model", "messages")} == unified
    assert omitted == []


@each(
    "written, report",
    [
        ({"truncation": "auto"}, "truncation"),
        ({"max_tool_calls": 3}, "max_tool_calls"),
        ({"include": ["web_search_call.action.sources"]}, "include"),
        ({"client_metadata": {"a": 1}}, "client_metadata"),
        ({"reasoning": {"context": "all_turns"}}, "reasoning.context"),
        ({"text": {"new": 1}}, "text.new"),
        ({"prompt_cache_options": {"prewarm": True}}, "prompt_cache_options.prewarm"),
        ({"context_management": [{"type": "compaction"}]}, "context_management"),
        ({"access_programs": {"cyber": "standard"}}, "access_programs"),
        ({"image": {"context_compression": "auto"}}, "image"),
        ({"new_field": 1}, "new_field"),
    ],
)
def test_what_no_other_api_has_is_reported(written: Any, report: str) -> None:
    unified, omitted = unify(**written)
    assert unified == unify()[0]
    assert omitted == [report]


def test_what_refers_to_kept_responses_says_the_way_round() -> None:
    reference = {"type": "item_reference", "id": "msg_1"}
    for fields, path in (
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"input": [USER, reference]}, "input[1]"),
        ({"input": [USER, {"id": "msg_1"}]}, "input[1]"),
    ):
        fault = find_fault(**fields)
        assert isinstance(fault, UnsupportedField)
        assert (fault.path, fault.reason) == (path, STATE_WAY_ROUND)


@each(
    "path, named",
    [
        ("messages[0].content", "input[0].content"),
        ("max_completion_tokens", "max_output_tokens"),
        ("response_format.json_schema.schema", "text.format.schema"),
        ("seed", "seed"),
        ("messages.reasoning_details", "input.reasoning"),
        ("messages.tool_calls.extra_content", "input.reasoning"),
        ("messages.name", "input.name"),
        ("messages.image_url.detail", "input.detail"),
        ("input[1].content[0].image_url.url", "input[1].content[0].image_url"),
        ("input[1].tool_call_id", "input[1].call_id"),
        ("tools[2].function.parameters", "tools[2].parameters"),
        ("tools.function.strict", "tools.strict"),
    ],
)
def test_errors_and_reports_use_the_words_of_this_api(path: str, named: str) -> None:
    assert FORMAT.rename_field(path) == named
    assert FORMAT.rename_field(named) == named
