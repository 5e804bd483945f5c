"""Decompresses replies that are compressed although `identity` was requested, as some proxies send
them.

A single gzip or deflate is decompressed, a bounded piece at a time, so that a small reply never
expands into a huge one at once. Everything else is refused: several compressions on top of each
other, and rare ones that were never requested.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Final

from native_api.exceptions import UpstreamError

COMPRESSIONS: Final = frozenset(
    {"gzip", "x-gzip", "deflate", "br", "zstd", "compress", "x-compress"}
)
"""Other content codings, such as a misplaced `utf-8`, leave the body as it is."""
SUPPORTED: Final = frozenset({"gzip", "x-gzip", "deflate"})
PIECE_BYTES: Final = 64 * 1024
EITHER_HEADER: Final = zlib.MAX_WBITS | 32
"""zlib tells gzip and deflate apart itself."""


class Decompressor:
    """For one reply. `limit` is its maximum size in bytes when decompressed."""

    def __init__(self, limit: int) -> None:
        self._stream = zlib.decompressobj(EITHER_HEADER)
        self._bytes_left = limit

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Pieces of at most `PIECE_BYTES`. Raises UpstreamError if the reply is damaged or too
        large."""
        while True:
            piece, data = self._decompress(data)
            if piece:
                yield piece
            if len(piece) < PIECE_BYTES and not data:
                return

    def _decompress(self, data: bytes) -> tuple[bytes, bytes]:
        """The next piece, and the data that is still to be decompressed."""
        if self._stream.eof:
            if not data:
                return b"", b""
            self._stream = zlib.decompressobj(EITHER_HEADER)  # gzip allows one member after another
        try:
            piece = self._stream.decompress(data, PIECE_BYTES)
        except zlib.error:
            raise UpstreamError("The provider's compressed answer is damaged.") from None
        self._bytes_left -= len(piece)
        if self._bytes_left < 0:
            raise UpstreamError("The provider's answer is too large.")
        return piece, self._stream.unused_data or self._stream.unconsumed_tail


def make_decompressor(content_encoding: str, limit: int) -> Decompressor | None:
    """None for a reply that is not compressed. Raises UpstreamError if the compression is not
    supported."""
    codings = [
        coding
        for token in content_encoding.split(",")
        if (coding := token.strip().lower()) in COMPRESSIONS
    ]
    if not codings:
        return None
    if len(codings) > 1 or codings[0] not in SUPPORTED:
        raise UpstreamError(
            f"The provider compressed its answer ({', '.join(codings)[:100]}), although an "
            "uncompressed one was requested."
        )
    return Decompressor(limit)
