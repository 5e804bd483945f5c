"""Token counts and service tier of a Bedrock reply
(https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html, read 2026-11).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from native_api.dialects.shared.reply_fields import KNOWN_TIERS
from native_api.dialects.shared.token_counts import build_usage, read_count
from native_api.types import Json, Usage


def read_usage(counts: Mapping[str, Any]) -> Usage | None:
    """The usage in a reply's counts; None if they contain none. Bedrock's `inputTokens` excludes
    cache reads and writes; our `prompt_tokens` includes them."""
    if "inputTokens" not in counts and "outputTokens" not in counts:
        return None
    cached = read_count(counts, "cacheReadInputTokens") or read_count(
        counts, "cacheReadInputTokenCount"
    )
    written = read_count(counts, "cacheWriteInputTokens") or read_count(
        counts, "cacheWriteInputTokenCount"
    )
    usage = build_usage(
        read_count(counts, "inputTokens") + cached + written, read_count(counts, "outputTokens")
    )
    usage["prompt_tokens_details"] = {"cached_tokens": cached, "cache_write_tokens": written}
    return usage


def read_service_tier(body: Json) -> str:
    """The service tier of the reply; "" if the reply does not name it.

    `reserved` is left out: it is not one of the tiers that OpenAI's clients accept.
    """
    tier = str((body.get("serviceTier") or {}).get("type") or "")
    return tier if tier in KNOWN_TIERS else ""
