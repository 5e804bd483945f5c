"""Ollama's streams as unified chunks (https://docs.ollama.com/api/streaming, read 2026-11).

Each line is a reply with the next piece of the message in it. The last one is `done` and has the
counts.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from native_api.dialects.ollama.reply import (
    build_delta,
    build_logprobs,
    map_finish_reason,
    parse_timestamp,
)
from native_api.dialects.ollama.usage import read_usage
from native_api.dialects.shared.errors import build_truncation_error, read_embedded_error
from native_api.dialects.shared.frames import build_chunk
from native_api.dialects.streams import StreamParser, parse_event
from native_api.types import ChatCompletionChunk, Event, Json


class OllamaStream(StreamParser):
    def __init__(self) -> None:
        self._model = ""
        self._created = 0
        self._is_started = False
        self._call_count = 0
        self._image_count = 0

    def feed(self, event: Event) -> Iterable[ChatCompletionChunk]:
        data: Any = parse_event(event)
        if not isinstance(data, dict) or self.has_ended:
            return ()
        if "error" in data:
            raise read_embedded_error(data)
        message = data.get("message")
        delta = (
            build_delta(message, self._call_count, self._image_count)
            if isinstance(message, dict)
            else {}
        )
        self._image_count += len(delta.get("images", ()))
        self._call_count += len(delta.get("tool_calls", ()))
        reason = None
        if "eval_count" in data or data.get("done"):
            self.record_usage(read_usage(data))
        if data.get("done"):
            self.has_ended = True
            reason = map_finish_reason(data.get("done_reason"), self._call_count > 0)
        if not delta and not reason and not data.get("logprobs"):
            return ()
        return (self._build_chunk(delta, reason, data),)

    def _build_chunk(self, delta: Json, reason: str | None, data: Json) -> ChatCompletionChunk:
        if not self._is_started:
            self._is_started = True
            self._model = data.get("model") or ""
            self._created = parse_timestamp(data.get("created_at"))
            delta = {"role": "assistant", "content": "", **delta}
        choice: Any = {"index": 0, "delta": delta, "finish_reason": reason}
        if data.get("logprobs"):
            choice["logprobs"] = build_logprobs(data["logprobs"])
        return build_chunk([choice], created=self._created, model=self._model)

    def close(self) -> Iterable[ChatCompletionChunk]:
        if not self.has_ended:
            raise build_truncation_error()
        return ()
