"""Anthropic's streams for clients of Anthropic: events go on as the provider sent them. The edits:

1. What is signed or encrypted gets the mark of its issuer. The pieces of a signature become one,
   because SDKs do not join them.
2. `message_stop` is held back until the usage is recorded.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from native_api.dialects.anthropic.blocks import read_string
from native_api.dialects.anthropic.forward import mark_block
from native_api.dialects.anthropic.stream import TEXT_MEMBERS, AnthropicStream
from native_api.dialects.shared.issuers import MARK
from native_api.dialects.shared.json_values import read_object, replace_members
from native_api.dialects.shared.wire_editor import WireEditor, forward_event, join_chunks
from native_api.dialects.streams import parse_event
from native_api.types import Event, ForwardedEvent, Json

DELTA, END = "content_block_delta", "message_stop"


class AnthropicStreamEditor(WireEditor):
    parser: AnthropicStream

    def __init__(self, parser: AnthropicStream, issuer: str) -> None:
        super().__init__(parser, parser.texts, issuer)
        self._signature: ForwardedEvent | None = None
        """The pieces of a signature so far."""

    def read_event(self, event: Event) -> Sequence[ForwardedEvent]:
        parsed = parse_event(event)
        if not isinstance(parsed, dict):
            return ()
        chunk = join_chunks(self.parser.read(parsed, event.type))
        delta = read_object(parsed.get("delta"))
        if delta.get("type") == "signature_delta":
            return self._hold_signature(chunk, parsed)
        forwarded = forward_event(chunk, event, parsed, self._mark(parsed))
        if forwarded.type == END or self.last_events:
            return self.end(forwarded)
        member = TEXT_MEMBERS.get(str(delta.get("type")))
        if member is not None:
            self._texts.learn(forwarded, member, self.parser.build_adder(parsed))
        return (forwarded,) if forwarded.type == "ping" else (*self._take_signature(), forwarded)

    def _mark(self, event: Json) -> Json:
        """The event with the mark on its block or delta; itself if nothing of it is signed."""
        marked: Json = {
            name: mark_block(event[name], self._issuer)
            for name in ("content_block", "delta")
            if name in event
        }
        return replace_members(event, marked)

    def _hold_signature(self, chunk: Any, event: Json) -> Sequence[ForwardedEvent]:
        """Keep a piece of a signature until the next event of the message."""
        self._texts.pause()
        held, delta = self._signature, event["delta"]
        if held is None or held.edited is None or held.edited.get("index") != event.get("index"):
            taken = self._take_signature()
            self._signature = ForwardedEvent(chunk, None, DELTA, event)
            return taken
        whole = read_string(held.edited["delta"].get("signature")) + read_string(
            delta.get("signature")
        )
        edited = {**event, "delta": {**delta, "signature": whole}}
        self._signature = ForwardedEvent(join_chunks((held.chunk, chunk)), None, DELTA, edited)
        return ()

    def _take_signature(self) -> Sequence[ForwardedEvent]:
        """The signature that was kept, with the mark."""
        held, self._signature = self._signature, None
        if held is None or held.edited is None:
            return ()
        delta = held.edited["delta"]
        marked = {**delta, MARK: self._issuer} if delta.get("signature") else delta
        return (held._replace(edited={**held.edited, "delta": marked}),)

    def close(self) -> Sequence[ForwardedEvent]:
        self.parser.close()
        return self._take_signature()
