"""What a caller may write to make the gateway work long, or fail, costs no more than it sent. Work
is counted in steps, sizes or calls, never in seconds."""

from __future__ import annotations

import tracemalloc
from contextlib import suppress
from difflib import get_close_matches
from typing import Any

import pytest

from native_api.access import nearest_model
from native_api.dialects.shared.call_ids import OPENAI_IDS, CallIds
from native_api.dialects.shared.json_schema import walk_containers
from native_api.dialects.shared.moonshot_schema import adapt_schema
from native_api.dialects.shared.schema_roots import fold_parameters
from native_api.exceptions import InvalidRequest, UnsupportedField
from native_api.inbound.openai import ChatCompletions
from tests.dialects.request_targets import TARGETS, build_body

ODD_VALUES: tuple[Any, ...] = ([], {}, "", [[]], [{}], {"ttl": []}, {"type": []}, 1, True, "x")
HELLO = {"role": "user", "content": "hi"}


def parse(**fields: Any) -> Any:
    return ChatCompletions().parse({"model": "m", "messages": [HELLO], **fields}).body


def definitions(levels: int, keyword: str, width: int) -> Any:
    """Definitions that each refer several times to the one before, with a variant of its own."""
    found: Any = {"d0": {"type": "object", "properties": {"a": {"type": "string"}}}}
    for level in range(1, levels):
        found[f"d{level}"] = {
            keyword: [
                {"$ref": f"#/$defs/d{level - 1}", "properties": {"a": {"title": str(index)}}}
                for index in range(width)
            ]
        }
    return {"$ref": f"#/$defs/d{levels - 1}", "$defs": found}


@pytest.mark.parametrize("keyword", ["allOf", "anyOf", "oneOf"])
def test_references_that_multiply_a_schema_are_refused(keyword: str) -> None:
    with pytest.raises(UnsupportedField, match="so many alternatives"):
        fold_parameters(definitions(9, keyword, 8), "tools[0]")


def test_many_references_to_a_large_definition_are_refused() -> None:
    large = {"type": "object", "properties": {f"p{index}": True for index in range(5000)}}
    schema = {"$defs": {"x": large}, "anyOf": [{"$ref": "#/$defs/x"} for _ in range(100)]}
    with pytest.raises(UnsupportedField, match="so many alternatives"):
        fold_parameters(schema, "tools[0]")


def test_alternatives_of_a_usual_tool_are_folded() -> None:
    branches = [
        {"properties": {"kind": {"const": f"k{index}"}, f"p{index}": {"type": "string"}}}
        for index in range(50)
    ]
    schema, _ = fold_parameters({"type": "object", "oneOf": branches}, "tools[0]")
    assert len(schema["properties"]) == 51


def test_a_list_that_is_no_type_is_not_repeated_in_each_alternative() -> None:
    adapted = adapt_schema({"type": ["object"] * 5000, "anyOf": [{} for _ in range(50)]}, "tools")
    assert sum(len(each) for each in walk_containers(adapted)) < 10_000
    assert adapt_schema({"type": ["object", "null"], "anyOf": [{}]}, "tools") == {
        "anyOf": [{"type": ["object", "null"]}]
    }


def test_a_long_name_in_metadata_is_not_repeated_for_all_that_is_in_it() -> None:
    metadata = {"k" * 10_000: {str(index): 1 for index in range(2000)}}
    tracemalloc.start()
    try:
        assert "metadata" not in parse(metadata=metadata)
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


def test_each_of_many_results_finds_its_call_though_all_have_one_id() -> None:
    calls = [{"id": "a", "function": {}} for _ in range(2000)]
    ids = CallIds(OPENAI_IDS)
    edited = ids.edit_calls({"tool_calls": calls})
    assert len({call["id"] for call in edited["tool_calls"]}) == 2000
    results = [ids.edit_result({"tool_call_id": "a"}).get("tool_call_id") for _ in calls]
    assert results == [call["id"] for call in edited["tool_calls"]]


@pytest.mark.parametrize("value", ODD_VALUES, ids=repr)
def test_an_odd_tool_choice_is_an_error_of_the_request(value: Any) -> None:
    for choice in ({"type": value}, {"type": "tool", "name": value}):
        with pytest.raises(InvalidRequest):
            parse(tools=[], tool_choice=choice)


@pytest.mark.parametrize("value", ODD_VALUES, ids=repr)
def test_an_odd_mark_of_a_prefix_is_no_failure_of_the_gateway(value: Any) -> None:
    image = {"url": "https://a.test/x.png", "prompt_cache_breakpoint": value}
    messages = [
        {**HELLO, "prompt_cache_breakpoint": value},
        {"role": "user", "content": [{"type": "image_url", "image_url": image}]},
    ]
    for target in TARGETS:
        with suppress(InvalidRequest):  # Some servers fetch no image.
            build_body(target, *parse(messages=messages)["messages"])


def test_few_names_are_compared_with_a_wrong_one_in_full(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[str] = []

    def compare(name: str, names: Any, number: int) -> list[str]:
        compared.extend(names)
        return get_close_matches(name, names, number)

    monkeypatch.setattr(nearest_model, "get_close_matches", compare)
    names = [f"{'ba' * 28}{index:04}" for index in range(450)]
    assert nearest_model._find_near("fsat", [*names, "fast"]) == ["fast"]
    assert len(compared) <= nearest_model.MAX_MEASURED


@pytest.mark.parametrize("value", ODD_VALUES, ids=repr)
def test_a_function_and_its_call_may_have_any_other_member(value: Any) -> None:
    function = {"type": "function", "function": {"name": "f"}, "custom": value}
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}
    answer = {"role": "assistant", "tool_calls": [{**call, "custom": value}]}
    result = {"role": "tool", "tool_call_id": "a", "content": "x"}
    fields = parse(messages=[answer, result], tools=[function])
    for target in TARGETS:
        build_body(target, *fields["messages"], tools=fields["tools"])


@pytest.mark.parametrize(
    "tool",
    [
        {"type": "openrouter:advisor", "parameters": {"model": "dear/model"}},
        {"type": "openrouter:fusion", "parameters": {"analysis_models": ["dear/model"]}},
        {"type": "x", "parameters": {"tools": [{"type": "y", "parameters": {"MODEL": "dear"}}]}},
    ],
)
def test_a_server_tool_cannot_name_a_model(tool: Any) -> None:
    chat = parse(tools=[tool])
    for fields in ({"tools": chat["tools"]}, {"provider_options": {"openai": {"tools": [tool]}}}):
        with pytest.raises(UnsupportedField, match="which model answers"):
            build_body("openrouter", HELLO, **fields)


def test_a_parameter_of_a_function_may_be_called_model() -> None:
    parameters = {"type": "object", "properties": {"model": {"enum": ["a"]}}}
    tool = {"type": "function", "function": {"name": "f", "parameters": parameters}}
    assert build_body("openrouter", HELLO, tools=[tool])["tools"]


@pytest.mark.parametrize(
    "field",
    [
        {"compound_custom": {"models": {"answering_model": "x"}}},
        {"Safety-Model": "x"},
        {"extra_body": {"extra_body": {"nCmpl": 9}}},
        {"draft_model": "x"},
    ],
)
def test_no_field_of_a_vendor_chooses_models_or_choices(field: Any) -> None:
    with pytest.raises(UnsupportedField):
        build_body("vllm", HELLO, **field)


def test_no_spelling_of_a_stream_option_turns_the_usage_off() -> None:
    options = {"include_usage": True, "Include_Usage": False, "includeUsage": False}
    body = build_body("vllm", HELLO, stream=True, stream_options=options)
    assert body["stream_options"] == {"include_usage": True}
