"""Counts the values and keys of a JSON text without parsing it, so that a text with too many is
refused at little cost.

Only bytes outside strings count: a prompt with source code is one value. The counts mean nothing
for a text that is not JSON, but take the same time: linear, with a few fast passes over one piece
after the other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

PIECE_BYTES: Final = 1 << 20
"""Bytes that are processed in one step. A step takes a few milliseconds; other threads can run
after it."""

NOT_STRUCTURE: Final = bytes(byte for byte in range(256) if byte not in b'",:[{')

BYTES_PER_QUOTE: Final = 16
"""Bytes of a piece for each quote, or escape, above which it is faster to split at these than to
process every byte."""

ESCAPE: Final = re.compile(rb"\\.", re.DOTALL)

STRING: Final = re.compile(rb'"[^"]*"?')
"""For texts without escapes. A string that is not closed reaches to the end, so that no byte is
read twice."""


class Structure(NamedTuple):
    values: int
    """The value of the text itself, and all in its objects and lists."""
    keys: int


def count_structure(text: bytes, maximum: int | None = None) -> Structure:
    """The values and keys at every depth. Stops when there are more than `maximum` values."""
    values, keys, strings = 1, 0, 0
    inside = False
    for piece in _unescaped(text):
        if inside:
            piece = b'"' + piece
        quotes = piece.count(b'"')
        inside = quotes % 2 == 1
        strings += quotes // 2
        # Strings are keys or values, and there is a value for each key. Removing millions of them
        # would take long.
        if maximum is not None and strings > 2 * maximum:
            return Structure(strings, keys)
        outside = _outside_strings(piece, quotes)
        values += outside.count(b",") + outside.count(b"[") + outside.count(b"{")
        keys += outside.count(b":")
        if maximum is not None and values > maximum:
            break
    return Structure(values, keys)


def _outside_strings(piece: bytes, quotes: int) -> bytes:
    """The bytes outside of strings, of a piece that begins outside of a string."""
    if quotes * BYTES_PER_QUOTE < len(piece):
        return b"".join(piece.split(b'"')[::2])
    return STRING.sub(b"", piece.translate(None, NOT_STRUCTURE))


def _without_escapes(piece: bytes) -> bytes:
    if piece.count(b"\\") * BYTES_PER_QUOTE < len(piece):
        return ESCAPE.sub(b"", piece)
    return piece.replace(b"\\\\", b"").replace(b'\\"', b"")


def _unescaped(text: bytes) -> Iterator[bytes]:
    """Each piece without its escaped quotes."""
    cut = b""
    for start in range(0, len(text), PIECE_BYTES):
        piece = cut + text[start : start + PIECE_BYTES]
        cut = b""
        if b"\\" in piece:
            piece = _without_escapes(piece)
            if piece.endswith(b"\\"):  # an escape that continues in the next piece
                cut = b"\\"
        yield piece
