"""What the recordings of Anthropic cannot say: what models' names tell, replies that clients
changed, streams out of order."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from native_api.dialects import DIALECTS
from native_api.dialects.anthropic.models import read_abilities
from native_api.dialects.anthropic.schema import adapt_schema
from native_api.exceptions import UpstreamError
from native_api.types import ChatRequest, Event, Provider, Target
from tests.dialects.stream_folding import fold
from tests.dialects.timing import best_of

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


def sent(*messages: Any, **more: Any) -> Any:
    chat: Any = {"model": "m", "messages": [QUESTION, *messages], **more}
    return DIALECT.request(chat, TARGET).body


def own_account(target: Target) -> Target:
    """The target at a provider whose callers may share what it keeps."""
    return replace(target, provider=replace(target.provider, own_account=True))


def turn(**message: Any) -> Any:
    return sent({"role": "assistant", "content": None, **message})["messages"][1]["content"]


# --- models ---------------------------------------------------------------------------------------


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
def test_a_models_name_tells_its_family_and_generation(
    model: str, family: str, generation: tuple[int, int]
) -> None:
    can = read_abilities(model)
    assert (can.family, can.generation) == (family, generation)


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
def test_how_much_a_model_writes_and_how_it_thinks(model: str, limit: int, thinking: str) -> None:
    assert (read_abilities(model).output_limit, read_abilities(model).thinking) == (limit, thinking)


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
def test_a_schema_that_no_grammar_says(schema: dict[str, Any]) -> None:
    assert adapt_schema(schema, "") is None


# --- turns that clients send back -----------------------------------------------------------------


def test_what_a_client_changed_does_no_harm() -> None:
    cited = {"type": "text", "citations": [{"type": "char_location"}]}
    blocks = [
        {"format": "anthropic", "index": 0, "block": cited, "at": 90, "until": 99},
        {"format": "anthropic", "index": 1, "block": {}, "at": 3, "calls": 7},
    ]
    assert turn(
        content="short", reasoning_details=[{**THOUGHT, "at": 50}], provider_content=blocks
    ) == [
        {"type": "text", "text": "short"},
        {"type": "thinking", "thinking": "Hm.", "signature": "sig"},
    ]


def test_thoughts_that_are_unsigned_or_anothers_are_left_out() -> None:
    others = [
        {**THOUGHT, "signature": ""},
        {**THOUGHT, "format": "gemini"},
        {"type": "reasoning.summary", "format": "anthropic"},
    ]
    assert turn(content="a", reasoning_details=others) == [{"type": "text", "text": "a"}]


def test_content_in_parts_keeps_its_parts_between_what_the_provider_wrote() -> None:
    marker = {"cache_control": {"type": "ephemeral"}}
    content = [{"type": "text", "text": "one"}, {"type": "refusal", "refusal": "two", **marker}]
    assert turn(content=content, reasoning_details=[{**THOUGHT, "at": 1}]) == [
        {"type": "text", "text": "o"},
        {"type": "thinking", "thinking": "Hm.", "signature": "sig"},
        {"type": "text", "text": "ne"},
        {"type": "text", "text": "two", **marker},
    ]


@pytest.mark.parametrize(
    ("caller", "container"), [("code_execution_20260120", "c1"), ("direct", None)]
)
def test_code_that_waits_for_a_result_finds_its_container(
    caller: str, container: str | None
) -> None:
    function = {"name": "f", "arguments": "{}"}
    call = {
        "id": "t1",
        "type": "function",
        "function": function,
        "extra_content": {"anthropic": {"caller": {"type": caller}}},
    }
    about = [{"format": "anthropic", "index": 0, "block": {"container": {"id": "c1"}}}]
    message = {
        "role": "assistant",
        "content": None,
        "tool_calls": [call],
        "provider_content": about,
    }
    chat: Any = {
        "model": "m",
        "messages": [QUESTION, message, {"role": "tool", "tool_call_id": "t1", "content": "ok"}],
    }
    body = DIALECT.request(chat, own_account(TARGET)).body
    assert body.get("container") == container
    assert body["messages"][1]["content"][0]["caller"] == {"type": caller}


def test_instructions_without_a_users_turn_before_them_are_put_first() -> None:
    body = sent({"role": "assistant", "content": "a"}, {"role": "system", "content": "b"})
    assert body["system"] == [{"type": "text", "text": "b"}]
    assert [turn["role"] for turn in body["messages"]] == ["user", "assistant"]


def test_instructions_alone_are_what_the_user_says() -> None:
    body = DIALECT.request(
        {"model": "m", "messages": [{"role": "system", "content": "a"}]}, TARGET
    ).body
    assert body["messages"] == [{"role": "user", "content": [{"type": "text", "text": "a"}]}]
    assert "system" not in body


# --- streams --------------------------------------------------------------------------------------


def event(kind: str, **told: Any) -> Event:
    return Event(kind, json.dumps({"type": kind, **told}))


START = event(
    "message_start",
    message={"id": "m1", "model": "c", "usage": {"input_tokens": 1, "output_tokens": 1}},
)
END = event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 2})
CALL = {"type": "tool_use", "id": "t1", "name": "f", "input": {}}


def message_of(*events: Event) -> Any:
    parser = DIALECT.stream(TARGET)
    [choice] = fold([*(chunk for told in events for chunk in parser.feed(told)), *parser.close()])
    return choice["message"]


def delta(index: int, kind: str, **told: Any) -> Event:
    return event("content_block_delta", index=index, delta={"type": kind, **told})


def test_text_whose_block_never_began_is_text() -> None:
    assert (
        message_of(delta(0, "text_delta", text="a"), START, delta(0, "text_delta", text="b"), END)[
            "content"
        ]
        == "ab"
    )


def test_blocks_that_never_ended_end_with_the_reply() -> None:
    begun = [
        event("content_block_start", index=n, content_block=block)
        for n, block in enumerate([CALL, {"type": "new", "x": 1}])
    ]
    message = message_of(START, *begun, END)
    assert message["tool_calls"][0]["function"] == {"name": "f", "arguments": "{}"}
    assert message["provider_content"] == [
        {"format": "anthropic", "index": 0, "block": {"type": "new", "x": 1}, "calls": 1}
    ]


def test_calls_that_never_ended_get_empty_arguments() -> None:
    begun = [
        event("content_block_start", index=n, content_block={**CALL, "id": f"t{n}"})
        for n in range(3)
    ]
    first_end = event("content_block_stop", index=0)
    message = message_of(START, begun[0], first_end, *begun[1:], END)
    assert [call["id"] for call in message["tool_calls"]] == ["t0", "t1", "t2"]
    assert {call["function"]["arguments"] for call in message["tool_calls"]} == {"{}"}


def test_arguments_that_are_no_json_are_the_text_they_are() -> None:
    begun = event("content_block_start", index=0, content_block=CALL)
    message = message_of(
        START,
        begun,
        delta(0, "input_json_delta", partial_json='{"a": '),
        event("content_block_stop", index=0),
        END,
    )
    assert message["tool_calls"][0]["function"]["arguments"] == '{"a": '
    body = {"content": [{**CALL, "input": '{"a": '}], "stop_reason": "tool_use"}
    assert (
        DIALECT.response(body, TARGET)["choices"][0]["message"]["tool_calls"][0]["function"][
            "arguments"
        ]
        == '{"a": '
    )


def test_calls_without_ids_get_ones() -> None:
    calls = [{"type": "tool_use", "name": "f", "input": {}}] * 2
    message = DIALECT.response({"id": "msg_1", "content": calls}, TARGET)["choices"][0]["message"]
    assert [call["id"] for call in message["tool_calls"]] == ["call_msg_1_0", "call_msg_1_1"]


def test_a_second_beginning_and_what_comes_after_the_end_say_nothing() -> None:
    again = event("message_start", message={"id": "m2", "model": "d"})
    parser = DIALECT.stream(TARGET)
    chunks = [
        chunk
        for told in (START, again, END, delta(0, "text_delta", text="late"), END)
        for chunk in parser.feed(told)
    ]
    assert {chunk["id"] for chunk in chunks} == {"m1"}
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks] == [None, "stop"]


@pytest.mark.parametrize(
    ("kind", "status"), [("overloaded_error", 529), ("rate_limit_error", 429), ("new_error", None)]
)
def test_an_error_in_mid_stream_means_what_it_means_alone(kind: str, status: int | None) -> None:
    with pytest.raises(UpstreamError) as caught:
        message_of(START, event("error", error={"type": kind, "message": "Why."}))
    assert caught.value.upstream_status == status


# --- speed ----------------------------------------------------------------------------------------


def test_a_long_conversation_and_a_stream_are_translated_in_no_time() -> None:
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
    dialog = [
        {"role": "user", "content": "question " * 20},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [call],
            "reasoning_details": [THOUGHT],
        },
        {"role": "tool", "tool_call_id": "a", "content": '{"ok": true}'},
        {"role": "assistant", "content": "answer " * 20, "reasoning_details": [THOUGHT]},
    ]
    parameters = {"type": "object", "properties": {f"p{n}": {"type": "string"} for n in range(10)}}
    tools = [
        {
            "type": "function",
            "function": {"name": f"f{n}", "parameters": parameters, "strict": True},
        }
        for n in range(5)
    ]
    chat: ChatRequest = {"model": "m", "messages": dialog * 25, "tools": tools}  # type: ignore[typeddict-item]
    assert (
        best_of(20, lambda: DIALECT.request(chat, TARGET)) < 0.003
    )  # the limit is 1 ms on a core of its own
    parser, piece = DIALECT.stream(TARGET), delta(0, "text_delta", text="some words")
    assert best_of(200, lambda: parser.feed(piece)) < 0.0001  # and 30 µs


@pytest.mark.parametrize("owner", ["claude", "anthropic"])
def test_betas_that_nobody_here_knows_work_on_their_first_day(owner: str) -> None:
    provider = Provider("claude", "anthropic", "https://api.anthropic.com/v1", "k")
    options = {
        owner: {"betas": ["new-thing_2.0-2027-01-01", "a-2026-01-01", "new-thing_2.0-2027-01-01"]}
    }
    chat: Any = {
        "model": "m",
        "messages": [{"role": "user", "content": "Hi"}],
        "provider_options": options,
    }
    request = DIALECTS["anthropic"].request(chat, Target(provider, "claude-sonnet-4-5"))
    assert request.headers["anthropic-beta"] == "a-2026-01-01,new-thing_2.0-2027-01-01"
    assert "betas" not in request.body
