"""Builds a complete reply of the Responses API; and the parts of it that streams send too."""

from __future__ import annotations

from typing import Any, Final

from native_api.dialects.openai_responses.errors import raise_failure
from native_api.dialects.openai_responses.reply_builder import ReplyBuilder
from native_api.dialects.openai_responses.usage import read_usage
from native_api.dialects.shared.errors import read_embedded_error
from native_api.dialects.shared.failure_reasons import raise_failure as raise_failure_reason
from native_api.dialects.shared.json_values import read_integer, read_objects
from native_api.dialects.shared.reply_fields import read_moderation, read_service_tier
from native_api.types import ChatCompletion, Json

JOINED_TEXTS: Final = frozenset({"content", "refusal", "reasoning_content"})
NUMBERED_ITEMS: Final = frozenset({"tool_calls", "reasoning_details"})
REPLY_FIELDS: Final = frozenset({"content_filters", "conversation", "background"})
"""Fields of a response that are passed on, because the unified reply has none for them."""


def build_reply(body: Any) -> ChatCompletion:
    """The unified reply. Raises UpstreamError if the body is an error or a failed response."""
    if not isinstance(body, dict) or not isinstance(body.get("output"), list):
        raise read_embedded_error(body)
    raise_failure(body)
    completion: Any = {
        **build_head(body),
        "object": "chat.completion",
        "choices": [_build_choice(body)],
        **read_reply_fields(body),
    }
    usage = read_usage(body.get("usage"))
    if usage:
        completion["usage"] = usage
    unified: ChatCompletion = completion
    return unified


def _build_choice(body: Json) -> Json:
    builder = ReplyBuilder()
    builder.tools = body.get("tools")
    message: Json = {"role": "assistant", "content": None}
    for delta in builder.add_output(body["output"]):
        _add_delta(message, delta)
    annotations = builder.build_annotations()
    if annotations:
        message["annotations"] = annotations
    for call in message.get("tool_calls", ()):
        del call["index"]
    choice: Json = {
        "index": 0,
        "message": message,
        "finish_reason": map_finish_reason(body, bool(builder.call_count)),
    }
    if builder.logprobs:
        choice["logprobs"] = build_logprobs(builder.logprobs)
    return choice


def _add_delta(message: Json, delta: Json) -> None:
    for name, value in delta.items():
        if name in JOINED_TEXTS:
            message[name] = (message.get(name) or "") + value
        elif name in NUMBERED_ITEMS:
            _add_pieces(message.setdefault(name, []), value)
        else:
            message.setdefault(name, []).extend(value)


def _add_pieces(items: list[Json], pieces: list[Json]) -> None:
    for piece in pieces:
        if piece["index"] == len(items):
            items.append({**piece})
            continue
        item = items[piece["index"]]
        for name, value in piece.items():
            if isinstance(value, dict):
                item[name] = {
                    **item[name],
                    **{key: item[name].get(key, "") + text for key, text in value.items()},
                }
            elif isinstance(value, str):
                item[name] = item.get(name, "") + value


def build_head(body: Json) -> Json:
    return {
        "id": str(body.get("id") or ""),
        "created": read_integer(body.get("created_at")),
        "model": str(body.get("model") or ""),
    }


def read_reply_fields(body: Json) -> Json:
    """The members of a reply, or of its last chunk, that say more than its choices and usage."""
    fields = {name: body[name] for name in sorted(REPLY_FIELDS & body.keys()) if body[name]}
    return {**fields, **read_service_tier(body), **read_moderation(body)}


def build_logprobs(tokens: list[Json]) -> Json:
    """Chat Completions' `logprobs`, whose tokens always have bytes and alternatives."""
    content = [_build_token({"top_logprobs": [], **token}) for token in tokens]
    return {"content": content, "refusal": None}


def _build_token(token: Json) -> Json:
    built = {"bytes": list(str(token.get("token") or "").encode()), **token}
    if "top_logprobs" in token:
        built["top_logprobs"] = [
            _build_token(alternative) for alternative in read_objects(token["top_logprobs"])
        ]
    return built


def map_finish_reason(body: Json, has_calls: bool) -> str:
    """The unified finish reason. A response is complete, or incomplete with a reason.

    Raises UpstreamError if the answer broke off.
    """
    reason = str((body.get("incomplete_details") or {}).get("reason") or "")
    raise_failure_reason(reason, body.get("native_finish_reason"))
    if reason.startswith("content_filter"):
        return "content_filter"
    if reason or body.get("status") == "incomplete":
        return "length"
    return "tool_calls" if has_calls else "stop"
