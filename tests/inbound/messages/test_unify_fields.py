"""The fields of a Messages request that are not part of the conversation, as unified ones."""

from __future__ import annotations

from typing import Any

import pytest

from native_api.exceptions import InvalidRequest, UnsupportedField
from native_api.inbound.anthropic import CountTokensFormat
from native_api.inbound.openai import ChatCompletionSerializer
from tests.cases import each
from tests.inbound.contexts import context_of
from tests.inbound.messages.requests import (
    BETAS,
    HELLO,
    MESSAGES,
    build,
    claude_code,
    parse,
    unify,
    unify_all,
)

Json = dict[str, Any]
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}
TOOL = {"name": "f", "input_schema": SCHEMA}
FUNCTION = {"type": "function", "function": {"name": "f", "parameters": SCHEMA}}


@each(
    "fields, unified",
    [
        ({"stop_sequences": ["x"]}, {"stop": ["x"]}),
        ({"temperature": 0.5, "top_p": 0.9, "top_k": 5}, {"temperature": 0.5, "top_p": 0.9, "top_k": 5}),
        ({"service_tier": "auto"}, {"service_tier": "auto"}),
        ({"service_tier": "standard_only"}, {"service_tier": "default"}),
        ({"metadata": {"user_id": "u-1"}}, {"user": "u-1"}),
        ({"fallbacks": ["a", "b"]}, {"fallbacks": ["a", "b"]}),
        ({"conversation_id": "c"}, {"conversation_id": "c"}),
        ({"thinking": {"type": "disabled"}}, {"reasoning_effort": "none"}),
        ({"thinking": {"type": "between_tools"}}, {"reasoning_effort": "none"}),
        ({"thinking": {"type": "adaptive"}}, {"reasoning_effort": "high"}),
        (
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}},
            {"reasoning_effort": "low"},
        ),
        ({"output_config": {"effort": "xhigh"}}, {"reasoning_effort": "xhigh"}),
        (
            {"thinking": {"type": "enabled", "budget_tokens": 2000, "display": "summarized"}},
            {"reasoning_effort": "low", "reasoning": {"max_tokens": 2000}},
        ),
        ({"tools": [TOOL]}, {"tools": [FUNCTION]}),
        (
            {"tools": [{**TOOL, "type": "custom", "strict": True, "description": "D"}]},
            {
                "tools": [
                    {
                        "type": "function",
                        "function": {**FUNCTION["function"], "strict": True, "description": "D"},
                    }
                ]
            },
        ),
        (
            {"tools": [{**TOOL, "cache_control": {"type": "ephemeral"}}]},
            {"tools": [{**FUNCTION, "cache_control": {"type": "ephemeral"}}]},
        ),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, {"web_search_options": {}}),
        (
            {
                "tools": [
                    {
                        "type": "web_search_20250305",
                        "name": "web_search",
                        "user_location": {"type": "approximate", "city": "Bern", "region": None},
                    }
                ]
            },
            {
                "web_search_options": {
                    "user_location": {"type": "approximate", "approximate": {"city": "Bern"}}
                }
            },
        ),
        ({"tools": [TOOL], "tool_choice": {"type": "any"}}, {"tools": [FUNCTION], "tool_choice": "required"}),
        (
            {
                "tools": [TOOL],
                "tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": True},
            },
            {
                "tools": [FUNCTION],
                "tool_choice": {"type": "function", "function": {"name": "f"}},
                "parallel_tool_calls": False,
            },
        ),
        (
            {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "answer", "schema": SCHEMA},
                }
            },
        ),
        (
            {"output_format": {"type": "json_schema", "schema": SCHEMA}},
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "answer", "schema": SCHEMA},
                }
            },
        ),
    ],
)  # fmt: skip
def test_fields_have_their_unified_words(fields: Json, unified: Json) -> None:
    chat, omitted = unify_all(**fields)
    assert chat == {
        "model": "m",
        "messages": [HELLO],
        "max_completion_tokens": 100,
        "stream_options": {"include_usage": True},
        **unified,
    }
    assert omitted == []
    assert ChatCompletionSerializer().check_known(chat) == chat


IMAGE: Json = {"type": "image", "source": {"type": "url", "url": "https://a.test/x.png"}}


@each(
    "fields, names",
    [
        ({"betas": ["a-2026"]}, ["betas"]),
        ({"context_management": {"edits": []}, "speed": "fast"}, ["context_management", "speed"]),
        ({"diagnostics": {"previous_message_id": None}}, ["diagnostics"]),
        ({"thread": {"type": "create"}}, ["thread"]),
        ({"fallbacks": "default"}, ["fallbacks"]),
        ({"fallbacks": [{"model": "claude"}]}, ["fallbacks"]),
        ({"service_tier": "new"}, ["service_tier"]),
        ({"output_config": {"effort": "extreme"}}, ["output_config.effort"]),
        ({"output_config": {"task_budget": {"type": "tokens", "total": 1}}}, ["output_config.task_budget"]),
        ({"thinking": {"type": "adaptive", "display": "omitted"}}, ["thinking.display"]),
        ({"thinking": {"type": "deep"}}, ["thinking"]),
        ({"tools": [{"type": "tool_search_tool_regex", "name": "t"}]}, ["tools.tool_search_tool_regex"]),
        ({"tools": [{**TOOL, "defer_loading": True}]}, ["tools.defer_loading"]),
        ({"tools": [{**TOOL, "allowed_callers": ["direct"]}]}, []),
        (
            {"tools": [{"type": "web_search_20260209", "name": "web_search", "max_uses": 2}]},
            ["tools.web_search.max_uses"],
        ),
        (
            {"tools": [{"type": "web_search_20260209", "name": "web_search", "defer_loading": True}]},
            ["tools.web_search.defer_loading"],
        ),
        (
            {"messages": [{"role": "user", "content": [{**IMAGE, "transformations": {"crop": {}}}]}]},
            ["messages.content.transformations"],
        ),
        ({"metadata": {"user_id": None}, "cache_control": None, "system": None}, []),
    ],
)  # fmt: skip
def test_what_only_anthropic_has_is_left_out_and_reported(fields: Json, names: list[str]) -> None:
    chat, omitted = unify_all(**fields)
    assert omitted == names
    assert ChatCompletionSerializer().check_known(chat) == chat


@each(
    "fields, path",
    [
        ({"mcp_servers": [{"type": "url", "url": "https://a.example", "name": "a"}]}, "mcp_servers"),
        ({"container": "c"}, "container"),
        ({"inference_geo": "eu"}, "inference_geo"),
        ({"compaction": {"type": "summarize"}}, "compaction"),
        ({"thread": {"type": "continue", "previous_message_id": "m"}}, "thread"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"tools": [{"type": "code_execution_20250825", "name": "code_execution"}]}, "tools[0].type"),
        ({"tools": [TOOL, {"type": "bash_20250124", "name": "bash"}]}, "tools[1].type"),
        ({"tools": [TOOL], "tool_choice": {"type": "tool", "name": "g"}}, "tool_choice.name"),
        ({"output_config": {"format": {"type": "grammar"}}}, "output_config.format"),
    ],
)  # fmt: skip
def test_what_the_answer_depends_on_is_refused(fields: Json, path: str) -> None:
    with pytest.raises(UnsupportedField) as caught:
        unify(**fields)
    assert caught.value.path == path


@each(
    "fields",
    [
        {"mcp_servers": [{"type": "url", "url": "https://a.example", "name": "a"}]},
        {"max_tokens": 0, "container": "c"},
        {"tools": [TOOL, {"type": "code_execution_20250825", "name": "code_execution"}]},
        {"messages": [{"role": "user", "content": [{"type": "container_upload", "file_id": "f"}]}]},
        {"messages": [{"role": "user", "content": [{"type": "hologram"}]}]},
        {"messages": [{"role": "system", "content": "", "output_config": {"effort": "low"}}]},
    ],
)
def test_hooks_see_also_what_only_anthropic_can_answer(fields: Json) -> None:
    client_body = parse(**fields).client_body
    assert client_body is not None
    assert ChatCompletionSerializer().check_known(client_body.unified) == client_body.unified
    with pytest.raises(UnsupportedField):
        client_body.translate()


def test_a_users_id_is_such_as_every_provider_takes() -> None:
    """OpenAI takes 64 characters, DeepSeek only letters, digits, `_` and `-`."""
    user_id = '{"device_id":"0af1","session_id":"c1b2"}'
    user = unify(metadata={"user_id": user_id})["user"]
    assert len(user) == 64
    assert user.isalnum()
    assert user == unify(metadata={"user_id": user_id})["user"]
    assert user != unify(metadata={"user_id": user_id + "x"})["user"]


def test_the_head_says_what_routing_limits_and_records_read() -> None:
    request = build(
        stream=True,
        metadata={"user_id": "u", "team": "t", "long": "x" * 600, "n": 5},
        service_tier="standard_only",
        provider_options={"anthropic": {"top_k": 1}},
        fallbacks=["other"],
        tools=[TOOL],
    )
    assert parse(request).body == {
        "model": "m",
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_completion_tokens": 100,
        "service_tier": "default",
        "metadata": {"user_id": "u", "team": "t"},
        "provider_options": {"anthropic": {"top_k": 1}},
        "fallbacks": ["other"],
    }


def test_betas_come_from_the_header_and_the_body() -> None:
    context = context_of(anthropic_beta=" b-1, a-2,,b-1 ")
    parsed = MESSAGES.parse(build(betas=["c-3"]), context)
    assert parsed.client_body is not None
    assert parsed.client_body.body["betas"] == ["c-3", "b-1", "a-2"]
    assert parse().client_body.body.get("betas") is None  # type: ignore[union-attr]


@each("header", ["a b", "x" * 101, "é", ",".join(f"b-{n}" for n in range(51))])
def test_a_bad_beta_is_an_error_that_names_the_header(header: str) -> None:
    with pytest.raises(InvalidRequest, match="anthropic-beta"):
        MESSAGES.parse(build(), context_of(anthropic_beta=header))


@each("version", ["2023-06-01", "2026-10-21", "2027-01-01", None])
def test_any_version_is_taken(version: str | None) -> None:
    headers = {"anthropic_version": version} if version else {}
    assert MESSAGES.parse(build(), context_of(**headers)).body["model"] == "m"


CLOSED: Json = {
    "type": "object",
    "properties": {"a": {"type": "array", "items": {"$ref": "#/$defs/b"}}},
    "required": ["a"],
    "additionalProperties": False,
    "$defs": {
        "b": {
            "type": "object",
            "properties": {"b": {"type": "string"}},
            "required": ["b"],
            "additionalProperties": False,
        }
    },
}


@each(
    "schema, is_strict",
    [
        (CLOSED, True),
        ({**CLOSED, "additionalProperties": True}, False),
        ({**CLOSED, "required": []}, False),
        ({**CLOSED, "properties": {"a": {"type": "object"}}}, False),
        ({**CLOSED, "properties": {"a": {"type": "string", "default": "x"}}}, False),
        ({**CLOSED, "required": [["a"], 5]}, False),
        ({"type": "string"}, False),
    ],
)
def test_a_schema_that_openai_can_guarantee_is_strict(schema: Json, is_strict: bool) -> None:
    """Anthropic guarantees each."""
    chat = unify(output_config={"format": {"type": "json_schema", "schema": schema}})
    assert chat["response_format"]["json_schema"].get("strict", False) is is_strict


def test_a_coding_agents_request() -> None:
    request = claude_code()
    parsed = MESSAGES.parse(request, context_of(anthropic_beta=BETAS))
    assert parsed.dropped_fields == []
    assert parsed.client_body is not None
    assert len(parsed.client_body.body["betas"]) == 8
    chat = parsed.client_body.translate()
    assert ChatCompletionSerializer().check_known(chat) == chat
    assert "billing" not in str(chat["messages"])
    assert chat["messages"][2]["reasoning_content"] == "I should run it."
    assert chat["messages"][-1] == {"role": "system", "content": "Say what you did."}
    assert chat["reasoning_effort"] == "low"
    assert len(chat["tools"]) == 24
    assert parsed.client_body.omitted == ["betas", "context_management"]


@each(
    "path, named",
    [
        ("max_completion_tokens", "max_tokens"),
        ("stop", "stop_sequences"),
        ("response_format.json_schema.schema", "output_config.format.schema"),
        ("messages[1].content[0].tool_call_id", "messages[1].content[0].tool_use_id"),
        ("messages.reasoning_details", "messages.thinking"),
        ("messages[3].content[1].image_url.url", "messages[3]"),
        ("messages[3].content[1].content[0].file.file_url", "messages[3].content[1]"),
        ("messages[3].provider_content", "messages[3]"),
        ("messages[3].content[1].source.type", "messages[3].content[1].source.type"),
        ("tools[2].parameters.properties", "tools[2].input_schema"),
        ("tools.function.parameters", "tools.input_schema"),
        ("tools.function.strict", "tools.strict"),
        ("output_config.effort", "output_config.effort"),
        ("thinking.budget_tokens", "thinking.budget_tokens"),
        ("reasoning.max_tokens", "thinking.budget_tokens"),
    ],
)
def test_paths_have_this_apis_words(path: str, named: str) -> None:
    assert MESSAGES.rename_field(path) == named
    assert MESSAGES.rename_field(named) == named


def test_a_count_takes_the_request_that_is_counted() -> None:
    counts = CountTokensFormat()
    for fields in ({}, {"max_tokens": 5, "stream": True}):
        parsed = counts.parse({"model": "m", "messages": [HELLO], **fields}, context_of())
        assert parsed.body == {"model": "m", "stream_options": {"include_usage": True}}
        assert parsed.client_body is not None
        assert parsed.client_body.body == {"model": "m", "messages": [HELLO]}
    assert counts.reply(parsed, 12) == b'{"input_tokens":12}'


def test_places_are_those_of_the_clients_request() -> None:
    image = {"type": "image", "source": {"type": "url", "url": "https://a.example/i.png"}}
    result = {"type": "tool_result", "tool_use_id": "c", "content": [image]}
    call = {"type": "tool_use", "id": "c", "name": "f", "input": {}}
    client_body = parse(
        system="Be brief.",
        messages=[
            HELLO,
            {"role": "assistant", "content": [call]},
            {"role": "user", "content": [image, result]},
        ],
        tools=[{"type": "tool_search_tool_regex", "name": "s"}, TOOL],
    ).client_body
    assert client_body is not None
    roles = [message["role"] for message in client_body.translate()["messages"]]
    assert roles == ["system", "user", "assistant", "tool", "user"]
    found = {
        path: MESSAGES.rename_field(client_body.find_place(path))
        for path in (
            "messages[0].content",
            "messages[2].tool_calls",
            "messages[3].content[0].image_url.url",
            "messages[4].content[0].image_url",
            "tools[0].function.parameters",
        )
    }
    assert list(found.values()) == [
        "system.content",
        "messages[1]",
        "messages[2].content[1]",
        "messages[2]",
        "tools[1].input_schema",
    ]
