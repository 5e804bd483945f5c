"""How many bytes of request bodies this process holds, and the bound for all of them together."""

from __future__ import annotations

import threading
from typing import Final

from native_api.conf import native_settings
from native_api.exceptions import Overloaded

SMALL_BODY: Final = 64 * 1024
"""Bytes that a request may always hold. Servers keep about as much of each connection anyway, and ordinary requests
are answered while large ones fill the bound."""

RETRY_SECONDS: Final = 2

_lock: Final = threading.Lock()
_held = 0


class HeldBytes:
    """What one request holds. Counts until `release`; also a context manager."""

    __slots__ = ("size",)

    def __init__(self) -> None:
        self.size = 0

    def add(self, size: int) -> None:
        """Count more bytes. Raises Overloaded if there is no room for them."""
        global _held
        bound = native_settings.MAX_BODIES_BYTES
        with _lock:
            if _held + size > bound and self.size + size > SMALL_BODY:
                raise Overloaded(
                    f"The requests that are being handled hold {bound} bytes (MAX_BODIES_BYTES). Try again shortly.",
                    headers={"retry-after": str(RETRY_SECONDS)},
                )
            _held += size
            self.size += size

    def release(self) -> None:
        global _held
        with _lock:
            _held -= self.size
            self.size = 0

    def __enter__(self) -> HeldBytes:
        return self

    def __exit__(self, *error: object) -> None:
        self.release()


def held_bytes() -> int:
    """Of all requests together."""
    return _held
