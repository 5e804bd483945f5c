"""Server-sent events: bytes in, events out
(https://html.spec.whatwg.org/multipage/server-sent-events.html, read 2026-11).

Rules:
1. `feed` takes the stream in pieces cut anywhere, even inside a character or a CRLF, and returns
   the events that they complete.
2. Lines end with LF, CRLF or CR. A leading BOM, comments and unknown fields are skipped.
3. An event is dispatched by a blank line; `close` also returns a last event without one, since some
   providers forget it.
4. A line or event longer than `limit` bytes raises, so that an endless line cannot fill the memory.
   So does JSON that is nested too deeply.
"""

from __future__ import annotations

from typing import Final

from native_api.dialects.shared.nesting import MAX_UNCHECKED_LENGTH, check_depth
from native_api.exceptions import UpstreamError
from native_api.types import Event

new_tuple: Final = tuple.__new__
"""Makes a named tuple in half the time."""

MAX_EVENT_BYTES: Final = 32 * 1024 * 1024


class LineBuffer:
    """Collects bytes until lines are complete. Pieces are joined when a line ends, so a long line
    costs linear time."""

    __slots__ = ("_limit", "_pieces", "_size")

    def __init__(self, limit: int = MAX_EVENT_BYTES) -> None:
        self._pieces: list[bytes] = []
        self._size = 0
        self._limit = limit

    def lines(self, data: bytes) -> list[bytes]:
        """The lines that `data` completes, without line ends. Raises UpstreamError if a line is too
        long."""
        if b"\n" not in data and b"\r" not in data and not self._ends_with_cr():
            self._keep(data)
            return []
        lines, rest = split_lines(self.take_rest() + data if self._pieces else data)
        self._keep(rest)
        return lines

    def _ends_with_cr(self) -> bool:
        return bool(self._pieces) and self._pieces[-1].endswith(b"\r")

    def _keep(self, data: bytes) -> None:
        if data:
            self._pieces.append(data)
            self._size += len(data)
        if self._size > self._limit:
            raise UpstreamError("The provider sent a line that is too long.")

    @property
    def has_rest(self) -> bool:
        """Whether an unfinished line waits for its end."""
        return bool(self._pieces)

    def take_rest(self) -> bytes:
        """The unfinished last line. The buffer is empty afterwards."""
        rest = b"".join(self._pieces)
        self._pieces.clear()
        self._size = 0
        return rest


def split_lines(data: bytes) -> tuple[list[bytes], bytes]:
    """The complete lines of `data`, and the unfinished rest. A CR at the very end is unfinished: an
    LF may follow."""
    if b"\r" not in data:
        *lines, rest = data.split(b"\n")
        return lines, rest
    whole = data.splitlines(keepends=True)
    rest = b"" if whole[-1].endswith(b"\n") else whole.pop()
    return [line.rstrip(b"\r\n") for line in whole], rest


class SSEDecoder:
    """An incremental decoder for one stream."""

    __slots__ = ("_buffer", "_data", "_has_started", "_limit", "_size", "_type")

    def __init__(self, limit: int = MAX_EVENT_BYTES) -> None:
        self._buffer = LineBuffer(limit)
        self._data: list[bytes] = []
        self._type = ""
        self._size = 0
        self._has_started = False
        self._limit = limit

    def feed(self, data: bytes) -> list[Event]:
        """The events that `data` completes. Raises UpstreamError if an event is too large."""
        if self._is_between_events():
            whole = _whole_events(data, min(self._limit, MAX_UNCHECKED_LENGTH))
            if whole is not None:
                return whole
        events: list[Event] = []
        for line in self._buffer.lines(data):
            if line:
                self._add_field(line)
            elif self._data:
                events.append(self._dispatch())
            else:
                self._type = ""
        return events

    def _is_between_events(self) -> bool:
        return self._has_started and not self._data and not self._type and not self._buffer.has_rest

    def _add_field(self, line: bytes) -> None:
        if not self._has_started:
            self._has_started = True
            line = line.removeprefix(b"\xef\xbb\xbf")
        if line.startswith(b"data: "):  # nearly every line
            self._add_data(line[6:])
            return
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._add_data(value)
        elif name == b"event":
            self._type = value.decode("utf-8", "replace")

    def _add_data(self, value: bytes) -> None:
        self._data.append(value)
        self._size += len(value)
        if self._size > self._limit:
            raise UpstreamError("The provider sent an event that is too large.")

    def _dispatch(self) -> Event:
        data = self._data[0] if len(self._data) == 1 else b"\n".join(self._data)
        if len(data) > MAX_UNCHECKED_LENGTH:
            check_depth(data)
        event = Event(self._type, data.decode("utf-8", "replace"))
        self._data.clear()
        self._type = ""
        self._size = 0
        return event

    def close(self) -> list[Event]:
        """The event that the end of the stream completes, if any."""
        rest = self._buffer.take_rest().removesuffix(b"\r")
        if rest:
            self._add_field(rest)
        return [self._dispatch()] if self._data else []


def _whole_events(data: bytes, max_length: int) -> list[Event] | None:
    """The events of a piece that holds nothing but whole, short events of one `data` line, or of an
    `event` line before it, as most pieces do. None for any other."""
    if b"\r" in data or not data.endswith(b"\n\n"):
        return None
    lines = data.decode("utf-8", "replace").split("\n")
    if any(lines[1::2]):
        return _named_events(lines, max_length)
    events = []
    for line in lines[:-2:2]:
        if len(line) > max_length or line[:6] != "data: ":
            return None
        events.append(new_tuple(Event, ("", line[6:])))
    return events


def _named_events(lines: list[str], max_length: int) -> list[Event] | None:
    """The same for lines by threes: a type, its data, and nothing."""
    if len(lines) % 3 != 1 or any(lines[2::3]):
        return None
    events, known, kind = [], "", ""
    for name, line in zip(lines[:-1:3], lines[1::3], strict=True):
        if name != known:
            if name[:7] != "event: ":
                return None
            known, kind = name, name[7:]
        if len(line) > max_length or line[:6] != "data: ":
            return None
        events.append(new_tuple(Event, (kind, line[6:])))
    return events
