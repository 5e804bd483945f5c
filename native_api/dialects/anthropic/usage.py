"""Token counts of an Anthropic reply (https://platform.claude.com/docs/en/api/messages#usage, read
2026-11).

`input_tokens` excludes cache reads and writes; our `prompt_tokens` includes them. What else decides
the price is passed on unchanged: `server_tool_use` (the uses of Anthropic's own tools), `speed`
(which has its own prices), and `iterations` if one of them is not a part of the answer (such as a
compaction, whose tokens no other count includes).
"""

from __future__ import annotations

from typing import Final

from native_api.dialects.shared.token_counts import build_usage, join_counts, read_count
from native_api.types import Json, Usage

OUTPUT_COUNTS: Final = frozenset({"output_tokens", "output_tokens_details", "server_tool_use"})
INPUT_COUNTS: Final = (
    "input_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "cache_creation",
)

SERVICE_TIERS: Final = {"standard": "default", "priority": "priority"}
"""Anthropic's name of a service tier -> OpenAI's. Strict clients accept no other names."""


def update_counts(earlier: Json, later: Json) -> Json:
    """The counts after the stream reported `later` (see `shared.token_counts`).

    If `iterations` says that the model ran more than once, the input counts of the last run replace
    those of the first run, which `message_start` reported: the first run is in `iterations`, and
    zeros among the new counts are true.
    """
    if _has_other_runs(later) and any(read_count(later, name) for name in INPUT_COUNTS):
        earlier = {name: value for name, value in earlier.items() if name not in INPUT_COUNTS}
    return join_counts(earlier, later, OUTPUT_COUNTS)


def read_usage(counts: Json) -> Usage | None:
    """The usage in a reply's counts; None if they contain none."""
    if "input_tokens" not in counts and "output_tokens" not in counts:
        return None
    cached = read_count(counts, "cache_read_input_tokens")
    written = read_count(counts, "cache_creation_input_tokens")
    usage = build_usage(
        read_count(counts, "input_tokens") + cached + written, read_count(counts, "output_tokens")
    )
    usage["prompt_tokens_details"] = {"cached_tokens": cached, "cache_write_tokens": written}
    written_for_an_hour = read_count(counts.get("cache_creation"), "ephemeral_1h_input_tokens")
    if written_for_an_hour:
        usage["prompt_tokens_details"]["cache_write_1h_tokens"] = written_for_an_hour
    details = counts.get("output_tokens_details")
    if isinstance(details, dict) and details.get("thinking_tokens") is not None:
        reasoning = read_count(details, "thinking_tokens")
        usage["completion_tokens_details"] = {"reasoning_tokens": reasoning}
    _add_price_members(counts, usage)
    return usage


def _add_price_members(counts: Json, usage: Usage) -> None:
    uses = counts.get("server_tool_use")
    if isinstance(uses, dict) and any(uses.values()):
        usage["server_tool_use"] = {name: value for name, value in uses.items() if value}
    if isinstance(counts.get("speed"), str):
        usage["speed"] = counts["speed"]
    if _has_other_runs(counts):
        usage["iterations"] = counts["iterations"]


def _has_other_runs(counts: Json) -> bool:
    """Whether the model ran for something that is not a part of the answer."""
    iterations = counts.get("iterations")
    return isinstance(iterations, list) and any(
        isinstance(item, dict) and item.get("type") != "message" for item in iterations
    )


def read_service_tier(counts: Json) -> str | None:
    """The service tier of the reply, which decides its price; None if the reply does not name
    it."""
    return SERVICE_TIERS.get(str(counts.get("service_tier")))
