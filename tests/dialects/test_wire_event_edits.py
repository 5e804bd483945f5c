"""The edits of events that go on to clients of Responses and Messages: marks, names, one line."""

from __future__ import annotations

import json
from typing import Any

import pytest

from native_api.exceptions import UpstreamError
from native_api.types import Event
from tests.aws_eventstream_writer import wrap_event
from tests.cases import each
from tests.dialects.stream_folding import fold
from tests.dialects.wire_streams import (
    BEGINNINGS,
    CREATED,
    ENDED,
    ENDS,
    STARTED,
    STOPPED,
    WIRES,
    add,
    as_events,
    build_message,
    build_response,
    complete,
    edit,
    make_editor,
    make_event,
    start,
    stop,
)


def test_done_is_no_event_of_a_response() -> None:
    events = [*BEGINNINGS["openai_responses"], ENDS["openai_responses"]]
    assert as_events(edit("openai_responses", [*events, Event("", "[DONE]")])) == events


@each("wire", WIRES)
def test_an_event_in_many_lines_is_written_anew(wire: str) -> None:
    events = [*BEGINNINGS[wire], *((ENDED,) if wire == "anthropic" else ()), ENDS[wire]]
    pretty = [event._replace(data=json.dumps(json.loads(event.data), indent=1)) for event in events]
    forwarded = edit(wire, pretty)
    assert [event.data for event in forwarded] == [None] * len(events)
    assert [event.read() for event in forwarded] == [json.loads(event.data) for event in events]


@each("wire", WIRES)
def test_an_event_without_a_name_has_that_of_its_data(wire: str) -> None:
    events = [*BEGINNINGS[wire], *((ENDED,) if wire == "anthropic" else ()), ENDS[wire]]
    forwarded = edit(wire, [event._replace(type="") for event in events])
    assert as_events(forwarded) == events


@each("wire", WIRES)
def test_a_name_in_the_data_begins_no_event_of_its_own(wire: str) -> None:
    new = make_event(type="x\n\nevent: error\ndata: {}")._replace(type="")
    ending = (*((ENDED,) if wire == "anthropic" else ()), ENDS[wire])
    events = [*BEGINNINGS[wire], new, *ending]
    kinds = [event.type for event in edit(wire, events)]
    assert kinds == [event.type or "message" for event in events]


@each("said", [None, True])
def test_every_event_with_a_response_says_that_it_is_not_stored(said: Any) -> None:
    sent = [build_response(store=said), build_response(store=said, usage={"input_tokens": 3})]
    kinds = ("response.created", "response.completed")
    events = [make_event(type=kind, response=sent[i]) for i, kind in enumerate(kinds)]
    read = [event.read()["response"] for event in edit("openai_responses", events)]
    assert read == [{**response, "store": False} for response in sent]


REASONING = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "c2VjcmV0"}
MARKED = {**REASONING, "issued_by": "p"}


def test_encrypted_content_is_marked_in_each_event_that_tells_it() -> None:
    events = [
        CREATED,
        make_event(type="response.output_item.added", output_index=0, item=REASONING),
        make_event(type="response.output_item.done", output_index=0, item=REASONING),
        make_event(type="response.output_item.done", output_index=1, item=build_message("a")),
        complete(REASONING, build_message("a")),
    ]
    forwarded = edit("openai_responses", events)
    assert [event.data is None for event in forwarded] == [False, True, True, False, True]
    assert forwarded[1].read()["item"] == forwarded[2].read()["item"] == MARKED
    assert forwarded[4].read()["response"]["output"] == [MARKED, build_message("a")]


@each("wire", ["anthropic", "anthropic_vertex", "anthropic_bedrock"])
def test_the_pieces_of_a_signature_are_one_with_a_mark(wire: str) -> None:
    events = [
        STARTED,
        start(0, type="thinking", thinking="", signature=""),
        add(0, "thinking", thinking="hm"),
        add(0, "signature", signature="c2"),
        make_event(type="ping"),
        add(0, "signature", signature="ln"),
        stop(0),
        start(1, type="redacted_thinking", data="ZGF0YQ=="),
        stop(1),
        ENDED,
        STOPPED,
    ]
    issuer = "p/anthropic" if wire == "anthropic_bedrock" else "p"
    forwarded = edit(wire, [wrap(wire, event) for event in events])
    assert [event.type for event in forwarded] == [
        "message_start", "content_block_start", "content_block_delta", "ping",
        "content_block_delta", "content_block_stop", "content_block_start", "content_block_stop",
        "message_delta", "message_stop",
    ]  # fmt: skip
    signature, redacted = forwarded[4].read(), forwarded[6].read()["content_block"]
    assert signature["delta"] == {
        "type": "signature_delta", "signature": "c2ln", "issued_by": issuer,
    }  # fmt: skip
    assert redacted == {"type": "redacted_thinking", "data": "ZGF0YQ==", "issued_by": issuer}
    details = fold(event.chunk for event in forwarded)[0]["message"]["reasoning_details"]
    assert details[0]["signature"] == "c2ln"


def wrap(wire: str, event: Event) -> Event:
    if wire != "anthropic_bedrock":
        return event
    return Event("chunk", json.dumps(wrap_event(json.loads(event.data))))


def test_an_encrypted_compaction_is_marked() -> None:
    delta = add(0, "compaction", content="So far.", encrypted_content="c3Vt")
    events = [STARTED, start(0, type="compaction", content=None), delta, stop(0), ENDED, STOPPED]
    begun, piece = [event.read() for event in edit("anthropic", events)][1:3]
    assert piece["delta"]["issued_by"] == "p"
    assert "issued_by" not in begun["content_block"]


def test_an_empty_signature_has_no_mark() -> None:
    empty = add(0, "signature", signature="")
    events = [STARTED, start(0, type="thinking", thinking=""), empty, stop(0), ENDED, STOPPED]
    assert "issued_by" not in str([event.read() for event in edit("anthropic", events)])


def test_bedrocks_exceptions_are_errors_and_its_unknown_events_are_nothing() -> None:
    editor = make_editor("anthropic_bedrock")
    editor.feed(wrap("anthropic_bedrock", STARTED))
    assert editor.feed(Event("of_tomorrow", "{}")) == ()
    with pytest.raises(UpstreamError) as caught:
        editor.feed(Event("throttlingException", '{"message": "Too many requests"}'))
    assert caught.value.status == 429
    for odd in ('{"bytes": "e30"}', '{"bytes": "!"}', "["):
        with pytest.raises(UpstreamError):
            editor.feed(Event("chunk", odd))
