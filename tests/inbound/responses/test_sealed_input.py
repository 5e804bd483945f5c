"""What the gateway sealed for a caller comes back with the next request: it is opened for its own
wire and for others, and nobody else can use or forge it."""

from __future__ import annotations

import copy
from typing import Any

from native_api.dialects.openai_responses.reply import build_reply
from native_api.types import Json
from tests.cases import each
from tests.inbound.contexts import BOB, context_of
from tests.inbound.responses.request_reading import parse, read_body, unify, unify_items

CONTEXT = context_of()
USER = {"role": "user", "content": "Hi"}
KEY, OTHER_KEY = "ab" * 20, "cd" * 20


def seal_own(value: str = "gAAA", issuer: str = "openai") -> str:
    return CONTEXT.seal.seal({"issued_by": issuer, "value": value})


def seal_members(**members: Any) -> str:
    return CONTEXT.seal.seal({"message": members})


def reasoning(sealed: Any, *summaries: str, **members: Any) -> Json:
    summary = [{"type": "summary_text", "text": text} for text in summaries]
    return {
        "type": "reasoning",
        "id": "rs_1",
        "summary": summary,
        "encrypted_content": sealed,
        **members,
    }


def said(text: str, **members: Any) -> Json:
    content = [{"type": "output_text", "text": text}]
    return {"type": "message", "role": "assistant", "content": content, **members}


def thinking(signature: str, index: int = 0, text: str = "hm") -> Json:
    return {
        "type": "reasoning.text",
        "text": text,
        "signature": signature,
        "format": "anthropic",
        "index": index,
        "issued_by": "eu",
    }


def open_item(item: Json, **options: Any) -> tuple[Json, list[str]]:
    parsed = parse(options.get("context") or CONTEXT, input=[USER, item])
    assert parsed.client_body is not None
    return parsed.client_body.body["input"][1], parsed.dropped_fields


@each("kind", ["reasoning", "compaction"])
def test_what_a_provider_of_this_wire_encrypted_is_there_with_its_issuer(kind: str) -> None:
    item = {"type": kind, "id": "x_1", "encrypted_content": seal_own(), "new": None}
    opened, dropped = open_item(item)
    assert opened == {**item, "encrypted_content": "gAAA", "issued_by": "openai"}
    assert dropped == []


def test_what_another_wire_needs_back_is_beside_the_item() -> None:
    item = reasoning(seal_members(reasoning_details=[thinking("S")]), "hm")
    opened, dropped = open_item(item)
    assert opened == {
        "type": "reasoning",
        "id": "rs_1",
        "summary": item["summary"],
        "restored": {"reasoning_details": [thinking("S")]},
    }
    assert dropped == []


@each("value", [None, ""])
def test_nothing_encrypted_is_nothing(value: Any) -> None:
    opened, dropped = open_item(reasoning(value, "hm"))
    assert "encrypted_content" not in opened
    assert dropped == []


@each("sealed", ["gAAAAABo", "nseal1.x", seal_own()[:-2], CONTEXT.seal.seal([1])])
def test_what_does_not_open_is_left_out_and_reported_once(sealed: str) -> None:
    item = reasoning(sealed, "hm")
    parsed = parse(CONTEXT, input=[USER, item, item])
    assert parsed.client_body is not None
    assert "encrypted_content" not in str(parsed.client_body.body["input"])
    assert parsed.dropped_fields == ["input.encrypted_content"]


def test_another_caller_cannot_use_it() -> None:
    for sealed in (seal_own(), seal_members(reasoning_details=[thinking("S")])):
        opened, dropped = open_item(reasoning(sealed, "hm"), context=context_of(BOB))
        assert opened.keys() == {"type", "id", "summary"}
        assert dropped == ["input.encrypted_content"]


def test_nobody_can_forge_it() -> None:
    forged = {"issued_by": "openai", "restored": {"reasoning_details": [thinking("S")]}}
    for encrypted in (None, "gAAAAABo"):
        opened, _ = open_item(reasoning(encrypted, "hm", **forged))
        assert opened.keys() == {"type", "id", "summary"}
    for item in ({"type": "web_search_call", "id": "w"}, {"role": "assistant", "content": "A"}):
        opened, _ = open_item({**item, **forged})
        assert opened == item


@each("kind", ["web_search_call", "compaction", "of_tomorrow"])
def test_what_was_sealed_in_reasoning_opens_nowhere_else(kind: str) -> None:
    sealed = seal_members(reasoning_details=[thinking("S")])
    opened, dropped = open_item({"type": kind, "id": "w", "encrypted_content": sealed})
    assert opened == {"type": kind, "id": "w"}
    assert dropped == ["input.encrypted_content"]


def test_the_request_is_not_changed() -> None:
    data = {"model": "m", "input": [USER, reasoning(seal_own(), "hm", issued_by="x")]}
    given = copy.deepcopy(data)
    read_body(CONTEXT, **data)
    assert data == given


# --- the unified message -------------------------------------------------------------------------


def test_reasoning_of_this_wire_is_as_its_dialect_reads_it() -> None:
    sent = [
        reasoning("gAAA", "first", "second"),
        said("A"),
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
        reasoning("gBBB", "third", id="rs_2"),
        said("B", phase="final_answer"),
    ]
    reply: Any = build_reply({"id": "r", "output": sent})
    expected = reply["choices"][0]["message"]
    for name in ("reasoning_details", "provider_content"):
        expected[name] = [{**member, "issued_by": "openai"} for member in expected[name]]
    items = [
        {**item, "encrypted_content": seal_own(item["encrypted_content"])}
        if item["type"] == "reasoning"
        else item
        for item in sent
    ]
    assert unify_items(USER, *items, context=CONTEXT)[1] == expected


def test_reasoning_without_an_id_gets_none() -> None:
    item = reasoning(seal_own(), "hm")
    del item["id"]
    text = {"role": "assistant", "content": "A"}
    message = unify_items(USER, item, text, context=CONTEXT)[1]
    assert [detail.get("id") for detail in message["reasoning_details"]] == [None, None]


def test_a_message_of_another_wire_is_whole_again() -> None:
    extra = {"google": {"thought_signature": "T", "issued_by": "g"}}
    block = {"format": "anthropic", "index": 0, "block": {"type": "x"}, "at": 1, "issued_by": "eu"}
    message = unify_items(
        USER,
        reasoning(seal_members(reasoning_details=[thinking("S")], provider_content=[block]), "hm"),
        {"role": "assistant", "content": "A"},
        reasoning(seal_members(calls={"c1": extra})),
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
        {"role": "assistant", "content": "B"},
        context=CONTEXT,
    )[1]
    assert message == {
        "role": "assistant",
        # Without a paragraph: the offsets of blocks count it so.
        "content": "AB",
        "reasoning_content": "hm",
        "reasoning_details": [thinking("S")],
        "provider_content": [block],
        "tool_calls": [
            {
                "id": "c1",
                "type": "function",
                "function": {"name": "f", "arguments": "{}"},
                "extra_content": extra,
            }
        ],
    }


def test_an_item_that_a_block_brings_back_is_not_reported() -> None:
    block = {
        "format": "openai_responses",
        "index": 0,
        "block": {"type": "web_search_call", "id": "ws_1"},
        "issued_by": "openai",
    }
    found = {"type": "web_search_call", "id": "ws_1", "status": "completed"}
    unified, omitted = unify(
        CONTEXT,
        input=[
            USER,
            found,
            reasoning(seal_members(provider_content=[block])),
            {"role": "assistant", "content": "A"},
        ],
    )
    assert unified["messages"][1]["provider_content"] == [block]
    assert omitted == []


def reply_items(key: str, signature: str, call_id: str) -> list[Json]:
    sealed = seal_members(reasoning_details=[thinking(signature)])
    return [
        reasoning(sealed, "hm", id=f"rs_{key}0000"),
        {
            "type": "function_call",
            "id": f"fc_{key}0001",
            "call_id": call_id,
            "name": "f",
            "arguments": "{}",
        },
    ]


def result_of(call_id: str) -> Json:
    return {"type": "function_call_output", "call_id": call_id, "output": "x"}


def test_two_replies_in_a_row_are_two_messages() -> None:
    items = [*reply_items(KEY, "S", "c1"), *reply_items(OTHER_KEY, "T", "c2")]
    _, first, second = unify_items(USER, *items, context=CONTEXT)
    assert first["reasoning_details"] == [thinking("S")]
    assert second["reasoning_details"] == [thinking("T")]


def test_a_result_between_the_calls_of_one_reply_does_not_divide_it() -> None:
    first = reply_items(KEY, "S", "c1")
    second = {**first[1], "id": f"fc_{KEY}0002", "call_id": "c2"}
    messages = unify_items(
        USER, *first, result_of("c1"), second, result_of("c2"), USER, context=CONTEXT
    )
    assert [message["role"] for message in messages] == [
        "user",
        "assistant",
        "tool",
        "tool",
        "user",
    ]
    assert [call["id"] for call in messages[1]["tool_calls"]] == ["c1", "c2"]


def test_an_id_that_a_server_gives_to_many_replies_does_not_join_them() -> None:
    replies = reply_items(KEY, "S", "c1"), reply_items(KEY, "T", "c2")
    _, first, _, second, _ = unify_items(
        USER, *replies[0], result_of("c1"), *replies[1], result_of("c2"), context=CONTEXT
    )
    assert first["reasoning_details"] == [thinking("S")]
    assert second["reasoning_details"] == [thinking("T")]


def test_ids_that_a_client_repeats_hide_nothing() -> None:
    items = [{**said(text), "id": "msg_1"} for text in ("A", "B")]
    assert unify_items(USER, *items)[1]["content"] == "A\n\nB"
