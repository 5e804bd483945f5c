"""Reads responses and their streams as the openai SDK does, and more strictly: every member has to be
known to it, and the events have to agree with each other."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from functools import cache
from typing import Any, cast

from openai import omit
from openai._models import construct_type_unchecked
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import BaseModel, TypeAdapter

from native_api.inbound.base import ParsedRequest
from native_api.inbound.openai.responses.output import SERVER_ITEMS
from tests.inbound.contexts import context_of
from tests.inbound.responses.request_reading import FORMAT

EXTRA_MEMBERS = frozenset(
    {
        "presence_penalty", "frequency_penalty", "store",  # Open Responses requires them.
        "status",  # OpenAI sends that of a custom call, too.
        "content_filters",  # Azure's.
    }
)  # fmt: skip
"""Members that the SDK's types do not have."""
OPEN_PLACES = ("usage", "output.content.annotations")
"""Objects in which a provider's own members stay."""

Event = dict[str, Any]


def parse_request(body: dict[str, Any] | None = None, **echo: Any) -> ParsedRequest:
    """A request with this body, and what the view adds to its response."""
    parsed = FORMAT.parse({"model": "m", "input": "Hi", **(body or {})}, context_of())
    return parsed._replace(echo=echo)


@cache
def event_adapter() -> TypeAdapter[Any]:
    return TypeAdapter(ResponseStreamEvent)


def find_extra(value: Any, path: str = "") -> Iterator[str]:
    """The paths of members that the SDK's types do not have."""
    if isinstance(value, BaseModel):
        yield from (
            f"{path}.{name}" for name in value.model_extra or () if name not in EXTRA_MEMBERS
        )
        value = dict(value)
    if isinstance(value, dict):
        for name, member in value.items():
            yield from find_extra(member, f"{path}.{name}")
    elif isinstance(value, list):
        for member in value:
            yield from find_extra(member, path)


def read_response(response: dict[str, Any]) -> Response:
    """The response as the SDK reads it, without items that are as a provider wrote them."""
    output = [item for item in response["output"] if item["type"] not in SERVER_ITEMS]
    read = Response.model_validate(json.loads(json.dumps({**response, "output": output})))
    unknown = {path for path in find_extra(read) if not path[1:].startswith(OPEN_PLACES)}
    assert not unknown, unknown
    return read


def split_events(content: bytes) -> list[Event]:
    """The data of all events, whose names are their types. Comments are left out."""
    events = []
    for block in content.decode().split("\n\n"):
        if block and not block.startswith(":"):
            name, data = block.split("\n", 1)
            events.append(json.loads(data.removeprefix("data: ")))
            assert name == f"event: {events[-1]['type']}"
    return events


def read_stream(content: bytes) -> dict[str, Any]:
    """The response of the last event, after all checks of the events."""
    events = split_events(content)
    read = [_read_event(event) for event in events]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert [event["type"] for event in events[:2]] == ["response.created", "response.in_progress"]
    state: ResponseStreamState[Any] = ResponseStreamState(input_tools=omit, text_format=omit)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # Of items that OpenAI's SDK does not know.
        for event in read:
            state.handle_event(event)
    check_items(events)
    response: dict[str, Any] = events[-1]["response"]
    assert events[-1]["type"] == f"response.{response['status']}"
    return response


def _read_event(event: Event) -> Any:
    """The event as the SDK's type; unchecked if it has an item that a provider wrote."""
    items = event.get("response", {}).get("output") or [event.get("item") or {}]
    if any(item.get("type") in SERVER_ITEMS for item in items):
        return construct_type_unchecked(type_=cast(Any, ResponseStreamEvent), value=event)
    return event_adapter().validate_python(event)


def check_items(events: list[Event]) -> None:
    """Items are added and done in their order, and their pieces are what they are in the end."""
    output = events[-1]["response"]["output"]
    added = [event for event in events if event["type"] == "response.output_item.added"]
    done = [event for event in events if event["type"] == "response.output_item.done"]
    assert [event["output_index"] for event in added] == list(range(len(output)))
    assert [event["output_index"] for event in done] == list(range(len(output)))
    assert [event["item"]["id"] for event in added] == [item["id"] for item in output]
    for event, item in zip(done, output, strict=True):
        assert without_annotations(event["item"]) == without_annotations(item)
    for event in events:
        if "item_id" in event:
            assert event["item_id"] == output[event["output_index"]]["id"]
    pieces: dict[Any, str] = {}
    for event in events:
        kind = event["type"].removeprefix("response.")
        place = (event.get("output_index"), event.get("content_index"), event.get("summary_index"))
        if kind.endswith(".delta"):
            key = (*place, kind.removesuffix(".delta"))
            pieces[key] = pieces.get(key, "") + event["delta"]
        elif kind.endswith(TEXTS_DONE):
            text = next(event[name] for name in TEXT_MEMBERS if name in event)
            assert text == pieces.pop((*place, kind.removesuffix(".done")), "")
    assert not pieces


TEXTS_DONE = ("text.done", "refusal.done", "arguments.done", "input.done")
TEXT_MEMBERS = ("text", "refusal", "arguments", "input")


def without_annotations(item: dict[str, Any]) -> dict[str, Any]:
    """The item without what may come after it was done."""
    content = item.get("content")
    if not content:
        return item
    return {**item, "content": [{**part, "annotations": []} for part in content]}
