"""A complete Gemini reply as the unified one, and what streams share with it. The choices are built
in `choice`.

Source: https://ai.google.dev/api/generate-content (read 2026-11).
"""

from __future__ import annotations

from typing import Any, Final

from native_api.dialects.gemini.choice import ChoiceBuilder
from native_api.dialects.gemini.errors import read_reply_error
from native_api.dialects.gemini.logprobs import build_logprobs
from native_api.dialects.gemini.usage import read_service_tier, read_usage
from native_api.dialects.shared.deltas import add_delta, complete_message
from native_api.dialects.shared.frames import build_completion
from native_api.exceptions import UpstreamError
from native_api.types import ChatCompletion, Choice, Json

UNSPECIFIED_BLOCK_REASON: Final = "BLOCK_REASON_UNSPECIFIED"
"""The block reason that means the prompt was not blocked."""


def build_reply(body: Any) -> ChatCompletion:
    """The unified reply. Raises UpstreamError if the body is an error or has no answer."""
    reply = read_reply(body)
    reply_id = str(reply.get("responseId") or "")
    choices = [
        _build_choice(candidate, index, reply_id)
        for index, candidate in enumerate(reply.get("candidates") or [])
    ]
    counts = read_counts(reply)
    return build_completion(
        choices or [_build_blocked_choice(reply)],
        read_usage(counts),
        reply_id=reply_id,
        model=str(reply.get("modelVersion") or ""),
        service_tier=read_service_tier(counts),
    )


def _build_choice(candidate: Json, index: int, reply_id: str) -> Choice:
    builder = ChoiceBuilder(read_index(candidate, index))
    message: Json = {"role": "assistant", "content": None, **builder.add(candidate, reply_id)}
    last_delta, ending = builder.finish()
    add_delta(message, last_delta)
    complete_message(message)
    choice: Choice = {"index": builder.index, "message": message, **ending}  # type: ignore[typeddict-item]
    logprobs = build_logprobs(candidate)
    if logprobs:
        choice["logprobs"] = logprobs
    return choice


def _build_blocked_choice(reply: Json) -> Choice:
    """The choice of a reply without candidates, whose prompt was blocked. Raises UpstreamError if
    it was not: then there is no answer at all."""
    refusal = read_refusal(reply)
    if not refusal:
        raise UpstreamError("The provider's answer has no candidates.")
    message = {"role": "assistant", "content": None, "refusal": refusal}
    return {"index": 0, "message": message, **build_blocked_ending(reply)}  # type: ignore[typeddict-item]


# --- shared with streams -------------------------------------------------------------------------


def read_reply(body: Any) -> Json:
    """The reply in a body or an event. Raises UpstreamError for an error, which may come in a list
    of one."""
    if isinstance(body, list) and body:
        body = body[0]
    if not isinstance(body, dict) or "error" in body:
        raise read_reply_error(body)
    return body


def read_counts(reply: Json) -> Json:
    counts = reply.get("usageMetadata")
    return counts if isinstance(counts, dict) else {}


def read_index(candidate: Json, default: int) -> int:
    """The candidate's index. Vertex AI leaves it out if there is only one candidate."""
    index = candidate.get("index", default)
    return index if isinstance(index, int) and index >= 0 else default


def read_refusal(reply: Json) -> str:
    """Why the prompt was blocked, "" if it was not."""
    feedback = reply.get("promptFeedback") or {}
    reason = feedback.get("blockReason")
    if not reason or reason == UNSPECIFIED_BLOCK_REASON:
        return ""
    return str(feedback.get("blockReasonMessage") or f"The provider blocked the prompt: {reason}.")


def build_blocked_ending(reply: Json) -> Json:
    """The `finish_reason` and `native_finish_reason` of a choice whose prompt was blocked."""
    return {
        "finish_reason": "content_filter",
        "native_finish_reason": str(reply["promptFeedback"]["blockReason"]),
    }
