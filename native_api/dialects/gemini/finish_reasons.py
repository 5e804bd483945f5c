"""What Gemini's finish reasons mean, and their names in OpenAI's words.

Source: https://ai.google.dev/api/generate-content#v1beta.Candidate (read 2026-11). An unknown
reason is `stop`.
"""

from __future__ import annotations

from typing import Final

FILTER_REASONS: Final = frozenset(
    {
        "SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII",
        "MODEL_ARMOR", "IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION",
    }
)  # fmt: skip
"""Finish reasons that mean a filter ended the answer."""

FAILURE_REASONS_IF_EMPTY: Final = frozenset(
    {"OTHER", "IMAGE_OTHER", "NO_IMAGE", "UNEXPECTED_TOOL_CALL"}
)
"""Finish reasons that mean there is no answer if nothing was sent before them."""

FULLY_MAPPED_REASONS: Final = frozenset({None, "STOP", "MAX_TOKENS", "FINISH_REASON_UNSPECIFIED"})
"""Finish reasons that OpenAI's words express fully. Any other is sent on as
`native_finish_reason`."""


def map_finish_reason(reason: str | None, has_calls: bool) -> str:
    """OpenAI's finish reason. Gemini has no finish reason for tool calls."""
    if reason in FILTER_REASONS:
        return "content_filter"
    if reason == "MAX_TOKENS":
        return "length"
    return "tool_calls" if has_calls else "stop"
