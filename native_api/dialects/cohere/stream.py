"""Cohere's stream events -> unified chunks. What is in them is `cohere_reply`'s matter; the order
is this:

`message-start`, then blocks of thinking and text (`content-start`, `-delta`, `-end`) with citations
among them, or a plan (`tool-plan-delta`) and calls (`tool-call-start`, `-delta`, `-end`), at last
`message-end`. `debug` says nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import orjson

from native_api.dialects.base import StreamParser
from native_api.dialects.cohere.reply import (
    WIRE,
    Places,
    build_logprobs,
    finish_reason,
    kept,
    kind_of,
    read_reply_error,
    read_usage,
    tool_call,
)
from native_api.dialects.shared.tools import ANSWER_TOOL
from native_api.exceptions import UpstreamError
from native_api.types import ChatCompletionChunk, Event, Json

NO_CHUNKS: Final[list[ChatCompletionChunk]] = []


class CohereStream(StreamParser):
    def __init__(self) -> None:
        self._id = ""
        self._began = False
        self._finished = False
        self._blocks: dict[Any, Json] = {}
        self._places = Places()
        self._calls: dict[Any, Json] = {}
        self._numbers = {"tool_calls": 0, "reasoning_details": 0, "provider_content": 0}
        self._forced = False
        self._plan: int | None = None
        self._annotations: list[Json] = []

    def feed(self, event: Event) -> Iterable[ChatCompletionChunk]:
        if event.data.strip() == "[DONE]":
            return NO_CHUNKS
        try:
            told: Any = orjson.loads(event.data)
        except orjson.JSONDecodeError:
            raise UpstreamError("The provider sent a stream event that is not JSON.") from None
        if not isinstance(told, dict):
            return NO_CHUNKS
        kind = told.get("type") or event.type
        handler = HANDLERS.get(kind)
        if handler is not None and not self._finished:
            return handler(self, told)
        if kind == "error" or "error" in told or (not kind and "message" in told):
            raise read_reply_error(told)
        return NO_CHUNKS

    def close(self) -> Iterable[ChatCompletionChunk]:
        if not self._finished:
            raise UpstreamError(
                "The provider's stream ended before the answer did.", code="stream_truncated"
            )
        return NO_CHUNKS

    def pending_delta(self) -> Json:
        blocks = [
            block
            for block in self._blocks.values()
            if block.get("type") not in ("text", "thinking")
        ]
        return {"provider_content": [{"block": block} for block in blocks]}

    def _start(self, told: Json) -> list[ChatCompletionChunk]:
        self._id = told.get("id") or ""
        return self._chunk({"content": ""})

    def _next(self, name: str) -> int:
        number = self._numbers[name]
        self._numbers[name] = number + 1
        return number

    # --- text and thinking -------------------------------------------------------------------------------------

    def _block_start(self, told: Json) -> list[ChatCompletionChunk]:
        block = dict(_message(told).get("content") or {})
        if not block.get("type"):
            return self._block_delta(told) if block else NO_CHUNKS
        self._open(told.get("index"), block)
        if block.get("type") == "thinking":
            return self._chunk(self._thought(block, block.get("thinking") or ""))
        return (
            self._text(block["text"], told)
            if block.get("type") == "text" and block.get("text")
            else NO_CHUNKS
        )

    def _open(self, index: Any, block: Json) -> Json:
        self._blocks[index] = block
        self._places.begin(block.get("type"))
        return block

    def _block_delta(self, told: Json) -> list[ChatCompletionChunk]:
        delta = _message(told).get("content") or {}
        index = told.get("index")
        if not delta and index not in self._blocks:
            return NO_CHUNKS
        block = self._blocks.get(index) or self._open(index, {"type": kind_of(delta)})
        kind = block.get("type")
        if kind == "text":
            return self._text(delta.get("text") or "", told)
        if kind == "thinking":
            thought = self._thought(block, delta.get("thinking") or "")
            return self._chunk(thought, logprobs=told.get("logprobs")) if thought else NO_CHUNKS
        for name, value in delta.items():
            present = block.get(name)
            block[name] = (
                present + value
                if isinstance(present, str) and isinstance(value, str) and name != "type"
                else value
            )
        return NO_CHUNKS

    def _text(self, text: str, told: Json) -> list[ChatCompletionChunk]:
        self._places.length += len(text)
        logprobs = told.get("logprobs")
        return self._chunk({"content": text}, logprobs=logprobs) if text or logprobs else NO_CHUNKS

    def _thought(self, block: Json, text: str) -> Json:
        if "_number" not in block:
            block["_number"] = self._next("reasoning_details")
            item: Json = {
                "type": "reasoning.text",
                "text": text,
                "format": WIRE,
                "index": block["_number"],
            }
            return (
                {"reasoning_content": text, "reasoning_details": [item]}
                if text
                else {"reasoning_details": [item]}
            )
        item = {"index": block["_number"], "text": text}
        return {"reasoning_content": text, "reasoning_details": [item]} if text else {}

    def _block_end(self, told: Json) -> list[ChatCompletionChunk]:
        block = self._blocks.get(told.get("index"), {})
        if block.get("type") in ("text", "thinking", None):
            return NO_CHUNKS
        del self._blocks[told.get("index")]
        return self._chunk({"provider_content": [kept(self._next("provider_content"), block)]})

    def _citation(self, told: Json) -> list[ChatCompletionChunk]:
        """Annotations wait for the end: OpenAI's SDK takes a list that has no indexes in it once
        only."""
        citations = _message(told).get("citations") or []
        delta: Json = {}
        for citation in citations if isinstance(citations, list) else [citations]:
            for name, item in self._places.told(citation, self._numbers["provider_content"]):
                if name == "annotations":
                    self._annotations.append(item)
                    continue
                delta.setdefault(name, []).append(item)
                self._numbers["provider_content"] += 1
        return self._chunk(delta) if delta else NO_CHUNKS

    # --- plan and calls ----------------------------------------------------------------------------------------

    def _plan_delta(self, told: Json) -> list[ChatCompletionChunk]:
        text = _message(told).get("tool_plan") or (told.get("delta") or {}).get("tool_plan") or ""
        if not text:
            return NO_CHUNKS
        item: Json = {"summary": text}
        if self._plan is None:
            self._plan = self._next("reasoning_details")
            item = {"type": "reasoning.summary", **item, "format": WIRE}
        return self._chunk(
            {"reasoning_content": text, "reasoning_details": [{**item, "index": self._plan}]}
        )

    def _call_start(self, told: Json) -> list[ChatCompletionChunk]:
        call = _call(told)
        given = (call.get("function") or {}).get("arguments") or ""
        state: Json = {"said": bool(given)}
        self._calls[told.get("index")] = state
        if (call.get("function") or {}).get("name") == ANSWER_TOOL:
            self._forced = True
            return self._text(given, {})
        state["number"] = self._next("tool_calls")
        return self._chunk({"tool_calls": [{"index": state["number"], **tool_call(call, given)}]})

    def _call_delta(self, told: Json) -> list[ChatCompletionChunk]:
        state = self._calls.get(told.get("index"))
        if state is None:
            return self._call_start(told) if _call(told) else NO_CHUNKS
        return self._arguments(state, (_call(told).get("function") or {}).get("arguments") or "")

    def _call_end(self, told: Json) -> list[ChatCompletionChunk]:
        state = self._calls.get(told.get("index"), {"said": True})
        return NO_CHUNKS if state["said"] else self._arguments(state, "{}")

    def _arguments(self, state: Json, piece: str) -> list[ChatCompletionChunk]:
        if not piece:
            return NO_CHUNKS
        state["said"] = True
        if "number" not in state:
            return self._text(piece, {})
        return self._chunk(
            {"tool_calls": [{"index": state["number"], "function": {"arguments": piece}}]}
        )

    # --- the end -----------------------------------------------------------------------------------------------

    def _end(self, told: Json) -> list[ChatCompletionChunk]:
        delta = told.get("delta") or {}
        self.record_usage(read_usage(delta.get("usage")))
        if delta.get("error"):
            raise read_reply_error({"message": str(delta["error"])})
        has_calls = bool(self._numbers["tool_calls"])
        reason = finish_reason(
            delta.get("finish_reason"),
            has_calls,
            self._forced,
            has_calls or bool(self._places.length),
        )
        self._finished = True
        return self._chunk({"annotations": self._annotations} if self._annotations else {}, reason)

    def _chunk(
        self, delta: Json, reason: str | None = None, logprobs: Any = None
    ) -> list[ChatCompletionChunk]:
        if not self._began:
            self._began = True
            delta = {"role": "assistant", **delta}
        choice: Any = {"index": 0, "delta": delta, "finish_reason": reason}
        if logprobs:
            choice["logprobs"] = build_logprobs(
                logprobs if isinstance(logprobs, list) else [logprobs]
            )
        return [
            {
                "id": self._id,
                "object": "chat.completion.chunk",
                "created": 0,
                "model": "",
                "choices": [choice],
            }
        ]


HANDLERS: Final = {
    "message-start": CohereStream._start,
    "content-start": CohereStream._block_start,
    "content-delta": CohereStream._block_delta,
    "content-end": CohereStream._block_end,
    "citation-start": CohereStream._citation,
    "tool-plan-delta": CohereStream._plan_delta,
    "tool-call-start": CohereStream._call_start,
    "tool-call-delta": CohereStream._call_delta,
    "tool-call-end": CohereStream._call_end,
    "message-end": CohereStream._end,
}


def _message(told: Json) -> Json:
    message = (told.get("delta") or {}).get("message")
    return message if isinstance(message, dict) else {}


def _call(told: Json) -> Json:
    """The one call of an event; earlier versions had it beside the message (`tool_call`)."""
    call = _message(told).get("tool_calls") or (told.get("delta") or {}).get("tool_call") or {}
    if isinstance(call, list):
        call = call[0] if call else {}
    return call if isinstance(call, dict) else {}
