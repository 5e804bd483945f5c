"""A request for a response at targets of every wire: what a target lacks, and how errors name the
places that the client knows."""

from __future__ import annotations

from typing import Any

import pytest

from native_api.exceptions import UnsupportedField
from native_api.types import ClientBody, Target
from native_api.upstream.prepared_request import prepare
from tests.cases import each
from tests.dialects.request_targets import TARGETS, build_target
from tests.inbound.responses.request_reading import FORMAT, parse, read_body

USER = {"role": "user", "content": "Hi"}
SEARCH = {"type": "web_search", "search_context_size": "low"}
SEARCHING = {
    "anthropic": TARGETS["anthropic"],
    "bedrock nova": TARGETS["bedrock nova"],
    "gemini": TARGETS["gemini"],
    "openai": build_target("openai", "gpt-4o-search-preview"),
    "openrouter": TARGETS["openrouter"],
    "perplexity": build_target("perplexity", "sonar"),
}
NOT_SEARCHING = ("bedrock claude", "cohere", "ollama", "openai", "mistral", "deepseek", "vllm")


def send(target: Target, client_body: ClientBody) -> tuple[Any, list[str]]:
    """The body that the target gets, and what is left out, in the client's words."""
    prepared = prepare({"model": "m"}, target, client_body=client_body)
    return prepared.body, list(map(FORMAT.rename_field, prepared.request.omitted))


@each("name", SEARCHING)
def test_a_target_with_web_search_searches(name: str) -> None:
    body, omitted = send(SEARCHING[name], read_body(tools=[SEARCH]))
    assert "tools.web_search" not in omitted
    assert "web_search" in str(body) or "Search" in str(body) or "nova_grounding" in str(body)


@each("name", NOT_SEARCHING)
def test_a_target_without_answers_without(name: str) -> None:
    client_body = read_body(tools=[SEARCH])
    body, omitted = send(TARGETS[name], client_body)
    assert "web_search" not in str(body)
    assert "tools.web_search" in omitted
    # The next target may search.
    assert "tools.web_search" not in send(SEARCHING["anthropic"], client_body)[1]


def test_the_same_wire_gets_the_tool_as_it_is() -> None:
    body, omitted = send(TARGETS["responses"], read_body(tools=[SEARCH]))
    assert body["tools"] == [SEARCH]
    assert omitted == []


SOUND = {"type": "input_audio", "input_audio": {"data": "QQ==", "format": "wav"}}
CALL = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
RESULT = {"type": "function_call_output", "call_id": "c"}


@each(
    "fields, path",
    [
        ({"input": [USER, {"role": "user", "content": [SOUND]}]}, "input[1].content[0]"),
        (
            {
                "instructions": "Be brief.",
                "input": [
                    USER,
                    {"type": "reasoning", "summary": []},
                    CALL,
                    {**CALL, "call_id": "d"},
                    {"type": "function_call_output", "call_id": "d", "output": "x"},
                    {**RESULT, "output": "x"},
                    {"role": "assistant", "content": "A"},
                    {"role": "user", "content": [{"type": "input_text", "text": "a"}, SOUND]},
                ],
            },
            "input[7].content[1]",
        ),
        (
            {
                "tools": [
                    {"type": "image_generation"},
                    {"type": "function", "name": "fine"},
                    {"type": "function", "name": "a name"},
                ]
            },
            "tools[2].name",
        ),
    ],
)
def test_an_error_of_a_target_names_the_place_that_the_client_knows(fields: Any, path: str) -> None:
    with pytest.raises(UnsupportedField) as caught:
        send(TARGETS["anthropic"], read_body(**fields))
    assert caught.value.path.startswith(path)
    assert FORMAT.rename_field(caught.value.path) == caught.value.path


def test_a_place_that_is_not_known_stays() -> None:
    client_body = parse().client_body
    assert client_body is not None
    assert client_body.find_place("response_format.json_schema") == "response_format.json_schema"
    assert client_body.find_place("messages[9].content") == "messages[9].content"


@each(
    "fields",
    [
        {"tools": [{"type": "shell"}]},
        {"tool_choice": {"type": "shell"}},
        {"input": [USER, {"type": "item_of_next_year"}]},
        {"input": [USER, {"role": "user", "content": [{"type": "input_hologram"}]}]},
    ],
)
def test_what_only_this_wire_has_goes_there_though_hooks_see_a_unified_request(
    fields: Any,
) -> None:
    client_body = read_body(**fields)
    assert client_body.unified["messages"]
    with pytest.raises(UnsupportedField):
        send(TARGETS["openai"], client_body)
    body, _ = send(TARGETS["responses"], client_body)
    for name, value in fields.items():
        assert body[name] == value
