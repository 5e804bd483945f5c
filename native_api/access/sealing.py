"""Seals what a client keeps for its next turn and only this gateway reads: signatures and encrypted
reasoning of providers, and what the client's API has no words for.

A sealed text is encrypted with the site's keys and bound to its caller: what one caller was given
opens for no other. It is not tied to a time, because conversations are continued after months.

What one request opens is bounded: what a model repeats a thousand times is compressed to nearly
nothing, and comes back as often as it is sent.
"""

from __future__ import annotations

import zlib
from typing import Any, Final

import orjson
from cryptography.fernet import InvalidToken

from native_api.conf import native_settings
from native_api.exceptions import RequestTooLarge
from native_api.secret_keys import make_cipher, secret_keys
from native_api.types import Caller

PREFIX: Final = "nseal1."
PURPOSE: Final = b"native_api.access.sealing"

COMPRESSED_BYTES: Final = 1024
"""Longer values are compressed. Signatures are too random for that, thinking is not."""
PLAIN, COMPRESSED = b"0", b"1"

FREE_BYTES: Final = 1024 * 1024
GROWTH: Final = 16
"""A request may open so many bytes in any case, and so many times the length of its sealed texts.
The limit of the memory for all bodies only knows these."""


class CallerSeal:
    """Seals and opens for one request of a caller."""

    __slots__ = ("_caller", "_left_bytes", "_opened_bytes")

    def __init__(self, caller: Caller) -> None:
        self._caller = caller.identity
        self._opened_bytes = 0
        self._left_bytes = FREE_BYTES
        """What may still be opened, besides MAX_BODY_BYTES."""

    def seal(self, value: Any) -> str:
        """A text that `open` turns into this JSON value again."""
        payload = orjson.dumps([self._caller, value])
        if len(payload) > COMPRESSED_BYTES:
            payload = COMPRESSED + zlib.compress(payload, 1)
        else:
            payload = PLAIN + payload
        keys = secret_keys()
        return PREFIX + make_cipher(PURPOSE, keys[:1]).encrypt(payload).decode()

    def open(self, text: Any) -> Any:
        """The value of a sealed text; None if it is another caller's, altered, or not sealed.

        Raises RequestTooLarge if this request has opened too much.
        """
        if not isinstance(text, str) or not text.startswith(PREFIX):
            return None
        try:
            cipher = make_cipher(PURPOSE, secret_keys())
            payload = cipher.decrypt(text.removeprefix(PREFIX).encode())
        except (InvalidToken, ValueError):
            return None
        kind, content = payload[:1], payload[1:]
        caller, value = orjson.loads(self._decompress(content) if kind == COMPRESSED else content)
        return value if caller == self._caller else None

    def _decompress(self, content: bytes) -> bytes:
        self._left_bytes += len(content) * GROWTH
        left = min(self._left_bytes, native_settings.MAX_BODY_BYTES - self._opened_bytes)
        opened = zlib.decompressobj().decompress(content, left + 1)
        if len(opened) > left:
            raise RequestTooLarge(
                "The earlier reasoning in this request is too large (MAX_BODY_BYTES). Send less of "
                "it, or compact the conversation."
            )
        self._left_bytes -= len(opened)
        self._opened_bytes += len(opened)
        return opened
