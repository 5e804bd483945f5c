"""Messages as Anthropic's SDK reads them: from our bytes, strictly, complete or streamed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

import anthropic
import httpx2
from anthropic.types.beta import BetaMessage, BetaRawMessageStreamEvent
from pydantic import TypeAdapter, ValidationError

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


def parsed_request() -> ParsedRequest:
    return ParsedRequest({}, [], context=context_of())


PASSED_ON = ({"iterations", "context_management", "applied_edits", "server_tool_use", "container"},)
"""Members of Anthropic's own, which go on as the provider sent them."""


@cache
def adapter_of(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def check_strictly(kind: Any, value: Any) -> None:
    """Raises pydantic's ValidationError if the SDK's type does not allow the value."""
    try:
        adapter_of(kind).validate_python(value)
    except ValidationError as error:
        if not all(PASSED_ON[0] & set(map(str, each["loc"])) for each in error.errors()):
            raise


def read_complete(reply: Any) -> Json:
    """A unified reply, given as a message, as the SDK's type has it."""
    body = json.loads(MESSAGES.reply(parsed_request(), reply))
    check_strictly(BetaMessage, body)
    return BetaMessage.construct(**body).to_dict()


def write_stream(batches: Iterable[list[Any]]) -> bytes:
    """The bytes of a stream of chunks that arrive in these batches."""
    writer = MESSAGES.stream(parsed_request())
    return b"".join([*map(writer.feed, batches), writer.close()])


def read_stream(content: bytes) -> Json:
    """The message that the SDK accumulates from these bytes. Each event has to be of its type."""
    for event in read_events(content):
        if event["type"] != "ping":
            check_strictly(BetaRawMessageStreamEvent, event)
    with client_of(content) as client, client.beta.messages.stream(**REQUEST) as stream:
        return stream.get_final_message().to_dict()


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
