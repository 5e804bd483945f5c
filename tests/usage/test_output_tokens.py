"""Estimates of the tokens of an answer, and when the provider's counts are used instead."""

from __future__ import annotations

from typing import Any

import pytest

from native_api.types import Usage
from native_api.usage.output_tokens import (
    IMAGE_TOKENS,
    MAX_ESTIMATE_FACTOR,
    ProducedTokens,
    resolve_usage,
)
from tests.usage.usage_factory import make_usage

WORDS = "word " * 80
"""100 tokens."""


def tokens_of(*deltas: Any, audio_format: str = "") -> int:
    produced = ProducedTokens(audio_format)
    for delta in deltas:
        produced.add(delta)
    return produced.tokens


@pytest.mark.parametrize(
    "delta",
    [
        {"content": WORDS},
        {"reasoning_content": WORDS},
        {"refusal": WORDS},
        {"content": "晴" * 100},
        {"audio": {"transcript": WORDS}},
        {"audio": {"id": "a", "data": "A" * 320_000, "expires_at": 5}},
        {
            "tool_calls": [
                {
                    "index": 0,
                    "id": "c",
                    "type": "function",
                    "function": {"name": "", "arguments": WORDS},
                }
            ]
        },
        {
            "tool_calls": [
                {"index": 0, "id": "c", "type": "custom", "custom": {"name": "", "input": WORDS}}
            ]
        },
        {
            "role": "assistant",
            "content": WORDS,
            "reasoning_details": [{"text": WORDS, "signature": WORDS}],
            "annotations": [{"a": WORDS}],
        },
    ],
)
def test_everything_that_a_model_writes_counts(delta: Any) -> None:
    assert tokens_of(delta) == 100
    assert tokens_of(delta, delta, delta) == 300


@pytest.mark.parametrize(
    "block",
    [
        {
            "type": "server_tool_use",
            "id": "srv_1",
            "name": "code_execution",
            "input": {"code": WORDS},
        },
        {"executableCode": {"language": "PYTHON", "code": WORDS}},
        {"type": "mcp_call", "arguments": WORDS},
        {"unsaid": [WORDS]},
        {"new": {"in": [{"its": [{"own": [{"words": WORDS}]}]}]}},
    ],
)
def test_provider_blocks_count_by_their_text(block: Any) -> None:
    assert (
        100 <= tokens_of({"provider_content": [{"format": "w", "index": 0, "block": block}]}) <= 125
    )


@pytest.mark.parametrize(
    "block",
    [
        {"signature": WORDS},
        {
            "type": "web_search_tool_result",
            "content": [{"type": "web_search_result", "encrypted_content": WORDS}],
        },
        {"groundingMetadata": {"searchEntryPoint": WORDS}},
        {"type": "compaction", "id": "c", "encrypted_content": WORDS},
    ],
)
def test_members_that_the_model_did_not_write_do_not_count(block: Any) -> None:
    assert tokens_of({"provider_content": [{"block": block}]}) < 15


def test_images_of_any_size_count_the_same() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 10**6}}
    assert tokens_of({"images": [image, image]}) == 2 * IMAGE_TOKENS
    image_in_block = {"inlineData": {"mimeType": "image/png", "data": "A" * 10**6}}
    assert (
        IMAGE_TOKENS
        <= tokens_of({"provider_content": [{"block": image_in_block}]})
        < IMAGE_TOKENS + 10
    )


def test_compressed_audio_counts_more() -> None:
    audio = {"audio": {"data": "A" * 320_000}}
    assert tokens_of(audio) < tokens_of(audio, audio_format="mp3")


def test_pieces_count_as_much_as_the_whole_text() -> None:
    assert tokens_of(*[{"content": piece} for piece in WORDS]) == tokens_of({"content": WORDS})


@pytest.mark.parametrize("invalid", [5, True, "x" * 40, ["x"], {"x": 1}, [None], None])
def test_values_of_the_wrong_type_do_not_raise(invalid: Any) -> None:
    assert (
        tokens_of({"content": invalid, "refusal": invalid, "audio": invalid, "images": invalid})
        >= 0
    )


def test_deeply_nested_blocks_count() -> None:
    block: Any = WORDS
    for _ in range(5000):
        block = [block]
    assert tokens_of({"provider_content": [{"block": block}]}) == 100


# --- which count is used -------------------------------------------------------------------------


def resolve(
    reported: Usage | None, words: int, is_complete: bool = True, prompt: int = 40
) -> tuple[int, int, int, bool]:
    """Prompt, completion, total, and whether they contain an estimate.

    `words` is the number of produced tokens.
    """
    produced = ProducedTokens()
    produced.add({"content": "word" * words})
    usage, is_estimate = resolve_usage(reported, produced, lambda: prompt, is_complete)
    return usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"], is_estimate


@pytest.mark.parametrize(
    ("reported", "words", "expected"),
    [
        (make_usage(9, 100), 130, (9, 100, 109, False)),
        (make_usage(9, 100), 70, (9, 100, 109, False)),
        (None, 100, (40, 100, 140, True)),
        (None, 0, (40, 0, 40, True)),
        (make_usage(0, 0), 100, (40, 100, 140, True)),
        (make_usage(0, 0), 1, (40, 1, 41, True)),
        (make_usage(9, 0), 100, (9, 100, 109, True)),
        (make_usage(9, 0), 0, (9, 0, 9, False)),
        (make_usage(0, 100), 100, (40, 100, 140, True)),
        (make_usage(9, 1), 2000, (9, 2000, 2009, True)),
        (make_usage(9, 100), 100 * MAX_ESTIMATE_FACTOR, (9, 100, 109, False)),
    ],
)
def test_counts_for_a_complete_answer_are_used_unless_they_are_placeholders(
    reported: Any, words: int, expected: Any
) -> None:
    assert resolve(reported, words) == expected


@pytest.mark.parametrize(
    ("reported", "words", "expected"),
    [
        (None, 100, (40, 100, 140, True)),
        (make_usage(9, 1), 2000, (9, 2000, 2009, True)),
        (make_usage(9, 100), 130, (9, 130, 139, True)),
        (make_usage(9, 130), 100, (9, 130, 139, False)),
        (make_usage(0, 130), 100, (40, 130, 170, True)),
    ],
)
def test_the_larger_count_is_used_for_an_incomplete_answer(
    reported: Any, words: int, expected: Any
) -> None:
    assert resolve(reported, words, is_complete=False) == expected


@pytest.mark.parametrize("invalid", [-5, "12", 2**60, float("nan"), None, [1]])
@pytest.mark.parametrize("is_complete", [True, False])
def test_invalid_counts_are_ignored(invalid: Any, is_complete: bool) -> None:
    reported: Any = {
        "prompt_tokens": invalid,
        "completion_tokens": invalid,
        "total_tokens": invalid,
    }
    assert resolve(reported, 100, is_complete) == (40, 100, 140, True)


def test_a_total_is_at_least_the_sum() -> None:
    assert resolve({**make_usage(9, 3), "total_tokens": 4}, 3)[2] == 12
    assert resolve({**make_usage(9, 3), "total_tokens": 40}, 3)[2] == 40


def test_estimates_contain_the_kinds_with_their_own_prices() -> None:
    produced = ProducedTokens()
    produced.add(
        {
            "content": WORDS,
            "reasoning_content": WORDS,
            "images": [{}],
            "audio": {"data": "A" * 32_000},
        }
    )
    usage, _ = resolve_usage(
        {**make_usage(9, 1, reasoning=30), "billed_units": {"output_tokens": 1}},
        produced,
        lambda: 40,
        False,
    )
    assert usage["completion_tokens"] == 100 + 100 + IMAGE_TOKENS + 10
    assert usage["completion_tokens_details"] == {
        "reasoning_tokens": 100,
        "image_tokens": IMAGE_TOKENS,
        "audio_tokens": 10,
    }
    assert "billed_units" not in usage, "an estimate is not what the provider bills"


def test_used_counts_are_not_changed() -> None:
    reported: Any = {
        **make_usage(9, 100, cached=4, reasoning=30),
        "billed_units": {"input_tokens": 3, "output_tokens": 5},
        "cost": 0.1,
    }
    before = {**reported}
    assert resolve_usage(reported, ProducedTokens(), lambda: 40, False)[0] == reported == before
