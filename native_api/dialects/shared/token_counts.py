"""Token counts of providers: invalid ones are read as 0, and repeated reports are joined.

Rules for joining the reports of one stream:
1. Zeros, nulls and invalid values never replace a count. Servers send zeros for what they do not
   count: those of Anthropic's wire in `message_delta`
   (https://github.com/envoyproxy/ai-gateway/issues/1631,
   https://github.com/sgl-project/sglang/issues/20830), proxies in an extra last chunk.
2. Output only grows: the larger of two counts wins.
3. For input the last count wins, since providers correct it: Gemini 2.0 Flash reports 169 prompt
   tokens at first and 79 at the end; Anthropic's count grows by the results of its server tools
   (both recorded, read 2026-11).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from native_api.exceptions import UpstreamError
from native_api.types import Json, Usage

MAX_COUNT: Final = 2**53
"""Counts from here on are invalid."""

OUTPUT_MEMBERS: Final = frozenset({"completion_tokens", "completion_tokens_details"})
"""The members of a `Usage` that count output."""


def read_count(counts: Any, name: str) -> int:
    """The count with this name, 0 if it is missing or invalid."""
    value = counts.get(name) if isinstance(counts, dict) else None
    if type(value) is int:  # nearly always
        return value if 0 < value < MAX_COUNT else 0
    return int(value) if isinstance(value, float) and 0 < value < MAX_COUNT else 0


def require_count(counts: Any, name: str) -> int:
    """The same for a count that is all there is. Raises UpstreamError if it is missing or
    invalid."""
    count = read_count(counts, name)
    if not count:
        raise UpstreamError("The provider's answer is not a count of tokens.")
    return count


def build_usage(prompt: int, completion: int, total: int = 0) -> Usage:
    """A usage whose total is at least the sum of both counts."""
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": max(total, prompt + completion),
    }


def join_usage(earlier: Usage, later: Usage) -> Usage:
    """The usage after a provider reported `earlier` and then `later`."""
    if earlier == later:
        return later
    usage: Any = join_counts(earlier, later, OUTPUT_MEMBERS)
    usage["total_tokens"] = max(
        usage["total_tokens"], usage["prompt_tokens"] + usage["completion_tokens"]
    )
    counted: Usage = usage
    return counted


def join_counts(
    earlier: Mapping[str, Any], later: Mapping[str, Any], growing: Collection[str]
) -> Json:
    """The same for counts in a provider's own format.

    `growing` has the names of the members that count output.
    """
    counts = dict(earlier)
    for name, value in later.items():
        present = counts.get(name)
        if type(value) is int and type(present) is int:  # nearly always
            if 0 < value < MAX_COUNT and (value > present or name not in growing):
                counts[name] = value
        elif present is None:
            counts[name] = value
        elif isinstance(present, dict):
            if isinstance(value, dict):
                counts[name] = join_counts(present, value, value if name in growing else growing)
        elif _is_number(present):
            if _has_count(value):
                counts[name] = max(present, value) if name in growing else value
        elif _has_count(value) if isinstance(value, list) else value:
            counts[name] = value
    return counts


def _has_count(value: Any) -> bool:
    """Whether there is a valid count above 0 in the value."""
    if isinstance(value, list):
        return any(map(_has_count, value))
    if isinstance(value, dict):
        return any(map(_has_count, value.values()))
    return _is_number(value) and 0 < value < MAX_COUNT


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
