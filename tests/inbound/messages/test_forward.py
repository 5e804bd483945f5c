"""Anthropic's own replies and events on their way to a client of Anthropic's API."""

from __future__ import annotations

import json
from typing import Any

from native_api.exceptions import UpstreamError
from native_api.types import NO_CHUNK, ForwardedEvent, Json
from tests.inbound.contexts import ALICE, BOB, context_of
from tests.inbound.messages.message_reading import MESSAGES, parsed_request

SEAL = context_of(ALICE).seal


def event(data: Json | str, event_type: str | None = None) -> ForwardedEvent:
    text = data if isinstance(data, str) else json.dumps(data)
    return ForwardedEvent(
        NO_CHUNK, text, json.loads(text)["type"] if event_type is None else event_type
    )


def edited(data: Json) -> ForwardedEvent:
    return ForwardedEvent(NO_CHUNK, None, data["type"], data)


def read_data(written: bytes) -> Any:
    return json.loads(written.decode().partition("data: ")[2])


def test_events_go_on_byte_for_byte() -> None:
    odd = '{"type": "content_block_delta",  "index":0, "delta":{"type":"new_delta","x":1.0}}'
    ping = '{"type": "ping"}'
    assert MESSAGES.stream(parsed_request()).forward([event(odd), event(ping)]) == (
        f"event: content_block_delta\ndata: {odd}\n\nevent: ping\ndata: {ping}\n\n".encode()
    )


def test_the_model_is_the_one_that_was_asked_for() -> None:
    """Claude Code takes back the thinking of no other."""
    message = {"id": "msg_1", "type": "message", "model": "claude-20250929", "content": []}
    start = event({"type": "message_start", "message": message})
    writer = MESSAGES.stream(parsed_request())
    assert read_data(writer.forward([start]))["message"] == {**message, "model": "m"}
    whole = json.loads(MESSAGES.forward(parsed_request(), message))
    assert whole == {**message, "model": "m"}


def test_a_start_with_the_model_that_was_asked_for_goes_on_byte_for_byte() -> None:
    start = '{"type":  "message_start", "message": {"model": "m", "content": []}}'
    written = MESSAGES.stream(parsed_request()).forward([event(start)])
    assert written == f"event: message_start\ndata: {start}\n\n".encode()


def test_an_event_without_a_name_gets_its_types() -> None:
    written = MESSAGES.stream(parsed_request()).forward([event({"type": "ping"}, "")])
    assert written == b'event: ping\ndata: {"type": "ping"}\n\n'


def test_signatures_in_events_are_sealed_with_their_issuer() -> None:
    start = {
        "type": "content_block_start",
        "index": 0,
        "content_block": {"type": "redacted_thinking", "data": "d", "issued_by": "eu"},
    }
    delta = {
        "type": "content_block_delta",
        "index": 1,
        "delta": {"type": "signature_delta", "signature": "s", "issued_by": "eu"},
    }
    writer = MESSAGES.stream(parsed_request())
    block = read_data(writer.forward([edited(start)]))["content_block"]
    assert block.keys() == {"type", "data"}
    assert SEAL.open(block["data"]) == {"issued_by": "eu", "value": "d"}
    piece = read_data(writer.forward([edited(delta)]))["delta"]
    assert piece.keys() == {"type", "signature"}
    assert SEAL.open(piece["signature"]) == {"issued_by": "eu", "value": "s"}
    assert context_of(BOB).seal.open(piece["signature"]) is None
    assert start["content_block"]["issued_by"] == "eu", "an event was changed in place"  # type: ignore[index]


def test_the_end_is_written_once() -> None:
    stop = event({"type": "message_stop"})
    writer = MESSAGES.stream(parsed_request())
    assert writer.forward([stop]) == b'event: message_stop\ndata: {"type": "message_stop"}\n\n'
    assert writer.close() == b""


def test_an_end_that_the_provider_did_not_send_is_added() -> None:
    writer = MESSAGES.stream(parsed_request())
    writer.forward([event({"type": "ping"})])
    assert writer.close() == b'event: message_stop\ndata: {"type":"message_stop"}\n\n'


def test_a_failure_is_an_error_event() -> None:
    writer = MESSAGES.stream(parsed_request())
    writer.forward([event({"type": "ping"})])
    failed = read_data(writer.fail(UpstreamError("Broken.", upstream_status=529)))
    assert failed["error"]["type"] == "overloaded_error"
    assert failed["error"]["message"] == "Broken."


def test_a_complete_message_is_sealed_in_a_copy() -> None:
    thinking: Json = {"type": "thinking", "thinking": "A", "signature": "s", "issued_by": "eu"}
    unsigned = {"type": "thinking", "thinking": "B", "signature": "", "issued_by": "eu"}
    text = {"type": "text", "text": "x"}
    body = {"type": "message", "content": [thinking, unsigned, text], "unknown": 1}
    sealed = json.loads(MESSAGES.forward(parsed_request(), body))
    assert sealed["content"][1:] == [{"type": "thinking", "thinking": "B", "signature": ""}, text]
    assert SEAL.open(sealed["content"][0]["signature"]) == {"issued_by": "eu", "value": "s"}
    assert sealed["unknown"] == 1
    assert thinking["issued_by"] == "eu", "the reply was changed in place"


def test_a_message_without_signatures_stays_as_it_is() -> None:
    body: Any = {"type": "message", "content": [{"type": "hologram", "x": 1.0}], "usage": None}
    assert json.loads(MESSAGES.forward(parsed_request(), body)) == body
