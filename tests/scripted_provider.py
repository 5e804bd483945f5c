"""A scripted provider: a real HTTP server on loopback that follows each test's scripts and records
its requests.

    upstream.script("gpt-slow", streams(event({"content": "Hel"}), gate, event({}, "stop"), DONE))

The request's `model` selects the script. Scripts write bytes themselves, so they can also break
HTTP.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import h11

DONE = b"data: [DONE]\n\n"


@dataclass
class Received:
    """One request as the provider received it."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any
    raw: bytes = b""

    @property
    def model(self) -> str:
        """The model in the body, else in the path (Bedrock, Gemini)."""
        if isinstance(self.body, dict) and "model" in self.body:
            return str(self.body["model"])
        match = re.search(r"/model/([^/]+)/|/models/([^/:]+):", self.path)
        return unquote(match[1] or match[2]) if match else ""


class Exchange:
    """A request, and the connection to answer it on."""

    def __init__(self, received: Received, writer: asyncio.StreamWriter) -> None:
        self.received = received
        self.writer = writer
        self.keep_alive = False

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def json(
        self, body: Any, status: int = 200, headers: dict[str, str] | None = None
    ) -> None:
        await self.whole(
            json.dumps(body).encode(),
            status,
            {"content-type": "application/json", **(headers or {})},
        )

    async def whole(
        self, body: bytes, status: int = 200, headers: dict[str, str] | None = None
    ) -> None:
        self.keep_alive = True
        await self.head(status, {"content-length": str(len(body)), **(headers or {})})
        await self.send(body)

    async def head(self, status: int = 200, headers: dict[str, str] | None = None) -> None:
        lines = [
            f"HTTP/1.1 {status} Scripted",
            *(f"{name}: {value}" for name, value in (headers or {}).items()),
        ]
        await self.send("\r\n".join([*lines, "", ""]).encode())

    async def event_stream(self, content_type: str = "text/event-stream") -> None:
        await self.head(200, {"content-type": content_type, "transfer-encoding": "chunked"})

    async def piece(self, data: bytes) -> None:
        await self.send(b"%x\r\n%b\r\n" % (len(data), data))

    async def end(self) -> None:
        self.keep_alive = True
        await self.send(b"0\r\n\r\n")


Script = Callable[[Exchange], Awaitable[None]]


@dataclass
class Upstream:
    """The server: its URL, scripts, requests and connections."""

    url: str = ""
    requests: list[Received] = field(default_factory=list)
    connections: int = 0
    open_connections: int = 0
    scripts: dict[str, Script] = field(default_factory=dict)
    default_script: Script | None = None
    """For models without a script; `hello` if None."""
    answering: list[str] = field(default_factory=list)
    """The models of the answers that are under way."""
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    tls: ssl.SSLContext | None = None
    server: asyncio.Server | None = None
    late_connections: set[asyncio.Task[None]] = field(default_factory=set)

    def listen(self, port: int = 0) -> None:
        """Accept connections at this port, or at any free one."""
        self._socket = socket.create_server(("127.0.0.1", port), backlog=2048)
        self._socket.setblocking(False)
        opening = asyncio.start_server(self.serve, sock=self._socket, backlog=2048, ssl=self.tls)
        self.server = asyncio.run_coroutine_threadsafe(opening, self.loop).result()
        self.port = self._socket.getsockname()[1]
        self.url = f"http{'s' if self.tls else ''}://127.0.0.1:{self.port}/v1"

    @contextlib.contextmanager
    def refusing_connections(self) -> Iterator[None]:
        """Refuse new connections. Those that are open stay."""
        asyncio.run_coroutine_threadsafe(self._stop_listening(), self.loop).result()
        try:
            yield
        finally:
            self.listen(self.port)

    async def _stop_listening(self) -> None:
        """Accept the connections in the backlog first: to their clients they are open already."""
        assert self.server is not None
        waiting = []
        with contextlib.suppress(BlockingIOError):
            while True:
                waiting.append(self._socket.accept()[0])
        self.server.close()
        for connection in waiting:
            task = asyncio.ensure_future(
                self.serve(*await asyncio.open_connection(sock=connection))
            )
            self.late_connections.add(task)
            task.add_done_callback(self.late_connections.discard)

    def script(self, model: str, script: Script) -> None:
        self.scripts[model] = script

    def gate(self) -> Gate:
        return Gate(self.loop)

    def requests_for(self, model: str) -> list[Received]:
        return [received for received in self.requests if received.model == model]

    def is_answering(self, model: str) -> bool:
        """Whether an answer for this model has begun and not ended, and its connection is open."""
        return model in self.answering

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open_connections += 1
        try:
            await self._requests(reader, writer)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self.open_connections -= 1
            writer.close()

    async def _requests(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            received = await read_request(reader)
            if received is None:
                return
            self.requests.append(received)
            exchange = Exchange(received, writer)
            self.answering.append(received.model)
            try:
                await self._run(
                    self.scripts.get(received.model, self.default_script or hello), exchange, reader
                )
            finally:
                self.answering.remove(received.model)
            if not exchange.keep_alive:
                return

    async def _run(self, script: Script, exchange: Exchange, reader: asyncio.StreamReader) -> None:
        """Run the script, but stop it if the gateway closes the connection, which a provider would
        notice too."""
        running = asyncio.ensure_future(script(exchange))
        while not running.done():
            await asyncio.wait([running], timeout=0.02)
            if reader.at_eof() and not running.done():
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)
                raise ConnectionError
        await running


async def read_request(reader: asyncio.StreamReader) -> Received | None:
    connection = h11.Connection(h11.SERVER)
    head: h11.Request | None = None
    body = b""
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            data = await reader.read(65536)
            connection.receive_data(data)
        elif isinstance(event, h11.Request):
            head = event
        elif isinstance(event, h11.Data):
            body += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage) and head is not None:
            return Received(
                head.method.decode(), head.target.decode(), _headers(head), _parsed(body), body
            )
        else:
            return None


def _headers(head: h11.Request) -> dict[str, str]:
    return {name.decode().lower(): value.decode() for name, value in head.headers}


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body


class Gate:
    """A step that holds a script until the test opens the gate."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._event = asyncio.Event()

    def open(self) -> None:
        self._loop.call_soon_threadsafe(self._event.set)

    async def __call__(self, exchange: Exchange) -> None:
        await self._event.wait()


class ScriptBarrier:
    """A step that holds scripts until so many have reached it."""

    def __init__(self, count: int) -> None:
        self._missing = count
        self._complete = asyncio.Event()

    async def __call__(self, exchange: Exchange) -> None:
        self._missing -= 1
        if not self._missing:
            self._complete.set()
        await self._complete.wait()


@contextlib.contextmanager
def running_upstream(tls: ssl.SSLContext | None = None) -> Iterator[Upstream]:
    upstream = Upstream(tls=tls)
    loop = upstream.loop
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    upstream.listen()
    try:
        yield upstream
    finally:
        asyncio.run_coroutine_threadsafe(_stop(upstream.server), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _stop(server: asyncio.Server | None) -> None:
    if server is not None:
        server.close()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


# --- scripts -------------------------------------------------------------------------------------


def completion(content: str | None = "Hello there", **message: Any) -> dict[str, Any]:
    reason = "tool_calls" if message.get("tool_calls") else "stop"
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": content, **message},
        "finish_reason": reason,
    }
    usage = {
        "prompt_tokens": 9,
        "completion_tokens": 3,
        "total_tokens": 12,
        "prompt_tokens_details": {"cached_tokens": 4},
    }
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1700000000,
        "model": "gpt-up",
        "choices": [choice],
        "usage": usage,
    }


def event(
    delta: dict[str, Any] | None = None, finish_reason: str | None = None, **rest: Any
) -> bytes:
    """A chunk as an SSE event; without a delta it has no choices."""
    choices = (
        [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish_reason}]
    )
    chunk = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1700000000,
        "model": "gpt-up",
        "choices": choices,
        **rest,
    }
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


USAGE = event(usage={"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12})
HELLO = (
    event({"role": "assistant", "content": ""}),
    event({"content": "Hello"}),
    event({"content": " there"}),
    event({}, "stop"),
    USAGE,
    DONE,
)


async def hello(exchange: Exchange) -> None:
    """The answer of models without a script, streamed if requested."""
    if isinstance(exchange.received.body, dict) and exchange.received.body.get("stream"):
        await streams(*HELLO)(exchange)
    else:
        await exchange.json(completion())


def says(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Script:
    """A complete answer: JSON, or bytes as they are."""

    async def script(exchange: Exchange) -> None:
        if isinstance(body, bytes):
            await exchange.whole(body, status, headers)
        else:
            await exchange.json(body, status, headers)

    return script


def streams(*steps: bytes | Script, content_type: str = "text/event-stream") -> Script:
    """An event stream of byte pieces, with other steps in between."""

    async def script(exchange: Exchange) -> None:
        await exchange.event_stream(content_type)
        for step in steps:
            if isinstance(step, bytes):
                await exchange.piece(step)
            else:
                await step(exchange)
        await exchange.end()

    return script


async def cuts(exchange: Exchange) -> None:
    """Reset the connection."""
    exchange.writer.transport.abort()
    raise ConnectionError


async def stalls(exchange: Exchange) -> None:
    """Send nothing more until the gateway gives up."""
    await asyncio.Event().wait()


def pauses(seconds: float) -> Script:
    async def script(exchange: Exchange) -> None:
        await asyncio.sleep(seconds)

    return script
