"""Token counts of an Anthropic reply (https://platform.claude.com/docs/en/api/messages#usage, read
2026-11).

`input_tokens` leave cache reads and writes out; ours have them. What decides the price beside the
counts is passed on as it came: `server_tool_use`, the uses of Anthropic's own tools, `speed`, which
has prices of its own, and `iterations` where one is more than a part of the answer, such as a
compaction, whose tokens are in no other count.
"""

from __future__ import annotations

from typing import Final

from native_api.dialects.shared.token_counts import build_usage, join_counts, read_count
from native_api.types import Json, Usage

WRITTEN: Final = frozenset({"output_tokens", "output_tokens_details", "server_tool_use"})
READ: Final = (
    "input_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "cache_creation",
)

TIERS: Final = {"standard": "default", "priority": "priority"}
"""Anthropic's name for a tier of service -> OpenAI's; strict clients take no other words."""


def join_reported_counts(earlier: Json, later: Json) -> Json:
    """The counts that hold after `later` (see `counts`).

    Where `iterations` say that the model ran more than once, the counts of the last run replace all
    of those that `message_start` told of the first: that one's are in `iterations`, and zeros among
    the new ones are true.
    """
    if _other_runs(later) and any(read_count(later, name) for name in READ):
        earlier = {name: value for name, value in earlier.items() if name not in READ}
    return join_counts(earlier, later, WRITTEN)


def read_usage(counts: Json) -> Usage | None:
    """The usage in a reply's counts, None where it holds none."""
    if "input_tokens" not in counts and "output_tokens" not in counts:
        return None
    cached = read_count(counts, "cache_read_input_tokens")
    written = read_count(counts, "cache_creation_input_tokens")
    usage = build_usage(
        read_count(counts, "input_tokens") + cached + written, read_count(counts, "output_tokens")
    )
    usage["prompt_tokens_details"] = {"cached_tokens": cached, "cache_write_tokens": written}
    for_an_hour = read_count(counts.get("cache_creation"), "ephemeral_1h_input_tokens")
    if for_an_hour:
        usage["prompt_tokens_details"]["cache_write_1h_tokens"] = for_an_hour
    details = counts.get("output_tokens_details")
    if isinstance(details, dict) and details.get("thinking_tokens") is not None:
        usage["completion_tokens_details"] = {
            "reasoning_tokens": read_count(details, "thinking_tokens")
        }
    _beside(counts, usage)
    return usage


def _beside(counts: Json, usage: Usage) -> None:
    uses = counts.get("server_tool_use")
    if isinstance(uses, dict) and any(uses.values()):
        usage["server_tool_use"] = {name: value for name, value in uses.items() if value}
    if isinstance(counts.get("speed"), str):
        usage["speed"] = counts["speed"]
    if _other_runs(counts):
        usage["iterations"] = counts["iterations"]


def _other_runs(counts: Json) -> bool:
    iterations = counts.get("iterations")
    return isinstance(iterations, list) and any(
        isinstance(item, dict) and item.get("type") != "message" for item in iterations
    )


def read_service_tier(counts: Json) -> str | None:
    """The tier that served the reply, which decides its price; None where it is not told."""
    return TIERS.get(str(counts.get("service_tier")))
