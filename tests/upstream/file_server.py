"""A server of files on loopback, and chats that name them."""

from __future__ import annotations

import asyncio
import base64
import gzip
from dataclasses import replace
from typing import Any

import pytest

from native_api.exceptions import UnsupportedField
from native_api.types import Provider, RemoteFiles
from native_api.upstream.files.inline import inline_files
from tests.scripted_provider import pauses, stalls

PNG = b"\x89PNG\r\n\x1a\n not really"
LOOPBACK = RemoteFiles(max_bytes=1000, seconds=60, private_networks=("127.0.0.0/8", "::1/128"))
IMPATIENT = replace(LOOPBACK, seconds=0.5)
NOBODY_INSIDE = RemoteFiles(seconds=60)
NOTHING: frozenset[str] = frozenset()
MP4 = b"\0\0\0\x18ftypmp42 not really"
FILES: dict[str, tuple[bytes, str]] = {
    "/a.png": (PNG, "image/png"),
    "/called-jpeg.png": (PNG, "image/jpeg"),
    "/unnamed": (PNG, "application/octet-stream"),
    "/a.pdf": (b"%PDF-1.7 not really", "application/pdf"),
    "/a.csv": ("häuser,3\n".encode(), "text/csv; charset=utf-8"),
    "/a.mp4": (MP4, "application/octet-stream"),
    "/a.mp3": (b"ID3 not really", "audio/mpeg"),
    "/page": (b"<html>", "text/html"),
    "/called-image": (b"<html>secret words</html>", "image/png"),
    "/called-text": (b"\xff\xfe\x00secret words", "text/plain"),
    "/drawing": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image/svg+xml"),
    "/large": (PNG + b"x" * 2000, "image/png"),
}


async def answer(exchange: Any) -> None:
    path = exchange.received.path.removeprefix("/v1").partition("?")[0]
    redirects = {
        "/moved": "/v1/a.png",
        "/inward": "http://169.254.169.254/latest/meta-data",
        "/to-file": "file:///etc/passwd",
        "/to-user": "http://me:hidden@127.0.0.1/",
        "/loop": "/v1/loop",
        "/nowhere": "",
    }
    if path in FILES:
        data, media_type = FILES[path]
        await exchange.whole(data, headers={"content-type": media_type})
    elif path in redirects:
        await exchange.whole(b"", 302, {"location": redirects[path]})
    elif path == "/gzip":
        await exchange.whole(
            gzip.compress(PNG * 10_000),
            headers={"content-type": "image/png", "content-encoding": "gzip"},
        )
    elif path == "/endless":
        await exchange.head(200, {"content-type": "image/png"})
        while True:
            await exchange.send(PNG)
    elif path == "/drip":
        await exchange.head(200, {"content-type": "image/png"})
        while True:
            await exchange.send(b"x")
            await pauses(0.05)(exchange)
    elif path == "/slow":
        await stalls(exchange)
    elif path == "/declared-huge":
        await exchange.head(200, {"content-type": "image/png", "content-length": str(10**12)})
        await stalls(exchange)
    else:
        await exchange.whole(b"secret words", 404, {"content-type": "image/png"})


def image(url: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url, "detail": "low"}}


def file(url: str) -> dict[str, Any]:
    return {"type": "file", "file": {"file_url": url, "filename": "a"}}


def media(kind: str, url: str) -> dict[str, Any]:
    """A `video_url` or `audio_url` part."""
    return {"type": kind, kind: {"url": url}}


def chat_with(*parts: dict[str, Any]) -> Any:
    return {
        "model": "m",
        "messages": [{"role": "user", "content": [{"type": "text", "text": "?"}, *parts]}],
    }


def provider(
    policy: RemoteFiles | None, base_url: str = "https://api.example", **options: Any
) -> Provider:
    return Provider("p", "openai", base_url, options=options, remote_files=policy)


def fetched(
    *parts: dict[str, Any],
    policy: RemoteFiles | None = LOOPBACK,
    fetched_types: frozenset[str] = NOTHING,
) -> Any:
    return asyncio.run(inline_files(chat_with(*parts), fetched_types, provider(policy)))[
        "messages"
    ][0]["content"][1:]


def refusal(*parts: dict[str, Any], policy: RemoteFiles = LOOPBACK) -> str:
    with pytest.raises(UnsupportedField) as caught:
        fetched(*parts, policy=policy)
    message = caught.value.message
    for hidden in ("secret words", "127.0.0.1", "169.254", "404", "hidden"):
        assert hidden not in message
    return message


def data_url(media_type: str, data: bytes) -> str:
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


INSIDE = [
    "http://10.0.0.5:8000/v1",
    "http://127.0.0.1:8080/v1",
    "http://localhost:1234/v1",
    "http://vllm:8000/v1",
    "http://llm.svc/v1",
]
