"""How a message ends: its stop reason and its token counts
(https://platform.claude.com/docs/en/api/messages, read 2026-11)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from native_api.dialects.shared.token_counts import read_count
from native_api.types import Json

STOP_REASONS: Final = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}
"""OpenAI's `finish_reason` -> Anthropic's `stop_reason`."""

NATIVE_STOP_REASONS: Final = frozenset(
    {"stop_sequence", "pause_turn", "compaction", "refusal", "model_context_window_exceeded"}
)
"""Anthropic's reasons that say more than OpenAI's. Providers that have the same go on with them."""

SERVICE_TIERS: Final = {"default": "standard", "priority": "priority"}
"""OpenAI's service tier -> Anthropic's, which has no other that a reply can have."""

COUNTS: Final = frozenset(
    {
        "prompt_tokens", "completion_tokens", "total_tokens",
        "prompt_tokens_details", "completion_tokens_details",
    }
)  # fmt: skip
"""The members of a unified usage that have another form here."""

NAMED_DETAILS: Final = frozenset(
    {"cached_tokens", "cache_write_tokens", "cache_write_1h_tokens", "reasoning_tokens"}
)
"""Details that have a name of Anthropic's."""


def build_stop(
    choice: Mapping[str, Any], fields: Mapping[str, Any], refusal: str, has_calls: bool
) -> Json:
    """`stop_reason`, `stop_sequence` and, of a refusal, `stop_details`.

    `fields` are the message's members that Anthropic sent, and `refusal` is the model's text.
    """
    reason, stop_reason = choice.get("finish_reason"), choice.get("native_finish_reason")
    if stop_reason not in NATIVE_STOP_REASONS:
        stop_reason = STOP_REASONS.get(reason or "", "tool_use" if has_calls else "end_turn")
    sequence = fields.get("stop_sequence")
    if stop_reason == "end_turn" and (refusal or sequence):
        stop_reason = "refusal" if refusal else "stop_sequence"
    details = fields.get("stop_details")
    if stop_reason == "refusal" and not details:
        details = {"type": "refusal", "category": None, "explanation": refusal or None}
    return {"stop_reason": stop_reason, "stop_sequence": sequence, "stop_details": details}


def find_stop_sequence(choice: Mapping[str, Any], sequences: Collection[str]) -> str | None:
    """The one of the request's `sequences` that ended the answer, as vLLM and SGLang name it."""
    found = (choice.get(name) for name in ("stop_reason", "matched_stop"))
    return next((text for text in found if isinstance(text, str) and text in sequences), None)


def build_usage(usage: Mapping[str, Any] | None, service_tier: str | None) -> Json:
    """The token counts: `input_tokens` excludes the cache's, which unified ones include. Members
    of a vendor's own, such as what the call costs there, stay."""
    usage = usage or {}
    prompt = usage.get("prompt_tokens_details")
    read, written = (read_count(prompt, name) for name in ("cached_tokens", "cache_write_tokens"))
    counts: Json = {
        "input_tokens": max(0, read_count(usage, "prompt_tokens") - read - written),
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": read,
        "output_tokens": read_count(usage, "completion_tokens"),
    }
    if written:
        for_an_hour = min(written, read_count(prompt, "cache_write_1h_tokens"))
        counts["cache_creation"] = {
            "ephemeral_5m_input_tokens": written - for_an_hour,
            "ephemeral_1h_input_tokens": for_an_hour,
        }
    counts |= _build_details("input_tokens_details", prompt, {})
    output = usage.get("completion_tokens_details")
    thinking = {"thinking_tokens": read_count(output, "reasoning_tokens")}
    counts |= _build_details("output_tokens_details", output, thinking)
    if usage.get("server_tool_use"):
        no_uses = {"web_fetch_requests": 0, "web_search_requests": 0}
        counts["server_tool_use"] = {**no_uses, **usage["server_tool_use"]}
    if service_tier in SERVICE_TIERS:
        counts["service_tier"] = SERVICE_TIERS[service_tier]
    rest = usage.keys() - COUNTS - counts.keys()
    return counts | {name: usage[name] for name in sorted(rest) if usage[name] is not None}


def _build_details(name: str, details: Mapping[str, Any] | None, known: Json) -> Json:
    """Counts that are part of others, {} if there are none. Anthropic has only the `known` ones;
    those of other providers stay under their names."""
    counts = {
        detail: count
        for detail, count in (details or {}).items()
        if count and detail not in NAMED_DETAILS
    }
    return {name: {**known, **counts}} if counts or any(known.values()) else {}
