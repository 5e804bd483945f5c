"""The built-in `echo` provider: an upstream in the process that repeats the last user message.

It speaks OpenAI's wire, so a call to it passes through everything that a real call does, without a
key or a network.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable
from typing import Any

import httpx
import orjson


class EchoTransport(httpx.AsyncBaseTransport):
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/models"):
            return httpx.Response(
                200, json={"object": "list", "data": [{"id": "echo", "object": "model"}]}
            )
        chat = orjson.loads(request.content)
        words = re.findall(r"\S+\s*|\s+", _last_text(chat)) or ["(nothing was said)"]
        usage = _usage(chat, words)
        if chat.get("stream"):
            return httpx.Response(
                200, headers={"content-type": "text/event-stream"}, stream=EchoStream(words, usage)
            )
        message = {"role": "assistant", "content": "".join(words)}
        return httpx.Response(
            200,
            json=_completion([{"index": 0, "message": message, "finish_reason": "stop"}], usage),
        )


class EchoStream(httpx.AsyncByteStream):
    """One event per word."""

    def __init__(self, words: list[str], usage: dict[str, int]) -> None:
        self._words = words
        self._usage = usage

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield _event({"role": "assistant", "content": ""}) + _event({"content": self._words[0]})
        for word in self._words[1:]:
            yield _event({"content": word})
        yield _event({}, "stop") + _data({**_chunk([]), "usage": self._usage}) + b"data: [DONE]\n\n"


def _event(delta: dict[str, str], finish_reason: str | None = None) -> bytes:
    return _data(_chunk([{"index": 0, "delta": delta, "finish_reason": finish_reason}]))


def _data(value: dict[str, Any]) -> bytes:
    return b"data: " + orjson.dumps(value) + b"\n\n"


def _chunk(choices: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": "",
        "object": "chat.completion.chunk",
        "created": 0,
        "model": "echo",
        "choices": choices,
    }


def _completion(choices: list[dict[str, Any]], usage: dict[str, int]) -> dict[str, Any]:
    return {
        "id": "",
        "object": "chat.completion",
        "created": 0,
        "model": "echo",
        "choices": choices,
        "usage": usage,
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
