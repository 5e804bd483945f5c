"""Newline-delimited JSON: bytes in, one event a line out. Same rules as `sse`: any cut, bounded in
length and depth."""

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
        """The events of the lines completed by `data`. Raises UpstreamError for a line over the
        limit."""
        return [_event(line) for line in self._buffer.lines(data) if line.strip()]

    def close(self) -> list[Event]:
        """The event of an unfinished last line, if any."""
        rest = self._buffer.take()
        return [_event(rest)] if rest.strip() else []


def _event(line: bytes) -> Event:
    check_depth(line)
    return Event("", line.strip().decode("utf-8", "replace"))
