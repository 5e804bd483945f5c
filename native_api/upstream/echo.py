"""The built-in `echo` provider: an upstream in the process that repeats the last user message.

It speaks OpenAI's wire, so a call to it passes through everything that a real call does, without a
key or a network.
"""

from __future__ import annotations

import re
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Iterable
from hashlib import shake_128
from struct import pack, unpack
from typing import Any, Final
from uuid import uuid4

import httpx
import orjson

EMBEDDING_DIMENSIONS: Final = 16


class EchoTransport(httpx.AsyncBaseTransport):
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/models"):
            return httpx.Response(
                200, json={"object": "list", "data": [{"id": "echo", "object": "model"}]}
            )
        chat = orjson.loads(request.content)
        if request.url.path.endswith("/embeddings"):
            return httpx.Response(200, json=embeddings_reply(chat))
        words = re.findall(r"\S+\s*|\s+", _last_text(chat)) or ["(nothing was said)"]
        usage = _usage(chat, words)
        if chat.get("stream"):
            return httpx.Response(
                200, headers={"content-type": "text/event-stream"}, stream=EchoStream(words, usage)
            )
        message = {"role": "assistant", "content": "".join(words)}
        return httpx.Response(
            200,
            json={
                **_head("chat.completion"),
                "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                "usage": usage,
            },
        )


class EchoStream(httpx.AsyncByteStream):
    """One event per word."""

    def __init__(self, words: list[str], usage: dict[str, int]) -> None:
        self._words = words
        self._usage = usage
        self._head = _head("chat.completion.chunk")

    async def __aiter__(self) -> AsyncIterator[bytes]:
        event = self._event
        yield event({"role": "assistant", "content": ""}) + event({"content": self._words[0]})
        for word in self._words[1:]:
            yield event({"content": word})
        yield event({}, "stop") + self._data([], usage=self._usage) + b"data: [DONE]\n\n"

    def _event(self, delta: dict[str, str], finish_reason: str | None = None) -> bytes:
        return self._data([{"index": 0, "delta": delta, "finish_reason": finish_reason}])

    def _data(self, choices: list[dict[str, Any]], **members: Any) -> bytes:
        chunk = {**self._head, "choices": choices, **members}
        return b"data: " + orjson.dumps(chunk) + b"\n\n"


def _head(kind: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{uuid4().hex}",
        "object": kind,
        "created": int(time.time()),
        "model": "echo",
    }


def _usage(chat: dict[str, Any], words: list[str]) -> dict[str, int]:
    """Counts words: they are the echo's tokens."""
    prompt = sum(len(text.split()) for message in chat["messages"] for text in _texts(message))
    return {
        "prompt_tokens": prompt,
        "completion_tokens": len(words),
        "total_tokens": prompt + len(words),
    }


def _last_text(chat: dict[str, Any]) -> str:
    for message in reversed(chat["messages"]):
        if message["role"] == "user":
            return "\n".join(_texts(message))
    return ""


def _texts(message: dict[str, Any]) -> Iterable[str]:
    content = message.get("content")
    if isinstance(content, str):
        yield content
    for part in content if isinstance(content, list) else ():
        if part.get("type") == "text":
            yield part["text"]


def embeddings_reply(request: dict[str, Any]) -> dict[str, Any]:
    """One vector per input, made from its text: the same text always has the same vector."""
    texts = request["input"]
    if isinstance(texts, str) or (texts and isinstance(texts[0], int)):
        texts = [texts]
    size = request.get("dimensions") or EMBEDDING_DIMENSIONS
    vectors: list[Any] = [_vector(text, size) for text in texts]
    if request.get("encoding_format") == "base64":
        vectors = [b64encode(pack(f"<{size}f", *vector)).decode() for vector in vectors]
    counted = sum(len(text.split()) if isinstance(text, str) else len(text) for text in texts)
    return {
        "object": "list",
        "model": "echo",
        "data": [
            {"object": "embedding", "index": index, "embedding": vector}
            for index, vector in enumerate(vectors)
        ],
        "usage": {"prompt_tokens": counted, "total_tokens": counted},
    }


def _vector(text: Any, size: int) -> list[float]:
    """Numbers between -1 and 1."""
    numbers = shake_128(repr(text).encode("utf-8", "surrogatepass")).digest(2 * size)
    return [number / 2**15 for number in unpack(f"<{size}h", numbers)]
