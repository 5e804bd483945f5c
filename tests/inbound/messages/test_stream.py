"""A stream of unified chunks as Anthropic's events."""

from __future__ import annotations

import json
from typing import Any

import anthropic
import pytest

from native_api.exceptions import Overloaded, UpstreamError, UpstreamTimeout
from native_api.types import Json
from tests.cases import each
from tests.inbound.contexts import ALICE, context_of
from tests.inbound.messages.message_reading import (
    MESSAGES,
    REQUEST,
    client_of,
    parsed_request,
    read_events,
    read_stream,
    write_stream,
)

SEAL = context_of(ALICE).seal
USAGE = {
    "prompt_tokens": 9,
    "completion_tokens": 4,
    "total_tokens": 13,
    "prompt_tokens_details": {"cached_tokens": 6},
}


def chunk(delta: Json, finish_reason: str | None = None, **members: Any) -> Json:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason, **members}
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return {**head, "choices": [choice]}


def usage_chunk() -> Json:
    return {**chunk({}), "choices": [], "usage": USAGE}


def piece(index: int, arguments: str, **members: Any) -> Json:
    function = {"arguments": arguments, **({"name": "look"} if members else {})}
    return {"tool_calls": [{"index": index, "function": function, **members}]}


def start_call(index: int, arguments: str = "") -> Json:
    return piece(index, arguments, id=f"call_{index}", type="function")


def stream_events(*deltas: Json, finish_reason: str = "stop") -> list[Json]:
    """The events of a stream of these deltas."""
    chunks = [chunk({"role": "assistant", "content": ""}), *map(chunk, deltas)]
    chunks += [chunk({}, finish_reason), usage_chunk()]
    content = write_stream([[each] for each in chunks])
    read_stream(content)
    return list(read_events(content))


def describe(events: list[Json]) -> list[str]:
    """The events in short, without those of the message."""
    return [_describe(event) for event in events if event["type"].startswith("content_block")]


def _describe(event: Json) -> str:
    kind, index = event["type"].removeprefix("content_block_"), event["index"]
    if kind == "start":
        return f"{index} {event['content_block']['type']}"
    if kind == "stop":
        return f"{index} stop"
    delta = event["delta"]
    text = next(value for name, value in delta.items() if name != "type")
    return f"{index} {'sealed' if 'signature' in delta else text}"


def test_the_events_of_a_text() -> None:
    assert stream_events({"content": "Hel"}, {"content": "lo"}) == [
        {
            "type": "message_start",
            "message": {
                "id": "msg_1",
                "type": "message",
                "role": "assistant",
                "model": "m",
                "content": [],
                "stop_reason": None,
                "stop_sequence": None,
                "usage": {
                    "input_tokens": 0,
                    "cache_creation_input_tokens": 0,
                    "cache_read_input_tokens": 0,
                    "output_tokens": 0,
                },
            },
        },
        {
            "type": "content_block_start",
            "index": 0,
            "content_block": {"type": "text", "text": ""},
        },
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "text_delta", "text": "Hel"},
        },
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "lo"}},
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None, "stop_details": None},
            "usage": {
                "input_tokens": 3,
                "cache_creation_input_tokens": 0,
                "cache_read_input_tokens": 6,
                "output_tokens": 4,
            },
        },
        {"type": "message_stop"},
    ]


def test_thinking_text_and_a_call_are_blocks_one_after_another() -> None:
    events = stream_events(
        {"reasoning_content": "Hm"},
        {"reasoning_content": "."},
        {"content": "I look."},
        start_call(0),
        piece(0, '{"a":'),
        piece(0, " 1}"),
        finish_reason="tool_calls",
    )
    assert describe(events) == [
        "0 thinking", "0 Hm", "0 .", "0 stop",
        "1 text", "1 I look.", "1 stop",
        '2 tool_use', '2 {"a":', "2  1}", "2 stop",
    ]  # fmt: skip
    assert events[1]["content_block"] == {"type": "thinking", "thinking": "", "signature": ""}
    assert events[-2]["delta"]["stop_reason"] == "tool_use"


def test_what_goes_back_comes_right_before_the_end_of_its_thinking() -> None:
    detail = {"type": "reasoning.encrypted", "data": "d", "format": "openai_responses", "index": 0}
    detail["issued_by"] = "openai"
    events = stream_events(
        {"reasoning_content": "Hm"}, {"reasoning_details": [detail]}, {"content": "x"}
    )
    assert describe(events)[:4] == ["0 thinking", "0 Hm", "0 sealed", "0 stop"]
    signature = events[3]["delta"]["signature"]
    assert SEAL.open(signature) == {"message": {"reasoning_details": [detail]}}


def test_what_goes_back_with_a_call_comes_before_it() -> None:
    extra = {"google": {"thought_signature": "s", "issued_by": "g"}}
    delta: Any = start_call(0, "{}")
    delta["tool_calls"][0]["extra_content"] = extra
    events = stream_events({"content": "x"}, delta, finish_reason="tool_calls")
    assert describe(events)[3:5] == ["1 redacted_thinking", "1 stop"]
    redacted = events[4]["content_block"]
    assert SEAL.open(redacted["data"]) == {"message": {"calls": {"call_0": extra}}}


def test_what_goes_back_and_belongs_to_nothing_comes_last_within_the_last_text() -> None:
    """`claude -p` prints the block that ends last."""
    detail = {"type": "reasoning.encrypted", "data": "d", "format": "gemini", "index": 0}
    events = stream_events({"content": "x"}, {"reasoning_details": [detail]})
    assert describe(events)[-3:] == ["1 redacted_thinking", "1 stop", "0 stop"]


def test_anthropics_signature_comes_whole_and_sealed() -> None:
    start = {"type": "reasoning.text", "text": "A", "format": "anthropic", "index": 0}
    start["issued_by"] = "eu"
    events = stream_events(
        {"reasoning_content": "A", "reasoning_details": [start]},
        {"reasoning_content": "B", "reasoning_details": [{"index": 0, "text": "B"}]},
        {"reasoning_details": [{"index": 0, "signature": "s1"}]},
        {"reasoning_details": [{"index": 0, "signature": "s2"}]},
        {"content": "x"},
    )
    assert describe(events)[:5] == ["0 thinking", "0 A", "0 B", "0 sealed", "0 stop"]
    signature = events[4]["delta"]["signature"]
    assert SEAL.open(signature) == {"issued_by": "eu", "value": "s1s2"}


# --- calls ---------------------------------------------------------------------------------------


def test_calls_that_come_at_the_same_time_are_written_one_after_another() -> None:
    events = stream_events(
        start_call(0),
        start_call(1),
        piece(0, '{"a":'),
        piece(1, '{"b":'),
        piece(0, "1}"),
        piece(1, "2}"),
        finish_reason="tool_calls",
    )
    assert describe(events) == [
        "0 tool_use", '0 {"a":', "0 1}", "0 stop",
        "1 tool_use", '1 {"b":', "1 2}", "1 stop",
    ]  # fmt: skip


def test_a_whole_call_ends_when_the_next_one_begins() -> None:
    chunks = [chunk(start_call(0, '{"a":1}')), chunk(start_call(1, '{"b":'))]
    writer = MESSAGES.stream(parsed_request())
    assert describe(list(read_events(writer.feed(chunks)))) == [
        "0 tool_use", '0 {"a":1}', "0 stop", "1 tool_use", '1 {"b":',
    ]  # fmt: skip


def test_text_waits_for_a_call_that_is_not_whole() -> None:
    events = stream_events(start_call(0, '{"a":'), {"content": "x"}, piece(0, "1}"))
    assert describe(events) == [
        "0 tool_use", '0 {"a":', "0 1}", "0 stop", "1 text", "1 x", "1 stop",
    ]  # fmt: skip


def test_arguments_that_are_no_object_wait_for_their_end() -> None:
    events = stream_events(start_call(0), piece(0, "[1"), piece(0, "]"), start_call(1, "{}"))
    assert describe(events)[1] == '0 {"_raw":"[1]"}'


def test_a_custom_tools_text_is_streamed_as_a_member() -> None:
    custom = {"index": 0, "id": "c", "type": "custom", "custom": {"name": "patch", "input": ""}}
    more = {"index": 0, "custom": {"input": 'a "b"\n'}}
    chunks = [chunk({"tool_calls": [custom]}), chunk({"tool_calls": [more]})]
    message = read_stream(write_stream([chunks]))
    assert message["content"][0]["input"] == {"input": 'a "b"\n'}


def test_a_cut_call_is_what_came_of_it() -> None:
    events = stream_events(start_call(0, '{"a": [1'), finish_reason="length")
    assert describe(events) == ["0 tool_use", '0 {"a": [1', "0 stop"]
    assert events[-2]["delta"]["stop_reason"] == "max_tokens"


# --- blocks and citations ------------------------------------------------------------------------


def test_the_input_of_anthropics_own_tool_comes_in_pieces() -> None:
    block = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "q"}}
    item = {"format": "anthropic", "index": 0, "block": block}
    events = stream_events({"provider_content": [item]})
    assert events[1]["content_block"]["input"] == {}
    assert describe(events)[1] == '0 {"query":"q"}'


def test_citations_follow_their_text() -> None:
    cited = {"url": "https://a.example", "title": "A", "start_index": 0, "end_index": 1}
    annotations = [{"type": "url_citation", "url_citation": cited}]
    events = stream_events({"content": "x"}, {"annotations": annotations})
    assert events[3]["delta"]["citation"]["url"] == "https://a.example"
    assert describe(events)[-1] == "0 stop"


def test_members_that_anthropic_sent_besides_are_in_the_last_event() -> None:
    fields: Json = {"stop_sequence": "END", "container": {"id": "c", "expires_at": "2026-11-30"}}
    fields["context_management"] = {"applied_edits": []}
    item = {"format": "anthropic", "index": 0, "block": fields}
    last = stream_events({"content": "x"}, {"provider_content": [item]})[-2]
    assert last["delta"]["stop_sequence"] == "END"
    assert last["delta"]["container"] == fields["container"]
    assert last["context_management"] == fields["context_management"]


# --- batches, pings and ends ---------------------------------------------------------------------


def test_batches_do_not_change_the_stream() -> None:
    chunks = [chunk({"content": text}) for text in "abcdef"] + [chunk({}, "stop"), usage_chunk()]
    one_by_one = write_stream([[each] for each in chunks])
    assert write_stream([chunks]) == write_stream([chunks[:3], chunks[3:]]) == one_by_one


def test_an_empty_stream_is_an_empty_message() -> None:
    message = read_stream(write_stream([]))
    assert (message["content"], message["stop_reason"]) == ([], "end_turn")


def test_other_choices_are_not_written() -> None:
    other = chunk({"content": "no"})
    other["choices"][0]["index"] = 1
    message = read_stream(write_stream([[chunk({"content": "yes"}), other, chunk({}, "stop")]]))
    assert message["content"] == [{"type": "text", "text": "yes"}]


def test_a_ping_is_an_event_that_sdks_skip() -> None:
    writer = MESSAGES.stream(parsed_request())
    assert writer.ping() == b'event: ping\ndata: {"type": "ping"}\n\n'
    content = writer.ping() + writer.feed([chunk({"content": "x"})]) + writer.ping()
    assert read_stream(content + writer.close())["content"] == [{"type": "text", "text": "x"}]


FAULT = UpstreamError("OpenAI: broken.", upstream_status=500)
FAULT.provider = "openai"
OVERLOAD = UpstreamError("Anthropic: too much.", upstream_status=529)
BEGINNINGS: list[list[Json]] = [
    [],
    [{"role": "assistant", "content": ""}],
    [{"reasoning_content": "Hm"}],
    [{"content": "x"}],
    [{"content": "x"}, start_call(0, '{"a":')],
    [start_call(0, "{"), start_call(1, "{")],
]


@each("deltas", BEGINNINGS)
@each(
    "error, error_type",
    [
        (FAULT, "api_error"),
        (OVERLOAD, "overloaded_error"),
        (UpstreamTimeout(), "timeout_error"),
        (Overloaded(), "overloaded_error"),
    ],
)
def test_the_sdk_raises_its_own_error_in_each_phase(
    deltas: list[Json], error: Any, error_type: str
) -> None:
    writer = MESSAGES.stream(parsed_request())
    content = writer.feed(list(map(chunk, deltas))) + writer.fail(error)
    with (
        client_of(content) as client,
        client.messages.stream(**REQUEST) as stream,
        pytest.raises(anthropic.APIStatusError) as caught,
    ):
        stream.get_final_message()
    assert (caught.value.type, caught.value.api_message) == (error_type, error.message)
    last = json.loads(content.decode().rstrip().rpartition("data: ")[2])
    assert last["error"]["details"] == {"error_code": error.code}
