"""Ollama's replies, complete and streamed -> unified ones. A stream is the same object again and
again with the next piece in it; the last one is `done` and tells the counts
(https://docs.ollama.com/api/chat and /api/streaming, read 2026-11).

Versions before ids for tool calls get ids made of the call itself and its position: the same for
the complete and the streamed reply, unique in it. The same call at the same position of a later
turn has the same id again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

import orjson

from native_api.dialects.base import StreamParser
from native_api.dialects.shared.deltas import complete_message
from native_api.dialects.shared.errors import build_error, find_error_detail, read_embedded_error
from native_api.dialects.shared.json_values import dump_json
from native_api.dialects.shared.token_counts import build_usage, read_count
from native_api.exceptions import UpstreamError
from native_api.types import ChatCompletion, ChatCompletionChunk, Event, Json, Usage

FINISH_REASONS: Final = {"stop": "stop", "length": "length", "load": "stop", "unload": "stop"}
"""`load` and `unload`: a request without messages, which only moves the model. Anything else is
`stop`."""

IMAGE_TYPES: Final = {
    "iVBOR": "image/png",
    "/9j/": "image/jpeg",
    "R0lGOD": "image/gif",
    "UklGR": "image/webp",
}
"""How base64 of an image begins. Ollama does not name the type."""


def build_reply(body: Any) -> ChatCompletion:
    """The unified reply. Raises UpstreamError."""
    if not isinstance(body, dict) or not isinstance(body.get("message"), dict):
        raise read_embedded_error(body)
    message = complete_message({"role": "assistant", "content": None, **said(body["message"])})
    reason = finish_reason(body.get("done_reason"), "tool_calls" in message)
    choice: Any = {"index": 0, "message": message, "finish_reason": reason}
    if body.get("logprobs"):
        choice["logprobs"] = build_logprobs(body["logprobs"])
    completion: ChatCompletion = {
        "id": "",
        "object": "chat.completion",
        "created": seconds_of(body.get("created_at")),
        "model": body.get("model") or "",
        "choices": [choice],
    }
    usage = read_usage(body)
    if usage:
        completion["usage"] = usage
    return completion


def said(message: Json, calls: int = 0, images: int = 0) -> Json:
    """What a message or a piece of one says, as a delta. `calls` and `images` count those before
    it."""
    delta: Json = {}
    if message.get("content"):
        delta["content"] = message["content"]
    if message.get("thinking"):
        delta["reasoning_content"] = message["thinking"]
    if message.get("tool_calls"):
        delta["tool_calls"] = [
            tool_call(call, calls + position) for position, call in enumerate(message["tool_calls"])
        ]
    if message.get("images"):
        delta["images"] = [
            _image(data, images + position) for position, data in enumerate(message["images"])
        ]
    return delta


def tool_call(call: Json, index: int) -> Json:
    function = call.get("function") or {}
    name, given = function.get("name") or "", function.get("arguments")
    arguments = given if isinstance(given, str) and given else dump_json(given or {})
    call_id = call.get("id") or _call_id(index, name, arguments)
    return {
        "index": index,
        "id": call_id,
        "type": "function",
        "function": {"name": name, "arguments": arguments},
    }


def _call_id(index: int, name: str, arguments: str) -> str:
    digest = hashlib.sha256(f"{index} {name} {arguments}".encode()).hexdigest()
    return f"call_{digest[:16]}_{index}"


def _image(data: str, index: int) -> Json:
    media_type = next(
        (kind for start, kind in IMAGE_TYPES.items() if data.startswith(start)), "image/png"
    )
    return {
        "type": "image_url",
        "image_url": {"url": f"data:{media_type};base64,{data}"},
        "index": index,
    }


def finish_reason(reason: str | None, has_calls: bool) -> str:
    """OpenAI's word. Ollama says `stop` after tool calls as well."""
    mapped = FINISH_REASONS.get(reason or "", "stop")
    return "tool_calls" if has_calls and mapped == "stop" else mapped


def read_usage(told: Json) -> Usage | None:
    """The counts, None where there are none. A prompt that was wholly cached is not counted by
    older versions."""
    if "prompt_eval_count" not in told and "eval_count" not in told:
        return None
    return build_usage(read_count(told, "prompt_eval_count"), read_count(told, "eval_count"))


def build_logprobs(items: Iterable[Any]) -> Json:
    """Ollama's log probabilities have OpenAI's shape, but leave out what is empty."""
    content = [
        {"token": "", "logprob": 0.0, "bytes": None, "top_logprobs": [], **item}
        for item in items
        if isinstance(item, dict)
    ]
    return {"content": content, "refusal": None}


def seconds_of(created_at: Any) -> int:
    """Seconds since 1970, 0 where the time is not told."""
    try:
        return int(datetime.fromisoformat(str(created_at)).timestamp())
    except ValueError:
        return 0


def read_error(status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
    """What a non-2xx answer means: `{"error": "…"}`, or anything."""
    try:
        return build_error(status, find_error_detail(orjson.loads(body)), headers)
    except orjson.JSONDecodeError:
        return build_error(status, {}, headers)


class OllamaStream(StreamParser):
    def __init__(self) -> None:
        self._model = ""
        self._created = 0
        self._began = False
        self._finished = False
        self._calls = 0
        self._images = 0

    def feed(self, event: Event) -> Iterable[ChatCompletionChunk]:
        try:
            told: Any = orjson.loads(event.data)
        except orjson.JSONDecodeError:
            raise UpstreamError("The provider sent a line that is not JSON.") from None
        if not isinstance(told, dict) or self._finished:
            return ()
        if "error" in told:
            raise read_embedded_error(told)
        message = told.get("message")
        delta = said(message, self._calls, self._images) if isinstance(message, dict) else {}
        self._images += len(delta.get("images", ()))
        self._calls += len(delta.get("tool_calls", ()))
        reason = None
        if "eval_count" in told or told.get("done"):
            self.record_usage(read_usage(told))
        if told.get("done"):
            self._finished = True
            reason = finish_reason(told.get("done_reason"), self._calls > 0)
        if not delta and not reason and not told.get("logprobs"):
            return ()
        return (self._chunk(delta, reason, told),)

    def _chunk(self, delta: Json, reason: str | None, told: Json) -> ChatCompletionChunk:
        if not self._began:
            self._began = True
            self._model = told.get("model") or ""
            self._created = seconds_of(told.get("created_at"))
            delta = {"role": "assistant", "content": "", **delta}
        choice: Any = {"index": 0, "delta": delta, "finish_reason": reason}
        if told.get("logprobs"):
            choice["logprobs"] = build_logprobs(told["logprobs"])
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
