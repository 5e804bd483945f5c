"""Token counts as providers tell them: read so that nonsense is 0, and joined if a stream tells
them more than once.

Rules for joining:
1. Zeros, nulls and nonsense say nothing, so they never replace a count. Servers put zeros where
   they do not count: those of Anthropic's wire into `message_delta`
   (https://github.com/envoyproxy/ai-gateway/issues/1631,
   https://github.com/sgl-project/sglang/issues/20830), proxies into a last chunk of their own.
2. What was written only grows: of two counts the larger one holds.
3. Of what was read the last count holds, since providers correct it: Gemini 2.0 Flash tells 169
   prompt tokens at first and 79 at the end; Anthropic's count grows by the results of its own tools
   (both recorded, read 2026-11).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from native_api.types import Json, Usage

MAX_COUNT: Final = 2**53
"""No provider means as many tokens as this."""

OUTPUT_MEMBERS: Final = frozenset({"completion_tokens", "completion_tokens_details"})
"""The members of a `Usage` that count what was written."""


def read_count(told: Any, name: str) -> int:
    """The count of that name, 0 if there is none that makes sense."""
    value = told.get(name) if isinstance(told, dict) else None
    if type(value) is int:  # nearly always
        return value if 0 < value < MAX_COUNT else 0
    return int(value) if isinstance(value, float) and 0 < value < MAX_COUNT else 0


def build_usage(prompt: int, completion: int, total: int = 0) -> Usage:
    """The counts as a usage whose total is at least the sum."""
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": max(total, prompt + completion),
    }


def join_usage(earlier: Usage, later: Usage) -> Usage:
    """The usage that holds after a provider told `earlier` and then `later`."""
    if earlier == later:
        return later
    usage: Any = join_counts(earlier, later, OUTPUT_MEMBERS)
    usage["total_tokens"] = max(
        usage["total_tokens"], usage["prompt_tokens"] + usage["completion_tokens"]
    )
    counted: Usage = usage
    return counted


def join_counts(
    earlier: Mapping[str, Any], later: Mapping[str, Any], written: Collection[str]
) -> Json:
    """The same for counts in a provider's own words. `written` names the members that count what
    was written."""
    told = dict(earlier)
    for name, value in later.items():
        present = told.get(name)
        if type(value) is int and type(present) is int:  # nearly always
            if 0 < value < MAX_COUNT and (value > present or name not in written):
                told[name] = value
        elif present is None:
            told[name] = value
        elif isinstance(present, dict):
            if isinstance(value, dict):
                told[name] = join_counts(present, value, value if name in written else written)
        elif _is_number(present):
            if _says_something(value):
                told[name] = max(present, value) if name in written else value
        elif _says_something(value) if isinstance(value, list) else value:
            told[name] = value
    return told


def _says_something(value: Any) -> bool:
    """Whether there is a count above 0 in it."""
    if isinstance(value, list):
        return any(map(_says_something, value))
    if isinstance(value, dict):
        return any(map(_says_something, value.values()))
    return _is_number(value) and 0 < value < MAX_COUNT


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
