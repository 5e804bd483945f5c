"""Counts the values and keys of a JSON text without parsing it, so that a text with too many is
refused before it costs anything.

Only bytes outside strings count: a prompt full of source code is one value. A text that is not JSON
gets counts that mean nothing, but they are found in the same time: linear, with a few passes at the
speed of memory over one piece after the other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

PIECE: Final = 1 << 20
"""Bytes that are looked at in one step. A step takes a few milliseconds and lets other threads run
after it."""

DELETED: Final = bytes(byte for byte in range(256) if byte not in b'",:[{')

FEW: Final = 16
"""Bytes for each quote, or escape, from which on it is faster to look at those alone than at each
byte of a piece."""

ESCAPE: Final = re.compile(rb"\\.", re.DOTALL)

STRING: Final = re.compile(rb'"[^"]*"?')
"""For texts without escapes. One that is not closed reaches to the end, so no byte is looked at
twice."""


class Structure(NamedTuple):
    values: int
    """The text's own, and all that are in objects and lists."""
    keys: int


def count_structure(text: bytes, most: int | None = None) -> Structure:
    """Values and keys at every depth. Stops counting as soon as there are more than `most`
    values."""
    values, keys, strings = 1, 0, 0
    inside = False
    for piece in _unescaped(text):
        if inside:
            piece = b'"' + piece
        quotes = piece.count(b'"')
        inside = quotes % 2 == 1
        strings += quotes // 2
        # Strings are keys or values, and there is a value for each key. Taking millions of them out
        # would take a while.
        if most is not None and strings > 2 * most:
            return Structure(strings, keys)
        outside = _outside_strings(piece, quotes)
        values += outside.count(b",") + outside.count(b"[") + outside.count(b"{")
        keys += outside.count(b":")
        if most is not None and values > most:
            break
    return Structure(values, keys)


def _outside_strings(piece: bytes, quotes: int) -> bytes:
    """What is outside of the strings of a piece that begins outside of them."""
    if quotes * FEW < len(piece):
        return b"".join(piece.split(b'"')[::2])
    return STRING.sub(b"", piece.translate(None, DELETED))


def _without_escapes(piece: bytes) -> bytes:
    if piece.count(b"\\") * FEW < len(piece):
        return ESCAPE.sub(b"", piece)
    return piece.replace(b"\\\\", b"").replace(b'\\"', b"")


def _unescaped(text: bytes) -> Iterator[bytes]:
    """Each piece, without the quotes that are escaped."""
    cut = b""
    for start in range(0, len(text), PIECE):
        piece = cut + text[start : start + PIECE]
        cut = b""
        if b"\\" in piece:
            piece = _without_escapes(piece)
            if piece.endswith(b"\\"):  # of an escape that goes on in the next piece
                cut = b"\\"
        yield piece
