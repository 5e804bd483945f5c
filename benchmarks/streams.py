"""Shows that 1,000 streams fit into one process at once: all complete, in order, within bounded
memory.

    python -m benchmarks.streams [--streams 1000]

Each stream has 200 chunks that the mock provider sends one by one over ten seconds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.client import request_bytes
from benchmarks.gateway import CHAT, mock_provider, resident_megabytes, running_gateway
from benchmarks.upstream import CHUNKS
from tests.servers import Site, until

EXPECTED = [f"word{number} " for number in range(CHUNKS)]


async def one_stream(url: str, request: bytes) -> bool:
    """Whether every chunk came, once, in order, and the stream ended as it should."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(request)
    received = b""
    while not received.endswith(b"0\r\n\r\n"):
        data = await reader.read(65536)
        if not data:
            return False
        received += data
    writer.close()
    return contents(received) == EXPECTED and b"data: [DONE]" in received


def contents(received: bytes) -> list[str]:
    chunks = [json.loads(line[6:]) for line in received.split(b"\n") if line.startswith(b"data: {")]
    deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
    return [delta["content"] for delta in deltas if delta.get("content")]


async def all_streams(site: Site, count: int) -> tuple[int, float]:
    """How many were right, and the most memory the server held meanwhile, in MB."""
    url = f"{site.url}/v1/chat/completions"
    body = json.dumps(
        {**CHAT, "model": "mock-slow", "stream": True}, separators=(",", ":")
    ).encode()
    request = request_bytes(url, "POST", site.headers, body)
    streams = [asyncio.create_task(one_stream(url, request)) for _ in range(count)]
    most = 0.0
    while not all(stream.done() for stream in streams):
        most = max(most, resident_megabytes(site.process.pid))
        await asyncio.sleep(0.5)
    return sum(stream.result() for stream in streams), most


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--streams", type=int, default=1000)
    count = arguments.parse_args().streams
    _, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most_files, 65536), most_files))
    with (
        tempfile.TemporaryDirectory() as name,
        mock_provider() as upstream,
        running_gateway(Path(name), upstream) as site,
    ):
        right, most = asyncio.run(all_streams(site, count))
        records = until(
            lambda: (rows := site.usage(status="ok")) and len(rows) >= right and rows,
            "the usage records",
            60,
        )
    print(
        f"{count} streams at once: {right} complete and in order, {len(records)} recorded, at most {most:.0f} MB resident"
    )
    assert right == count == len(records)


if __name__ == "__main__":
    main()
