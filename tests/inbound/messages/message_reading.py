"""Messages as Anthropic's SDK reads them: from our bytes, strictly, complete or streamed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any, get_args

import anthropic
import httpx2
from anthropic.types.beta import (
    BetaContentBlock,
    BetaMessage,
    BetaRawContentBlockDeltaEvent,
    BetaRawContentBlockStartEvent,
    BetaRawContentBlockStopEvent,
    BetaRawMessageDeltaEvent,
    BetaRawMessageStartEvent,
    BetaRawMessageStopEvent,
)
from pydantic import ValidationError

from native_api.inbound.anthropic import MessagesFormat
from native_api.inbound.base import ParsedRequest
from native_api.types import Json
from tests.inbound.contexts import context_of

MESSAGES = MessagesFormat()
REQUEST: Any = {
    "model": "m",
    "max_tokens": 9000,
    "messages": [{"role": "user", "content": "Hi"}],
}


def parsed_request(**fields: Any) -> ParsedRequest:
    return MESSAGES.parse({**REQUEST, **fields}, context_of())


PASSED_ON = frozenset({"iterations", "applied_edits"})
"""Members of Anthropic's own, of which recordings have only a part."""

EVENT_TYPES: dict[str, type[anthropic.BaseModel]] = {
    "message_start": BetaRawMessageStartEvent,
    "content_block_start": BetaRawContentBlockStartEvent,
    "content_block_delta": BetaRawContentBlockDeltaEvent,
    "content_block_stop": BetaRawContentBlockStopEvent,
    "message_delta": BetaRawMessageDeltaEvent,
    "message_stop": BetaRawMessageStopEvent,
}


@cache
def known_blocks() -> frozenset[str]:
    """The types of blocks that the SDK knows."""
    union, *_ = get_args(BetaContentBlock)
    return frozenset(
        name for kind in get_args(union) for name in get_args(kind.model_fields["type"].annotation)
    )


def check_event(event: Json) -> None:
    """Raises pydantic's ValidationError if the SDK's type does not allow the event."""
    if event.get("content_block", {}).get("type", "text") in known_blocks():
        check_strictly(EVENT_TYPES[event["type"]], event)


def check_strictly(kind: type[anthropic.BaseModel], value: Json) -> None:
    try:
        kind.model_validate(value)
    except ValidationError as error:
        if not all(PASSED_ON & set(map(str, each["loc"])) for each in error.errors()):
            raise


def read_complete(reply: Any, **fields: Any) -> Json:
    """A unified reply, given as a message, as the SDK's type has it. `fields` are the request's."""
    body = json.loads(MESSAGES.reply(parsed_request(**fields), reply))
    known = [block for block in body["content"] if block["type"] in known_blocks()]
    check_strictly(BetaMessage, {**body, "content": known})
    return dump(BetaMessage.construct(**body))


def dump(message: anthropic.BaseModel) -> Json:
    """The members of a message that are set. Unknown blocks are not what the SDK expects."""
    return message.model_dump(exclude_unset=True, warnings=False)


def write_stream(batches: Iterable[list[Any]], **fields: Any) -> bytes:
    """The bytes of a stream of chunks that arrive in these batches. `fields` are the request's."""
    writer = MESSAGES.stream(parsed_request(**fields))
    return b"".join([*map(writer.feed, batches), writer.close()])


def read_stream(content: bytes) -> Json:
    """The message that the SDK accumulates from these bytes. Each event has to be of its type.

    Of the last token counts the SDK reads only some.
    """
    events = [event for event in read_events(content) if event["type"] != "ping"]
    for event in events:
        check_event(event)
    with client_of(content) as client, client.beta.messages.stream(**REQUEST) as stream:
        message = dump(stream.get_final_message())
    return {**message, "usage": {**message["usage"], **events[-2]["usage"]}}


def client_of(content: bytes) -> anthropic.Anthropic:
    """A client whose every request is answered with this stream."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=content)

    http_client = httpx2.Client(transport=httpx2.MockTransport(answer))
    return anthropic.Anthropic(
        api_key="k", base_url="http://site.example", http_client=http_client, max_retries=0
    )


def read_events(content: bytes) -> Iterator[Json]:
    """The data of the events in these bytes, whose names have to be their types."""
    for text in content.decode().split("\n\n")[:-1]:
        name, data = text.split("\n")
        event = json.loads(data.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        yield event
