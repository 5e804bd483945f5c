"""The events of a provider on their way to a client that speaks its wire, for the wires whose
events are not unified chunks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from native_api.types import NO_CHUNK, Event, ForwardedEvent, Json


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
    if edited is not parsed or "\n" in event.data or "\r" in event.data:
        return ForwardedEvent(chunk, None, kind, edited)
    return ForwardedEvent(chunk, event.data, kind)
