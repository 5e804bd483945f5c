"""A conversation with another provider that goes on with Anthropic: the client sends back what it was
given, and Anthropic gets what it takes."""

from __future__ import annotations

from typing import Any

from native_api.dialects import DIALECTS
from native_api.types import Json, Provider, Target
from tests.inbound.contexts import context_of
from tests.inbound.messages.message_reading import MESSAGES, REQUEST, read_complete
from tests.inbound.messages.test_reply import call, reply_of

CLAUDE = Target(Provider("eu", "anthropic", "https://api.anthropic.com"), "claude-sonnet-4-6")
RESULT = {"type": "tool_result", "tool_use_id": "call_1", "content": "found"}


def forward_turn(reply: Any, result: Json) -> list[Json]:
    """The blocks of the assistant's turn that Anthropic gets after this reply."""
    turns: list[Any] = [
        *REQUEST["messages"],
        {"role": "assistant", "content": read_complete(reply)["content"]},
        {"role": "user", "content": [result]},
    ]
    parsed = MESSAGES.parse({**REQUEST, "messages": turns}, context_of())
    assert parsed.client_body is not None
    request = DIALECTS["anthropic"].forward(parsed.client_body.body, CLAUDE)
    content: list[Json] = request.body["messages"][1]["content"]
    return content


def test_what_another_provider_needs_back_stays_away() -> None:
    detail = {"type": "reasoning.encrypted", "data": "d", "format": "openai_responses", "index": 0}
    detail["issued_by"] = "openai"
    extra = {"google": {"thought_signature": "s", "issued_by": "g"}}
    reply = reply_of(
        {
            "reasoning_content": "Hm",
            "reasoning_details": [detail],
            "content": "I look.",
            "tool_calls": [call(extra_content=extra)],
        },
        "tool_calls",
    )
    text, tool_use = forward_turn(reply, RESULT)
    assert text == {"type": "text", "text": "I look."}
    assert tool_use == {"type": "tool_use", "id": "call_1", "name": "look", "input": {"a": 1}}


def test_citations_of_another_provider_stay_away() -> None:
    cited = {"url": "https://a.example", "title": "A", "start_index": 0, "end_index": 1}
    annotations = [{"type": "url_citation", "url_citation": cited}]
    reply = reply_of({"content": "x", "annotations": annotations, "tool_calls": [call()]})
    assert forward_turn(reply, RESULT)[0] == {"type": "text", "text": "x"}


def test_a_text_without_words_stays_away() -> None:
    (tool_use,) = forward_turn(reply_of({"content": "\n", "tool_calls": [call()]}), RESULT)
    assert tool_use["type"] == "tool_use"


def test_anthropics_own_citations_stay() -> None:
    citation = {
        "type": "web_search_result_location",
        "cited_text": "c",
        "encrypted_index": "i",
        "title": None,
        "url": "https://a.example",
    }
    item = {"format": "anthropic", "index": 0, "until": 1}
    item["block"] = {"type": "text", "citations": [citation]}
    reply = reply_of({"content": "x", "provider_content": [item], "tool_calls": [call()]})
    assert forward_turn(reply, RESULT)[0]["citations"] == [citation]


def test_signed_thinking_of_the_same_issuer_goes_back_as_it_came() -> None:
    issuer = DIALECTS["anthropic"].issuer(CLAUDE)
    detail = {"type": "reasoning.text", "text": "Hm", "signature": "s", "format": "anthropic"}
    detail |= {"index": 0, "issued_by": issuer}
    members = {"reasoning_content": "Hm", "reasoning_details": [detail]}
    reply = reply_of({**members, "tool_calls": [call()]}, "tool_calls")
    assert forward_turn(reply, RESULT)[0] == {
        "type": "thinking",
        "thinking": "Hm",
        "signature": "s",
    }
