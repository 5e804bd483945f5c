"""Anthropic's streams: https://platform.claude.com/docs/en/build-with-claude/streaming (read
2026-11).

`message_start`, then for each block `content_block_start`, deltas and `content_block_stop`, then
`message_delta` with the stop reason and the counts so far, and `message_stop`. `ping` and events of
a kind that is not known are passed over.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import orjson

from native_api.dialects.anthropic.blocks import Answer
from native_api.dialects.anthropic.errors import read_reply_error
from native_api.dialects.anthropic.reply import ending
from native_api.dialects.anthropic.usage import join_reported_counts, read_service_tier, read_usage
from native_api.dialects.base import StreamParser
from native_api.exceptions import UpstreamError
from native_api.types import ChatCompletionChunk, Event, Json


class AnthropicStream(StreamParser):
    def __init__(self) -> None:
        self._answer = Answer()
        self._counts: Json = {}
        self._model = ""
        self._tier: str | None = None
        self._about: Json = {}
        self._began = False
        self._finished = False

    def feed(self, event: Event) -> Iterable[ChatCompletionChunk]:
        try:
            told: Any = orjson.loads(event.data)
        except orjson.JSONDecodeError:
            raise UpstreamError("The provider sent a stream event that is not JSON.") from None
        if not isinstance(told, dict):
            return ()
        kind = told.get("type") or event.type
        if kind == "error":
            raise read_reply_error({**told, "type": "error"})
        handler = HANDLERS.get(kind)
        return handler(self, told) if handler else ()

    def close(self) -> Iterable[ChatCompletionChunk]:
        if not self._finished:
            raise UpstreamError(
                "The provider's stream ended before the answer did.", code="stream_truncated"
            )
        return ()

    def pending_delta(self) -> Json:
        return self._answer.held()

    def _start(self, told: Json) -> Iterable[ChatCompletionChunk]:
        message = _object(told.get("message"))
        if self._began:
            return ()
        self._answer.reply_id = str(message.get("id") or "")
        self._model = str(message.get("model") or "")
        self._about |= message
        self._count(message.get("usage"))
        return self._chunk({"content": ""})

    def _count(self, told: Any) -> None:
        if isinstance(told, dict) and told:
            self._counts = join_reported_counts(self._counts, told)
            self.usage = read_usage(self._counts)
            self._tier = read_service_tier(self._counts)

    def _block_start(self, told: Json) -> Iterable[ChatCompletionChunk]:
        return self._said(
            self._answer.start(told.get("index", 0), _object(told.get("content_block")))
        )

    def _block_delta(self, told: Json) -> Iterable[ChatCompletionChunk]:
        return self._said(self._answer.add(told.get("index", 0), _object(told.get("delta"))))

    def _block_stop(self, told: Json) -> Iterable[ChatCompletionChunk]:
        return self._said(self._answer.stop(told.get("index", 0)))

    def _message_delta(self, told: Json) -> Iterable[ChatCompletionChunk]:
        self._count(told.get("usage"))
        delta = _object(told.get("delta"))
        self._about |= told | delta
        return self._finish(delta["stop_reason"]) if delta.get("stop_reason") else ()

    def _message_stop(self, told: Json) -> Iterable[ChatCompletionChunk]:
        return self._finish(None)

    def _finish(self, reason: Any) -> Iterable[ChatCompletionChunk]:
        if self._finished:
            return ()
        self._finished = True
        owed, end = ending(self._answer, reason, self._about)
        return self._chunk(owed, end)

    def _said(self, delta: Json) -> Iterable[ChatCompletionChunk]:
        return self._chunk(delta) if delta and not self._finished else ()

    def _chunk(self, delta: Json, end: Json | None = None) -> list[ChatCompletionChunk]:
        if not self._began:
            self._began = True
            delta = {"role": "assistant", **delta}
        choice: Any = {"index": 0, "delta": delta, "finish_reason": None, **(end or {})}
        chunk: ChatCompletionChunk = {
            "id": self._answer.reply_id,
            "object": "chat.completion.chunk",
            "created": 0,
            "model": self._model,
            "choices": [choice],
        }
        if self._tier:
            chunk["service_tier"] = self._tier
        return [chunk]


HANDLERS: Final = {
    "message_start": AnthropicStream._start,
    "content_block_start": AnthropicStream._block_start,
    "content_block_delta": AnthropicStream._block_delta,
    "content_block_stop": AnthropicStream._block_stop,
    "message_delta": AnthropicStream._message_delta,
    "message_stop": AnthropicStream._message_stop,
}


def _object(value: Any) -> Json:
    return value if isinstance(value, dict) else {}
