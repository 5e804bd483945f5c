"""Members of a reply outside of its choices have the shapes that OpenAI's models require; a
provider's own value goes on under a name of its own."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cases import each
from tests.dialects.reply_reading import read_chunks, read_reply
from tests.dialects.test_responses_items import completed, make_body, make_message, make_text

RESULT = {
    "type": "moderation_result", "model": "omni-moderation-latest", "flagged": False,
    "categories": {}, "category_scores": {}, "category_applied_input_types": {},
}  # fmt: skip
RESULTS = {
    "type": "moderation_results", "model": "omni-moderation-latest", "results": [RESULT]
}  # fmt: skip
FAILED = {"type": "error", "code": "unavailable", "message": "No."}
CHOICE = {"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}
PIECE = {"index": 0, "delta": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}


def read_fields(wire: str, members: Any) -> Any:
    """The members of the complete reply; those of the stream are the same."""
    if wire == "openai_responses":
        body: Any = make_body(make_message(make_text("Hi")), **members)
        events = [completed(body)]
    else:
        head = {"id": "x", "created": 1, "model": "m", **members}
        body = {**head, "object": "chat.completion", "choices": [CHOICE]}
        events = [{**head, "object": "chat.completion.chunk", "choices": [PIECE]}, "[DONE]"]
    reply = read_reply(wire, body)
    chunks = read_chunks(wire, events)
    names = reply.keys() - {"id", "object", "created", "model", "choices", "usage"}
    streamed = {name: chunk[name] for chunk in chunks for name in names & chunk.keys()}
    assert streamed == {name: reply[name] for name in names}
    return streamed


@pytest.mark.parametrize("wire", ["openai", "openai_responses"])
@each("sent, expected", [(RESULT, RESULTS), (RESULTS, RESULTS), (FAILED, FAILED)])
def test_moderation_has_the_shape_of_chat_completions(wire: str, sent: Any, expected: Any) -> None:
    # Recorded at OpenAI, 2026-10: one result where Chat Completions have a list.
    fields = read_fields(wire, {"moderation": {"input": sent, "output": RESULT}})
    assert fields == {"moderation": {"input": expected, "output": RESULTS}}


@pytest.mark.parametrize("wire", ["openai", "openai_responses"])
@each("sent", [{"input": RESULT}, {"input": RESULT, "output": {"type": "new"}}, ["x"], "x"])
def test_moderation_of_another_shape_has_another_name(wire: str, sent: Any) -> None:
    assert read_fields(wire, {"moderation": sent}) == {"native_moderation": sent}


def test_metadata_that_is_not_text_has_another_name() -> None:
    assert read_fields("openai", {"metadata": {"a": "b"}}) == {"metadata": {"a": "b"}}
    own = {"weight_version": 3}
    assert read_fields("openai", {"metadata": own}) == {"native_metadata": own}


@pytest.mark.parametrize("wire", ["openai", "openai_responses"])
@each("tier, expected", [
    ("default", {"service_tier": "default"}),
    ("on_demand", {"service_tier": "default", "native_service_tier": "on_demand"}),
    ("new", {"service_tier": None, "native_service_tier": "new"}),
    (3, {"service_tier": None, "native_service_tier": 3}),
])  # fmt: skip
def test_a_tier_is_one_of_openais(wire: str, tier: Any, expected: Any) -> None:
    assert read_fields(wire, {"service_tier": tier}) == expected


def test_a_tier_that_openai_does_not_have_is_left_out_at_bedrock() -> None:
    body = {
        "output": {"message": {"role": "assistant", "content": [{"text": "Hi"}]}},
        "stopReason": "end_turn",
        "serviceTier": {"type": "reserved"},
    }
    assert "service_tier" not in read_reply("bedrock", body)
