"""Streams of the Responses API: https://platform.openai.com/docs/api-reference/responses-streaming
(read 2026-11).

Rules:
1. Items count, whether they come in pieces or whole: `done` events and the final response add what
   was not sent yet. So nothing is lost if a server leaves out deltas, or the events around them, or
   says something only at the end.
2. Events about the state of server tools are ignored; their items are sent when they are done.
3. `response.completed` or `response.incomplete` is the end; a stream without either was cut short.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import chain
from typing import Any, Final

from native_api.dialects.openai_responses.errors import (
    raise_failure,
    read_reply_error,
    read_unfinished_state,
)
from native_api.dialects.openai_responses.items import CALLS, OutputItem
from native_api.dialects.openai_responses.reply import (
    build_head,
    build_logprobs,
    map_finish_reason,
    read_reply_fields,
)
from native_api.dialects.openai_responses.reply_builder import ReplyBuilder
from native_api.dialects.openai_responses.usage import read_usage
from native_api.dialects.shared.deltas import join_deltas
from native_api.dialects.shared.errors import build_truncation_error, is_error, read_embedded_error
from native_api.dialects.shared.json_values import read_objects
from native_api.dialects.shared.text_events import Add, TextEvents
from native_api.dialects.streams import StreamParser, parse_event
from native_api.exceptions import UpstreamError
from native_api.types import ChatCompletionChunk, Event, Json


class ResponsesStream(StreamParser):
    def __init__(self) -> None:
        self._reply = ReplyBuilder()
        self.texts = TextEvents()
        """The events that an editor passed on without having them parsed."""
        self._head: Json = {"id": "", "created": 0, "model": ""}
        self._reply_fields: Json = {}
        self._began = False
        self._pending_pieces: dict[Any, list[str]] = {}
        """Pieces of items that are sent when they are done, such as code. Used for counting."""

    def feed(self, event: Event) -> Iterable[ChatCompletionChunk]:
        if event.data.strip() == "[DONE]":
            return ()
        return self.read(parse_event(event), event.type)

    def read(self, data: Any, event_type: str) -> list[ChatCompletionChunk]:
        """The chunks of an event's JSON. Raises UpstreamError if it is an error."""
        if not isinstance(data, dict):
            raise read_embedded_error(data)
        if self.has_ended:
            return []
        passed = self.texts.take()
        try:
            deltas = chain(passed, self._read_deltas(data, data.get("type") or event_type))
            return [self._build_chunk(delta) for delta in deltas if delta]
        except Exception:
            self.texts.give_back(passed)
            raise

    def _read_deltas(self, data: Json, kind: str) -> Iterable[Json]:
        if kind == "error" or (not kind and is_error(data)):
            raise read_reply_error(data)
        handler = HANDLERS.get(kind)
        if handler is None:
            self._keep_piece(data)
            return ()
        return handler(self, data)

    def build_adder(self, data: Json) -> Add | None:
        """What adds more of the text whose delta this event is, and returns the deltas; None for
        any other event."""
        if not isinstance(data.get("delta"), str) or data.get("logprobs"):
            return None
        if data.get("type") == "response.output_text.delta":
            item = self._find_item(data)
            part = item.get_part("text", data.get("content_index", 0))
            return lambda text: (self._reply.add_text(item, part, text),)
        handler = HANDLERS.get(str(data.get("type")))
        if handler is None:
            return None
        return lambda text: handler(self, {**data, "delta": text})

    def close(self) -> Iterable[ChatCompletionChunk]:
        if not self.has_ended:
            raise build_truncation_error()
        return ()

    def _keep_piece(self, data: Json) -> None:
        if isinstance(data.get("delta"), str):
            key = self._reply.find_key(data.get("output_index"), data.get("item_id"))
            self._pending_pieces.setdefault(key, []).append(data["delta"])

    def pending_delta(self) -> Json:
        pending = ["".join(pieces) for pieces in self._pending_pieces.values()]
        blocks = [{"block": {"pending": [*pending, *self._reply.pending()]}}]
        return join_deltas([{"provider_content": blocks}, *self.texts.take()])

    # --- the response itself ---------------------------------------------------------------------

    def _on_state(self, data: Json) -> Iterable[Json]:
        response = data.get("response") or {}
        raise_failure(response)
        self._read_head(response)
        return ()

    def _read_head(self, response: Json) -> None:
        if response.get("id"):
            self._head = build_head(response)
        self._reply_fields |= read_reply_fields(response)
        self._reply.tools = response.get("tools") or self._reply.tools

    def _on_end(self, data: Json) -> Iterable[Json]:
        response = data.get("response") or {}
        self._read_head(response)
        self.record_usage(read_usage(response.get("usage")))
        raise_failure(response)
        if data.get("type") == "response.failed":
            raise read_reply_error(response.get("error") or data)
        if not self._began and (state := read_unfinished_state(response)):
            raise UpstreamError(f"The provider's stream ended while the response was {state}.")
        yield from self._reply.add_output(response.get("output"))
        self.has_ended = True
        if data.get("type") == "response.incomplete":
            response = {"status": "incomplete", **response}
        annotations = self._reply.build_annotations()
        yield {
            **({"annotations": annotations} if annotations else {}),
            "finish_reason": map_finish_reason(response, bool(self._reply.call_count)),
        }

    # --- items -----------------------------------------------------------------------------------

    def _find_item(self, data: Json) -> OutputItem:
        return self._reply.open_item(
            self._reply.find_key(data.get("output_index"), data.get("item_id"))
        )

    def _on_item_added(self, data: Json) -> Iterable[Json]:
        added = data.get("item") or {}
        key = self._reply.find_key(data.get("output_index"), added.get("id"))
        item = self._reply.open_item(key)
        if added.get("type") in CALLS and added.get("name"):
            return (self._reply.start_call(item, added),)
        return ()

    def _on_item_done(self, data: Json) -> Iterable[Json]:
        item = data.get("item") or {}
        key = self._reply.find_key(data.get("output_index"), item.get("id"))
        self._pending_pieces.pop(key, None)
        return self._reply.add_item(key, item)

    def _on_text_delta(self, data: Json) -> Iterable[Json]:
        item = self._find_item(data)
        part = item.get_part("text", data.get("content_index", 0))
        if data.get("logprobs"):
            self._reply.add_logprobs(part, read_objects(data["logprobs"]))
        return (self._reply.add_text(item, part, data.get("delta") or ""),)

    def _on_text_done(self, data: Json) -> Iterable[Json]:
        item = self._find_item(data)
        part = item.get_part("text", data.get("content_index", 0))
        return (self._reply.add_text(item, part, (data.get("text") or "")[part.length :]),)

    def _on_refusal_delta(self, data: Json) -> Iterable[Json]:
        part = self._find_item(data).get_part("refusal", data.get("content_index", 0))
        return (self._reply.add_refusal(part, data.get("delta") or ""),)

    def _on_annotation_added(self, data: Json) -> Iterable[Json]:
        part = self._find_item(data).get_part("text", data.get("content_index", 0))
        self._reply.add_annotation(part, data.get("annotation"))
        return ()

    def _on_arguments_delta(self, data: Json) -> Iterable[Json]:
        return self._add_arguments(data, "function_call")

    def _on_input_delta(self, data: Json) -> Iterable[Json]:
        return self._add_arguments(data, "custom_tool_call")

    def _add_arguments(self, data: Json, kind: str) -> Iterable[Json]:
        item = self._find_item(data)
        if item.is_server_call:
            self._keep_piece(data)
        return (self._reply.add_arguments(item, kind, data.get("delta") or ""),)

    def _on_summary_delta(self, data: Json) -> Iterable[Json]:
        return self._add_reasoning(data, "summary", data.get("summary_index", 0))

    def _on_reasoning_delta(self, data: Json) -> Iterable[Json]:
        return self._add_reasoning(data, "text", data.get("content_index", 0))

    def _add_reasoning(self, data: Json, kind: str, index: int) -> Iterable[Json]:
        piece = data.get("delta")
        text = piece.get("text") if isinstance(piece, dict) else piece
        if not text:
            return ()
        item = self._find_item(data)
        part = item.get_part(kind, index)
        return (self._reply.add_reasoning(item, data.get("item_id"), kind, part, text),)

    def _on_audio_delta(self, data: Json) -> Iterable[Json]:
        return ({"audio": {"data": data.get("delta") or ""}},)

    def _on_transcript_delta(self, data: Json) -> Iterable[Json]:
        return ({"audio": {"transcript": data.get("delta") or ""}},)

    # --- chunks ----------------------------------------------------------------------------------

    def _build_chunk(self, delta: Json) -> ChatCompletionChunk:
        reason = delta.pop("finish_reason", None)
        if not self._began:
            self._began = True
            delta = {"role": "assistant", **delta}
        choice: Json = {"index": 0, "delta": delta, "finish_reason": reason}
        if self._reply.logprobs:
            choice["logprobs"], self._reply.logprobs = build_logprobs(self._reply.logprobs), []
        chunk: Any = {**self._head, "object": "chat.completion.chunk", "choices": [choice]}
        if reason:
            chunk |= self._reply_fields
        unified: ChatCompletionChunk = chunk
        return unified


Handler = Callable[[ResponsesStream, Json], Iterable[Json]]

HANDLERS: Final[dict[str, Handler]] = {
    "response.created": ResponsesStream._on_state,
    "response.queued": ResponsesStream._on_state,
    "response.in_progress": ResponsesStream._on_state,
    "response.completed": ResponsesStream._on_end,
    "response.done": ResponsesStream._on_end,
    "response.incomplete": ResponsesStream._on_end,
    "response.failed": ResponsesStream._on_end,
    "response.cancelled": ResponsesStream._on_end,
    "response.output_item.added": ResponsesStream._on_item_added,
    "response.output_item.done": ResponsesStream._on_item_done,
    "response.output_text.delta": ResponsesStream._on_text_delta,
    "response.output_text.done": ResponsesStream._on_text_done,
    "response.output_text.annotation.added": ResponsesStream._on_annotation_added,
    "response.refusal.delta": ResponsesStream._on_refusal_delta,
    "response.function_call_arguments.delta": ResponsesStream._on_arguments_delta,
    "response.custom_tool_call_input.delta": ResponsesStream._on_input_delta,
    "response.reasoning_summary_text.delta": ResponsesStream._on_summary_delta,
    "response.reasoning_summary.delta": ResponsesStream._on_summary_delta,
    "response.reasoning_text.delta": ResponsesStream._on_reasoning_delta,
    "response.reasoning.delta": ResponsesStream._on_reasoning_delta,
    "response.audio.delta": ResponsesStream._on_audio_delta,
    "response.audio.transcript.delta": ResponsesStream._on_transcript_delta,
}
"""Events that add to the reply. The others repeat it, or report the progress of a server tool."""
