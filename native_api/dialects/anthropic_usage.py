"""Token counts of an Anthropic reply (https://platform.claude.com/docs/en/api/messages#usage, read 2026-11).

`input_tokens` leave cache reads and writes out; ours have them. What decides the price beside the counts is passed on as it came:
`server_tool_use`, the uses of Anthropic's own tools, `speed`, which has prices of its own, and `iterations` where one is more than
a part of the answer, such as a compaction, whose tokens are in no other count.
"""

from __future__ import annotations

from typing import Any, Final

from native_api.types import Json, Usage

TIERS: Final = {"standard": "default", "priority": "priority"}
"""Anthropic's name for a tier of service -> OpenAI's; strict clients take no other words."""


def usage_of(counts: Json) -> Usage | None:
    """The usage in a reply's counts, None where it holds none."""
    if "input_tokens" not in counts and "output_tokens" not in counts:
        return None
    cached = _count(counts, "cache_read_input_tokens")
    written = _count(counts, "cache_creation_input_tokens")
    prompt = _count(counts, "input_tokens") + cached + written
    completion = _count(counts, "output_tokens")
    usage: Usage = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    usage["prompt_tokens_details"] = {"cached_tokens": cached, "cache_write_tokens": written}
    for_an_hour = _count(counts.get("cache_creation"), "ephemeral_1h_input_tokens")
    if for_an_hour:
        usage["prompt_tokens_details"]["cache_write_1h_tokens"] = for_an_hour
    details = counts.get("output_tokens_details")
    if isinstance(details, dict) and details.get("thinking_tokens") is not None:
        usage["completion_tokens_details"] = {"reasoning_tokens": _count(details, "thinking_tokens")}
    _beside(counts, usage)
    return usage


def _beside(counts: Json, usage: Usage) -> None:
    uses = counts.get("server_tool_use")
    if isinstance(uses, dict) and any(uses.values()):
        usage["server_tool_use"] = {name: value for name, value in uses.items() if value}
    if isinstance(counts.get("speed"), str):
        usage["speed"] = counts["speed"]
    iterations = counts.get("iterations")
    if isinstance(iterations, list) and any(isinstance(item, dict) and item.get("type") != "message" for item in iterations):
        usage["iterations"] = iterations


def _count(told: Any, name: str) -> int:
    value = told.get(name) if isinstance(told, dict) else None
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def tier_of(counts: Json) -> str | None:
    """The tier that served the reply, which decides its price; None where it is not told."""
    return TIERS.get(str(counts.get("service_tier")))
