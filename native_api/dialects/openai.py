"""OpenAI Chat Completions: https://platform.openai.com/docs/api-reference/chat (read 2026-11).

The unified format is this wire's, so most of the work is leaving out what is ours and being lenient in what
comes back: the family of "compatible" servers differs in roles, names and in how it reports errors and usage.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from native_api.dialects.addresses import address
from native_api.dialects.base import Dialect, StreamParser
from native_api.dialects.errors import error_inside, error_object, is_error, provider_error
from native_api.exceptions import UpstreamError
from native_api.types import DIALECT_FIELDS, ChatCompletion, ChatCompletionChunk, ChatRequest, Event, Json, Target, Usage

BUILT = frozenset({"messages", "tools", "max_tokens", "max_completion_tokens"})

FINISH_REASONS = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
    "function_call": "tool_calls",
    "eos": "stop",
    "eos_token": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_length": "length",
    "tool_use": "tool_calls",
    "error": "stop",
    "abort": "stop",
}
"""What servers of the family say -> what OpenAI says. Anything else is `stop`."""

OURS_IN_MESSAGES = frozenset({"reasoning_content", "reasoning_details", "annotations", "is_error"})
"""Message fields that only the gateway's clients know; OpenAI answers 400 to unknown ones."""


class OpenAI(Dialect):
    name = "openai"
    built = BUILT
    renamed = {name: name for name in DIALECT_FIELDS - BUILT}
    remote_files = frozenset({"image_url"})

    def url(self, chat: ChatRequest, target: Target) -> str:
        return address(target, "/chat/completions")

    def build(self, chat: ChatRequest, target: Target, body: Json, omitted: list[str]) -> None:
        quirks = target.provider.quirks
        body["model"] = target.model
        body["messages"] = [_message(message, quirks.roles) for message in chat["messages"]]
        if chat.get("tools"):
            body["tools"] = [_without_markers(tool) for tool in chat["tools"]]
        _limit(chat, quirks.max_tokens_field, body)
        if chat.get("stream"):
            body["stream"] = True
            if quirks.stream_usage:
                body["stream_options"] = {**(chat.get("stream_options") or {}), "include_usage": True}

    def response(self, body: Json, target: Target) -> ChatCompletion:
        if not isinstance(body, dict) or not isinstance(body.get("choices"), list) or not body["choices"]:
            raise error_inside(body)
        for position, choice in enumerate(body["choices"]):
            _complete_choice(choice, position)
        usage = usage_of(body)
        body.pop("x_groq", None)
        body["object"] = "chat.completion"
        if usage:
            body["usage"] = usage
        else:
            body.pop("usage", None)
        return body  # type: ignore[return-value]

    def stream(self, target: Target) -> StreamParser:
        return OpenAIStream()

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
        try:
            parsed = orjson.loads(body)
        except orjson.JSONDecodeError:
            return provider_error(status, {}, headers)
        return provider_error(status, error_object(parsed), headers)


class OpenAIStream(StreamParser):
    """Chunks are already in the unified shape; this repairs what servers of the family get wrong."""

    def __init__(self) -> None:
        self._done = False
        self._finished: set[int] = set()
        self._tool_indexes: dict[int, dict[Any, int]] = {}

    def feed(self, event: Event) -> Iterable[ChatCompletionChunk]:
        if event.data.strip() == "[DONE]":
            self._done = True
            return ()
        try:
            told: Any = orjson.loads(event.data)
        except orjson.JSONDecodeError:
            raise UpstreamError("The provider sent a stream event that is not JSON.") from None
        if not isinstance(told, dict) or event.type == "error" or is_error(told):
            raise error_inside(told)
        chunk: Any = told
        usage = usage_of(chunk)
        if usage:
            self.usage = usage
        chunk.pop("usage", None)
        chunk.pop("x_groq", None)
        choices = [choice for choice in chunk.get("choices") or () if self._choice(choice)]
        if not choices:
            return ()
        chunk["choices"] = choices
        chunk["object"] = "chat.completion.chunk"
        return (chunk,)

    def _choice(self, choice: Json) -> bool:
        """Repair one choice in place; False where nothing is left to say."""
        choice.setdefault("index", 0)
        index = choice["index"]
        delta = choice["delta"] = _delta(choice.get("delta") or {})
        for call in delta.get("tool_calls") or ():
            self._number(call, self._tool_indexes.setdefault(index, {}))
        reason = choice.get("finish_reason")
        if reason is not None and index in self._finished:
            choice["finish_reason"] = None
        elif reason is not None:
            self._finished.add(index)
            choice["finish_reason"] = finish_reason(reason, bool(self._tool_indexes.get(index)))
        else:
            choice["finish_reason"] = None
        return bool(delta) or choice["finish_reason"] is not None or choice.get("logprobs") is not None

    def _number(self, call: Json, indexes: dict[Any, int]) -> None:
        """Tool-call indexes are 0, 1, 2… in order of appearance, whatever the server counts."""
        key = call.get("index")
        if key is None:
            key = call.get("id") or len(indexes) - 1
        call["index"] = indexes.setdefault(key, len(indexes))

    def close(self) -> Iterable[ChatCompletionChunk]:
        if not self._done and not self._finished:
            raise UpstreamError("The provider's stream ended before the answer did.", code="stream_truncated")
        return ()


def _message(message: Mapping[str, Any], roles: Mapping[str, str]) -> Json:
    told = {name: value for name, value in message.items() if name not in OURS_IN_MESSAGES}
    told["role"] = roles.get(told["role"], told["role"])
    if isinstance(told.get("content"), list):
        told["content"] = [_without_markers(part) for part in told["content"]]
    if told.get("tool_calls"):
        told["tool_calls"] = [{k: v for k, v in call.items() if k != "extra_content"} for call in told["tool_calls"]]
    return told


def _without_markers(part: Mapping[str, Any]) -> Json:
    """Without `cache_control`: this wire caches by itself."""
    return {name: value for name, value in part.items() if name != "cache_control"}


def _limit(chat: ChatRequest, field: str, body: Json) -> None:
    limit = chat.get("max_completion_tokens") or chat.get("max_tokens")
    if limit is None:
        return
    own = "max_completion_tokens" if chat.get("max_completion_tokens") else "max_tokens"
    body[field or own] = limit


def _complete_choice(choice: Json, position: int) -> None:
    choice.setdefault("index", position)
    message = choice["message"] = _delta(choice.get("message") or {})
    message.setdefault("role", "assistant")
    message.setdefault("content", None)
    choice["finish_reason"] = finish_reason(choice.get("finish_reason"), bool(message.get("tool_calls")))


def _delta(delta: Json) -> Json:
    """A delta or a message with its reasoning text under our name, and its content as text."""
    if isinstance(delta.get("content"), list):
        _split(delta, delta.pop("content"))
    if "reasoning" in delta:
        reasoning = delta.pop("reasoning")
        if isinstance(reasoning, str) and "reasoning_content" not in delta:
            delta["reasoning_content"] = reasoning
    return delta


def _split(delta: Json, parts: list[Any]) -> None:
    """Content as a list (Mistral): its text is the content, its thinking the reasoning, the rest is kept as it is."""
    texts = [part["text"] for part in parts if part.get("type") == "text"]
    thoughts = [inner.get("text", "") for part in parts if part.get("type") == "thinking" for inner in part.get("thinking") or ()]
    others = [part for part in parts if part.get("type") not in ("text", "thinking")]
    delta["content"] = "".join(texts)
    if thoughts:
        delta["reasoning_content"] = "".join(thoughts)
    if others:
        delta["annotations"] = others


def finish_reason(reason: str | None, called_tools: bool) -> str:
    """OpenAI's word for why the reply ended."""
    mapped = FINISH_REASONS.get(reason or "stop", "stop")
    return "tool_calls" if mapped == "stop" and called_tools else mapped


def usage_of(body: Json) -> Usage | None:
    """The usage told in a reply or chunk, None where there is none."""
    usage = body.get("usage") or (body.get("x_groq") or {}).get("usage")
    if not isinstance(usage, dict):
        return None
    prompt = usage.get("prompt_tokens") or 0
    completion = usage.get("completion_tokens") or 0
    total = usage.get("total_tokens") or prompt + completion
    told: Any = {**usage, "prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": total}
    counted: Usage = told
    return counted
