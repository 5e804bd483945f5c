"""The limits of request bodies: the size of each, the time it may take, and the memory of all of
them together."""

from __future__ import annotations

import sys
import threading
from typing import Final

from native_api.conf import usable_settings
from native_api.exceptions import Overloaded, RequestTimeout, RequestTooLarge

BODY: Final = "native_api.body"
"""Where the ASGI scope holds the body if `native_api.asgi` serves the request. It counts and times
what it reads."""

REFUSAL: Final = "native_api.refusal"
"""Where the ASGI scope holds the error of a body that `native_api.asgi` refuses to read."""

SMALL_BODY: Final = 64 * 1024
"""Bytes that a request may always hold. Servers keep about as much of each connection anyway, and
ordinary requests are answered while large ones fill the bound."""

RETRY_SECONDS: Final = 2

MAX_DIGITS: Final = 18

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
        bound = usable_settings.MAX_BODIES_BYTES
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


def too_large(limit: int) -> RequestTooLarge:
    return RequestTooLarge(f"The request body is larger than {limit} bytes (MAX_BODY_BYTES).")


def too_slow(seconds: float) -> RequestTimeout:
    return RequestTimeout(f"The request body did not arrive within {seconds:g} s (TIMEOUTS, BODY).")


def declared_length(content_length: str) -> int:
    """What a Content-Length header promises; 0 where it is none."""
    if not content_length.isascii() or not content_length.isdigit():
        return 0
    return int(content_length) if len(content_length) <= MAX_DIGITS else sys.maxsize
