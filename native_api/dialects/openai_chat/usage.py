"""Token counts of the family's servers, which report cached and reasoning tokens in many places.
Other members of a usage are passed on.

Sources, read 2026-11: https://api-docs.deepseek.com/guides/kv_cache (hit and miss tokens),
https://docs.mistral.ai/api (`num_cached_tokens`), https://platform.moonshot.ai/docs/api/chat
(`cached_tokens`, and usage inside a choice), https://console.groq.com/docs/api-reference
(`x_groq`), https://docs.perplexity.ai/api-reference (`reasoning_tokens` at the top),
https://docs.x.ai/docs/models (reasoning is not part of the completion),
https://ai.google.dev/gemini-api/docs/openai (reasoning is only part of the total),
https://docs.mistral.ai/capabilities/audio (sound is only part of the total).
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
CACHE_WRITES: Final = ("cache_creation_input_tokens",)
COUNTS: Final = ("prompt_tokens", "completion_tokens", "total_tokens")


def read_usage(body: Mapping[str, Any]) -> Usage | None:
    """The usage in a reply or chunk, None if there is none."""
    counts = _find_counts(body)
    if counts is None:
        return None
    prompt, completion, total = (read_count(counts, name) for name in COUNTS)
    prompt_details = _read_details(counts, "prompt_tokens_details")
    completion_details = _read_details(counts, "completion_tokens_details")
    _add_detail(counts, CACHED, prompt_details, "cached_tokens")
    _add_detail(counts, CACHE_WRITES, prompt_details, "cache_write_tokens")
    _add_detail(counts, ("reasoning_tokens",), completion_details, "reasoning_tokens")
    missing = max(0, total - prompt - completion)
    if completion_details.get("reasoning_tokens") != missing and _is_prompt_part(
        missing, prompt, prompt_details
    ):
        prompt += missing
    else:
        completion += _read_uncounted_reasoning(missing, completion_details)
    usage: Json = {**counts, **build_usage(prompt, completion, total)}
    for name, details in (
        ("prompt_tokens_details", prompt_details),
        ("completion_tokens_details", completion_details),
    ):
        usage.pop(name, None)
        if details:
            usage[name] = details
    unified: Any = usage
    result: Usage = unified
    return result


def _find_counts(body: Mapping[str, Any]) -> Json | None:
    """The first usage with a count above 0, else the first one."""
    usual = body.get("usage")
    if isinstance(usual, dict) and read_count(usual, "prompt_tokens"):
        return usual
    in_choices = [
        choice.get("usage") for choice in body.get("choices") or () if isinstance(choice, dict)
    ]
    candidates = [
        usage
        for usage in (usual, (body.get("x_groq") or {}).get("usage"), *in_choices)
        if isinstance(usage, dict) and any(usage.get(name) is not None for name in COUNTS)
    ]
    return next(
        (usage for usage in candidates if any(read_count(usage, name) for name in COUNTS)),
        candidates[0] if candidates else None,
    )


def _read_details(counts: Json, name: str) -> Json:
    details = counts.get(name)
    if not isinstance(details, dict):
        return {}
    return {key: value for key, value in details.items() if value is not None}


def _add_detail(counts: Json, names: tuple[str, ...], details: Json, name: str) -> None:
    """Add a count that a vendor reports under another name, if the details do not have it."""
    if details.get(name):
        return
    for other in names:
        if counts.get(other):
            details[name] = read_count(counts, other)
            return


MEDIA_COUNTS: Final = ("audio_tokens", "image_tokens", "video_tokens")
CACHE_COUNTS: Final = ("cached_tokens", "cache_write_tokens")


def _is_prompt_part(missing: int, prompt: int, details: Json) -> bool:
    """Whether tokens that are only part of the total are those of the prompt's media, or of a cache
    that is larger than the prompt.

    Mistral counts sound beside `prompt_tokens` (voxtral, recorded 2026-08).
    """
    media = [read_count(details, name) for name in MEDIA_COUNTS]
    cache = [read_count(details, name) for name in CACHE_COUNTS]
    return missing in (*media, sum(media)) or (missing > prompt and missing in (*cache, sum(cache)))


def _read_uncounted_reasoning(missing: int, details: Json) -> int:
    """Reasoning tokens that are part of the total, but not of the completion.

    xAI reports them in the details; Gemini does not report them at all.
    """
    if not missing or details.get("reasoning_tokens", missing) != missing:
        return 0
    details["reasoning_tokens"] = missing
    return missing
