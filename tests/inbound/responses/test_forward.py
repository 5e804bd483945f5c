"""Responses of a provider that speaks the API itself: they go on as they came, but for two edits."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import orjson

from native_api.dialects import DIALECTS
from native_api.exceptions import UpstreamError
from native_api.inbound.openai.responses.forward import seal_response
from native_api.inbound.openai.responses.stream import ResponsesStreamWriter
from native_api.types import Event, ForwardedEvent, Provider, Target
from native_api.types.upstream import NO_CHUNK
from native_api.upstream.decoders import DECODERS
from tests import corpus_files
from tests.cases import Cases, each, for_each
from tests.inbound.contexts import context_of
from tests.inbound.responses.reading import parse_request, split_events
from tests.inbound.responses.request_reading import FORMAT
from tests.recorded_cases import read_stream, recorded_cases
from tests.test_corpus import read_raw

WIRE = "openai_responses"
TARGET = Target(Provider("p", WIRE, "https://api.example/v1", own_account=True), "gpt-5.4")
"""Which may store responses, as those that were recorded."""
RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "status": "in_progress",
    "output": [],
    "store": False,
    "previous_response_id": None,
}
MESSAGE = {"id": "msg_1", "type": "message", "role": "assistant", "content": []}


def load_streams() -> Cases:
    for name, case in recorded_cases("stream"):
        if case["provider"]["dialect"] == WIRE:
            yield name, read_stream(case)
    for name, recording in corpus_files.select(corpus_files.streamed)():
        if corpus_files.find_wire(recording) == WIRE:
            yield name, read_raw(recording)


def load_bodies() -> Cases:
    for name, case in recorded_cases("reply"):
        if case["provider"]["dialect"] == WIRE:
            yield name, case["reply"]
    for name, recording in corpus_files.select(corpus_files.complete)():
        if corpus_files.find_wire(recording) == WIRE:
            yield name, recording["body"]


def decode(raw: bytes) -> list[Event]:
    decoder = DECODERS["sse"]()
    return [*decoder.feed(raw), *decoder.close()]


def edit(raw: bytes, target: Target = TARGET) -> Iterator[ForwardedEvent]:
    """The events as the writer gets them."""
    editor = DIALECTS[WIRE].editor(target, {"model": "m", "input": "Hi"})
    for event in decode(raw):
        yield from editor.feed(event)
    yield from editor.close()
    yield from editor.last_events


def open_all(value: Any) -> Any:
    """The value with what was sealed for the caller as the provider wrote it."""
    if isinstance(value, dict):
        opened = {name: open_all(member) for name, member in value.items()}
        sealed = context_of().seal.open(value.get("encrypted_content"))
        return {**opened, "encrypted_content": sealed["value"]} if sealed else opened
    return list(map(open_all, value)) if isinstance(value, list) else value


@for_each(load_streams)
def test_events_go_on_byte_for_byte_but_for_what_is_sealed(raw: bytes) -> None:
    try:
        events = list(edit(raw))
    except UpstreamError:
        return  # The recording ends with an error.
    writer = ResponsesStreamWriter(parse_request())
    content = writer.forward(events) + writer.close()
    expected = [event for event in decode(raw) if event.data.strip() != "[DONE]"]
    sent = decode(content)
    assert len(sent) == len(expected)
    for event, original in zip(sent, expected, strict=True):
        kind = original.type or orjson.loads(original.data)["type"]
        if event.data == original.data:
            assert event.type == kind
        else:
            assert '"encrypted_content"' in original.data or "\n" in original.data
            assert open_all(json.loads(event.data)) == json.loads(original.data)


@for_each(load_bodies)
def test_a_complete_response_goes_on_but_for_what_is_sealed(body: Any) -> None:
    dialect = DIALECTS[WIRE]
    marked = dialect.forward_reply(deepcopy(body), TARGET)
    before = deepcopy(marked)
    sealed = seal_response(parse_request(), marked)
    assert open_all(json.loads(json.dumps(sealed))) == body
    assert marked == before
    assert "issued_by" not in json.dumps(sealed)


def event_of(kind: str, edited: bool = False, **members: Any) -> ForwardedEvent:
    value = {"type": kind, **members}
    data = None if edited else orjson.dumps(value).decode()
    return ForwardedEvent(NO_CHUNK, data, kind, value if edited else None)


def stream_of(**response: Any) -> list[ForwardedEvent]:
    final = {**RESPONSE, "status": "completed", **response}
    return [
        event_of("response.created", response={**RESPONSE, **response}, sequence_number=0),
        event_of("response.output_item.added", item=MESSAGE, output_index=0, sequence_number=1),
        event_of("response.completed", response=final, sequence_number=2),
    ]


def test_what_is_sealed_comes_back_to_its_issuer() -> None:
    reasoning = {"id": "rs_1", "type": "reasoning", "summary": [], "encrypted_content": "secret"}
    body = {**RESPONSE, "status": "completed", "output": [reasoning, MESSAGE]}
    marked = DIALECTS[WIRE].forward_reply(body, TARGET)
    [sealed, _] = seal_response(parse_request(), marked)["output"]
    assert "secret" not in json.dumps(sealed)
    parsed = FORMAT.parse(
        {"model": "m", "input": [sealed, {"role": "assistant", "content": "Hi"}]}, context_of()
    )
    assert parsed.client_body is not None
    request = DIALECTS[WIRE].forward(parsed.client_body.body, TARGET)
    assert request.body["input"][0]["encrypted_content"] == "secret"


def test_a_response_has_the_same_sealed_text_in_all_its_events() -> None:
    item = {
        "type": "reasoning",
        "summary": [],
        "encrypted_content": "secret",
        "issued_by": "p",
    }
    done = event_of("response.output_item.done", edited=True, item=item, output_index=0)
    final = {**RESPONSE, "status": "completed", "output": [item]}
    end = event_of("response.completed", edited=True, response=final)
    writer = ResponsesStreamWriter(parse_request())
    events = split_events(writer.forward([done, end]) + writer.close())
    assert events[0]["item"] == events[1]["response"]["output"][0]
    assert events[0]["item"]["encrypted_content"].startswith("nseal1.")


@each("echo", [{"store": True, "previous_response_id": "resp_0"}, {"store": True}])
def test_every_event_with_the_response_says_what_only_the_gateway_knows(echo: Any) -> None:
    writer = ResponsesStreamWriter(parse_request(**echo))
    events = split_events(writer.forward(stream_of()) + writer.close())
    for event in (events[0], events[-1]):
        assert event["response"] == {**RESPONSE, "status": event["response"]["status"], **echo}


def test_a_response_that_could_not_be_kept_says_so_at_the_end() -> None:
    writer = ResponsesStreamWriter(parse_request(store=True))
    content = writer.forward(stream_of())
    assert writer.finish()["store"] is True
    writer.is_stored = False
    assert split_events(content + writer.close())[-1]["response"]["store"] is False


def test_nothing_is_written_anew_that_says_the_same_already() -> None:
    writer = ResponsesStreamWriter(parse_request(store=False))
    events = [ForwardedEvent(NO_CHUNK, f" {event.data} ", event.type) for event in stream_of()]
    content = writer.forward(events) + writer.close()
    assert [event.data for event in decode(content)] == [event.data for event in events]


def test_the_last_event_waits_for_close() -> None:
    writer = ResponsesStreamWriter(parse_request())
    held = writer.forward(stream_of())
    assert [event["type"] for event in split_events(held)] == [
        "response.created",
        "response.output_item.added",
    ]
    assert writer.finish()["status"] == "completed"
    assert split_events(writer.close())[0]["type"] == "response.completed"


@each("count", [0, 1, 2])
def test_a_failure_ends_the_same_response(count: int) -> None:
    writer = ResponsesStreamWriter(parse_request())
    content = writer.forward(stream_of()[:count])
    events = split_events(content + writer.fail(UpstreamError("It broke.")))
    numbers = [event["sequence_number"] for event in events]
    assert numbers == list(range(len(events)))
    error, failed = events[-2:]
    assert (error["type"], failed["type"]) == ("error", "response.failed")
    assert error["message"] == error["error"]["message"] == "It broke."
    assert failed["response"]["id"] == events[0]["response"]["id"]
    assert failed["response"]["status"] == "failed"
    assert failed["response"]["error"]["message"] == "It broke."


def test_a_failure_is_numbered_although_the_provider_numbers_nothing() -> None:
    writer = ResponsesStreamWriter(parse_request())
    writer.forward(
        [
            event_of("response.created", response=RESPONSE),
            event_of("response.output_item.added", item=MESSAGE, output_index=0),
        ]
    )
    events = split_events(writer.fail(UpstreamError("It broke.")))
    assert [event["sequence_number"] for event in events] == [2, 3]
