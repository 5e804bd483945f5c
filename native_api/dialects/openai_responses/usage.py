"""Token counts of the Responses API."""

from __future__ import annotations

from typing import Any, Final

from native_api.dialects.shared.token_counts import build_usage, read_count
from native_api.types import Usage

DETAILS: Final = {
    "input_tokens_details": "prompt_tokens_details",
    "output_tokens_details": "completion_tokens_details",
}
"""The wire's name -> the unified name."""
KNOWN_MEMBERS: Final = frozenset({"input_tokens", "output_tokens", "total_tokens", *DETAILS})


def read_usage(counts: Any) -> Usage | None:
    """The unified usage, None if there is none.

    Cached tokens are part of the input, reasoning tokens part of the output.
    """
    if not isinstance(counts, dict) or not ("input_tokens" in counts or "output_tokens" in counts):
        return None
    usage: Any = build_usage(
        read_count(counts, "input_tokens"),
        read_count(counts, "output_tokens"),
        read_count(counts, "total_tokens"),
    )
    for name, value in counts.items():
        if name not in KNOWN_MEMBERS:
            usage.setdefault(name, value)
    for wire_name, name in DETAILS.items():
        details = counts.get(wire_name)
        if isinstance(details, dict):
            details = {key: value for key, value in details.items() if value is not None}
            if details:
                usage[name] = details
    unified: Usage = usage
    return unified
