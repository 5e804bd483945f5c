"""Streams of the Responses API: https://platform.openai.com/docs/api-reference/responses-streaming
(read 2026-11).

Rules:
1. What matters is what an item says, piece by piece or whole: `done` events and the final response
   tell only what was not told yet, so servers that leave out deltas, or the events around them,
   lose nothing.
2. Events about the state of server tools say nothing; their items do, when they are done.
3. `response.completed` or `response.incomplete` is the end; a stream without either was cut short.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from native_api.dialects.base import StreamParser, parse_event
from native_api.dialects.openai_responses.items import CALLS, Item, Output
from native_api.dialects.openai_responses.reply import (
    about,
    finish_reason,
    head_of,
    logprobs,
    read_reply_error,
    read_usage,
    refuse_failed,
    state_without_answer,
)
from native_api.dialects.shared.errors import is_error, read_embedded_error
from native_api.dialects.shared.json_values import read_objects
from native_api.exceptions import UpstreamError
from native_api.types import ChatCompletionChunk, Event, Json


class ResponsesStream(StreamParser):
    def __init__(self) -> None:
        self._output = Output()
        self._head: Json = {"id": "", "created": 0, "model": ""}
        self._about: Json = {}
        self._ended = False
        self._began = False
        self._unsaid: dict[Any, list[str]] = {}
        """Pieces of items that are told when they are done, such as code: for counting them
        only."""

    def feed(self, event: Event) -> Iterable[ChatCompletionChunk]:
        if event.data.strip() == "[DONE]":
            return ()
        told = parse_event(event)
        if not isinstance(told, dict):
            raise read_embedded_error(told)
        kind = told.get("type") or event.type
        if self._ended:
            return ()
        if kind == "error" or (not kind and is_error(told)):
            raise read_reply_error(told)
        handler = HANDLERS.get(kind)
        if handler is None:
            self._keep_unsaid(told)
            return ()
        return self._chunks(handler(self, told))

    def close(self) -> Iterable[ChatCompletionChunk]:
        if not self._ended:
            raise UpstreamError(
                "The provider's stream ended before the answer did.", code="stream_truncated"
            )
        return ()

    def _keep_unsaid(self, told: Json) -> None:
        if isinstance(told.get("delta"), str):
            self._unsaid.setdefault(
                self._output.key(told.get("output_index"), told.get("item_id")), []
            ).append(told["delta"])

    def pending_delta(self) -> Json:
        unsaid = ["".join(pieces) for pieces in self._unsaid.values()]
        return {"provider_content": [{"block": {"unsaid": [*unsaid, *self._output.held()]}}]}

    # --- the response itself ----------------------------------------------------------------------

    def _state(self, told: Json) -> Iterable[Json]:
        response = told.get("response") or {}
        refuse_failed(response)
        self._know(response)
        return ()

    def _know(self, response: Json) -> None:
        if response.get("id"):
            self._head = head_of(response)
        self._about |= about(response)

    def _end(self, told: Json) -> Iterable[Json]:
        response = told.get("response") or {}
        self._know(response)
        self.record_usage(read_usage(response.get("usage")))
        refuse_failed(response)
        if told.get("type") == "response.failed":
            raise read_reply_error(response.get("error") or told)
        if not self._began and (state := state_without_answer(response)):
            raise UpstreamError(f"The provider's stream ended while the response was {state}.")
        for index, item in enumerate(response.get("output") or ()):
            if isinstance(item, dict):
                yield from self._output.whole(self._output.key(index, item.get("id")), item)
        self._ended = True
        if told.get("type") == "response.incomplete":
            response = {"status": "incomplete", **response}
        cited = {"annotations": self._output.annotations} if self._output.annotations else {}
        yield {**cited, "finish_reason": finish_reason(response, bool(self._output.calls))}

    # --- items ------------------------------------------------------------------------------------

    def _item(self, told: Json) -> Item:
        return self._output.item(self._output.key(told.get("output_index"), told.get("item_id")))

    def _item_added(self, told: Json) -> Iterable[Json]:
        item = told.get("item") or {}
        known = self._output.item(self._output.key(told.get("output_index"), item.get("id")))
        return (
            (self._output.call(known, item),)
            if item.get("type") in CALLS and item.get("name")
            else ()
        )

    def _item_done(self, told: Json) -> Iterable[Json]:
        item = told.get("item") or {}
        key = self._output.key(told.get("output_index"), item.get("id"))
        self._unsaid.pop(key, None)
        return self._output.whole(key, item)

    def _text(self, told: Json) -> Iterable[Json]:
        part, item = told.get("content_index", 0), self._item(told)
        if told.get("logprobs"):
            self._output.probable(item, part, read_objects(told["logprobs"]))
        return (self._output.text(item, part, told.get("delta") or ""),)

    def _text_done(self, told: Json) -> Iterable[Json]:
        part, item = told.get("content_index", 0), self._item(told)
        return (
            self._output.text(
                item, part, (told.get("text") or "")[item.said.get(("text", part), 0) :]
            ),
        )

    def _refusal(self, told: Json) -> Iterable[Json]:
        return (
            self._output.refusal(
                self._item(told), told.get("content_index", 0), told.get("delta") or ""
            ),
        )

    def _annotation(self, told: Json) -> Iterable[Json]:
        self._output.annotation(
            self._item(told), told.get("content_index", 0), told.get("annotation")
        )
        return ()

    def _arguments(self, told: Json) -> Iterable[Json]:
        return (self._output.words(self._item(told), "function_call", told.get("delta") or ""),)

    def _input(self, told: Json) -> Iterable[Json]:
        return (self._output.words(self._item(told), "custom_tool_call", told.get("delta") or ""),)

    def _summary(self, told: Json) -> Iterable[Json]:
        return self._thought(told, "summary", told.get("summary_index", 0))

    def _reasoning(self, told: Json) -> Iterable[Json]:
        return self._thought(told, "text", told.get("content_index", 0))

    def _thought(self, told: Json, kind: str, part: int) -> Iterable[Json]:
        piece = told.get("delta")
        text = piece.get("text") if isinstance(piece, dict) else piece
        return (
            (self._output.thought(self._item(told), told.get("item_id"), kind, part, text or ""),)
            if text
            else ()
        )

    def _audio(self, told: Json) -> Iterable[Json]:
        return ({"audio": {"data": told.get("delta") or ""}},)

    def _transcript(self, told: Json) -> Iterable[Json]:
        return ({"audio": {"transcript": told.get("delta") or ""}},)

    # --- chunks -----------------------------------------------------------------------------------

    def _chunks(self, deltas: Iterable[Json]) -> list[ChatCompletionChunk]:
        return [self._chunk(delta) for delta in deltas if delta]

    def _chunk(self, delta: Json) -> ChatCompletionChunk:
        reason = delta.pop("finish_reason", None)
        if not self._began:
            self._began = True
            delta = {"role": "assistant", **delta}
        choice: Json = {"index": 0, "delta": delta, "finish_reason": reason}
        if self._output.logprobs:
            choice["logprobs"], self._output.logprobs = logprobs(self._output.logprobs), []
        chunk: Any = {**self._head, "object": "chat.completion.chunk", "choices": [choice]}
        if reason:
            chunk |= self._about
        unified: ChatCompletionChunk = chunk
        return unified


Handler = Callable[[ResponsesStream, Json], Iterable[Json]]

HANDLERS: Final[dict[str, Handler]] = {
    "response.created": ResponsesStream._state,
    "response.queued": ResponsesStream._state,
    "response.in_progress": ResponsesStream._state,
    "response.completed": ResponsesStream._end,
    "response.done": ResponsesStream._end,
    "response.incomplete": ResponsesStream._end,
    "response.failed": ResponsesStream._end,
    "response.cancelled": ResponsesStream._end,
    "response.output_item.added": ResponsesStream._item_added,
    "response.output_item.done": ResponsesStream._item_done,
    "response.output_text.delta": ResponsesStream._text,
    "response.output_text.done": ResponsesStream._text_done,
    "response.output_text.annotation.added": ResponsesStream._annotation,
    "response.refusal.delta": ResponsesStream._refusal,
    "response.function_call_arguments.delta": ResponsesStream._arguments,
    "response.custom_tool_call_input.delta": ResponsesStream._input,
    "response.reasoning_summary_text.delta": ResponsesStream._summary,
    "response.reasoning_summary.delta": ResponsesStream._summary,
    "response.reasoning_text.delta": ResponsesStream._reasoning,
    "response.reasoning.delta": ResponsesStream._reasoning,
    "response.audio.delta": ResponsesStream._audio,
    "response.audio.transcript.delta": ResponsesStream._transcript,
}
"""Events that say something. The others repeat it, or tell how far a server tool is."""
