"""What Anthropic's recordings of requests do not cover: model names, schemas, turns that clients
changed, and betas."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from native_api.dialects import DIALECTS
from native_api.dialects.anthropic.models import read_abilities
from native_api.dialects.anthropic.schema import adapt_schema
from native_api.types import Provider, Target
from tests.issued import mark_message

DIALECT = DIALECTS["anthropic"]
TARGET = Target(Provider("p", "anthropic", "https://api.anthropic.com/v1"), "claude-opus-4-8")
QUESTION = {"role": "user", "content": "?"}
THOUGHT = {
    "type": "reasoning.text",
    "text": "Hm.",
    "signature": "sig",
    "format": "anthropic",
    "index": 0,
}


def build_body(*messages: Any) -> Any:
    chat: Any = {"model": "m", "messages": [QUESTION, *messages]}
    return DIALECT.request(chat, TARGET).body


def replay(**message: Any) -> Any:
    """The blocks that an assistant's message becomes. Its items are this provider's own."""
    body = build_body(mark_message({"role": "assistant", "content": None, **message}, "p"))
    return body["messages"][1]["content"]


# --- models --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "family", "generation"),
    [
        ("claude-opus-4-5-20251101", "opus", (4, 5)),
        ("claude-opus-4-20250514", "opus", (4, 0)),
        ("claude-sonnet-4@20250514", "sonnet", (4, 0)),
        ("us.anthropic.claude-haiku-4-5-20251001-v1:0", "haiku", (4, 5)),
        ("claude-3-7-sonnet-latest", "", (3, 7)),
        ("claude-3-opus-20240229", "", (3, 0)),
        ("claude-2.1", "", (2, 1)),
        ("claude-v2", "", (2, 0)),
        ("claude-opus-4-10", "opus", (4, 10)),
        ("claude-fable-5-1", "fable", (5, 1)),
        ("claude-mythos-preview", "mythos", (5, 0)),
        ("MiniMax-M2", "", (0, 0)),
    ],
)
def test_the_name_of_a_model_contains_its_family_and_generation(
    model: str, family: str, generation: tuple[int, int]
) -> None:
    abilities = read_abilities(model)
    assert (abilities.family, abilities.generation) == (family, generation)


@pytest.mark.parametrize(
    ("model", "limit", "thinking"),
    [
        ("claude-3-haiku-20240307", 4096, "never"),
        ("claude-3-5-sonnet-20241022", 8192, "never"),
        ("claude-3-7-sonnet-20250219", 64_000, "by budget"),
        ("claude-opus-4-1", 32_000, "by budget"),
        ("claude-opus-4-5", 64_000, "by budget"),
        ("claude-haiku-4-5", 64_000, "by budget"),
        ("claude-sonnet-4-6", 64_000, "adaptive"),
        ("claude-opus-5-5", 64_000, "adaptive"),
        ("kimi-k2", 32_000, "by budget"),
    ],
)
def test_a_model_has_an_output_limit_and_a_way_to_think(
    model: str, limit: int, thinking: str
) -> None:
    abilities = read_abilities(model)
    assert (abilities.output_limit, abilities.thinking) == (limit, thinking)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "additionalProperties": True},
        {"type": "object", "properties": {"a": {"$ref": "https://example.com/schema.json"}}},
        {"type": "object", "properties": {"a": {"$ref": "#/properties/b"}, "b": {}}},
        {
            "$ref": "#/$defs/A",
            "$defs": {
                "A": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/B"}]},
                "B": {"items": {"$ref": "#/$defs/A"}},
            },
        },
        {"type": "array", "prefixItems": [{}]},
        {"not": {}},
        {"properties": {"a": True}},
        {"anyOf": [{"type": "string"}], "oneOf": [{"title": "t"}]},
    ],
)
def test_a_schema_that_no_grammar_can_express_is_not_adapted(schema: dict[str, Any]) -> None:
    assert adapt_schema(schema, "") is None


# --- turns that clients send back ----------------------------------------------------------------


def test_offsets_that_no_longer_fit_a_changed_text_are_ignored() -> None:
    cited = {"type": "text", "citations": [{"type": "char_location"}]}
    blocks = [
        {"format": "anthropic", "index": 0, "block": cited, "at": 90, "until": 99},
        {"format": "anthropic", "index": 1, "block": {}, "at": 3, "calls": 7},
    ]
    assert replay(
        content="short", reasoning_details=[{**THOUGHT, "at": 50}], provider_content=blocks
    ) == [
        {"type": "text", "text": "short"},
        {"type": "thinking", "thinking": "Hm.", "signature": "sig"},
    ]


def test_thinking_that_is_unsigned_or_from_another_wire_is_left_out() -> None:
    others = [
        {**THOUGHT, "signature": ""},
        {**THOUGHT, "format": "gemini"},
        {"type": "reasoning.summary", "format": "anthropic"},
    ]
    assert replay(content="a", reasoning_details=others) == [{"type": "text", "text": "a"}]


def test_content_in_parts_keeps_its_parts_around_thinking() -> None:
    marker = {"cache_control": {"type": "ephemeral"}}
    content = [{"type": "text", "text": "one"}, {"type": "refusal", "refusal": "two", **marker}]
    assert replay(content=content, reasoning_details=[{**THOUGHT, "at": 1}]) == [
        {"type": "text", "text": "o"},
        {"type": "thinking", "thinking": "Hm.", "signature": "sig"},
        {"type": "text", "text": "ne"},
        {"type": "text", "text": "two", **marker},
    ]


@pytest.mark.parametrize(
    ("caller", "container"), [("code_execution_20260120", "c1"), ("direct", None)]
)
def test_the_container_of_code_that_waits_for_a_result_is_named(
    caller: str, container: str | None
) -> None:
    function = {"name": "f", "arguments": "{}"}
    call = {
        "id": "t1",
        "type": "function",
        "function": function,
        "extra_content": {"anthropic": {"caller": {"type": caller}}},
    }
    reply_fields = [{"format": "anthropic", "index": 0, "block": {"container": {"id": "c1"}}}]
    message = {
        "role": "assistant",
        "content": None,
        "tool_calls": [call],
        "provider_content": reply_fields,
    }
    result = {"role": "tool", "tool_call_id": "t1", "content": "ok"}
    chat: Any = {"model": "m", "messages": [QUESTION, mark_message(message, "p"), result]}
    own_account = replace(TARGET, provider=replace(TARGET.provider, own_account=True))
    body = DIALECT.request(chat, own_account).body
    assert body.get("container") == container
    assert body["messages"][1]["content"][0]["caller"] == {"type": caller}


def test_instructions_after_an_assistants_turn_go_to_the_beginning() -> None:
    body = build_body({"role": "assistant", "content": "a"}, {"role": "system", "content": "b"})
    assert body["system"] == [{"type": "text", "text": "b"}]
    assert [turn["role"] for turn in body["messages"]] == ["user", "assistant"]


def test_instructions_alone_become_the_users_turn() -> None:
    body = DIALECT.request(
        {"model": "m", "messages": [{"role": "system", "content": "a"}]}, TARGET
    ).body
    assert body["messages"] == [{"role": "user", "content": [{"type": "text", "text": "a"}]}]
    assert "system" not in body


# --- betas ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["claude", "anthropic"])
def test_an_unknown_beta_works_on_its_first_day(name: str) -> None:
    provider = Provider("claude", "anthropic", "https://api.anthropic.com/v1", "k")
    options = {
        name: {"betas": ["new-thing_2.0-2027-01-01", "a-2026-01-01", "new-thing_2.0-2027-01-01"]}
    }
    chat: Any = {
        "model": "m",
        "messages": [{"role": "user", "content": "Hi"}],
        "provider_options": options,
    }
    request = DIALECTS["anthropic"].request(chat, Target(provider, "claude-sonnet-4-5"))
    assert request.headers["anthropic-beta"] == "a-2026-01-01,new-thing_2.0-2027-01-01"
    assert "betas" not in request.body
