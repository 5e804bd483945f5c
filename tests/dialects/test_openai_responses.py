"""The Responses API beyond its recordings: failures, turns that a client changed, and events that
are never fatal."""

from __future__ import annotations

import json
from typing import Any

import pytest

from native_api.dialects import DIALECTS
from native_api.dialects.shared.issuers import NATIVE_FORMATS
from native_api.exceptions import UpstreamError
from native_api.types import Event, Provider, Target
from tests.dialects.stream_folding import fold

DIALECT = DIALECTS["openai_responses"]
TARGET = Target(Provider("p", "openai_responses", "https://api.example/v1"), "gpt-5")
USER = {"role": "user", "content": "Hi"}
ENCRYPTED = {
    "type": "reasoning.encrypted",
    "data": "gAAA",
    "id": "rs_1",
    "format": "openai_responses",
    "index": 0,
}


def build_input(*messages: Any, **rest: Any) -> Any:
    chat: Any = {"model": "x", "messages": list(messages), **rest}
    return DIALECT.request(chat, TARGET).body["input"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"error": {"message": "no", "code": "rate_limit_exceeded"}}, 429),
        (
            {
                "output": [],
                "status": "failed",
                "error": {"code": "invalid_prompt", "message": "no"},
            },
            400,
        ),
        (
            {"output": [], "status": "failed", "error": {"code": "server_error", "message": "no"}},
            502,
        ),
        ({"output": [], "status": "cancelled", "error": None}, 502),
        ({"object": "response"}, 502),
        ("text", 502),
    ],
)
def test_a_failure_with_status_200_is_an_error(body: Any, status: int) -> None:
    with pytest.raises(UpstreamError) as caught:
        DIALECT.response(body, TARGET)
    assert caught.value.status == status


def test_reasoning_comes_before_what_it_led_to_even_if_the_text_was_changed() -> None:
    late = {**ENCRYPTED, "at": 400, "issued_by": "p"}
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    items = build_input(
        USER,
        {
            "role": "assistant",
            "content": "shortened",
            "reasoning_details": [late],
            "tool_calls": [call],
        },
    )
    assert [item.get("type", "text") for item in items[1:]] == [
        "text",
        "reasoning",
        "function_call",
    ]


def test_a_client_that_kept_only_the_text_can_go_on() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    items = build_input(
        USER,
        {"role": "assistant", "content": "a", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "1"},
    )
    assert [item.get("type", item.get("role")) for item in items] == [
        "user",
        "assistant",
        "function_call",
        "function_call_output",
    ]


@pytest.mark.parametrize("format", ["anthropic", "gemini", "openai-responses-v1", None])
def test_reasoning_of_other_wires_is_not_sent(format: str | None) -> None:
    assert build_input(
        USER,
        {
            "role": "assistant",
            "content": "a",
            "reasoning_details": [{**ENCRYPTED, "format": format}],
        },
    ) == [
        USER,
        {"role": "assistant", "content": "a"},
    ]


def test_every_wire_but_openai_marks_its_reasoning() -> None:
    assert {dialect.native_format or name for name, dialect in DIALECTS.items()} - {
        "openai"
    } <= NATIVE_FORMATS


@pytest.mark.parametrize(
    "event",
    [
        {"type": "response.of_a_kind_yet_unknown", "x": 1},
        {"type": "keepalive"},
        {"type": "response.output_item.added", "output_index": 9},
        {"type": "response.output_text.delta", "output_index": 9},
        {"type": "response.created"},
        {},
    ],
)
def test_unknown_events_are_not_fatal(event: dict[str, Any]) -> None:
    assert list(DIALECT.stream(TARGET).feed(Event("", json.dumps(event)))) == []


def test_a_stream_without_its_last_event_was_cut_short() -> None:
    parser = DIALECT.stream(TARGET)
    list(
        parser.feed(
            Event(
                "",
                json.dumps({"type": "response.output_text.delta", "output_index": 0, "delta": "x"}),
            )
        )
    )
    list(parser.feed(Event("", "[DONE]")))
    with pytest.raises(UpstreamError, match="ended before"):
        list(parser.close())


def test_the_final_response_adds_what_no_event_sent() -> None:
    output = [
        {
            "id": "rs_1",
            "type": "reasoning",
            "summary": [{"type": "summary_text", "text": "Hm."}],
            "encrypted_content": "gAAA",
        },
        {
            "id": "msg_1",
            "type": "message",
            "content": [{"type": "output_text", "text": "Hi", "annotations": []}],
        },
        {
            "id": "fc_1",
            "type": "function_call",
            "call_id": "call_1",
            "name": "now",
            "arguments": "",
        },
    ]
    body = {"id": "resp_1", "status": "completed", "output": output}
    parser = DIALECT.stream(TARGET)
    chunks = list(
        parser.feed(Event("", json.dumps({"type": "response.completed", "response": body})))
    )
    assert fold([*chunks, *parser.close()]) == DIALECT.response(body, TARGET)["choices"]


def test_a_queued_response_is_an_error() -> None:
    body = {"id": "resp_1", "status": "queued", "output": [], "usage": None}
    assert DIALECT.response(body, TARGET)["choices"][0]["message"] == {
        "role": "assistant",
        "content": None,
    }


@pytest.mark.parametrize("state", ["queued", "in_progress"])
def test_an_unfinished_response_has_its_state(state: str) -> None:
    body = {"id": "resp_1", "status": state, "output": []}
    assert DIALECT.unfinished_state(body) == state
    assert DIALECT.unfinished_state({**body, "status": "completed"}) == ""
    assert (
        DIALECT.unfinished_state(
            {
                **body,
                "output": [{"type": "message", "content": [{"type": "output_text", "text": "Hi"}]}],
            }
        )
        == ""
    )
    with pytest.raises(UpstreamError, match=state):
        DIALECT.stream(TARGET).feed(
            Event("", json.dumps({"type": "response.completed", "response": body}))
        )
