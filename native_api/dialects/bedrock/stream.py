"""Bedrock's streams
(https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html, read
2026-11).

`messageStart`, then for each block `contentBlockStart` (for some), deltas and `contentBlockStop`,
then `messageStop` with the stop reason, and `metadata` with the token counts. The finish reason is
held back for the counts and for a guardrail's trace; if they never come, it is delivered when the
stream closes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import orjson

from native_api.dialects.bedrock.blocks import BlockReader
from native_api.dialects.bedrock.errors import is_exception, read_reply_error
from native_api.dialects.bedrock.reply import read_reply_fields
from native_api.dialects.bedrock.reply_builder import ReplyBuilder
from native_api.dialects.bedrock.usage import read_service_tier, read_usage
from native_api.dialects.shared.deltas import extend_delta
from native_api.dialects.shared.errors import build_truncation_error
from native_api.dialects.shared.frames import build_chunk
from native_api.dialects.streams import StreamParser
from native_api.exceptions import UpstreamError
from native_api.types import ChatCompletionChunk, Event, Json


class BedrockStream(StreamParser):
    def __init__(self) -> None:
        self._builder = ReplyBuilder()
        self._blocks = BlockReader(self._builder)
        self._stop_reason: str | None = None
        self._reply_fields: list[Json] = []
        self._tier = ""
        self._is_stopped = False
        self._has_metadata = False
        self._is_started = False
        self._is_finished = False

    def feed(self, event: Event) -> Iterable[ChatCompletionChunk]:
        try:
            data: Any = orjson.loads(event.data or "{}")
        except orjson.JSONDecodeError:
            data = {"message": event.data}
            if not is_exception(event.type):
                raise UpstreamError("The provider sent a stream event that is not JSON.") from None
        if is_exception(event.type):
            raise read_reply_error(event.type, data)
        handler = EVENT_HANDLERS.get(event.type)
        if handler is None or not isinstance(data, dict):
            return ()
        delta = handler(self, data)
        if self._is_stopped and self._has_metadata:
            return self._finish(delta)
        return self._build_chunk(delta) if delta else ()

    def close(self) -> Iterable[ChatCompletionChunk]:
        if not self._is_stopped:
            raise build_truncation_error()
        return self._finish({})

    def pending_delta(self) -> Json:
        return self._blocks.pending()

    # --- events ----------------------------------------------------------------------------------

    def _on_message_start(self, data: Json) -> Json:
        return {} if self._is_started else {"content": ""}

    def _on_block_start(self, data: Json) -> Json:
        return {} if self._is_stopped else self._blocks.start(data)

    def _on_block_delta(self, data: Json) -> Json:
        return {} if self._is_stopped else self._blocks.add(data)

    def _on_block_stop(self, data: Json) -> Json:
        return self._blocks.stop(data)

    def _on_message_stop(self, data: Json) -> Json:
        self._is_stopped = True
        self._stop_reason = data.get("stopReason")
        self._reply_fields = read_reply_fields(data) + self._reply_fields
        return self._blocks.stop_all()

    def _on_metadata(self, data: Json) -> Json:
        self.record_usage(read_usage(data.get("usage") or {}))
        self._reply_fields += read_reply_fields(data)
        self._tier = read_service_tier(data)
        self._has_metadata = True
        return {}

    # --- chunks ----------------------------------------------------------------------------------

    def _finish(self, delta: Json) -> list[ChatCompletionChunk]:
        if self._is_finished:
            return []
        self._is_finished = True
        last_delta, finish_reason = self._builder.finish(self._stop_reason, self._reply_fields)
        extend_delta(delta, last_delta)
        return self._build_chunk(delta, finish_reason)

    def _build_chunk(
        self, delta: Json, finish_reason: str | None = None
    ) -> list[ChatCompletionChunk]:
        if not self._is_started:
            self._is_started = True
            delta = {"role": "assistant", **delta}
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
        return [build_chunk([choice], service_tier=self._tier if finish_reason else None)]


EVENT_HANDLERS: Final = {
    "messageStart": BedrockStream._on_message_start,
    "contentBlockStart": BedrockStream._on_block_start,
    "contentBlockDelta": BedrockStream._on_block_delta,
    "contentBlockStop": BedrockStream._on_block_stop,
    "messageStop": BedrockStream._on_message_stop,
    "metadata": BedrockStream._on_metadata,
}
