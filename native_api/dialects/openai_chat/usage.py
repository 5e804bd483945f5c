"""Token counts of the family's servers, which tell cached and reasoning tokens in a dozen places.
What else they tell stays.

Sources, read 2026-11: https://api-docs.deepseek.com/guides/kv_cache (hit and miss tokens),
https://docs.mistral.ai/api (`num_cached_tokens`), https://platform.moonshot.ai/docs/api/chat
(`cached_tokens`, and usage inside a choice), https://console.groq.com/docs/api-reference
(`x_groq`), https://docs.perplexity.ai/api-reference (`reasoning_tokens` at the top),
https://docs.x.ai/docs/models (reasoning beside the completion),
https://ai.google.dev/gemini-api/docs/openai (only in the total).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from native_api.dialects.shared.token_counts import build_usage, read_count
from native_api.types import Json, Usage

CACHED: Final = (
    "prompt_cache_hit_tokens",
    "num_cached_tokens",
    "cached_tokens",
    "cache_read_input_tokens",
)
WRITTEN: Final = ("cache_creation_input_tokens",)
COUNTS: Final = ("prompt_tokens", "completion_tokens", "total_tokens")


TIERS: Final = {"on_demand": "default", "standard": "default", "on-demand": "default"}
KNOWN_TIERS: Final = frozenset({"auto", "default", "flex", "scale", "priority", "fast"})


def read_service_tier(body: Mapping[str, Any]) -> Json:
    """The tier that served the reply, by OpenAI's name for it where it has one; a vendor's own word
    stands beside."""
    told = body.get("service_tier")
    if told is None or told in KNOWN_TIERS:
        return {}
    return {"service_tier": TIERS.get(str(told)), "native_service_tier": told}


def read_usage(body: Mapping[str, Any]) -> Usage | None:
    """The usage told in a reply or chunk, None where there is none."""
    told = _told(body)
    if told is None:
        return None
    prompt, completion, total = (read_count(told, name) for name in COUNTS)
    of_prompt, of_completion = (
        _details(told, "prompt_tokens_details"),
        _details(told, "completion_tokens_details"),
    )
    _first(told, CACHED, of_prompt, "cached_tokens")
    _first(told, WRITTEN, of_prompt, "cache_write_tokens")
    _first(told, ("reasoning_tokens",), of_completion, "reasoning_tokens")
    completion += _apart(prompt, completion, total, of_completion)
    usage: Json = {**told, **build_usage(prompt, completion, total)}
    for name, details in (
        ("prompt_tokens_details", of_prompt),
        ("completion_tokens_details", of_completion),
    ):
        usage.pop(name, None)
        if details:
            usage[name] = details
    counted: Any = usage
    unified: Usage = counted
    return unified


def _told(body: Mapping[str, Any]) -> Json | None:
    """The first usage with a count above 0, else the first one."""
    usual = body.get("usage")
    if isinstance(usual, dict) and read_count(usual, "prompt_tokens"):
        return usual
    inside = [
        choice.get("usage") for choice in body.get("choices") or () if isinstance(choice, dict)
    ]
    places = (usual, (body.get("x_groq") or {}).get("usage"), *inside)
    found = [
        usage
        for usage in places
        if isinstance(usage, dict) and any(usage.get(name) is not None for name in COUNTS)
    ]
    return next(
        (usage for usage in found if any(read_count(usage, name) for name in COUNTS)),
        found[0] if found else None,
    )


def _details(told: Json, name: str) -> Json:
    details = told.get(name)
    return (
        {key: value for key, value in details.items() if value is not None}
        if isinstance(details, dict)
        else {}
    )


def _first(told: Json, names: tuple[str, ...], details: Json, name: str) -> None:
    """The count under another name, where the details do not have it."""
    if details.get(name):
        return
    for other in names:
        if told.get(other):
            details[name] = read_count(told, other)
            return


def _apart(prompt: int, completion: int, total: int, details: Json) -> int:
    """Reasoning tokens that the total has and the completion has not (xAI; Gemini, which does not
    tell them at all)."""
    missing = total - prompt - completion
    if missing <= 0 or details.get("reasoning_tokens", missing) != missing:
        return 0
    details["reasoning_tokens"] = missing
    return missing
