"""Token counts of a Gemini reply (https://ai.google.dev/api/generate-content#UsageMetadata, read
2026-11).

`promptTokenCount` has the cached tokens in it but not those of built-in tools' results;
`candidatesTokenCount` has no thoughts in it. A stream tells the counts so far, and Vertex AI sends
events whose metadata holds none.
"""

from __future__ import annotations

from typing import Any, Final

from native_api.dialects.shared.token_counts import build_usage, join_counts, read_count
from native_api.types import Json, Usage

COUNTS: Final = ("promptTokenCount", "candidatesTokenCount", "totalTokenCount")
WRITTEN: Final = frozenset({"candidatesTokenCount", "thoughtsTokenCount"})


def join_reported_counts(earlier: Json, later: Json) -> Json:
    """The counts that hold after `later` (see `counts`)."""
    return join_counts(earlier, later, WRITTEN)


def read_usage(told: Json) -> Usage | None:
    """The usage in a `usageMetadata`, None where it holds no counts."""
    if not any(name in told for name in COUNTS):
        return None
    prompt = read_count(told, "promptTokenCount") + read_count(told, "toolUsePromptTokenCount")
    thoughts = read_count(told, "thoughtsTokenCount")
    usage = build_usage(
        prompt,
        read_count(told, "candidatesTokenCount") + thoughts,
        read_count(told, "totalTokenCount"),
    )
    of_prompt = _by_kind(told.get("promptTokensDetails"), told.get("toolUsePromptTokensDetails"))
    if read_count(told, "cachedContentTokenCount"):
        of_prompt["cached_tokens"] = read_count(told, "cachedContentTokenCount")
        of_prompt |= {
            f"cached_{name}": number
            for name, number in _by_kind(told.get("cacheTokensDetails")).items()
        }
    of_completion = _by_kind(told.get("candidatesTokensDetails"))
    if thoughts:
        of_completion["reasoning_tokens"] = thoughts
    if of_prompt:
        usage["prompt_tokens_details"] = of_prompt
    if of_completion:
        usage["completion_tokens_details"] = of_completion
    return usage


TIERS: Final = {
    "standard": "default",
    "flex": "flex",
    "priority": "priority",
    "ON_DEMAND": "default",
    "ON_DEMAND_FLEX": "flex",
    "ON_DEMAND_PRIORITY": "priority",
    "PROVISIONED_THROUGHPUT": "scale",
}
"""What the Gemini API and Vertex AI call a tier of service -> OpenAI's word; strict clients take no
other."""


def read_service_tier(told: Json) -> str | None:
    """The tier that served the reply, which decides its price; None where it is not told."""
    tier = told.get("serviceTier") or told.get("trafficType")
    return TIERS.get(tier) if isinstance(tier, str) else None


def _by_kind(*lists: Any) -> Json:
    """`audio_tokens`, `image_tokens` and the like; text is the rest."""
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
