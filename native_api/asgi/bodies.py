"""Request bodies under ASGI: read up to the limit and no further. Knows messages, not Django's requests."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from native_api import logs

Scope = dict[str, Any]
Message = Mapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

LINGER_SECONDS: Final = 2.0
"""How long the rest of a refused body is thrown away, so that the client gets to read the refusal."""


class Body:
    """A body that was read whole. `left` where the client went away before its end."""

    __slots__ = ("content", "left")

    def __init__(self, content: bytes, left: bool = False) -> None:
        self.content = content
        self.left = left

    def replayed(self, receive: Receive) -> Receive:
        """`receive` with the body before what is still to come."""
        first: list[Message] = [{"type": "http.request", "body": self.content, "more_body": False}]

        async def replay() -> Message:
            return first.pop() if first else await receive()

        return replay


async def read(scope: Scope, receive: Receive, limit: int) -> Body | None:
    """The body; None as soon as it is known to be over the limit."""
    from native_api.parsers import declared_length

    if declared_length(_header(scope, b"content-length")) > limit:
        return None
    pieces: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return Body(b"", left=True)
        pieces.append(message.get("body", b""))
        size += len(pieces[-1])
        if size > limit:
            return None
        if not message.get("more_body"):
            return Body(b"".join(pieces))


def _header(scope: Scope, wanted: bytes) -> str:
    for name, value in scope["headers"]:
        if name == wanted:
            return str(value.decode("latin-1"))
    return ""


async def refuse(scope: Scope, limit: int, receive: Receive, send: Send) -> None:
    """Answer 413, then hear the client out for a while: one that is still sending would not read the answer."""
    from native_api.exceptions import RequestTooLarge
    from native_api.renderers import error_envelope, to_json

    request_id = logs.sane_request_id(_header(scope, b"x-request-id"))
    # Not at import: Django's logging, configured after that, disables the loggers that are there by default.
    logger = logging.getLogger("native_api.request")
    logger.info("%s %s 413", scope["method"], scope["path"], extra={"request_id": request_id, "status": 413})
    body = to_json(error_envelope(RequestTooLarge(f"The request body is larger than {limit} bytes.")))
    headers = {
        "content-type": "application/json",
        "content-length": str(len(body)),
        "connection": "close",
        "x-content-type-options": "nosniff",
        "x-request-id": request_id,
    }
    encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": 413, "headers": encoded})
    await send({"type": "http.response.body", "body": body, "more_body": True})
    try:
        async with asyncio.timeout(LINGER_SECONDS):
            while (message := await receive())["type"] == "http.request" and message.get("more_body"):
                pass
    except TimeoutError:
        pass
    await send({"type": "http.response.body", "body": b""})
