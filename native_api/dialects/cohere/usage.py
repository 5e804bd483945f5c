"""Token counts of a Cohere reply (https://docs.cohere.com/reference/chat, read 2026-11).

`tokens` counts what the model read and wrote, including what Cohere adds to the prompt. What Cohere
charges for is `billed_units`, which is sent on as it came.
"""

from __future__ import annotations

from typing import Any, Final

from native_api.dialects.shared.token_counts import build_usage, read_count
from native_api.types import Json, Usage

COUNT_NAMES: Final = ("input_tokens", "output_tokens")


def read_usage(reported: Any) -> Usage | None:
    """The usage in a reply's `usage`: the model's tokens, or the billed ones if it has none. None
    if there are no counts."""
    reported = reported if isinstance(reported, dict) else {}
    billed: Json = reported.get("billed_units") or {}
    counts: Json = reported.get("tokens") or {}
    if not any(read_count(counts, name) for name in COUNT_NAMES):
        counts = billed or counts
    if not any(name in counts for name in COUNT_NAMES):
        return None
    usage = build_usage(*(read_count(counts, name) for name in COUNT_NAMES))
    if reported.get("cached_tokens") is not None:
        usage["prompt_tokens_details"] = {"cached_tokens": read_count(reported, "cached_tokens")}
    if billed:
        usage["billed_units"] = billed
    return usage
