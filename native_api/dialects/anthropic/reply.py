"""Complete replies of Anthropic as unified ones, and the end of a reply, which streams share."""

from __future__ import annotations

from typing import Any, Final

from native_api.dialects.anthropic.errors import read_reply_error
from native_api.dialects.anthropic.reply_builder import ReplyBuilder
from native_api.dialects.anthropic.usage import read_service_tier, read_usage
from native_api.dialects.shared.deltas import add_delta, complete_message
from native_api.dialects.shared.failure_reasons import raise_failure
from native_api.dialects.shared.frames import build_completion
from native_api.types import ChatCompletion, Json

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
"""Anthropic's `stop_reason` -> OpenAI's `finish_reason`."""

FULLY_MAPPED_REASONS: Final = frozenset({None, "end_turn", "max_tokens", "tool_use"})
"""Stop reasons that lose nothing in OpenAI's words. Any other is also passed on as
`native_finish_reason`: the client must continue after a `pause_turn`, for one."""

REPLY_FIELDS: Final = ("stop_details", "stop_sequence", "container", "context_management")
"""Members that describe the reply. They are kept in `provider_content`."""


def build_reply(body: Any) -> ChatCompletion:
    """The unified reply. Raises UpstreamError if the body is an error or not a reply."""
    if (
        not isinstance(body, dict)
        or body.get("type") == "error"
        or not isinstance(body.get("content"), list)
    ):
        raise read_reply_error(body)
    builder = ReplyBuilder()
    builder.reply_id = str(body.get("id") or "")
    message: Json = {"role": "assistant", "content": None}
    for index, block in enumerate(body["content"]):
        if isinstance(block, dict):
            add_delta(message, builder.start(index, block))
            add_delta(message, builder.stop(index))
    delta, choice_fields = finish_reply(builder, body.get("stop_reason"), body)
    add_delta(message, delta)
    complete_message(message)
    reported = body.get("usage")
    counts: Json = reported if isinstance(reported, dict) else {}
    return build_completion(
        [{"index": 0, "message": message, **choice_fields}],
        read_usage(counts),
        reply_id=builder.reply_id,
        model=str(body.get("model") or ""),
        service_tier=read_service_tier(counts),
    )


def finish_reply(builder: ReplyBuilder, stop_reason: Any, body: Json) -> tuple[Json, Json]:
    """The last delta of the message, and the last members of the choice. `body` holds the members
    that describe the reply. Raises UpstreamError if the answer broke off."""
    delta = builder.finish(_read_reply_fields(body))
    raise_failure(stop_reason)
    reason = None if stop_reason is None else str(stop_reason)
    choice_fields: Json = {"finish_reason": _map_finish_reason(reason, builder)}
    if reason not in FULLY_MAPPED_REASONS:
        choice_fields["native_finish_reason"] = reason
    if choice_fields["finish_reason"] == "content_filter" and builder.is_empty:
        delta["refusal"] = _build_refusal(body.get("stop_details"))
    elif builder.is_empty:
        delta["content"] = ""
    return delta, choice_fields


def _read_reply_fields(body: Json) -> Json:
    fields = {name: body[name] for name in REPLY_FIELDS if body.get(name)}
    management = fields.get("context_management")
    if isinstance(management, dict) and not any(management.values()):
        del fields["context_management"]
    return fields


def _map_finish_reason(reason: str | None, builder: ReplyBuilder) -> str:
    """OpenAI's word. A call of the answer tool is the answer itself, not a call."""
    has_calls = bool(builder.position.calls)
    mapped = FINISH_REASONS.get(reason or "")
    if mapped is None:
        return "tool_calls" if has_calls else "stop"
    if mapped == "tool_calls" and builder.has_answer_call and not has_calls:
        return "stop"
    return mapped


def _build_refusal(details: Any) -> str:
    details = details if isinstance(details, dict) else {}
    category = f" ({details['category']})" if details.get("category") else ""
    return str(details.get("explanation") or f"The model declined to answer{category}.")
