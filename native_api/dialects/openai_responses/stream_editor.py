"""Streams of the Responses API for clients of it: events go on as the provider sent them. The
edits:

1. What is encrypted gets the mark of its issuer, wherever an item is told.
2. The event that ends the response is held back until its usage is recorded.
3. `[DONE]`, which some servers send after it, is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from native_api.dialects.openai_responses.forward import mark_item, mark_response
from native_api.dialects.openai_responses.stream import ResponsesStream
from native_api.dialects.shared.wire_editor import WireEditor, forward_event, join_chunks
from native_api.dialects.streams import parse_event
from native_api.types import Event, ForwardedEvent, Json

ENCRYPTED: Final = '"encrypted_content"'


class ResponsesStreamEditor(WireEditor):
    parser: ResponsesStream

    def __init__(self, parser: ResponsesStream, issuer: str) -> None:
        super().__init__(parser, parser.texts, issuer)

    def read_event(self, event: Event) -> Sequence[ForwardedEvent]:
        data, parser = event.data, self.parser
        if data.strip() == "[DONE]":
            return ()
        parsed = parse_event(event)
        chunk = join_chunks(parser.read(parsed, event.type))
        edited = self._mark(parsed) if ENCRYPTED in data else parsed
        forwarded = forward_event(chunk, event, parsed, edited)
        if parser.has_ended:
            return self.end(forwarded)
        self._texts.learn(forwarded, "delta", parser.build_adder(parsed))
        return (forwarded,)

    def _mark(self, event: Json) -> Json:
        for name, mark in (("item", mark_item), ("response", mark_response)):
            if name in event:
                marked = mark(event[name], self._issuer)
                event = event if marked is event[name] else {**event, name: marked}
        return event

    def close(self) -> Sequence[ForwardedEvent]:
        self.parser.close()
        return ()
