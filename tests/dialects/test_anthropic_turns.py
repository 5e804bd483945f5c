"""What becomes of the turns of a client's own body for Claude, and of what it asks of another Claude
than the route's; and the marks of replies."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from native_api.dialects import DIALECTS
from tests.cases import each
from tests.dialects.anthropic_bodies import (
    CALL,
    HOSTS,
    REDACTED,
    RESULT,
    TEXT,
    THINKING,
    USER,
    forward,
    make_target,
    send,
)

# --- thinking and calls --------------------------------------------------------------------------


@each("dialect", HOSTS)
def test_thinking_goes_back_to_its_issuer_without_the_mark(dialect: str) -> None:
    mark = {"issued_by": "p/anthropic" if "bedrock" in dialect else "p"}
    blocks = [{**THINKING, **mark}, {**REDACTED, **mark}, CALL]
    request = forward(
        {"messages": [USER, {"role": "assistant", "content": blocks}, USER]},
        make_target(dialect=dialect),
    )
    assert request.body["messages"][1]["content"] == [THINKING, REDACTED, CALL]
    assert request.omitted == ()


@each("block", [
    {**THINKING, "issued_by": "q"},
    {**REDACTED, "issued_by": "q"},
    {**THINKING, "signature": ""},
    THINKING,
    {**THINKING, "signature": "", "restored": {"reasoning_details": []}},
])  # fmt: skip
def test_other_thinking_is_left_out_and_reported(block: dict[str, Any]) -> None:
    turns = [USER, {"role": "assistant", "content": [block, TEXT]}, USER]
    alone = [USER, {"role": "assistant", "content": [block]}, USER]
    request = forward({"messages": turns})
    assert request.body["messages"][1]["content"] == [TEXT]
    assert request.omitted == ("messages.thinking",)
    assert send({"messages": alone})["messages"] == [USER, USER]


COMPACTED = {"type": "compaction", "content": "So far.", "encrypted_content": "c3Vt"}


def test_a_compaction_goes_back_to_its_issuer_whole() -> None:
    turns = [{"role": "assistant", "content": [{**COMPACTED, "issued_by": "p"}]}, USER]
    request = forward({"messages": turns})
    assert request.body["messages"][0]["content"] == [COMPACTED]
    assert request.omitted == ()


@each("mark", [{"issued_by": "q"}, {}, {"restored": {}}])
def test_another_gets_of_it_the_summary_alone(mark: dict[str, Any]) -> None:
    turns = [{"role": "assistant", "content": [{**COMPACTED, **mark}]}, USER]
    request = forward({"messages": turns})
    assert request.body["messages"][0]["content"] == [{"type": "compaction", "content": "So far."}]
    assert request.omitted == ("messages.compaction",)
    unread = [{"role": "assistant", "content": [{**COMPACTED, **mark, "content": None}]}, USER]
    assert send({"messages": unread})["messages"] == [USER]


def test_a_vendor_that_signs_nothing_gets_its_thinking_back() -> None:
    turns = [USER, {"role": "assistant", "content": [{**THINKING, "signature": ""}, CALL]}, USER]
    assert send({"messages": turns}, make_target("MiniMax-M2"))["messages"] == turns


def test_a_claude_that_thinks_by_budget_goes_on_without_lost_thinking() -> None:
    turns = [
        USER,
        {"role": "assistant", "content": [{**THINKING, "issued_by": "q"}, CALL]},
        {"role": "user", "content": [RESULT]},
    ]
    thinking = {"type": "enabled", "budget_tokens": 2000}
    target = make_target("claude-sonnet-4-5")
    request = forward({"messages": turns, "thinking": thinking}, target)
    assert "thinking" not in request.body
    assert request.omitted == ("messages.thinking", "thinking")
    own = [USER, {"role": "assistant", "content": [{**THINKING, "issued_by": "p"}, CALL]}, turns[2]]
    assert send({"messages": own, "thinking": thinking}, target)["thinking"] == thinking


def test_ids_of_calls_from_elsewhere_fit_in_call_and_result() -> None:
    foreign = "functions.f:0"
    turns = [
        USER,
        {"role": "assistant", "content": [{**CALL, "id": foreign}]},
        {"role": "user", "content": [{**RESULT, "tool_use_id": foreign}]},
    ]
    sent = send({"messages": turns})["messages"]
    assert sent[1]["content"][0]["id"] == sent[2]["content"][0]["tool_use_id"] != foreign


# --- another Claude than the client meant --------------------------------------------------------

FITTED: dict[str, tuple[str, dict[str, Any], dict[str, Any], tuple[str, ...]]] = {
    "a budget for a model that decides itself": (
        "claude-opus-4-8",
        {"thinking": {"type": "enabled", "budget_tokens": 2000}},
        {"thinking": {"type": "adaptive", "display": "summarized"}},
        ("thinking.budget_tokens",),
    ),
    "a budget without its text": (
        "claude-opus-4-8",
        {"thinking": {"type": "enabled", "budget_tokens": 2000, "display": "omitted"}},
        {"thinking": {"type": "adaptive", "display": "omitted"}},
        ("thinking.budget_tokens",),
    ),
    "a budget for a model that still takes it": (
        "claude-opus-4-6",
        {"thinking": {"type": "enabled", "budget_tokens": 2000}},
        {"thinking": {"type": "enabled", "budget_tokens": 2000}},
        (),
    ),
    "adaptive thinking for a model with budgets": (
        "claude-haiku-4-5",
        {"thinking": {"type": "adaptive"}, "output_config": {"effort": "low", "format": {}}},
        {
            "thinking": {"type": "enabled", "budget_tokens": 7200},
            "output_config": {"format": {}},
        },
        ("output_config.effort", "thinking"),
    ),
    "an effort for the only model with budgets that has one": (
        "claude-opus-4-5",
        {"output_config": {"effort": "low"}},
        {"output_config": {"effort": "low"}},
        (),
    ),
    "adaptive thinking without room for it": (
        "claude-haiku-4-5",
        {"thinking": {"type": "adaptive"}, "max_tokens": 1000},
        {"max_tokens": 1000},
        ("thinking",),
    ),
    "thinking for a model that never thinks": (
        "claude-3-5-haiku",
        {"thinking": {"type": "adaptive"}},
        {},
        ("thinking",),
    ),
    "clearing what a model never thinks": (
        "claude-3-5-haiku",
        {
            "thinking": {"type": "adaptive"},
            "context_management": {"edits": [{"type": "clear_thinking_20251015"}, {"type": "x"}]},
        },
        {"context_management": {"edits": [{"type": "x"}]}},
        ("thinking", "context_management.edits"),
    ),
    "clearing nothing else": (
        "claude-haiku-4-5",
        {
            "max_tokens": 1000,
            "thinking": {"type": "adaptive"},
            "context_management": {"edits": [{"type": "clear_thinking_20251015"}]},
        },
        {"max_tokens": 1000},
        ("thinking", "context_management.edits"),
    ),
    "no thinking for a model that always thinks": (
        "claude-opus-5-5",
        {"thinking": {"type": "disabled"}},
        {"output_config": {"effort": "low"}},
        ("thinking",),
    ),
    "no thinking for a model that can be told so": (
        "claude-sonnet-4-6",
        {"thinking": {"type": "disabled"}},
        {"thinking": {"type": "disabled"}},
        (),
    ),
    "an effort that the model lacks": (
        "claude-sonnet-4-6",
        {"output_config": {"effort": "xhigh"}},
        {"output_config": {"effort": "max"}},
        ("output_config.effort",),
    ),
    "sampling for a model without it": (
        "claude-opus-4-8",
        {"temperature": 0.2, "top_p": 1, "top_k": 5},
        {},
        ("temperature", "top_k"),
    ),
    "both kinds of sampling for a model that takes one": (
        "claude-sonnet-4-5",
        {"temperature": 0.2, "top_p": 0.9},
        {"temperature": 0.2},
        ("top_p",),
    ),
    "another vendor's model": (
        "MiniMax-M2",
        {"thinking": {"type": "adaptive"}, "output_config": {"effort": "xhigh"}, "top_k": 5},
        {"thinking": {"type": "adaptive"}, "output_config": {"effort": "xhigh"}, "top_k": 5},
        (),
    ),
}


@each("name", FITTED)
def test_a_body_fits_the_routes_model(name: str) -> None:
    model, written, expected, omitted = FITTED[name]
    request = forward(written, make_target(model))
    frame = {"model": model, "max_tokens": 9000, "messages": [USER]}
    assert request.body == {**frame, **expected}
    assert request.omitted == omitted


def test_instructions_among_the_turns_move_where_the_model_takes_them() -> None:
    late = {"role": "system", "content": [TEXT], "output_config": {"effort": "low"}}
    body = {"system": "Be brief.", "messages": [USER, late]}
    request = forward(body, make_target("claude-sonnet-4-5"))
    assert request.body["system"] == [{"type": "text", "text": "Be brief."}, TEXT]
    assert request.body["messages"] == [USER]
    assert request.omitted == ("messages.output_config",)
    assert send(body)["messages"] == [USER, late]


# --- replies -------------------------------------------------------------------------------------


def test_a_reply_without_signatures_is_the_same_object() -> None:
    unsigned = {**THINKING, "signature": ""}
    for reply in ({"content": [TEXT, CALL, unsigned]}, {"error": {}}, {"content": "x"}):
        assert DIALECTS["anthropic"].forward_reply(reply, make_target()) is reply


@each("dialect", ["anthropic", "anthropic_vertex", "anthropic_bedrock"])
def test_signatures_are_marked_in_a_copy(dialect: str) -> None:
    mark = {"issued_by": "p/anthropic" if "bedrock" in dialect else "p"}
    signed = [THINKING, REDACTED, COMPACTED]
    reply: dict[str, Any] = {"id": "m", "content": [*signed, TEXT]}
    before = deepcopy(reply)
    marked = DIALECTS[dialect].forward_reply(reply, make_target(dialect=dialect))
    assert marked == {"id": "m", "content": [*({**block, **mark} for block in signed), TEXT]}
    assert reply == before
