"""Request bodies under ASGI: how much of a body is read, when, and what happens to the rest. Knows
ASGI's messages, not Django's requests.

Rules:
1. A body is read up to MAX_BODY_BYTES, TIMEOUTS["BODY"] seconds, and MAX_BODIES_BYTES of all
   requests together. Its bytes count from when they arrive until the request is answered.
2. Before the view runs, nothing is read from clients without credentials, and at most SMALL_BODY
   from clients whose credentials are not valid. The view refuses them without the body; a view that
   lets them in reads it itself.
3. The rest of a body that nobody reads is discarded for a while, because a client that is still
   sending does not read the response. Then the connection is closed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from io import BytesIO
from typing import Any, Final, Protocol

from native_api.conf import usable_settings
from native_api.exceptions import InvalidRequest, NativeError
from native_api.inbound.body_limits import (
    SMALL_BODY,
    BodyMemory,
    check_body_size,
    declared_length,
    too_slow,
)

Scope = dict[str, Any]
Message = Mapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

# What needs models is imported when used: this module is imported before Django is set up.

LINGER_SECONDS: Final = 2.0
"""For which the rest of a body is discarded after the response."""

DISCONNECT: Final[Message] = {"type": "http.disconnect"}


class Caller(Protocol):
    """What the headers of a request say about its caller, see `callers`."""

    @property
    def is_anonymous(self) -> bool: ...
    async def is_authenticated(self) -> bool: ...


class Body:
    """The body of one request. Call `close` when the request is answered."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._scope, self._receive = scope, receive
        self._seconds: float = usable_settings.TIMEOUTS["BODY"]
        self._deadline = asyncio.get_running_loop().time() + self._seconds
        self._declared = declared_length(header(scope, b"content-length"))
        self._content: bytes | BytesIO = b""
        self.memory = BodyMemory()
        """Also counts what the view loads for the request. Released by `close`."""
        self._has_disconnected = False
        self._end = asyncio.Event()
        """Set when the server has delivered the whole body."""

    @property
    def is_unread(self) -> bool:
        """Whether the server may deliver more of the body."""
        return not self._end.is_set()

    @property
    def has_disconnected(self) -> bool:
        """Whether the client disconnected before the end of its body."""
        return self._has_disconnected

    @property
    def content(self) -> bytes:
        return self._content.getvalue() if isinstance(self._content, BytesIO) else self._content

    async def read_beforehand(self, caller: Caller) -> None:
        """Read the body if the caller is authenticated. Raises RequestTooLarge, RequestTimeout,
        Overloaded."""
        if caller.is_anonymous and (self._declared or header(self._scope, b"transfer-encoding")):
            return
        free = 0 if caller.is_anonymous else SMALL_BODY
        if self._declared <= free:
            await self._read(free)
        if self.is_unread and await caller.is_authenticated():
            await self._read(None)

    async def read(self) -> bytes:
        """The whole body. Raises RequestTooLarge, RequestTimeout, Overloaded, and InvalidRequest if
        the client leaves."""
        await self._read(None)
        if self._has_disconnected:
            raise InvalidRequest("The client left before the end of its request body.")
        return self.content

    async def _read(self, free: int | None) -> None:
        """Read to the end, or until more than `free` bytes have arrived. A body that is refused is
        forgotten."""
        try:
            async with asyncio.timeout_at(self._deadline):
                await self._receive_body(free)
        except TimeoutError:
            self.close()
            raise too_slow(self._seconds) from None
        except NativeError:
            self.close()
            raise

    async def _receive_body(self, free: int | None) -> None:
        limit = usable_settings.MAX_BODY_BYTES
        check_body_size(self._declared, limit)
        while self.is_unread and (free is None or self.memory.size <= free):
            self._keep(await self._receive())
            check_body_size(self.memory.size, limit)

    def _keep(self, message: Message) -> None:
        """Keep the part of the body in a message."""
        if message["type"] == "http.disconnect":
            self._has_disconnected = True
            self._end.set()
            return
        if not message.get("more_body"):
            self._end.set()
        piece = message.get("body", b"")
        self.memory.add(len(piece))
        if not self._content:
            self._content = piece
        elif piece:
            self._append(piece)

    def _append(self, piece: bytes) -> None:
        """One buffer: a list of many small pieces takes many times the memory of their bytes."""
        if not isinstance(self._content, BytesIO):
            first, self._content = self._content, BytesIO()
            self._content.write(first)
        self._content.write(piece)

    # --- after the body --------------------------------------------------------------------------

    async def receive(self) -> Message:
        """The message after the body. There is only one: the client has disconnected."""
        await self._end.wait()
        return DISCONNECT if self._has_disconnected else await self._receive()

    def replayed(self) -> Receive:
        """`receive` that first delivers what was read of the body."""
        first: list[Message] = [{"type": "http.request", "body": self.content, "more_body": False}]

        async def replay() -> Message:
            return first.pop() if first else await self.receive()

        return replay

    def closing(self, send: Send) -> Send:
        """`send` for the response. Closes the connection if the body has not been read to its
        end."""
        is_cut = False

        async def send_and_close(message: Message) -> None:
            nonlocal is_cut
            if message["type"] == "http.response.start":
                is_cut = self.is_unread
                if is_cut and self._scope.get("http_version", "1.1").startswith("1"):
                    message = {
                        **message,
                        "headers": [*message.get("headers", ()), (b"connection", b"close")],
                    }
            elif is_cut and not message.get("more_body"):
                await send({**message, "more_body": True})
                await self._discard_rest()
                message = {"type": "http.response.body", "body": b""}
            await send(message)

        return send_and_close

    async def _discard_rest(self) -> None:
        """Receive the rest for a while without keeping it."""
        self.close()
        try:
            async with asyncio.timeout(LINGER_SECONDS):
                while self.is_unread:
                    message = await self._receive()
                    self._has_disconnected = message["type"] == "http.disconnect"
                    if self._has_disconnected or not message.get("more_body"):
                        self._end.set()
        except TimeoutError:
            pass

    def close(self) -> None:
        """Forget the body. Its bytes no longer count."""
        self._content = b""
        self.memory.release()


def header(scope: Scope, wanted: bytes) -> str:
    for name, value in scope["headers"]:
        if name == wanted:
            return str(value.decode("latin-1"))
    return ""
