"""Token counts of the Responses API."""

from __future__ import annotations

from typing import Any, Final

from native_api.dialects.shared.token_counts import build_usage, read_count
from native_api.types import Json, Usage

COUNTS: Final = ("input_tokens", "output_tokens", "total_tokens")
DETAILS: Final = {
    "input_tokens_details": "prompt_tokens_details",
    "output_tokens_details": "completion_tokens_details",
}
"""The wire's name -> the unified name."""


def read_usage(counts: Any) -> Usage | None:
    """The unified usage, None if there is none.

    Cached tokens are part of the input, reasoning tokens part of the output.
    """
    if not isinstance(counts, dict) or not {"input_tokens", "output_tokens"} & counts.keys():
        return None
    extra = {
        name: value for name, value in counts.items() if name not in COUNTS and name not in DETAILS
    }
    usage: Json = {**extra, **build_usage(*(read_count(counts, name) for name in COUNTS))}
    for wire_name, name in DETAILS.items():
        details = _read_details(counts.get(wire_name))
        if details:
            usage[name] = details
    unified: Any = usage
    result: Usage = unified
    return result


def _read_details(details: Any) -> Json:
    if not isinstance(details, dict):
        return {}
    return {name: value for name, value in details.items() if value is not None}
