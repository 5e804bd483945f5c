"""What the recordings of Gemini do not cover: call ids across turns, failed replies, replay of
recorded traffic. Schemas are in `test_gemini_schema`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from native_api.dialects import DIALECTS
from native_api.dialects.gemini.models import read_generation
from native_api.exceptions import UnsupportedField, UpstreamError
from native_api.types import ChatRequest, Event, Provider, Target

DIALECT = DIALECTS["gemini"]
TARGET = Target(
    Provider("p", "gemini", "https://generativelanguage.googleapis.com/v1beta"),
    "gemini-3-flash-preview",
)
CORPUS = Path(__file__).resolve().parent.parent.parent.parent / "shared" / "corpus"
REPLIES = [path for wire in ("gemini", "vertex") for path in sorted(CORPUS.glob(f"{wire}/*.json"))]


def build_body(*parts: Any, **candidate: Any) -> dict[str, Any]:
    content = {"content": {"role": "model", "parts": list(parts)}} if parts else {}
    return {
        "candidates": [{**content, **candidate}],
        "responseId": "r1",
        "modelVersion": "gemini-3",
    }


def read_message(body: dict[str, Any]) -> Any:
    return DIALECT.response(body, TARGET)["choices"][0]["message"]


def build_contents(*messages: Any, model: str = TARGET.model) -> Any:
    chat: ChatRequest = {"model": "g", "messages": list(messages)}
    return DIALECT.request(chat, Target(TARGET.provider, model)).body["contents"]


@pytest.mark.parametrize(
    ("model", "generation"),
    [
        ("gemini-2.0-flash", 2.0),
        ("gemini-2.5-flash-lite", 2.5),
        ("gemini-3-pro-preview", 3.0),
        ("gemini-3.1-flash-lite", 3.1),
        ("publishers/google/models/gemini-3-pro", 3.0),
        ("gemini-flash-latest", 3.0),
        ("gemma-3-27b-it", 0.0),
    ],
)
def test_the_generation_is_read_from_the_models_name(model: str, generation: float) -> None:
    assert read_generation(model) == generation


# --- requests ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["1st", "has space", "x" * 129, ""])
def test_an_invalid_function_name_is_refused(name: str) -> None:
    chat: ChatRequest = {
        "model": "g",
        "messages": [],
        "tools": [{"type": "function", "function": {"name": name}}],
    }
    with pytest.raises(UnsupportedField) as caught:
        DIALECT.request(chat, TARGET)
    assert caught.value.param == "tools[0].function.name"


@pytest.mark.parametrize(("options", "empty_text"), [({}, ""), ({"project": "p"}, " ")])
def test_an_empty_user_message_is_left_out_and_an_empty_reply_stays_a_turn(
    options: dict[str, str], empty_text: str
) -> None:
    contents = [("user", "a"), ("user", ""), ("assistant", ""), ("user", "b")]
    chat: Any = {
        "model": "g",
        "messages": [{"role": role, "content": content} for role, content in contents],
    }
    target = Target(
        Provider("p", "gemini", TARGET.provider.base_url, options=options), "gemini-3-flash-preview"
    )
    assert DIALECT.request(chat, target).body["contents"] == [
        {"role": "user", "parts": [{"text": "a"}]},
        {"role": "model", "parts": [{"text": empty_text}]},
        {"role": "user", "parts": [{"text": "b"}]},
    ]


def test_models_before_generation_3_get_no_signature_bypass() -> None:
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    turns = build_contents(
        {"role": "user", "content": "?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        model="gemini-2.5-pro",
    )
    assert turns[1]["parts"] == [{"functionCall": {"name": "f", "args": {}, "id": "a"}}]


def test_audio_that_only_openai_stores_is_refused() -> None:
    with pytest.raises(UnsupportedField) as caught:
        build_contents(
            {"role": "user", "content": "?"},
            {"role": "assistant", "content": None, "audio": {"id": "audio_1"}},
        )
    assert caught.value.param == "messages[1].audio"


def test_reasoning_items_of_a_changed_text_are_harmless() -> None:
    signature = {"type": "reasoning.encrypted", "data": "c2ln", "format": "gemini", "index": 0}
    details = [{**signature, "at": 99, "issued_by": "p"}]
    turns = build_contents(
        {"role": "user", "content": "?"},
        {"role": "assistant", "content": "short", "reasoning_details": details},
    )
    assert turns[1]["parts"] == [{"text": "short"}, {"text": "", "thoughtSignature": "c2ln"}]


# --- replies -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "reason",
    ["MALFORMED_FUNCTION_CALL", "MALFORMED_RESPONSE", "TOO_MANY_TOOL_CALLS", "OTHER", "NO_IMAGE"],
)
def test_a_failed_reply_is_an_error(reason: str) -> None:
    with pytest.raises(UpstreamError) as caught:
        DIALECT.response(build_body(finishReason=reason, finishMessage="Why."), TARGET)
    assert caught.value.status == 502
    assert caught.value.message == f"The provider failed to write an answer: {reason}. Why."


FINISH_REASONS = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "OTHER": "stop",
    "SOMETHING_NEW": "stop",
    "FINISH_REASON_UNSPECIFIED": "stop",
}
FILTER_REASONS = [
    "SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "MODEL_ARMOR",
    "IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION",
]  # fmt: skip


@pytest.mark.parametrize(
    ("reason", "expected"),
    [*FINISH_REASONS.items(), *((reason, "content_filter") for reason in FILTER_REASONS)],
)
def test_finish_reasons_become_openais(reason: str, expected: str) -> None:
    choice = DIALECT.response(build_body({"text": "so far"}, finishReason=reason), TARGET)[
        "choices"
    ][0]
    assert choice["finish_reason"] == expected
    assert choice["message"] == {"role": "assistant", "content": "so far"}


@pytest.mark.parametrize(
    "body",
    [
        {"candidates": []},
        {"modelVersion": "x"},
        {"promptFeedback": {"blockReason": "BLOCK_REASON_UNSPECIFIED"}},
    ],
)
def test_a_reply_without_candidates_is_an_error_if_the_prompt_was_not_blocked(
    body: dict[str, Any],
) -> None:
    with pytest.raises(UpstreamError):
        DIALECT.response(body, TARGET)


def test_an_unknown_part_is_kept_for_the_next_turn() -> None:
    part = {"hologram": {"uri": "x"}, "thoughtSignature": "c2ln"}
    message = read_message(build_body({"text": "See: "}, part, finishReason="STOP"))
    assert message["provider_content"] == [
        {"format": "gemini", "index": 0, "block": part, "at": 5, "issued_by": "p"}
    ]
    assert build_contents({"role": "user", "content": "?"}, message)[1]["parts"] == [
        {"text": "See: "},
        part,
    ]


def test_a_stream_without_a_finish_reason_is_truncated() -> None:
    parser = DIALECT.stream(TARGET)
    list(parser.feed(Event("", json.dumps(build_body({"text": "Half"})))))
    with pytest.raises(UpstreamError) as caught:
        list(parser.close())
    assert caught.value.code == "stream_truncated"


def test_a_stream_that_is_blocked_halfway_ends_with_content_filter() -> None:
    parser = DIALECT.stream(TARGET)
    list(parser.feed(Event("", json.dumps(build_body({"text": "Half"})))))
    list(parser.feed(Event("", json.dumps({"promptFeedback": {"blockReason": "OTHER"}}))))
    (chunk,) = parser.close()
    assert chunk["choices"] == [
        {
            "index": 0,
            "delta": {},
            "finish_reason": "content_filter",
            "native_finish_reason": "OTHER",
        }
    ]


def test_the_service_tier_of_a_reply_is_reported() -> None:
    usage = {"promptTokenCount": 1, "totalTokenCount": 1, "trafficType": "ON_DEMAND_FLEX"}
    reply = DIALECT.response({**build_body({"text": "x"}), "usageMetadata": usage}, TARGET)
    assert reply["service_tier"] == "flex"


# --- recorded traffic ----------------------------------------------------------------------------


def read_replies() -> Iterator[Any]:
    for path in REPLIES:
        recording = json.loads(path.read_text())
        parts = [
            part
            for candidate in (recording.get("body") or {}).get("candidates", ())
            for part in candidate.get("content", {}).get("parts", ())
        ]
        if parts:
            yield pytest.param(recording["body"], parts, id=path.stem)


@pytest.mark.skipif(
    not REPLIES, reason="The recordings are not beside this repository (../shared/corpus)."
)
@pytest.mark.parametrize(("body", "parts"), list(read_replies()))
def test_a_recorded_reply_is_sent_back_unchanged(
    body: dict[str, Any], parts: list[dict[str, Any]]
) -> None:
    before = json.loads(json.dumps(parts))
    sent = build_contents({"role": "user", "content": "?"}, read_message(body))[1]["parts"]
    for ours, theirs in zip(sent, before, strict=True):
        if "functionCall" in theirs:
            theirs["functionCall"].setdefault("id", ours["functionCall"]["id"])
            theirs["functionCall"].setdefault("args", {})
            theirs.setdefault("thoughtSignature", ours.get("thoughtSignature"))
        assert {name: value for name, value in theirs.items() if value is not None} == ours
