"""Token counts of a Gemini reply (https://ai.google.dev/api/generate-content#UsageMetadata, read
2026-11).

`promptTokenCount` includes cached tokens but not those of built-in tools' results;
`candidatesTokenCount` does not include thoughts. A stream repeats the counts so far, and Vertex AI
sends events whose metadata has no counts.
"""

from __future__ import annotations

from typing import Any, Final

from native_api.dialects.shared.token_counts import build_usage, join_counts, read_count
from native_api.types import Json, Usage

TOTAL_COUNTS: Final = ("promptTokenCount", "candidatesTokenCount", "totalTokenCount")
"""The counts without which a `usageMetadata` says nothing about usage."""

OUTPUT_COUNTS: Final = frozenset({"candidatesTokenCount", "thoughtsTokenCount"})
"""The counts of what the model wrote, which only grow."""

SERVICE_TIERS: Final = {
    "standard": "default",
    "flex": "flex",
    "priority": "priority",
    "ON_DEMAND": "default",
    "ON_DEMAND_FLEX": "flex",
    "ON_DEMAND_PRIORITY": "priority",
    "PROVISIONED_THROUGHPUT": "scale",
}
"""The Gemini API's and Vertex AI's names of service tiers -> OpenAI's, the only ones that strict
clients accept."""


def join_reported_counts(earlier: Json, later: Json) -> Json:
    """The counts that hold after `later`. See `token_counts` for the rules."""
    return join_counts(earlier, later, OUTPUT_COUNTS)


def read_usage(counts: Json) -> Usage | None:
    """The usage in a `usageMetadata`, None if it has no counts."""
    if not any(name in counts for name in TOTAL_COUNTS):
        return None
    prompt = read_count(counts, "promptTokenCount") + read_count(counts, "toolUsePromptTokenCount")
    thoughts = read_count(counts, "thoughtsTokenCount")
    usage = build_usage(
        prompt,
        read_count(counts, "candidatesTokenCount") + thoughts,
        read_count(counts, "totalTokenCount"),
    )
    prompt_details = _sum_by_modality(
        counts.get("promptTokensDetails"), counts.get("toolUsePromptTokensDetails")
    )
    cached = read_count(counts, "cachedContentTokenCount")
    if cached:
        cached_by_modality = _sum_by_modality(counts.get("cacheTokensDetails"))
        prompt_details["cached_tokens"] = cached
        prompt_details |= {f"cached_{name}": value for name, value in cached_by_modality.items()}
    completion_details = _sum_by_modality(counts.get("candidatesTokensDetails"))
    if thoughts:
        completion_details["reasoning_tokens"] = thoughts
    if prompt_details:
        usage["prompt_tokens_details"] = prompt_details
    if completion_details:
        usage["completion_tokens_details"] = completion_details
    return usage


def _sum_by_modality(*lists: Any) -> Json:
    """`audio_tokens`, `image_tokens` and so on. Text is left out: it is the rest."""
    counts: Json = {}
    for entry in (
        entry
        for entries in lists
        if isinstance(entries, list)
        for entry in entries
        if isinstance(entry, dict)
    ):
        name = f"{str(entry.get('modality', '')).lower()}_tokens"
        if name not in ("text_tokens", "_tokens", "modality_unspecified_tokens"):
            counts[name] = counts.get(name, 0) + read_count(entry, "tokenCount")
    return counts


def read_service_tier(counts: Json) -> str | None:
    """The service tier that served the reply and decides its price, None if it is not given."""
    tier = counts.get("serviceTier") or counts.get("trafficType")
    return SERVICE_TIERS.get(tier) if isinstance(tier, str) else None
