"""What the editors of the wires have in common whose events are not unified chunks."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

from native_api.dialects.shared.text_events import TextEvents
from native_api.dialects.streams import StreamEditor, StreamParser
from native_api.types import NO_CHUNK, Event, ForwardedEvent, Json


class WireEditor(StreamEditor):
    """Passes on the events of one reply. Those that are only more of one text are not parsed."""

    is_stamped = False
    guarded: ClassVar[tuple[str, ...]] = ("read_event", "close")

    def __init__(self, parser: StreamParser, texts: TextEvents, issuer: str) -> None:
        """`texts` are the parser's own."""
        super().__init__(parser)
        self._texts, self._issuer = texts, issuer
        self._read_text = texts.read

    def feed(self, event: Event) -> Sequence[ForwardedEvent]:
        return self._read_text(event.data) or self.read_event(event)

    @abstractmethod
    def read_event(self, event: Event) -> Sequence[ForwardedEvent]:
        """`feed` for an event of any kind."""

    def end(self, event: ForwardedEvent) -> Sequence[ForwardedEvent]:
        """Hold back an event that ends the reply, or follows its end. Returns no events."""
        self._texts.forget()
        self.last_events = [*self.last_events, event]
        return ()


def join_chunks(chunks: Sequence[Any]) -> Any:
    """What one event says, of whose pieces the parser has made chunks."""
    if len(chunks) < 2:
        return chunks[0] if chunks else NO_CHUNK
    return {**chunks[-1], "choices": [choice for chunk in chunks for choice in chunk["choices"]]}


def forward_event(chunk: Any, event: Event, parsed: Json, edited: Json) -> ForwardedEvent:
    """The event as it was sent, unless `edited` is another object than what was `parsed` of it.

    Its text is not sent either if it has several lines, which an event's data must not have. Its
    type is in the data if a server sends it only there.
    """
    kind = event.type or str(parsed.get("type") or "")
    if not kind.isprintable():  # A line end in it would begin an event of its own.
        return ForwardedEvent(chunk, None, "message", edited)
    if edited is not parsed or "\n" in event.data or "\r" in event.data:
        return ForwardedEvent(chunk, None, kind, edited)
    return ForwardedEvent(chunk, event.data, kind)
