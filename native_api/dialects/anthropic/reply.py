"""Anthropic's complete replies -> unified ones, and what a stream shares with them: the end of an
answer."""

from __future__ import annotations

from typing import Any, Final

from native_api.dialects.anthropic.blocks import Answer
from native_api.dialects.anthropic.errors import read_reply_error
from native_api.dialects.anthropic.usage import read_service_tier, read_usage
from native_api.dialects.shared.deltas import add_delta, complete_message
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

SAID_BY_OURS: Final = frozenset({None, "end_turn", "max_tokens", "tool_use"})
"""Stop reasons that OpenAI's words tell wholly. Any other is passed on beside ours: a `pause_turn`
wants to be continued."""

ABOUT: Final = ("stop_details", "stop_sequence", "container", "context_management")
"""What is told about a reply beside its content."""


def build_reply(body: Any) -> ChatCompletion:
    """The unified reply. Raises UpstreamError."""
    if (
        not isinstance(body, dict)
        or body.get("type") == "error"
        or not isinstance(body.get("content"), list)
    ):
        raise read_reply_error(body)
    answer = Answer()
    answer.reply_id = str(body.get("id") or "")
    message: Json = {"role": "assistant", "content": None}
    for index, block in enumerate(body["content"]):
        if isinstance(block, dict):
            add_delta(message, answer.start(index, block, whole=True))
            add_delta(message, answer.stop(index))
    owed, end = ending(answer, body.get("stop_reason"), body)
    add_delta(message, owed)
    complete_message(message)
    completion: ChatCompletion = {
        "id": answer.reply_id,
        "object": "chat.completion",
        "created": 0,
        "model": str(body.get("model") or ""),
        "choices": [{"index": 0, "message": message, **end}],  # type: ignore[typeddict-item]
    }
    _account(completion, body.get("usage"))
    return completion


def _account(completion: ChatCompletion, counts: Any) -> None:
    if not isinstance(counts, dict):
        return
    usage, tier = read_usage(counts), read_service_tier(counts)
    if usage:
        completion["usage"] = usage
    if tier:
        completion["service_tier"] = tier


def ending(answer: Answer, reason: Any, told: Json) -> tuple[Json, Json]:
    """What is owed of the message at its end, and what the choice says of it. `told` holds what is
    told about the reply."""
    owed = answer.end(_about(told))
    reason = None if reason is None else str(reason)
    end: Json = {"finish_reason": _finish_reason(reason, answer)}
    if reason not in SAID_BY_OURS:
        end["native_finish_reason"] = reason
    if end["finish_reason"] == "content_filter" and answer.said_nothing:
        owed["refusal"] = _refusal(told.get("stop_details"))
    elif answer.said_nothing:
        owed["content"] = ""
    return owed, end


def _about(told: Json) -> Json:
    about = {name: told[name] for name in ABOUT if told.get(name)}
    management = about.get("context_management")
    if isinstance(management, dict) and not any(management.values()):
        del about["context_management"]
    return about


def _finish_reason(reason: str | None, answer: Answer) -> str:
    """OpenAI's word. The forced tool's call is the answer itself, not a call."""
    called = bool(answer.place.calls)
    mapped = FINISH_REASONS.get(reason or "")
    if mapped is None:
        return "tool_calls" if called else "stop"
    return "stop" if mapped == "tool_calls" and answer.forced and not called else mapped


def _refusal(details: Any) -> str:
    details = details if isinstance(details, dict) else {}
    category = f" ({details['category']})" if details.get("category") else ""
    return str(details.get("explanation") or f"The model declined to answer{category}.")
