"""Anthropic's replies, complete and streamed -> unified ones.

Thinking comes out twice: as text for people (`reasoning_content`), and as what Anthropic wants back on the next turn
(`reasoning_details`, with its signature). Blocks of Anthropic's own tools are kept whole in `provider_content`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import orjson

from native_api.dialects.base import StreamParser
from native_api.dialects.content import FORCED_TOOL, dumped, joined, value_of
from native_api.dialects.errors import error_inside, error_object, provider_error
from native_api.exceptions import UpstreamError
from native_api.types import ChatCompletion, ChatCompletionChunk, Event, Json, Usage

WIRE: Final = "anthropic"

FINISH_REASONS: Final = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "compaction": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}

STATUSES: Final = {
    "invalid_request_error": 400,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "overloaded_error": 529,
    "api_error": 500,
    "timeout_error": 504,
}
"""What an error inside a stream would have been as an HTTP status."""


def reply(body: Any) -> ChatCompletion:
    """The unified reply. Raises UpstreamError."""
    if not isinstance(body, dict) or body.get("type") == "error" or not isinstance(body.get("content"), list):
        raise _stream_error(body) if isinstance(body, dict) and body.get("type") == "error" else error_inside(body)
    message, forced = _message(body["content"])
    reason = finish_reason(body.get("stop_reason"), bool(message.get("tool_calls")), forced)
    completion: ChatCompletion = {
        "id": body.get("id") or "",
        "object": "chat.completion",
        "created": 0,
        "model": body.get("model") or "",
        "choices": [{"index": 0, "message": message, "finish_reason": reason}],
    }
    usage = usage_of(body.get("usage") or {}, {})
    if usage:
        completion["usage"] = usage
    if (body.get("usage") or {}).get("service_tier"):
        completion["service_tier"] = body["usage"]["service_tier"]
    return completion


def finish_reason(reason: str | None, called_tools: bool, forced: bool) -> str:
    """OpenAI's word. The forced tool's call is the answer itself, not a call."""
    mapped = FINISH_REASONS.get(reason or "", "stop")
    return "stop" if mapped == "tool_calls" and forced and not called_tools else mapped


def _message(blocks: list[Any]) -> tuple[Json, bool]:
    """The message, and whether the forced tool was called."""
    parts = Parts()
    for index, block in enumerate(blocks):
        if isinstance(block, dict):
            parts.add(index, block)
    return parts.message(), parts.forced


class Parts:
    """Collects the blocks of a complete reply."""

    def __init__(self) -> None:
        self.forced = False
        self._texts: list[str] = []
        self._length = 0
        self._thoughts: list[str] = []
        self._lists: dict[str, list[Json]] = {}

    def add(self, index: int, block: Json) -> None:
        kind = block.get("type")
        if kind == "text":
            self._text(block)
        elif kind == "thinking":
            self._thoughts.append(block.get("thinking") or "")
            self._append("reasoning_details", thought(self._count("reasoning_details"), block))
        elif kind == "redacted_thinking":
            self._append("reasoning_details", redacted(self._count("reasoning_details"), block))
        elif kind == "tool_use" and block.get("name") == FORCED_TOOL:
            self.forced = True
            self._texts.append(dumped(block.get("input") or {}))
        elif kind == "tool_use":
            self._append("tool_calls", tool_call(block, dumped(block.get("input") or {})))
        else:
            self._append("provider_content", kept(self._count("provider_content"), block))

    def _text(self, block: Json) -> None:
        text = block.get("text") or ""
        start, self._length = self._length, self._length + len(text)
        self._texts.append(text)
        for citation in block.get("citations") or ():
            self._append("annotations", annotation(citation, start, self._length))

    def _append(self, name: str, item: Json) -> None:
        self._lists.setdefault(name, []).append(item)

    def _count(self, name: str) -> int:
        return len(self._lists.get(name, ()))

    def message(self) -> Json:
        message: Json = {"role": "assistant", "content": joined(self._texts), **self._lists}
        if any(self._thoughts):
            message["reasoning_content"] = "".join(self._thoughts)
        return message


def thought(index: int, block: Mapping[str, Any]) -> Json:
    item: Json = {"type": "reasoning.text", "text": block.get("thinking") or "", "format": WIRE, "index": index}
    if block.get("signature"):
        item["signature"] = block["signature"]
    return item


def redacted(index: int, block: Mapping[str, Any]) -> Json:
    return {"type": "reasoning.encrypted", "data": block.get("data") or "", "format": WIRE, "index": index}


def tool_call(block: Mapping[str, Any], arguments: str) -> Json:
    return {"id": block.get("id") or "", "type": "function", "function": {"name": block.get("name") or "", "arguments": arguments}}


def kept(index: int, block: Json) -> Json:
    return {"format": WIRE, "index": index, "block": block}


def annotation(citation: Json, start: int, end: int) -> Json:
    """OpenAI's `url_citation` where there is an address; any other citation as it came."""
    if not citation.get("url"):
        return {**citation, "start_index": start, "end_index": end}
    told = {"url": citation["url"], "title": citation.get("title") or "", "start_index": start, "end_index": end}
    if citation.get("cited_text"):
        told["cited_text"] = citation["cited_text"]
    return {"type": "url_citation", "url_citation": told}


def usage_of(told: Mapping[str, Any], earlier: Mapping[str, Any]) -> Usage | None:
    """Counts, `told` over `earlier`. Anthropic's `input_tokens` leave cache reads and writes out; ours have them."""
    counts = {**earlier, **{name: value for name, value in told.items() if value is not None}}
    if "input_tokens" not in counts and "output_tokens" not in counts:
        return None
    cached = counts.get("cache_read_input_tokens") or 0
    written = counts.get("cache_creation_input_tokens") or 0
    prompt = (counts.get("input_tokens") or 0) + cached + written
    completion = counts.get("output_tokens") or 0
    usage: Usage = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    usage["prompt_tokens_details"] = {"cached_tokens": cached, "cache_write_tokens": written}
    thinking = (counts.get("output_tokens_details") or {}).get("thinking_tokens")
    if thinking is not None:
        usage["completion_tokens_details"] = {"reasoning_tokens": thinking}
    return usage


def _stream_error(body: Json) -> UpstreamError:
    detail = error_object(body)
    return provider_error(STATUSES.get(detail.get("type") or "", 0), detail, {})


class AnthropicStream(StreamParser):
    def __init__(self) -> None:
        self._counts: Json = {}
        self._head: Json = {"id": "", "model": ""}
        self._blocks: dict[int, Json] = {}
        self._numbers: dict[str, int] = {}
        self._length = 0
        self._forced = False
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
            raise _stream_error(told)
        handler = HANDLERS.get(kind)
        return handler(self, told) if handler else ()

    def close(self) -> Iterable[ChatCompletionChunk]:
        if not self._finished:
            raise UpstreamError("The provider's stream ended before the answer did.", code="stream_truncated")
        return ()

    def _start(self, told: Json) -> list[ChatCompletionChunk]:
        message = told.get("message") or {}
        self._head = {"id": message.get("id") or "", "model": message.get("model") or ""}
        self._count(message.get("usage"))
        return self._chunk({"content": ""})

    def _count(self, usage: Json | None) -> None:
        if usage:
            self._counts |= {name: value for name, value in usage.items() if value is not None}
            self.usage = usage_of(self._counts, {})

    def _block_start(self, told: Json) -> list[ChatCompletionChunk]:
        block = dict(told.get("content_block") or {})
        kind = block.get("type")
        self._blocks[told.get("index", 0)] = block
        if kind == "tool_use":
            return self._tool_start(block)
        if kind in ("thinking", "redacted_thinking"):
            block["_number"] = self._next("reasoning_details")
            item = thought(block["_number"], block) if kind == "thinking" else redacted(block["_number"], block)
            delta: Json = {"reasoning_details": [item]}
            return self._chunk({"reasoning_content": block["thinking"], **delta} if block.get("thinking") else delta)
        if kind == "text":
            block["_start"] = self._length
            self._length += len(block.get("text") or "")
            return self._chunk({"content": block["text"]}) if block.get("text") else []
        return []

    def _tool_start(self, block: Json) -> list[ChatCompletionChunk]:
        given = dumped(block["input"]) if block.get("input") else ""
        block["_said"] = bool(given)
        if block.get("name") == FORCED_TOOL:
            self._forced = True
            return self._chunk({"content": given}) if given else []
        block["_number"] = self._next("tool_calls")
        return self._chunk({"tool_calls": [{"index": block["_number"], **tool_call(block, given)}]})

    def _next(self, name: str) -> int:
        number = self._numbers.get(name, 0)
        self._numbers[name] = number + 1
        return number

    def _block_delta(self, told: Json) -> list[ChatCompletionChunk]:
        block = self._blocks.setdefault(told.get("index", 0), {"type": "text", "_start": self._length})
        delta = told.get("delta") or {}
        kind = delta.get("type")
        if kind == "text_delta":
            text = delta.get("text") or ""
            self._length += len(text)
            return self._chunk({"content": text}) if text else []
        if kind == "input_json_delta":
            return self._arguments(block, delta.get("partial_json") or "")
        if kind in ("thinking_delta", "signature_delta"):
            return self._thought(block, delta)
        if kind == "citations_delta":
            block.setdefault("citations", []).append(delta.get("citation") or {})
        else:
            block |= {name: value for name, value in delta.items() if name != "type" and value is not None}
        return []

    def _arguments(self, block: Json, piece: str) -> list[ChatCompletionChunk]:
        if block.get("type") != "tool_use":
            block["_json"] = block.get("_json", "") + piece
            return []
        if not piece:
            return []
        block["_said"] = True
        if "_number" not in block:
            return self._chunk({"content": piece})
        return self._chunk({"tool_calls": [{"index": block["_number"], "function": {"arguments": piece}}]})

    def _thought(self, block: Json, delta: Json) -> list[ChatCompletionChunk]:
        item: Json = {"index": block.get("_number", 0)}
        if delta["type"] == "signature_delta":
            return self._chunk({"reasoning_details": [{**item, "signature": delta.get("signature") or ""}]})
        text = delta.get("thinking") or ""
        return self._chunk({"reasoning_content": text, "reasoning_details": [{**item, "text": text}]}) if text else []

    def _block_stop(self, told: Json) -> list[ChatCompletionChunk]:
        block = self._blocks.pop(told.get("index", 0), {"type": "text"})
        kind = block.get("type")
        if kind == "tool_use" and not block.get("_said"):
            return self._arguments(block, "{}")
        if kind == "text" and block.get("citations"):
            found = [annotation(citation, block.get("_start", 0), self._length) for citation in block["citations"]]
            return self._chunk({"annotations": found})
        if kind in ("text", "thinking", "redacted_thinking", "tool_use"):
            return []
        if "_json" in block:
            block["input"] = value_of(block["_json"])
        plain = {name: value for name, value in block.items() if not name.startswith("_")}
        return self._chunk({"provider_content": [kept(self._next("provider_content"), plain)]})

    def _message_delta(self, told: Json) -> list[ChatCompletionChunk]:
        self._count(told.get("usage"))
        reason = (told.get("delta") or {}).get("stop_reason")
        return self._finish(reason) if reason else []

    def _message_stop(self, told: Json) -> list[ChatCompletionChunk]:
        return self._finish(None)

    def _finish(self, reason: str | None) -> list[ChatCompletionChunk]:
        if self._finished:
            return []
        self._finished = True
        return self._chunk({}, finish_reason(reason, bool(self._numbers.get("tool_calls")), self._forced))

    def _chunk(self, delta: Json, reason: str | None = None) -> list[ChatCompletionChunk]:
        if not self._began:
            self._began = True
            delta = {"role": "assistant", **delta}
        return [
            {
                "id": self._head["id"],
                "object": "chat.completion.chunk",
                "created": 0,
                "model": self._head["model"],
                "choices": [{"index": 0, "delta": delta, "finish_reason": reason}],
            }
        ]


HANDLERS: Final = {
    "message_start": AnthropicStream._start,
    "content_block_start": AnthropicStream._block_start,
    "content_block_delta": AnthropicStream._block_delta,
    "content_block_stop": AnthropicStream._block_stop,
    "message_delta": AnthropicStream._message_delta,
    "message_stop": AnthropicStream._message_stop,
}
