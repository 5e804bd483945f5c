"""Newline-delimited JSON: bytes in, one event per line out. The rules of `sse` apply: data may be
cut anywhere; length and depth are bounded."""

from __future__ import annotations

from native_api.dialects.shared.nesting import check_depth
from native_api.types import Event
from native_api.upstream.decoders.sse import MAX_EVENT_BYTES, LineBuffer


class NDJSONDecoder:
    """An incremental decoder for one stream."""

    __slots__ = ("_buffer",)

    def __init__(self, limit: int = MAX_EVENT_BYTES) -> None:
        self._buffer = LineBuffer(limit)

    def feed(self, data: bytes) -> list[Event]:
        """The events of the lines that `data` completes. Raises UpstreamError if a line is too
        long."""
        return [_event(line) for line in self._buffer.lines(data) if line.strip()]

    def close(self) -> list[Event]:
        """The event of an unfinished last line, if any."""
        rest = self._buffer.take_rest()
        return [_event(rest)] if rest.strip() else []


def _event(line: bytes) -> Event:
    check_depth(line)
    return Event("", line.strip().decode("utf-8", "replace"))
