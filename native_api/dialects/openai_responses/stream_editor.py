"""Streams of the Responses API for clients of it: events go on as the provider sent them. The
edits:

1. What is encrypted gets the mark of its issuer, in every event that has the item.
2. A response says that the provider has not stored it, unless it may (OWN_ACCOUNT).
3. The event that ends the response is held back until its usage is recorded.
4. `[DONE]`, which some servers send after it, is left out.
"""

from __future__ import annotations

from collections.abc import Sequence

from native_api.dialects.openai_responses.forward import edit_response, mark_item
from native_api.dialects.openai_responses.stream import ResponsesStream
from native_api.dialects.shared.json_values import replace_members
from native_api.dialects.shared.wire_editor import WireEditor, forward_event, join_chunks
from native_api.dialects.streams import parse_event
from native_api.types import Event, ForwardedEvent, Json


class ResponsesStreamEditor(WireEditor):
    parser: ResponsesStream

    def __init__(self, parser: ResponsesStream, issuer: str, own_account: bool) -> None:
        super().__init__(parser, parser.texts, issuer)
        self._own_account = own_account

    def read_event(self, event: Event) -> Sequence[ForwardedEvent]:
        data, parser = event.data, self.parser
        if data.strip() == "[DONE]":
            return ()
        parsed = parse_event(event)
        chunk = join_chunks(parser.read(parsed, event.type))
        edited = self._edit(parsed)
        forwarded = forward_event(chunk, event, parsed, edited)
        if parser.has_ended:
            return self.end(forwarded)
        self._texts.learn(forwarded, "delta", parser.build_adder(parsed))
        return (forwarded,)

    def _edit(self, event: Json) -> Json:
        edited: Json = {}
        if "item" in event:
            edited["item"] = mark_item(event["item"], self._issuer)
        if "response" in event:
            edited["response"] = edit_response(event["response"], self._issuer, self._own_account)
        return replace_members(event, edited)

    def close(self) -> Sequence[ForwardedEvent]:
        self.parser.close()
        return ()
