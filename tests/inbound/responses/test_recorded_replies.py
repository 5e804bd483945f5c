"""Every recorded reply of every dialect, as a response: it says what the chat reply says, complete and
streamed, but for the losses that are listed."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from native_api.inbound.openai.responses.reply import build_response
from native_api.inbound.openai.responses.stream import ResponsesStreamWriter
from native_api.inbound.openai.responses.text_details import ANNOTATIONS
from tests.cases import for_each
from tests.corpus import remove_line_breaks
from tests.inbound.recorded_replies import RecordedReply, load_replies
from tests.inbound.reply_comparison import check_losses
from tests.inbound.responses.reading import (
    parse_request,
    read_response,
    read_stream,
    split_events,
)
from tests.inbound.responses.saying import read_as_reply, read_sealed


@for_each(load_replies)
def test_a_complete_response_says_what_the_reply_says(reply: RecordedReply) -> None:
    response = build_response(parse_request(), reply.completion)
    check_same(reply, response)


@for_each(load_replies)
def test_a_streamed_response_says_what_the_reply_says(reply: RecordedReply) -> None:
    check_same(reply, read_stream(write_stream(reply.chunks)))


@for_each(load_replies)
def test_both_forms_of_a_reply_are_the_same_response(reply: RecordedReply) -> None:
    """But for the place of what is sealed."""
    complete = build_response(parse_request(), reply.completion)
    streamed = read_end(write_stream(reply.chunks))
    assert {**complete, "output": []} == {**streamed, "output": []}
    assert read_sealed(complete["output"]) == read_sealed(streamed["output"])
    assert list_shown(complete) == list_shown(streamed)


@for_each(load_replies)
def test_chunks_may_come_together_or_alone(reply: RecordedReply) -> None:
    writer = ResponsesStreamWriter(parse_request())
    together = split_events(writer.feed(reply.chunks) + writer.close())
    alone = split_events(write_stream(reply.chunks))
    assert [event["type"] for event in together] == [event["type"] for event in alone]
    assert list_shown(together[-1]["response"]) == list_shown(alone[-1]["response"])


def read_end(content: bytes) -> Any:
    """The response of the last event."""
    return split_events(content)[-1]["response"]


def write_stream(chunks: list[Any]) -> bytes:
    """The bytes of a whole stream; each chunk comes alone."""
    writer = ResponsesStreamWriter(parse_request())
    content = b"".join(writer.feed([chunk]) for chunk in chunks)
    return content + writer.close()


def check_same(reply: RecordedReply, response: Any) -> None:
    arrived = read_as_reply(read_response(response))
    expected = expect_reply(reply.completion)
    check_losses("openai_responses", reply.wire, expected, {**arrived, "id": expected["id"]})


def expect_reply(completion: Any) -> Any:
    """The reply without what a response says in another way."""
    expected = deepcopy(completion)
    expected["service_tier"] = expected.get("service_tier") or "default"
    message = expected["choices"][0]["message"]
    for image in message.get("images") or ():
        image.pop("index", None)  # That is its place in the output.
    message["annotations"] = list(map(expect_annotation, message.get("annotations") or ()))
    if (message.get("audio") or {}).get("transcript"):
        message["content"] = (message.get("content") or "") + message["audio"]["transcript"]
    if message.get("reasoning_content"):
        message["reasoning_content"] = remove_line_breaks(message["reasoning_content"])
    return expected


def expect_annotation(annotation: Any) -> Any:
    """An annotation of a provider of this API is given as it came."""
    source = annotation["url_citation"].get("source")
    kind = source.get("type") if isinstance(source, dict) else None
    if kind in ANNOTATIONS and ANNOTATIONS[kind] <= source.keys():
        return {"type": kind, kind: source}
    return annotation


def list_shown(response: Any) -> list[Any]:
    """The items without ids, and without those that only contain what is sealed."""
    hidden = ("id", "encrypted_content")
    return [
        {name: value for name, value in item.items() if name not in hidden}
        for item in response["output"]
        if item["type"] != "reasoning" or item["summary"]
    ]
