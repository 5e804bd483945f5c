"""The response of a provider of this API on its way to the client, the same but for two edits.

1. What the provider encrypted, and a dialect has marked with its issuer, is sealed for the caller.
2. Members that only the gateway knows (`ParsedRequest.echo`), such as whether the response is kept.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from native_api.dialects.shared.issuers import MARK
from native_api.dialects.shared.json_values import replace_members
from native_api.inbound.base import ParsedRequest, to_json
from native_api.inbound.forwarded_events import (
    find_kind,
    frame_event,
    join_events,
    write_edited,
)
from native_api.inbound.openai.responses.events import EventWriter
from native_api.inbound.openai.responses.response_object import ResponseHead
from native_api.inbound.sealed import find_seal, is_marked, seal_signed
from native_api.types import ForwardedEvent, Json

STATES: Final = frozenset({"response.created", "response.queued", "response.in_progress"})
ENDS: Final = frozenset({"response.completed", "response.incomplete"})


def seal_response(parsed: ParsedRequest, body: Json) -> Json:
    """The provider's complete response as the client gets it."""
    return ResponseEditor(parsed).edit_response(body)


class ResponseEditor:
    """The edits of one response. What is not edited is returned as it is, and nothing is changed in
    place."""

    def __init__(self, parsed: ParsedRequest) -> None:
        self._echo = parsed.echo
        self._seal = find_seal(parsed)
        self._sealed: dict[tuple[Any, Any], str] = {}
        """A response has the same content in several events."""

    def edit_event(self, event: Json) -> Json:
        edited: Json = {}
        if isinstance(event.get("item"), dict):
            edited["item"] = self.edit_item(event["item"])
        if isinstance(event.get("response"), dict):
            edited["response"] = self.edit_response(event["response"])
        return replace_members(event, edited)

    def edit_response(self, response: Json) -> Json:
        edited = {
            name: value
            for name, value in self._echo.items()
            if name not in response or response[name] != value
        }
        output = response.get("output")
        if isinstance(output, list) and any(map(is_marked, output)):
            edited["output"] = [self.edit_item(item) for item in output]
        return replace_members(response, edited)

    def edit_item(self, item: Any) -> Any:
        """The item with its encrypted content sealed."""
        if not is_marked(item):
            return item
        members = {name: value for name, value in item.items() if name != MARK}
        if members.get("encrypted_content"):
            members["encrypted_content"] = self._seal_content(
                item[MARK], members["encrypted_content"]
            )
        return members

    def _seal_content(self, issuer: Any, value: Any) -> str:
        sealed = self._sealed.get((issuer, value))
        if sealed is None:
            sealed = seal_signed(self._seal, issuer, value)
            self._sealed[issuer, value] = sealed
        return sealed


class ForwardedResponse:
    """The events of one response. Its last event is held until `close`."""

    def __init__(self, parsed: ParsedRequest) -> None:
        self._parsed = parsed
        self._editor = ResponseEditor(parsed)
        self._read_kinds = {"", *ENDS, *(STATES if parsed.echo else ())}
        """The events that are read although no dialect has edited them."""
        self._first: ForwardedEvent | None = None
        self._last: ForwardedEvent | None = None
        self._end: ForwardedEvent | None = None
        self._count = 0
        self._response: Json | None = None

    def forward(self, events: Iterable[ForwardedEvent]) -> bytes:
        batch = list(events)
        if batch:
            self._first, self._last = self._first or batch[0], batch[-1]
            self._count += len(batch)
        return join_events(batch, self._read_kinds, self._read)

    def _read(self, event: ForwardedEvent) -> str:
        """The text of an event that has to be read; "" for the last one."""
        members = event.read()
        kind = find_kind(event, members)
        if kind in ENDS:
            self._end = event
            return ""
        return write_edited(event, kind, members, self._editor.edit_event(members))

    def finish(self) -> Json:
        """The response of the last event."""
        if self._response is None:
            event = self._end or self._last
            response = event.read().get("response") if event else None
            self._response = self._editor.edit_response(response or {})
        return self._response

    def close(self, response: Json) -> bytes:
        """The last event, with this response if it is another one than the provider's."""
        event = self._end
        if event is None:
            return b""
        members = event.read()
        if event.data is not None and response == members.get("response"):
            return frame_event(members["type"], event.data.encode())
        return frame_event(members["type"], to_json({**members, "response": response}))

    def fail(self, failure: Json) -> bytes:
        """The end of a response that failed: two more events of the same response."""
        events = EventWriter()
        first, last = (event.read() if event else {} for event in (self._first, self._last))
        response = first.get("response")
        number = last.get("sequence_number")
        events.sequence_number = number + 1 if isinstance(number, int) else self._count
        if not isinstance(response, dict):
            response = ResponseHead(self._parsed, {}).build([], {})
            if self._last is None:
                events.write("created", {"response": response})
        edited = self._editor.edit_response(response)
        events.write_failure({**edited, **failure})
        return events.take()
