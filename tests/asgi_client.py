"""Requests to an ASGI application in this process, as a server would send them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any


@dataclass
class Answer:
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def is_zipped(self) -> bool:
        return ("content-encoding", "gzip") in self.headers


async def ask(
    application: Any,
    method: str,
    address: str,
    headers: dict[str, str],
    body: bytes = b"",
    is_slow: bool = False,
) -> Answer:
    """The application's answer to a request that arrives whole, or never ends if it is slow."""
    path, _, query = address.partition("?")
    sent = {"host": "good.example", "content-length": str(len(body)), **headers}
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query.encode().replace(b"%FF", b"\xff"),
        "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in sent.items()],
        "client": ("127.0.0.1", 1),
    }
    messages: list[Any] = []
    is_read = False

    async def receive() -> Any:
        nonlocal is_read
        if is_read:
            await asyncio.Event().wait()
        is_read = True
        return {"type": "http.request", "body": body, "more_body": is_slow}

    async def send(message: Any) -> None:
        messages.append(message)

    await application(scope, receive, send)
    start = messages[0]
    return Answer(
        start["status"],
        [(name.decode().lower(), value.decode("latin-1")) for name, value in start["headers"]],
        b"".join(message.get("body", b"") for message in messages[1:]),
    )
