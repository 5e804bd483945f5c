"""The finish reasons of the family's servers, and OpenAI's for them."""

from __future__ import annotations

from typing import Final

FINISH_REASONS: Final = {
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "tool_use": "tool_calls",
    "length": "length",
    "max_tokens": "length",
    "max_output_tokens": "length",
    "model_length": "length",
    "model_context_window_exceeded": "length",
    "content_filter": "content_filter",
    "content_filtered": "content_filter",
    "sensitive": "content_filter",
    "safety": "content_filter",
    "recitation": "content_filter",
    "prohibited_content": "content_filter",
    "refusal": "content_filter",
}
"""A server's finish reason in lower case -> OpenAI's. Any other is `stop`."""


def map_finish_reason(reason: str | None, call_count: int, has_answer: bool) -> str:
    """OpenAI's finish reason. `has_answer` is whether the model called the answer tool, or one that
    the provider runs."""
    # Gemini's compatible endpoint: "content_filter: RECITATION".
    mapped = FINISH_REASONS.get((reason or "stop").partition(": ")[0], "stop")
    if mapped == "stop" and call_count:
        return "tool_calls"
    if mapped == "tool_calls" and has_answer and not call_count:
        return "stop"
    return mapped
