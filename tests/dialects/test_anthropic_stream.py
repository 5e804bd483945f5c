"""What Anthropic's recordings of streams do not cover: events that are missing, late or out of
order, and how fast a request and a stream are translated."""

from __future__ import annotations

import json
from typing import Any

import pytest

from native_api.dialects import DIALECTS
from native_api.exceptions import UpstreamError
from native_api.types import Event, Provider, Target
from tests.dialects.stream_folding import fold

DIALECT = DIALECTS["anthropic"]
TARGET = Target(Provider("p", "anthropic", "https://api.anthropic.com/v1"), "claude-opus-4-8")
THOUGHT = {
    "type": "reasoning.text", "text": "Hm.", "signature": "sig", "format": "anthropic", "index": 0
}  # fmt: skip


def event(event_type: str, **members: Any) -> Event:
    return Event(event_type, json.dumps({"type": event_type, **members}))


START = event(
    "message_start",
    message={"id": "m1", "model": "c", "usage": {"input_tokens": 1, "output_tokens": 1}},
)
END = event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 2})
CALL = {"type": "tool_use", "id": "t1", "name": "f", "input": {}}


def read_message(*events: Event) -> Any:
    """The message of a stream with these events."""
    parser = DIALECT.stream(TARGET)
    [choice] = fold([*(chunk for event in events for chunk in parser.feed(event)), *parser.close()])
    return choice["message"]


def start(index: int, block: Any) -> Event:
    return event("content_block_start", index=index, content_block=block)


def delta(index: int, delta_type: str, **members: Any) -> Event:
    return event("content_block_delta", index=index, delta={"type": delta_type, **members})


def stop(index: int) -> Event:
    return event("content_block_stop", index=index)


def test_text_of_a_block_that_never_started_is_text() -> None:
    first, second = delta(0, "text_delta", text="a"), delta(0, "text_delta", text="b")
    assert read_message(first, START, second, END)["content"] == "ab"


def test_blocks_that_never_stopped_end_with_the_reply() -> None:
    message = read_message(START, start(0, CALL), start(1, {"type": "new", "x": 1}), END)
    assert message["tool_calls"][0]["function"] == {"name": "f", "arguments": "{}"}
    assert message["provider_content"] == [
        {
            "format": "anthropic",
            "index": 0,
            "block": {"type": "new", "x": 1},
            "calls": 1,
            "issued_by": "p",
        }
    ]


def test_calls_that_never_stopped_get_empty_arguments() -> None:
    starts = [start(index, {**CALL, "id": f"t{index}"}) for index in range(3)]
    message = read_message(START, starts[0], stop(0), *starts[1:], END)
    assert [call["id"] for call in message["tool_calls"]] == ["t0", "t1", "t2"]
    assert {call["function"]["arguments"] for call in message["tool_calls"]} == {"{}"}


def test_arguments_that_are_not_json_stay_as_they_are() -> None:
    piece = delta(0, "input_json_delta", partial_json='{"a": ')
    body = {"content": [{**CALL, "input": '{"a": '}], "stop_reason": "tool_use"}
    for message in (
        read_message(START, start(0, CALL), piece, stop(0), END),
        DIALECT.response(body, TARGET)["choices"][0]["message"],
    ):
        assert message["tool_calls"][0]["function"]["arguments"] == '{"a": '


def test_a_second_start_and_events_after_the_end_are_ignored() -> None:
    second_start = event("message_start", message={"id": "m2", "model": "d"})
    late_text = delta(0, "text_delta", text="late")
    parser = DIALECT.stream(TARGET)
    chunks = [
        chunk
        for event in (START, second_start, END, late_text, END)
        for chunk in parser.feed(event)
    ]
    assert {chunk["id"] for chunk in chunks} == {"m1"}
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks] == [None, "stop"]


@pytest.mark.parametrize(
    ("error_type", "status"),
    [("overloaded_error", 529), ("rate_limit_error", 429), ("new_error", None)],
)
def test_an_error_inside_a_stream_has_the_status_of_a_response(
    error_type: str, status: int | None
) -> None:
    with pytest.raises(UpstreamError) as caught:
        read_message(START, event("error", error={"type": error_type, "message": "Why."}))
    assert caught.value.upstream_status == status
