"""Pieces of `reasoning_details` hold only what is new, because clients join their texts."""

from __future__ import annotations

from typing import Any

from tests.cases import each
from tests.dialects.reply_reading import read_reply, read_stream


def make_events(*details: Any) -> list[Any]:
    deltas = [{"role": "assistant", "reasoning_details": [detail]} for detail in details]
    last = {"index": 0, "delta": {"content": "Hi"}, "finish_reason": "stop"}
    return [
        *({"id": "g", "choices": [{"index": 0, "delta": delta}]} for delta in deltas),
        {"id": "g", "choices": [last]},
        "[DONE]",
    ]


def read_details(*details: Any) -> Any:
    return read_stream("openai", make_events(*details))[0]["message"]["reasoning_details"]


REPEATED = {
    "type": "reasoning.text", "provider": "google-vertex", "format": "google-gemini-v1",
    "id": "r_1", "index": 0, "model": "m", "confidence": 0.5, "tokens": 3, "flags": ["a"],
    "origin": {"a": "b"},
}  # fmt: skip


MARK = {"issued_by": "p"}


def test_members_that_every_piece_repeats_are_said_once() -> None:
    # OpenRouter with google/gemini repeats `provider`, recorded 2026-08.
    details = read_details({**REPEATED, "text": "A"}, {**REPEATED, "text": "B"})
    assert details == [{**REPEATED, **MARK, "text": "AB"}]


@each("name", ["text", "summary", "data", "signature"])
def test_texts_are_joined(name: str) -> None:
    (detail,) = read_details({**REPEATED, name: "A"}, {"index": 0, name: "B"})
    assert detail[name] == "AB"


def test_a_member_that_comes_late_is_said_once() -> None:
    piece = {"type": "reasoning.text", "index": 0, "text": "A", "provider": None}
    late = {**piece, "provider": "p", "text": ""}
    assert read_details(piece, late, late) == [{**piece, **MARK, "provider": "p"}]


def test_each_detail_has_its_own_members() -> None:
    other = {**REPEATED, "id": "r_2", "index": 1, "text": "B"}
    details = read_details({**REPEATED, "text": "A"}, other, other)
    assert details == [{**REPEATED, **MARK, "text": "A"}, {**other, **MARK, "text": "BB"}]


def test_a_complete_reply_has_the_same_details() -> None:
    sent = [{**REPEATED, "text": "A"}, {**REPEATED, "id": "r_2", "index": 1, "text": "B"}]
    message = {"role": "assistant", "content": "Hi", "reasoning_details": sent}
    body = {
        "id": "g", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]
    }  # fmt: skip
    reply = read_reply("openai", body)
    details = reply["choices"][0]["message"]["reasoning_details"]
    assert details == [{**item, **MARK} for item in sent] == read_details(*sent)
