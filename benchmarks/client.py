"""The load of the benchmarks: a fixed number of connections that each send the same request again
and again.

    python -m benchmarks.client URL CONCURRENCY SECONDS METHOD [HEADERS_JSON] <BODY

Prints one JSON line: requests, seconds, the latencies' median and 99th percentile in milliseconds,
and failures.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from urllib.parse import urlsplit


class Caller(asyncio.Protocol):
    """One connection. Sends the next request when the answer to the last is whole."""

    def __init__(
        self, request: bytes, deadline: float, latencies: list[float], done: asyncio.Future[None]
    ) -> None:
        self.request = request
        self.deadline = deadline
        self.latencies = latencies
        self.done = done
        self.failures = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]
        self._send()

    def _send(self) -> None:
        self.received: list[bytes] = []
        self.size = 0
        self.expected = -1
        self.chunked = False
        self.started = time.perf_counter()
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.received.append(data)
        self.size += len(data)
        if self.expected < 0 and not self.chunked:
            self._read_head()
        ended = data.endswith(b"0\r\n\r\n") if self.chunked else 0 <= self.expected <= self.size
        if ended:
            self._answered()

    def _read_head(self) -> None:
        head, found, _ = b"".join(self.received).partition(b"\r\n\r\n")
        if not found:
            return
        if not head.startswith(b"HTTP/1.1 200"):
            self.failures += 1
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                self.expected = len(head) + 4 + int(line[15:])
            elif line.startswith(b"transfer-encoding:"):
                self.chunked = True

    def _answered(self) -> None:
        now = time.perf_counter()
        self.latencies.append(now - self.started)
        if now < self.deadline:
            self._send()
        else:
            self.transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None)


async def load(url: str, concurrency: int, seconds: float, request: bytes) -> dict[str, float]:
    parts = urlsplit(url)
    loop = asyncio.get_running_loop()
    latencies: list[float] = []
    started = time.perf_counter()
    callers = []
    for _ in range(concurrency):
        done = loop.create_future()
        caller = Caller(request, started + seconds, latencies, done)
        await loop.create_connection(lambda caller=caller: caller, parts.hostname, parts.port)
        callers.append(caller)
    await asyncio.gather(*(caller.done for caller in callers))
    took = time.perf_counter() - started
    ordered = sorted(latencies)
    return {
        "requests": len(latencies),
        "per_second": round(len(latencies) / took, 1),
        "median_ms": round(statistics.median(ordered) * 1000, 3),
        "p99_ms": round(ordered[int(len(ordered) * 0.99)] * 1000, 3),
        "failures": sum(caller.failures for caller in callers),
    }


def request_bytes(url: str, method: str, headers: dict[str, str], body: bytes) -> bytes:
    parts = urlsplit(url)
    fields = {"host": parts.netloc, **headers}
    if body:
        fields |= {"content-type": "application/json", "content-length": str(len(body))}
    lines = [
        f"{method} {parts.path} HTTP/1.1",
        *(f"{name}: {value}" for name, value in fields.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


def main() -> None:
    url, concurrency, seconds, method, *rest = sys.argv[1:]
    headers = json.loads(rest[0]) if rest else {}
    request = request_bytes(url, method, headers, sys.stdin.buffer.read())
    run = load(url, int(concurrency), float(seconds), request)
    try:
        import uvloop

        print(json.dumps(uvloop.run(run)))
    except ImportError:
        print(json.dumps(asyncio.run(run)))


if __name__ == "__main__":
    main()
