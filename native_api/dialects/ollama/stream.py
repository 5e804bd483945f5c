"""Ollama's streams as unified chunks (https://docs.ollama.com/api/streaming, read 2026-11).

Each line is a reply with the next piece of the message in it. The last one is `done` and has the
counts.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from native_api.dialects.base import StreamParser
from native_api.dialects.ollama.reply import (
    build_delta,
    build_logprobs,
    map_finish_reason,
    parse_timestamp,
)
from native_api.dialects.ollama.usage import read_usage
from native_api.dialects.shared.errors import read_embedded_error
from native_api.exceptions import UpstreamError
from native_api.types import ChatCompletionChunk, Event, Json


class OllamaStream(StreamParser):
    def __init__(self) -> None:
        self._model = ""
        self._created = 0
        self._began = False
        self._finished = False
        self._call_count = 0
        self._image_count = 0

    def feed(self, event: Event) -> Iterable[ChatCompletionChunk]:
        try:
            body: Any = orjson.loads(event.data)
        except orjson.JSONDecodeError:
            raise UpstreamError("The provider sent a line that is not JSON.") from None
        if not isinstance(body, dict) or self._finished:
            return ()
        if "error" in body:
            raise read_embedded_error(body)
        message = body.get("message")
        delta = (
            build_delta(message, self._call_count, self._image_count)
            if isinstance(message, dict)
            else {}
        )
        self._image_count += len(delta.get("images", ()))
        self._call_count += len(delta.get("tool_calls", ()))
        reason = None
        if "eval_count" in body or body.get("done"):
            self.record_usage(read_usage(body))
        if body.get("done"):
            self._finished = True
            reason = map_finish_reason(body.get("done_reason"), self._call_count > 0)
        if not delta and not reason and not body.get("logprobs"):
            return ()
        return (self._build_chunk(delta, reason, body),)

    def _build_chunk(self, delta: Json, reason: str | None, body: Json) -> ChatCompletionChunk:
        if not self._began:
            self._began = True
            self._model = body.get("model") or ""
            self._created = parse_timestamp(body.get("created_at"))
            delta = {"role": "assistant", "content": "", **delta}
        choice: Any = {"index": 0, "delta": delta, "finish_reason": reason}
        if body.get("logprobs"):
            choice["logprobs"] = build_logprobs(body["logprobs"])
        return {
            "id": "",
            "object": "chat.completion.chunk",
            "created": self._created,
            "model": self._model,
            "choices": [choice],
        }

    def close(self) -> Iterable[ChatCompletionChunk]:
        if not self._finished:
            raise UpstreamError(
                "The provider's stream ended before the answer did.", code="stream_truncated"
            )
        return ()
