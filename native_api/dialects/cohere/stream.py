"""Cohere's streams as unified chunks (https://docs.cohere.com/reference/chat-stream, read 2026-11).

The order of events is `message-start`; then blocks of thinking and text (`content-start`, `-delta`,
`-end`) with citations among them, or a plan (`tool-plan-delta`) and calls (`tool-call-start`,
`-delta`, `-end`); then `message-end`. `debug` and unknown events have no chunks.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from native_api.dialects.cohere.annotations import CitationBuilder, build_provider_item
from native_api.dialects.cohere.errors import read_reply_error
from native_api.dialects.cohere.logprobs import build_logprobs
from native_api.dialects.cohere.messages import WIRE
from native_api.dialects.cohere.reply import build_tool_call, map_finish_reason, read_block_type
from native_api.dialects.cohere.usage import read_usage
from native_api.dialects.shared.call_arguments import CallArguments
from native_api.dialects.shared.errors import build_truncation_error
from native_api.dialects.shared.frames import build_chunk
from native_api.dialects.shared.tools import ANSWER_TOOL
from native_api.dialects.streams import StreamParser, parse_event
from native_api.types import ChatCompletionChunk, Event, Json

NO_CHUNKS: Final[list[ChatCompletionChunk]] = []


class CallState:
    """One call as far as it has come: its arguments, and the index of its tool call. The call of
    the answer tool has no index."""

    __slots__ = ("arguments", "index")

    def __init__(self) -> None:
        self.arguments = CallArguments()
        self.index: int | None = None


class CohereStream(StreamParser):
    def __init__(self) -> None:
        self._id = ""
        self._is_started = False
        self._blocks: dict[Any, Json] = {}
        """Cohere's index of a content block -> the block so far. A thinking block has its item's
        index under `_reasoning_index`."""
        self._calls: dict[Any, CallState] = {}
        """Cohere's index of a call -> the call so far."""
        self._counts = {"tool_calls": 0, "reasoning_details": 0, "provider_content": 0}
        """How many items of each list were sent."""
        self._used_answer_tool = False
        self._plan_index: int | None = None
        self._citations = CitationBuilder()
        self._pending_annotations: list[Json] = []

    def feed(self, event: Event) -> Iterable[ChatCompletionChunk]:
        if event.data.strip() == "[DONE]":
            return NO_CHUNKS
        data: Any = parse_event(event)
        if not isinstance(data, dict):
            return NO_CHUNKS
        kind = data.get("type") or event.type
        handler = EVENT_HANDLERS.get(kind)
        if handler is not None and not self.has_ended:
            return handler(self, data)
        if kind == "error" or "error" in data or (not kind and "message" in data):
            raise read_reply_error(data)
        return NO_CHUNKS

    def close(self) -> Iterable[ChatCompletionChunk]:
        if not self.has_ended:
            raise build_truncation_error()
        return NO_CHUNKS

    def pending_delta(self) -> Json:
        blocks = [
            block
            for block in self._blocks.values()
            if block.get("type") not in ("text", "thinking")
        ]
        return {"provider_content": [{"block": block} for block in blocks]}

    def _on_message_start(self, data: Json) -> list[ChatCompletionChunk]:
        self._id = data.get("id") or ""
        return self._build_chunk({"content": ""})

    def _take_index(self, name: str) -> int:
        """The index of the next item of a list."""
        index = self._counts[name]
        self._counts[name] = index + 1
        return index

    # --- text and thinking -----------------------------------------------------------------------

    def _on_block_start(self, data: Json) -> list[ChatCompletionChunk]:
        block = dict(_read_message(data).get("content") or {})
        if not block.get("type"):
            return self._on_block_delta(data) if block else NO_CHUNKS
        self._begin_block(data.get("index"), block)
        if block.get("type") == "thinking":
            return self._build_chunk(self._build_thought(block, block.get("thinking") or ""))
        if block.get("type") == "text" and block.get("text"):
            return self._build_text(block["text"], data)
        return NO_CHUNKS

    def _begin_block(self, index: Any, block: Json) -> Json:
        self._blocks[index] = block
        self._citations.begin_block(block.get("type"))
        return block

    def _on_block_delta(self, data: Json) -> list[ChatCompletionChunk]:
        delta = _read_message(data).get("content") or {}
        index = data.get("index")
        if not delta and index not in self._blocks:
            return NO_CHUNKS
        block = self._blocks.get(index) or self._begin_block(
            index, {"type": read_block_type(delta)}
        )
        kind = block.get("type")
        if kind == "text":
            return self._build_text(delta.get("text") or "", data)
        if kind == "thinking":
            thought = self._build_thought(block, delta.get("thinking") or "")
            if not thought:
                return NO_CHUNKS
            return self._build_chunk(thought, logprobs=data.get("logprobs"))
        _add_to_block(block, delta)
        return NO_CHUNKS

    def _build_text(self, text: str, data: Json) -> list[ChatCompletionChunk]:
        self._citations.length += len(text)
        logprobs = data.get("logprobs")
        if not text and not logprobs:
            return NO_CHUNKS
        return self._build_chunk({"content": text}, logprobs=logprobs)

    def _build_thought(self, block: Json, text: str) -> Json:
        """The delta for a piece of thinking, empty if there is nothing new."""
        if "_reasoning_index" in block:
            item: Json = {"index": block["_reasoning_index"], "text": text}
            return {"reasoning_content": text, "reasoning_details": [item]} if text else {}
        block["_reasoning_index"] = self._take_index("reasoning_details")
        item = {
            "type": "reasoning.text",
            "text": text,
            "format": WIRE,
            "index": block["_reasoning_index"],
        }
        if not text:
            return {"reasoning_details": [item]}
        return {"reasoning_content": text, "reasoning_details": [item]}

    def _on_block_end(self, data: Json) -> list[ChatCompletionChunk]:
        block = self._blocks.get(data.get("index"), {})
        if block.get("type") in ("text", "thinking", None):
            return NO_CHUNKS
        del self._blocks[data.get("index")]
        item = build_provider_item(self._take_index("provider_content"), block)
        return self._build_chunk({"provider_content": [item]})

    def _on_citation(self, data: Json) -> list[ChatCompletionChunk]:
        """Annotations wait for the end: OpenAI's SDK accepts a list without indexes only once."""
        citations = _read_message(data).get("citations") or []
        delta: Json = {}
        for citation in citations if isinstance(citations, list) else [citations]:
            index = self._counts["provider_content"]
            for name, item in self._citations.build_items(citation, index):
                if name == "annotations":
                    self._pending_annotations.append(item)
                    continue
                delta.setdefault(name, []).append(item)
                self._counts["provider_content"] += 1
        return self._build_chunk(delta) if delta else NO_CHUNKS

    # --- plan and calls --------------------------------------------------------------------------

    def _on_plan_delta(self, data: Json) -> list[ChatCompletionChunk]:
        text = (
            _read_message(data).get("tool_plan") or (data.get("delta") or {}).get("tool_plan") or ""
        )
        if not text:
            return NO_CHUNKS
        item: Json = {"summary": text}
        if self._plan_index is None:
            self._plan_index = self._take_index("reasoning_details")
            item = {"type": "reasoning.summary", **item, "format": WIRE}
        item["index"] = self._plan_index
        return self._build_chunk({"reasoning_content": text, "reasoning_details": [item]})

    def _on_call_start(self, data: Json) -> list[ChatCompletionChunk]:
        call = _read_call(data)
        function = call.get("function") or {}
        state = self._calls[data.get("index")] = CallState()
        arguments = state.arguments.add(function.get("arguments") or "")
        if function.get("name") == ANSWER_TOOL:
            self._used_answer_tool = True
            return self._build_text(arguments, {})
        state.index = self._take_index("tool_calls")
        tool_call = {"index": state.index, **build_tool_call(call, arguments)}
        return self._build_chunk({"tool_calls": [tool_call]})

    def _on_call_delta(self, data: Json) -> list[ChatCompletionChunk]:
        state = self._calls.get(data.get("index"))
        if state is None:
            return self._on_call_start(data) if _read_call(data) else NO_CHUNKS
        piece = (_read_call(data).get("function") or {}).get("arguments") or ""
        return self._build_arguments(state, state.arguments.add(piece))

    def _on_call_end(self, data: Json) -> list[ChatCompletionChunk]:
        state = self._calls.get(data.get("index"))
        return self._build_arguments(state, state.arguments.finish()) if state else NO_CHUNKS

    def _finish_calls(self) -> list[ChatCompletionChunk]:
        """The rest of calls whose end was not sent."""
        return [
            chunk
            for state in self._calls.values()
            for chunk in self._build_arguments(state, state.arguments.finish())
        ]

    def _build_arguments(self, state: CallState, piece: str) -> list[ChatCompletionChunk]:
        if not piece:
            return NO_CHUNKS
        if state.index is None:
            return self._build_text(piece, {})
        tool_call = {"index": state.index, "function": {"arguments": piece}}
        return self._build_chunk({"tool_calls": [tool_call]})

    # --- the end ---------------------------------------------------------------------------------

    def _on_message_end(self, data: Json) -> list[ChatCompletionChunk]:
        delta = data.get("delta") or {}
        self.record_usage(read_usage(delta.get("usage")))
        if delta.get("error"):
            raise read_reply_error({"message": str(delta["error"])})
        rest = self._finish_calls()
        has_calls = bool(self._counts["tool_calls"])
        reason = map_finish_reason(
            delta.get("finish_reason"),
            has_calls,
            self._used_answer_tool,
            has_calls or bool(self._citations.length),
        )
        self.has_ended = True
        annotations = self._pending_annotations
        last = self._build_chunk({"annotations": annotations} if annotations else {}, reason)
        return [*rest, *last]

    def _build_chunk(
        self, delta: Json, reason: str | None = None, logprobs: Any = None
    ) -> list[ChatCompletionChunk]:
        if not self._is_started:
            self._is_started = True
            delta = {"role": "assistant", **delta}
        choice: Any = {"index": 0, "delta": delta, "finish_reason": reason}
        if logprobs:
            choice["logprobs"] = build_logprobs(
                logprobs if isinstance(logprobs, list) else [logprobs]
            )
        return [build_chunk([choice], reply_id=self._id)]


EVENT_HANDLERS: Final = {
    "message-start": CohereStream._on_message_start,
    "content-start": CohereStream._on_block_start,
    "content-delta": CohereStream._on_block_delta,
    "content-end": CohereStream._on_block_end,
    "citation-start": CohereStream._on_citation,
    "tool-plan-delta": CohereStream._on_plan_delta,
    "tool-call-start": CohereStream._on_call_start,
    "tool-call-delta": CohereStream._on_call_delta,
    "tool-call-end": CohereStream._on_call_end,
    "message-end": CohereStream._on_message_end,
}


def _read_message(data: Json) -> Json:
    message = (data.get("delta") or {}).get("message")
    return message if isinstance(message, dict) else {}


def _read_call(data: Json) -> Json:
    """The only call of an event. Earlier versions sent it outside the message, as `tool_call`."""
    call = _read_message(data).get("tool_calls") or (data.get("delta") or {}).get("tool_call") or {}
    if isinstance(call, list):
        call = call[0] if call else {}
    return call if isinstance(call, dict) else {}


def _add_to_block(block: Json, delta: Json) -> None:
    """Add a piece to a block of another kind: texts grow, anything else is replaced."""
    for name, value in delta.items():
        present = block.get(name)
        is_text = isinstance(present, str) and isinstance(value, str) and name != "type"
        block[name] = present + value if is_text else value
