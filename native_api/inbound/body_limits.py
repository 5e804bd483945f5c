"""Limits of request bodies: the size of one, its time to arrive, and the memory of all together.
Also the keys with which `native_api.asgi` tells the views what it knows of a request."""

from __future__ import annotations

import sys
import threading
from typing import Final

from native_api.conf import usable_settings
from native_api.exceptions import Overloaded, RequestTimeout, RequestTooLarge
from native_api.forks import reset_after_fork

BODY: Final = "native_api.body"
"""The key of the ASGI scope with the body, if `native_api.asgi` serves the request: it counts and
times what it reads."""

REFUSAL: Final = "native_api.refusal"
"""The key of the ASGI scope with the error of a body that `native_api.asgi` refuses to read."""

MATCH: Final = "native_api.match"
"""The key of the ASGI scope with the ResolverMatch of a request that is the gateway's."""

SMALL_BODY: Final = 64 * 1024
"""Bytes that a request may always hold, so that ordinary requests are answered while large ones
use up the memory. Servers buffer about as much for each connection anyway."""

RETRY_SECONDS: Final = 2

MAX_DIGITS: Final = 18

_lock = threading.Lock()
_total_bytes = 0


def _after_fork() -> None:
    """None of the parent's requests are under way in the child."""
    global _lock, _total_bytes
    _lock, _total_bytes = threading.Lock(), 0


reset_after_fork(_after_fork)


class BodyMemory:
    """The bytes of its body that one request holds, until `release`. Also a context manager."""

    __slots__ = ("size",)

    def __init__(self) -> None:
        self.size = 0

    def add(self, size: int) -> None:
        """Count more bytes. Raises Overloaded if all requests together would hold too many."""
        global _total_bytes
        bound = usable_settings.MAX_BODIES_BYTES
        with _lock:
            if _total_bytes + size > bound and self.size + size > SMALL_BODY:
                raise Overloaded(
                    f"All request bodies together may hold {bound} bytes (MAX_BODIES_BYTES), "
                    "and these are in use. Try again shortly.",
                    headers={"retry-after": str(RETRY_SECONDS)},
                )
            _total_bytes += size
            self.size += size

    def release(self) -> None:
        global _total_bytes
        with _lock:
            _total_bytes -= self.size
            self.size = 0

    def __enter__(self) -> BodyMemory:
        return self

    def __exit__(self, *error: object) -> None:
        self.release()


def bytes_in_memory() -> int:
    """The bytes that the bodies of all requests hold."""
    return _total_bytes


def check_body_size(size: int, limit: int) -> None:
    """Raise RequestTooLarge if a body of this size, in bytes, is over the limit."""
    if size > limit:
        raise RequestTooLarge(
            f"The request body is larger than {limit} bytes (MAX_BODY_BYTES). Send less."
        )


def too_slow(seconds: float) -> RequestTimeout:
    return RequestTimeout(f"The request body did not arrive within {seconds:g} s (TIMEOUTS, BODY).")


def declared_length(content_length: str) -> int:
    """The number in a Content-Length header; 0 if it is not valid."""
    if not content_length.isascii() or not content_length.isdigit():
        return 0
    return int(content_length) if len(content_length) <= MAX_DIGITS else sys.maxsize
