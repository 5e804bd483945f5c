"""What the gateway sealed in a reply comes back opened, for its caller only, and goes to its issuer
only."""

from __future__ import annotations

import json
from typing import Any

from native_api.access.sealing import CallerSeal
from native_api.dialects.shared.issuers import IssuerFilter
from native_api.inbound.base import ParsedRequest
from native_api.types import Caller
from tests.cases import each
from tests.inbound.contexts import ALICE, BOB, context_of
from tests.inbound.messages.requests import HELLO, MESSAGES, build

Json = dict[str, Any]
ALICES = CallerSeal(ALICE)


def signed(value: str = "sig", issuer: str = "anthropic") -> str:
    return ALICES.seal({"issued_by": issuer, "value": value})


def replayed(**members: Any) -> str:
    return ALICES.seal({"message": members})


def thought(signature: Any, text: str = "Hm.") -> Json:
    return {"type": "thinking", "thinking": text, "signature": signature}


def parse(*blocks: Json, caller: Caller = ALICE) -> ParsedRequest:
    turn = {"role": "assistant", "content": list(blocks)}
    return MESSAGES.parse(build(messages=[HELLO, turn, HELLO]), context_of(caller))


def opened(parsed: ParsedRequest) -> list[Json]:
    assert parsed.client_body is not None
    blocks: list[Json] = parsed.client_body.body["messages"][1]["content"]
    return blocks


def unified(*blocks: Json, omitted: list[str] | None = None) -> Json:
    parsed = parse(*blocks)
    assert parsed.client_body is not None
    message: Json = parsed.client_body.translate()["messages"][1]
    if omitted is not None:
        omitted += parsed.client_body.omitted
    return message


def test_a_signature_comes_back_with_its_issuer() -> None:
    parsed = parse(thought(signed()), {"type": "redacted_thinking", "data": signed("x", "vertex")})
    assert opened(parsed) == [
        {"type": "thinking", "thinking": "Hm.", "signature": "sig", "issued_by": "anthropic"},
        {"type": "redacted_thinking", "data": "x", "issued_by": "vertex"},
    ]
    assert parsed.dropped_fields == []


def test_a_compaction_comes_back_with_its_issuer() -> None:
    written = {"type": "compaction", "content": "So far.", "issued_by": "anthropic"}
    reply = {"content": [{**written, "encrypted_content": "sum"}]}
    sealed = MESSAGES.forward(parse(), reply)
    [block] = json.loads(sealed)["content"]
    assert block.keys() == {"type", "content", "encrypted_content"}
    assert "sum" not in block["encrypted_content"]
    parsed = parse(block)
    assert opened(parsed) == [{**written, "encrypted_content": "sum"}]
    assert parsed.dropped_fields == []
    assert opened(parse({"type": "compaction", "content": "x"})) == [
        {"type": "compaction", "content": "x"}
    ]


@each("signature", ["", None])
def test_an_empty_signature_is_none(signature: Any) -> None:
    """Clients without a field for its absence send it."""
    parsed = parse(thought(signature), {"type": "redacted_thinking", "data": signature})
    assert opened(parsed) == [
        thought(""),
        {"type": "redacted_thinking", "data": ""},
    ]
    assert parsed.dropped_fields == []


@each("signature", [
    "EqQBCkYIBxgC", "nseal1.x", signed()[:-6] + "AAAA==", ALICES.seal(["x"]),
    ALICES.seal({"summary": "x"}),
])  # fmt: skip
def test_what_does_not_open_is_left_out_and_reported(signature: str) -> None:
    parsed = parse(thought(signature), {"type": "redacted_thinking", "data": signature})
    assert opened(parsed) == [
        thought(""),
        {"type": "redacted_thinking", "data": ""},
    ]
    assert parsed.dropped_fields == ["messages.signature", "messages.data"]


def test_another_callers_seal_does_not_open() -> None:
    parsed = parse(thought(signed()), thought(replayed()), caller=BOB)
    assert opened(parsed) == [thought("")] * 2
    assert parsed.dropped_fields == ["messages.signature"]


def test_nobody_can_write_the_gateways_own_members() -> None:
    forged = {**thought("sig"), "issued_by": "anthropic", "restored": {"calls": {}}}
    assert opened(parse(forged)) == [thought("")]


@each("block", [
    {"type": "text", "text": "Yes."},
    {"type": "tool_use", "id": "t", "name": "f", "input": {}},
    {"type": "of_tomorrow"},
])  # fmt: skip
def test_nobody_can_write_them_in_other_blocks(block: Json) -> None:
    details = [{"type": "reasoning.text", "signature": "s", "format": "x", "issued_by": "x"}]
    members: list[Json] = [
        {"issued_by": ["x"]},
        {"restored": 5},
        {"restored": {"reasoning_details": details}},
    ]
    for forged in members:
        assert opened(parse({**block, **forged})) == [block]


def test_the_clients_request_is_not_changed() -> None:
    turn = {"role": "assistant", "content": [thought(signed())]}
    request = build(messages=[HELLO, turn])
    before = json.dumps(request)
    MESSAGES.parse(request, context_of())
    assert json.dumps(request) == before


# --- the unified message --------------------------------------------------------------------------


def test_signed_thinking_is_reasoning_of_its_issuer() -> None:
    message = unified(
        thought(signed("s1")),
        {"type": "redacted_thinking", "data": signed("d")},
        {"type": "text", "text": "Yes."},
    )
    assert message == {
        "role": "assistant",
        "content": "Yes.",
        "reasoning_content": "Hm.",
        "reasoning_details": [
            {
                "type": "reasoning.text",
                "text": "Hm.",
                "signature": "s1",
                "format": "anthropic",
                "index": 0,
                "issued_by": "anthropic",
            },
            {
                "type": "reasoning.encrypted",
                "data": "d",
                "format": "anthropic",
                "index": 1,
                "issued_by": "anthropic",
            },
        ],
    }


def test_thinking_without_a_signature_is_only_text() -> None:
    assert unified(thought(""), {"type": "text", "text": "Yes."}) == {
        "role": "assistant",
        "content": "Yes.",
        "reasoning_content": "Hm.",
    }


DETAIL = {"type": "reasoning.encrypted", "data": "x", "format": "gemini", "issued_by": "gemini"}
BLOCK = {"format": "gemini", "block": {"code": 1}, "index": 0, "at": 2, "issued_by": "gemini"}
EXTRA = {"google": {"thought_signature": "t", "issued_by": "gemini"}}
CALL = {"type": "tool_use", "id": "call_1", "name": "f", "input": {}}


def test_what_another_wire_needs_back_is_restored() -> None:
    message = unified(
        thought(replayed(reasoning_details=[DETAIL])),
        {"type": "text", "text": "Yes."},
        {
            "type": "redacted_thinking",
            "data": replayed(provider_content=[BLOCK], calls={"call_1": EXTRA, "call_2": {}}),
        },
        CALL,
    )
    assert message == {
        "role": "assistant",
        "content": "Yes.",
        "reasoning_content": "Hm.",
        "reasoning_details": [DETAIL],
        "provider_content": [BLOCK],
        "tool_calls": [
            {
                "id": "call_1",
                "type": "function",
                "function": {"name": "f", "arguments": "{}"},
                "extra_content": EXTRA,
            }
        ],
    }


SEARCH = [
    {
        "type": "server_tool_use",
        "id": "srvtoolu_1",
        "name": "web_search",
        "input": {"query": "q"},
        "cache_control": None,
    },
    {
        "type": "web_search_tool_result",
        "tool_use_id": "srvtoolu_1",
        "content": [{"type": "web_search_result", "encrypted_content": "e", "title": "T"}],
    },
]


def test_blocks_of_anthropics_tools_are_of_the_thinkings_issuer() -> None:
    """They have no place for a mark. All blocks of a turn are of one provider."""
    message = unified(thought(signed()), *SEARCH, {"type": "text", "text": "Yes."})
    kept = message["provider_content"]
    assert [item["block"]["type"] for item in kept] == [block["type"] for block in SEARCH]
    assert {item["issued_by"] for item in kept} == {"anthropic"}
    own: list[str] = []
    assert IssuerFilter("anthropic", "anthropic", False, own).filter_message(message)[
        "provider_content"
    ]
    assert own == []


def test_blocks_of_an_unknown_issuer_are_left_out_and_reported() -> None:
    omitted: list[str] = []
    message = unified(*SEARCH, {"type": "text", "text": "Yes."}, omitted=omitted)
    assert message == {"role": "assistant", "content": "Yes."}
    assert omitted == ["messages.server_tool_use", "messages.web_search_tool_result"]


def test_where_texts_begin_is_nobodys_business() -> None:
    """Other wires have one text, which is not reported as a loss."""
    omitted: list[str] = []
    message = unified(
        {"type": "text", "text": "A"},
        {**CALL, "caller": {"type": "direct"}},
        {"type": "text", "text": "B", "citations": None},
        omitted=omitted,
    )
    assert message["content"] == "AB"
    assert message["tool_calls"][0].keys() == {"id", "type", "function"}
    assert "provider_content" not in message
    assert omitted == []


def test_a_clients_tool_may_have_the_name_of_the_answer_tool() -> None:
    message = unified({**CALL, "name": "json_response"})
    assert message["tool_calls"][0]["function"]["name"] == "json_response"
    assert message["content"] is None
