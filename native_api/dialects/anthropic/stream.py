"""Anthropic's streams: https://platform.claude.com/docs/en/build-with-claude/streaming (read
2026-11).

`message_start`, then for each block `content_block_start`, deltas and `content_block_stop`, then
`message_delta` with the stop reason and the counts so far, and `message_stop`. `ping` and events of
an unknown type are ignored.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from native_api.dialects.anthropic.errors import read_reply_error
from native_api.dialects.anthropic.reply import finish_reply
from native_api.dialects.anthropic.reply_builder import ReplyBuilder
from native_api.dialects.anthropic.usage import read_service_tier, read_usage, update_counts
from native_api.dialects.shared.deltas import join_deltas
from native_api.dialects.shared.errors import build_truncation_error
from native_api.dialects.shared.frames import build_chunk
from native_api.dialects.shared.json_values import read_object
from native_api.dialects.shared.text_events import Add, TextEvents
from native_api.dialects.streams import StreamParser, parse_event
from native_api.types import ChatCompletionChunk, Event, Json


class AnthropicStream(StreamParser):
    def __init__(self) -> None:
        self._builder = ReplyBuilder()
        self.texts = TextEvents()
        """The events that an editor passed on without having them parsed."""
        self._counts: Json = {}
        self._model = ""
        self._tier: str | None = None
        self._reply_fields: Json = {}
        self._is_started = False
        self.is_finished = False

    def feed(self, event: Event) -> Iterable[ChatCompletionChunk]:
        return self.read(parse_event(event), event.type)

    def read(self, data: Any, event_type: str) -> Sequence[ChatCompletionChunk]:
        """The chunks of an event's JSON. Raises UpstreamError if it is an error."""
        if not isinstance(data, dict):
            return ()
        event_type = data.get("type") or event_type
        if event_type == "error":
            raise read_reply_error({**data, "type": "error"})
        passed = self.texts.take()
        try:
            chunks = [chunk for delta in passed for chunk in self._deliver(delta)]
            handler = EVENT_HANDLERS.get(event_type)
            return [*chunks, *(handler(self, data) if handler else ())]
        except Exception:
            self.texts.give_back(passed)
            raise

    def close(self) -> Iterable[ChatCompletionChunk]:
        if not self.is_finished:
            raise build_truncation_error()
        return ()

    def build_adder(self, data: Json) -> Add | None:
        """What adds more of the text whose delta this event is, and returns the deltas; None for
        any other event."""
        piece = read_object(data.get("delta"))
        kind, index = piece.get("type"), data.get("index", 0)
        if kind not in TEXT_MEMBERS or self.is_finished:
            return None
        member = TEXT_MEMBERS[kind]
        return lambda text: (self._builder.add(index, {"type": kind, member: text}),)

    def pending_delta(self) -> Json:
        return join_deltas([self._builder.pending(), *self.texts.take()])

    # --- events ----------------------------------------------------------------------------------

    def _on_message_start(self, data: Json) -> Sequence[ChatCompletionChunk]:
        message = read_object(data.get("message"))
        if self._is_started:
            return ()
        self._builder.reply_id = str(message.get("id") or "")
        self._model = str(message.get("model") or "")
        self._reply_fields |= message
        self._add_counts(message.get("usage"))
        return self._build_chunk({"content": ""})

    def _on_block_start(self, data: Json) -> Sequence[ChatCompletionChunk]:
        block = read_object(data.get("content_block"))
        return self._deliver(self._builder.start(data.get("index", 0), block))

    def _on_block_delta(self, data: Json) -> Sequence[ChatCompletionChunk]:
        piece = read_object(data.get("delta"))
        return self._deliver(self._builder.add(data.get("index", 0), piece))

    def _on_block_stop(self, data: Json) -> Sequence[ChatCompletionChunk]:
        return self._deliver(self._builder.stop(data.get("index", 0)))

    def _on_message_delta(self, data: Json) -> Sequence[ChatCompletionChunk]:
        self._add_counts(data.get("usage"))
        delta = read_object(data.get("delta"))
        self._reply_fields |= data | delta
        return self._finish(delta["stop_reason"]) if delta.get("stop_reason") else ()

    def _on_message_stop(self, data: Json) -> Sequence[ChatCompletionChunk]:
        self.has_ended = True
        return self._finish(None)

    # --- chunks ----------------------------------------------------------------------------------

    def _add_counts(self, counts: Any) -> None:
        if isinstance(counts, dict) and counts:
            self._counts = update_counts(self._counts, counts)
            self.usage = read_usage(self._counts)
            self._tier = read_service_tier(self._counts)

    def _finish(self, stop_reason: Any) -> Sequence[ChatCompletionChunk]:
        if self.is_finished:
            return ()
        self.is_finished = True
        delta, choice_fields = finish_reply(self._builder, stop_reason, self._reply_fields)
        return self._build_chunk(delta, choice_fields)

    def _deliver(self, delta: Json) -> Sequence[ChatCompletionChunk]:
        return self._build_chunk(delta) if delta and not self.is_finished else ()

    def _build_chunk(
        self, delta: Json, choice_fields: Json | None = None
    ) -> list[ChatCompletionChunk]:
        if not self._is_started:
            self._is_started = True
            delta = {"role": "assistant", **delta}
        choice: Any = {"index": 0, "delta": delta, "finish_reason": None, **(choice_fields or {})}
        return [
            build_chunk(
                [choice],
                reply_id=self._builder.reply_id,
                model=self._model,
                service_tier=self._tier,
            )
        ]


EVENT_HANDLERS: Final = {
    "message_start": AnthropicStream._on_message_start,
    "content_block_start": AnthropicStream._on_block_start,
    "content_block_delta": AnthropicStream._on_block_delta,
    "content_block_stop": AnthropicStream._on_block_stop,
    "message_delta": AnthropicStream._on_message_delta,
    "message_stop": AnthropicStream._on_message_stop,
}


TEXT_MEMBERS: Final = {
    "text_delta": "text",
    "thinking_delta": "thinking",
    "input_json_delta": "partial_json",
}
"""Type of a delta that is a piece of a text -> its member with the piece."""
