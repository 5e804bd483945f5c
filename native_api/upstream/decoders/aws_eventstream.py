"""Amazon's binary event stream: bytes in, events out
(https://smithy.io/2.0/aws/amazon-eventstream.html, read 2026-11).

A message is a prelude of twelve bytes (its whole length, the length of its headers, a CRC of these
two), the headers, the payload, and a CRC of everything before. Numbers are big-endian. Rules:
1. `feed` takes the stream in pieces cut anywhere and returns the events that they complete.
2. Both checksums are checked: a damaged stream raises, and is never guessed at.
3. A length over `limit` raises as soon as it is read: nothing is collected for it. Headers have the
   format's own limit. JSON that is nested too deeply raises.
4. `:message-type` `event` is an Event named by `:event-type`; `exception` one named by
   `:exception-type`; `error`, which services send for errors they did not foresee, one named by
   `:error-code`, with a name that ends like an exception's, and with its message as data.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import Final
from zlib import crc32

import orjson

from native_api.dialects.shared.errors import build_truncation_error
from native_api.dialects.shared.nesting import check_depth
from native_api.exceptions import UpstreamError
from native_api.types import Event
from native_api.upstream.decoders.sse import MAX_EVENT_BYTES

PRELUDE: Final = struct.Struct(">III")
CHECKSUM: Final = struct.Struct(">I")
SHORT: Final = struct.Struct(">H")
MIN_MESSAGE_BYTES: Final = PRELUDE.size + CHECKSUM.size
MAX_HEADER_BYTES: Final = 128 * 1024

MAX_CACHED_HEADER_BYTES: Final = 1024
"""Longer headers are parsed each time, so that no provider fills the memory with them."""

VALUE_SIZES: Final = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
"""Bytes of a header's value by its type: true, false, byte, short, integer, long, timestamp,
UUID."""
BYTES_TYPE: Final = 6
STRING_TYPE: Final = 7


class AWSEventStreamDecoder:
    """An incremental decoder for one stream."""

    __slots__ = ("_buffer", "_limit")

    def __init__(self, limit: int = MAX_EVENT_BYTES) -> None:
        self._buffer = bytearray()
        self._limit = limit

    def feed(self, data: bytes) -> list[Event]:
        """The events that `data` completes. Raises UpstreamError if a message is damaged or too
        large."""
        self._buffer += data
        events: list[Event] = []
        start = 0
        while (end := self._message_end(start)) > start:
            events.append(_event(bytes(self._buffer[start:end])))
            start = end
        del self._buffer[:start]
        return events

    def _message_end(self, start: int) -> int:
        """Where the message that begins at `start` ends; `start` itself if it is incomplete."""
        if len(self._buffer) - start < PRELUDE.size:
            return start
        length, header_length, checksum = PRELUDE.unpack_from(self._buffer, start)
        if (
            crc32(self._buffer[start : start + 8]) != checksum
            or length < MIN_MESSAGE_BYTES + header_length
            or header_length > MAX_HEADER_BYTES
        ):
            raise _damaged()
        if length > self._limit:
            raise UpstreamError("The provider sent an event that is too large.")
        return start + length if len(self._buffer) - start >= length else start

    def close(self) -> list[Event]:
        """Always empty: every message has a length. Raises UpstreamError if the stream ended inside
        one."""
        if self._buffer:
            raise build_truncation_error()
        return []


def _event(message: bytes) -> Event:
    if crc32(message[: -CHECKSUM.size]) != CHECKSUM.unpack(message[-CHECKSUM.size :])[0]:
        raise _damaged()
    payload_start = PRELUDE.size + PRELUDE.unpack_from(message)[1]
    headers = message[PRELUDE.size : payload_start]
    name, default_data = (
        _cached_name_and_data(headers)
        if len(headers) <= MAX_CACHED_HEADER_BYTES
        else _name_and_data(headers)
    )
    payload = message[payload_start : -CHECKSUM.size]
    check_depth(payload)
    return Event(name, payload.decode("utf-8", "replace") or default_data)


@lru_cache(maxsize=64)
def _cached_name_and_data(header_block: bytes) -> tuple[str, str]:
    """The same few header blocks are repeated all the time."""
    return _name_and_data(header_block)


def _name_and_data(header_block: bytes) -> tuple[str, str]:
    """The event's name, and its data if the message has no payload."""
    headers = _parse_headers(header_block)
    kind = headers.get(":message-type", "event")
    if kind == "error":
        code = headers.get(":error-code") or "Unknown"
        name = code if code.endswith(("Exception", "Error")) else f"{code}Exception"
        return name, orjson.dumps({"message": headers.get(":error-message", "")}).decode()
    return headers.get(":exception-type" if kind == "exception" else ":event-type", ""), ""


def _parse_headers(data: bytes) -> dict[str, str]:
    """The string headers; those of other types are skipped."""
    headers: dict[str, str] = {}
    position = 0
    try:
        while position < len(data):
            name_end = position + 1 + data[position]
            name = data[position + 1 : name_end].decode("utf-8", "replace")
            kind, start = data[name_end], name_end + 1
            if kind in (BYTES_TYPE, STRING_TYPE):
                start, size = start + SHORT.size, SHORT.unpack_from(data, start)[0]
            else:
                size = VALUE_SIZES[kind]
            position = start + size
            if position > len(data):
                raise _damaged()
            if kind == STRING_TYPE:
                headers[name] = data[start:position].decode("utf-8", "replace")
    except (IndexError, KeyError, struct.error):
        raise _damaged() from None
    return headers


def _damaged() -> UpstreamError:
    return UpstreamError("The provider's stream is damaged.")
