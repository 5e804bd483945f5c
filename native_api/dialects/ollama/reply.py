"""Ollama's complete replies as unified ones, and what streams share with them
(https://docs.ollama.com/api/chat, read 2026-11).

Older versions have no ids for tool calls: the gateway fills them in.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

from native_api.dialects.ollama.usage import read_usage
from native_api.dialects.shared.call_extras import add_extras
from native_api.dialects.shared.deltas import complete_message
from native_api.dialects.shared.errors import read_embedded_error
from native_api.dialects.shared.failure_reasons import raise_failure
from native_api.dialects.shared.frames import build_completion
from native_api.dialects.shared.tools import format_arguments
from native_api.types import ChatCompletion, Json

FINISH_REASONS: Final = {"stop": "stop", "length": "length", "load": "stop", "unload": "stop"}
"""Ollama's `done_reason` -> OpenAI's finish reason; an unknown one is `stop`. `load` and `unload`
answer a request without messages, which only moves the model."""

IMAGE_MEDIA_TYPES: Final = {
    "iVBOR": "image/png",
    "/9j/": "image/jpeg",
    "R0lGOD": "image/gif",
    "UklGR": "image/webp",
}
"""How the base64 of an image begins -> its type, which Ollama does not give."""


def build_reply(body: Any) -> ChatCompletion:
    """The unified reply. Raises UpstreamError if the body is an error or has no answer."""
    if not isinstance(body, dict) or not isinstance(body.get("message"), dict):
        raise read_embedded_error(body)
    message = complete_message(
        {"role": "assistant", "content": None, **build_delta(body["message"])}
    )
    reason = map_finish_reason(body.get("done_reason"), "tool_calls" in message)
    choice: Any = {"index": 0, "message": message, "finish_reason": reason}
    if body.get("logprobs"):
        choice["logprobs"] = build_logprobs(body["logprobs"])
    return build_completion(
        [choice],
        read_usage(body),
        created=parse_timestamp(body.get("created_at")),
        model=body.get("model") or "",
    )


# --- shared with streams -------------------------------------------------------------------------


def build_delta(message: Json, call_count: int = 0, image_count: int = 0) -> Json:
    """A message, or a piece of one, as a delta. The counts are of calls and images that came before
    it."""
    delta: Json = {}
    if message.get("content"):
        delta["content"] = message["content"]
    if message.get("thinking"):
        delta["reasoning_content"] = message["thinking"]
    if message.get("tool_calls"):
        delta["tool_calls"] = [
            _build_tool_call(call, call_count + index)
            for index, call in enumerate(message["tool_calls"])
        ]
    if message.get("images"):
        delta["images"] = [
            _build_image(data, image_count + index) for index, data in enumerate(message["images"])
        ]
    return delta


def _build_tool_call(call: Json, index: int) -> Json:
    function = call.get("function") or {}
    name, arguments = function.get("name") or "", format_arguments(function.get("arguments"))
    built: Json = {
        "index": index,
        "id": call.get("id") or "",
        "type": "function",
        "function": {"name": name, "arguments": arguments},
    }
    return add_extras(built, "ollama", call, built.keys())


def _build_image(data: str, index: int) -> Json:
    media_type = next(
        (name for start, name in IMAGE_MEDIA_TYPES.items() if data.startswith(start)), "image/png"
    )
    url = f"data:{media_type};base64,{data}"
    return {"type": "image_url", "image_url": {"url": url}, "index": index}


def map_finish_reason(reason: str | None, has_calls: bool) -> str:
    """OpenAI's finish reason. Ollama says `stop` after tool calls, too.

    Raises UpstreamError if the answer broke off.
    """
    raise_failure(reason)
    mapped = FINISH_REASONS.get(reason or "", "stop")
    return "tool_calls" if has_calls and mapped == "stop" else mapped


def build_logprobs(items: Iterable[Any]) -> Json:
    """OpenAI's `logprobs`. Ollama's have the same shape, but leave out what is empty."""
    content = [
        {"token": "", "logprob": 0.0, "bytes": None, "top_logprobs": [], **item}
        for item in items
        if isinstance(item, dict)
    ]
    return {"content": content, "refusal": None}


def parse_timestamp(created_at: Any) -> int:
    """Seconds since 1970, 0 if there is no valid time."""
    try:
        return int(datetime.fromisoformat(str(created_at)).timestamp())
    except ValueError:
        return 0
