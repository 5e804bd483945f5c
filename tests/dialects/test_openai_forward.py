"""A client's body on OpenAI's wire goes on as it was written, but for what docs/messages.md lists."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from native_api.catalog.presets import PRESETS
from native_api.dialects import DIALECTS
from native_api.dialects.openai_chat.dialect import OUTPUT_LIMITS
from native_api.exceptions import UnsupportedField
from native_api.inbound.openai import ChatCompletions
from native_api.types import DIALECT_FIELDS, Provider, Quirks, Target

DIALECT = DIALECTS["openai"]

USER: dict[str, Any] = {"role": "user", "content": "Hi"}
CALL: dict[str, Any] = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "f", "arguments": '{"x": 1}'},
}
TOOL: dict[str, Any] = {"type": "function", "function": {"name": "f", "parameters": {}}}
WRITTEN: dict[str, Any] = {
    "model": "m",
    "messages": [
        {"role": "developer", "content": [{"type": "text", "text": "Be brief."}], "name": "site"},
        {**USER, "name": "ann"},
        {"role": "assistant", "tool_calls": [CALL], "refusal": None},
        {"role": "tool", "tool_call_id": "call_1", "content": "7"},
        {"role": "assistant", "content": "Seven.", "refusal": None, "audio": None},
        {
            "role": "user",
            "content": [
                {"type": "image_url", "image_url": {"url": "https://a.example/i.png"}},
                {"type": "text", "text": ""},
            ],
        },
    ],
    "tools": [TOOL],
    "tool_choice": {"type": "function", "function": {"name": "f"}},
    "temperature": 0,
    "stop": None,
    "max_tokens": 5,
    "metadata": {"a": "b"},
    "n": 1,
    "stream": False,
}


def make_target(quirks: Quirks | None = None, model: str = "m") -> Target:
    return Target(
        Provider("p", "openai", "https://api.example/v1", quirks=quirks or Quirks()), model
    )


def forward(body: dict[str, Any], target: Target | None = None) -> dict[str, Any]:
    before = deepcopy(body)
    sent = DIALECT.forward(body, target or make_target()).body
    assert body == before, "what the client wrote is not changed"
    return sent


def test_a_body_goes_on_as_it_was_written() -> None:
    assert forward(WRITTEN) == WRITTEN


def test_the_checks_of_a_request_leave_the_clients_body_alone() -> None:
    parsed = ChatCompletions().parse(deepcopy(WRITTEN))
    assert parsed.client_body is not None
    assert parsed.client_body.wire == DIALECT.wire
    assert parsed.client_body.body == WRITTEN
    assert parsed.body != WRITTEN, "the unified request has no nulls"


@pytest.mark.parametrize("name", sorted(DIALECT_FIELDS - OUTPUT_LIMITS - {"messages"}))
def test_a_field_that_is_null_goes_on_as_null(name: str) -> None:
    written = {"model": "m", "messages": [USER], name: None}
    parsed = ChatCompletions().parse(deepcopy(written))
    assert parsed.client_body is not None
    assert forward(parsed.client_body.body) == written


@pytest.mark.parametrize("name", sorted(OUTPUT_LIMITS))
def test_an_output_limit_that_is_null_is_left_out(name: str) -> None:
    assert forward({"model": "m", "messages": [USER], name: None}) == {
        "model": "m",
        "messages": [USER],
    }


UNKNOWN = {
    "a field": {"reasoning_format": "parsed"},
    "a member of a message": {"messages": [{**USER, "mood": "calm"}]},
    "a member of an answer": {
        "messages": [USER, {"role": "assistant", "content": "a", "executed_tools": [1]}, USER]
    },
    "a member of a part": {
        "messages": [{"role": "user", "content": [{"type": "text", "text": "a", "lang": "en"}]}]
    },
    "a kind of part": {
        "messages": [{"role": "user", "content": [{"type": "video_url", "video_url": {}}]}]
    },
    "a member of a call": {
        "messages": [USER, {"role": "assistant", "tool_calls": [{**CALL, "status": "done"}]}]
    },
    "a member of a result": {
        "messages": [USER, {"role": "tool", "tool_call_id": "1", "content": "a", "took": 3}]
    },
    "a kind of tool": {"tools": [{"type": "browser", "depth": 2}]},
    "a member of a tool": {"tools": [{**TOOL, "defer_loading": True}]},
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_nobody_here_knows_goes_on(name: str) -> None:
    body = {"model": "m", "messages": [USER], **UNKNOWN[name]}
    assert forward(body) == body


OWNED = {
    "models": ["gpt-x"],
    "route": "fallback",
    "plugins": [{"id": "web"}],
    "usage": {"include": True},
    "previous_response_id": "resp_1",
    "Max_Output_Tokens": 5,
    "best_of": 5,
    "max_output_token\u017f": 5,
    "priority": 1,
    "extra_body": {"models": ["gpt-x"]},
    "tools": [{"type": "advisor", "model": "gpt-x"}],
}


@pytest.mark.parametrize("name", OWNED)
def test_what_the_gateway_owns_is_refused(name: str) -> None:
    with pytest.raises(UnsupportedField) as refused:
        forward({"model": "m", "messages": [USER], name: OWNED[name]})
    assert str(refused.value.param).startswith(name)


EDITS: dict[str, tuple[Any, Any, Target]] = {
    "the model is the target's": ({"model": "fast"}, {"model": "m"}, make_target()),
    "our own fields are not sent": (
        {"tier": "simple", "conversation_id": "c", "fallbacks": ["x"]},
        {},
        make_target(),
    ),
    "options are merged": ({"provider_options": {"p": {"top_k": 5}}}, {"top_k": 5}, make_target()),
    "usage is asked for": (
        {"stream": True, "stream_options": {"include_obfuscation": False}},
        {"stream": True, "stream_options": {"include_obfuscation": False, "include_usage": True}},
        make_target(),
    ),
    "nothing is stored": ({"store": True}, {"store": False}, make_target()),
    "a vendor's name of a field": (
        {"seed": 1},
        {"random_seed": 1},
        make_target(Quirks(renamed={"seed": "random_seed"})),
    ),
    "a hint that the vendor refuses": (
        {"seed": 1, "user": None},
        {},
        make_target(Quirks(unsupported=frozenset({"seed", "user"}))),
    ),
    "what the model refuses": ({"temperature": 1}, {}, make_target(model="o3")),
    "an empty list of tools": ({"tools": []}, {}, make_target()),
}


@pytest.mark.parametrize("name", EDITS)
def test_fields_are_edited(name: str) -> None:
    written, sent, target = EDITS[name]
    body = {"model": "m", "messages": [USER], **written}
    assert forward(body, target) == {
        "model": target.model,
        "messages": [USER],
        **{field: value for field, value in sent.items() if field != "model"},
    }


SDK_LEFTOVERS = {
    "role": "assistant",
    "content": "{}",
    "parsed": {},
    "tool_calls": [
        {**CALL, "index": 0, "function": {**CALL["function"], "parsed_arguments": {"x": 1}}}
    ],
}
ANSWER_EDITS: dict[str, tuple[Any, Any, Quirks]] = {
    "reasoning": ({"content": "a", "reasoning_content": "hm"}, {"content": "a"}, Quirks()),
    "reasoning that the vendor takes": (
        {"content": "a", "reasoning_content": "hm"},
        {"content": "a", "reasoning": "hm"},
        Quirks(reasoning_field="reasoning"),
    ),
    "blocks of other wires": (
        {"content": "a", "provider_content": [{"format": "anthropic", "block": {"type": "x"}}]},
        {"content": "a"},
        Quirks(),
    ),
    "what SDKs leave behind": (SDK_LEFTOVERS, {"content": "{}", "tool_calls": [CALL]}, Quirks()),
    "an empty list of calls": ({"content": "a", "tool_calls": []}, {"content": "a"}, Quirks()),
    "a name that the vendor refuses": (
        {"content": "a", "name": "bot"},
        {"content": "a"},
        Quirks(unsupported=frozenset({"messages.name"})),
    ),
    "the deprecated function call": (
        {"content": None, "function_call": CALL["function"]},
        {"content": None, "tool_calls": [{**CALL, "id": "f"}]},
        Quirks(),
    ),
}


@pytest.mark.parametrize("name", ANSWER_EDITS)
def test_a_models_messages_are_edited(name: str) -> None:
    written, sent, quirks = ANSWER_EDITS[name]
    body = {"model": "m", "messages": [USER, {"role": "assistant", **written}, USER]}
    expected = {"role": "assistant", **{key: value for key, value in sent.items() if key != "role"}}
    assert forward(body, make_target(quirks))["messages"] == [USER, expected, USER]


@pytest.mark.parametrize(
    "name", [name for name, preset in PRESETS.items() if preset.dialect == "openai"]
)
def test_every_vendor_gets_a_plain_conversation_as_it_was_written(name: str) -> None:
    body = {
        "model": "m",
        "messages": [
            {"role": "system", "content": "Be brief."},
            USER,
            {"role": "assistant", "content": "Hello."},
            USER,
        ],
        "stream": False,
    }
    assert forward(body, make_target(PRESETS[name].quirks)) == body
