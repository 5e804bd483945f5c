"""The mock provider of the benchmarks: answers every chat request at once, from bytes made
beforehand.

python -m benchmarks.upstream PORT
"""

from __future__ import annotations

import asyncio
import json
import sys

CHUNKS = 200


def _completion() -> bytes:
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": "Hello there, how are you?"},
        "finish_reason": "stop",
    }
    usage = {"prompt_tokens": 9, "completion_tokens": 7, "total_tokens": 16}
    body = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1700000000,
        "model": "mock",
        "choices": [choice],
        "usage": usage,
    }
    return json.dumps(body).encode()


def _chunk(choices: list[dict[str, object]], **rest: object) -> bytes:
    chunk = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1700000000,
        "model": "mock",
        "choices": choices,
        **rest,
    }
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


def _stream() -> list[bytes]:
    words = [
        _chunk([{"index": 0, "delta": {"content": f"word{number} "}, "finish_reason": None}])
        for number in range(CHUNKS)
    ]
    end = _chunk([{"index": 0, "delta": {}, "finish_reason": "stop"}])
    usage = _chunk(
        [], usage={"prompt_tokens": 9, "completion_tokens": CHUNKS, "total_tokens": 9 + CHUNKS}
    )
    return [*words, end, usage, b"data: [DONE]\n\n"]


COMPLETION = _completion()
WHOLE = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (
    len(COMPLETION),
    COMPLETION,
)
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
EVENTS = _stream()
ALL_EVENTS = b"".join(EVENTS)
AT_ONCE = HEAD + b"%x\r\n%b\r\n0\r\n\r\n" % (len(ALL_EVENTS), ALL_EVENTS)


class Provider(asyncio.Protocol):
    """Speaks just enough HTTP for a well-behaved client."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]
        self.received = b""

    def data_received(self, data: bytes) -> None:
        self.received += data
        head, found, body = self.received.partition(b"\r\n\r\n")
        if not found or len(body) < _length(head):
            return
        self.received = b""
        if b'"stream":true' not in body:
            self.transport.write(WHOLE)
        elif b'"mock-slow"' in body:
            asyncio.get_running_loop().create_task(self._drip())
        else:
            self.transport.write(AT_ONCE)

    async def _drip(self) -> None:
        """Every event by itself, over ten seconds."""
        self.transport.write(HEAD)
        for event in EVENTS:
            self.transport.write(b"%x\r\n%b\r\n" % (len(event), event))
            await asyncio.sleep(10 / CHUNKS)
        self.transport.write(b"0\r\n\r\n")


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line[15:])
    return 0


async def serve(port: int) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Provider, "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    try:
        import uvloop

        uvloop.run(serve(int(sys.argv[1])))
    except ImportError:
        asyncio.run(serve(int(sys.argv[1])))
