"""Tokens that are only part of the total: which count of the family's servers misses them."""

from __future__ import annotations

import json
from typing import Any

from native_api.dialects import DIALECTS
from native_api.types import Event
from tests.cases import each
from tests.dialects.reply_reading import make_target, read_reply

VOXTRAL = {
    "prompt_audio_seconds": 4, "prompt_tokens": 9, "total_tokens": 585, "completion_tokens": 201,
    "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 375},
}  # fmt: skip
"""Recorded at Mistral (voxtral-small), 2026-08."""


def read_counts(usage: Any) -> tuple[int, int, int, Any]:
    """Tokens of the prompt, of the completion, in total, and of reasoning."""
    message = {"role": "assistant", "content": "Hi"}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    counts = read_reply("openai", {"id": "x", "choices": [choice], "usage": usage})["usage"]
    reasoning = counts.get("completion_tokens_details", {}).get("reasoning_tokens")
    names = ("prompt_tokens", "completion_tokens", "total_tokens")
    return (*(counts[name] for name in names), reasoning)  # type: ignore[return-value]


def make_usage(prompt: int, completion: int, total: int, **details: Any) -> Any:
    reasoning = details.pop("reasoning_tokens", None)
    return {
        "prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": total,
        "prompt_tokens_details": details,
        **({} if reasoning is None else
           {"completion_tokens_details": {"reasoning_tokens": reasoning}}),
    }  # fmt: skip


@each("usage, expected", [
    (VOXTRAL, (384, 201, 585, None)),
    (make_usage(9, 5, 44, image_tokens=30), (39, 5, 44, None)),
    (make_usage(9, 5, 54, image_tokens=30, audio_tokens=10), (49, 5, 54, None)),
    # Anthropic's way of counting, behind a compatible endpoint.
    (make_usage(9, 5, 114, cached_tokens=100), (109, 5, 114, None)),
])  # fmt: skip
def test_media_and_cache_beside_the_prompt_are_input(usage: Any, expected: Any) -> None:
    assert read_counts(usage) == expected


@each("usage, expected", [
    # xAI: packages/xai of https://github.com/vercel/ai, recorded 2026-07.
    (make_usage(197, 1, 344, text_tokens=197, cached_tokens=192, reasoning_tokens=146),
     (197, 147, 344, 146)),
    (make_usage(197, 1, 344, audio_tokens=146, reasoning_tokens=146), (197, 147, 344, 146)),
    # Gemini's compatible endpoint does not report reasoning.
    (make_usage(9, 5, 34), (9, 25, 34, 20)),
    (make_usage(90, 5, 115, cached_tokens=20), (90, 25, 115, 20)),
    (make_usage(9, 5, 14, audio_tokens=3), (9, 5, 14, None)),
])  # fmt: skip
def test_what_else_is_missing_is_reasoning(usage: Any, expected: Any) -> None:
    assert read_counts(usage) == expected


def test_a_stream_counts_the_same() -> None:
    parser = DIALECTS["openai"].stream(make_target("openai"))
    for usage in (VOXTRAL, VOXTRAL):
        parser.feed(Event("", json.dumps({"id": "x", "choices": [], "usage": usage})))
    assert parser.usage
    assert (parser.usage["prompt_tokens"], parser.usage["completion_tokens"]) == (384, 201)
