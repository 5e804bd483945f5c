"""Seals what a client keeps for its next turn and only this gateway reads: signatures and encrypted
reasoning of providers, and what the client's API has no words for.

A sealed text is encrypted with the site's keys and bound to its caller: what one caller was given
opens for no other. It is not tied to a time, because conversations are continued after months.
"""

from __future__ import annotations

import zlib
from typing import Any, Final

import orjson
from cryptography.fernet import InvalidToken

from native_api.secret_keys import make_cipher, secret_keys
from native_api.types import Caller

PREFIX: Final = "nseal1."
PURPOSE: Final = b"native_api.access.sealing"

COMPRESSED_BYTES: Final = 1024
"""Longer values are compressed. Signatures are too random for that, thinking is not."""
PLAIN, COMPRESSED = b"0", b"1"


class CallerSeal:
    """Seals and opens for one caller."""

    __slots__ = ("_caller",)

    def __init__(self, caller: Caller) -> None:
        self._caller = caller.identity

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
        """The value of a sealed text; None if it is another caller's, altered, or not sealed."""
        if not isinstance(text, str) or not text.startswith(PREFIX):
            return None
        try:
            cipher = make_cipher(PURPOSE, secret_keys())
            payload = cipher.decrypt(text.removeprefix(PREFIX).encode())
        except (InvalidToken, ValueError):
            return None
        kind, content = payload[:1], payload[1:]
        caller, value = orjson.loads(zlib.decompress(content) if kind == COMPRESSED else content)
        return value if caller == self._caller else None
