"""How many tokens an answer is taken for, whatever is in it, and which count holds: the provider's
or the estimate."""

from __future__ import annotations

from typing import Any

import pytest

from native_api.gateway.produced_tokens import (
    IMAGE_TOKENS,
    MAX_ESTIMATE_FACTOR,
    ProducedTokens,
    resolve_usage,
)
from native_api.types import Usage
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
def test_all_that_a_model_writes_counts(delta: Any) -> None:
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
def test_blocks_of_a_providers_own_count_by_their_words(block: Any) -> None:
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
def test_what_a_model_did_not_write_does_not_count(block: Any) -> None:
    assert tokens_of({"provider_content": [{"block": block}]}) < 15


def test_images_count_the_same_whatever_their_size() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 10**6}}
    assert tokens_of({"images": [image, image]}) == 2 * IMAGE_TOKENS
    thought_up = {"inlineData": {"mimeType": "image/png", "data": "A" * 10**6}}
    assert (
        IMAGE_TOKENS <= tokens_of({"provider_content": [{"block": thought_up}]}) < IMAGE_TOKENS + 10
    )


def test_compressed_sound_counts_for_more() -> None:
    sound = {"audio": {"data": "A" * 320_000}}
    assert tokens_of(sound) < tokens_of(sound, audio_format="mp3")


def test_pieces_count_as_much_as_the_whole() -> None:
    assert tokens_of(*[{"content": piece} for piece in WORDS]) == tokens_of({"content": WORDS})


@pytest.mark.parametrize("nonsense", [5, True, "x" * 40, ["x"], {"x": 1}, [None], None])
def test_servers_that_send_nonsense_are_counted_too(nonsense: Any) -> None:
    assert (
        tokens_of({"content": nonsense, "refusal": nonsense, "audio": nonsense, "images": nonsense})
        >= 0
    )


def test_blocks_nested_without_bottom_count() -> None:
    block: Any = WORDS
    for _ in range(5000):
        block = [block]
    assert tokens_of({"provider_content": [{"block": block}]}) == 100


# --- which count holds ---------------------------------------------------------------------------------------------


def result(
    told: Usage | None, words: int, is_whole: bool = True, sent: int = 40
) -> tuple[int, int, int, bool]:
    """Prompt, completion, total, and whether there is an estimate in them. `words` are tokens that
    were produced."""
    produced = ProducedTokens()
    produced.add({"content": "word" * words})
    usage, is_estimate = resolve_usage(told, produced, lambda: sent, is_whole)
    return usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"], is_estimate


@pytest.mark.parametrize(
    ("told", "words", "expected"),
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
def test_a_provider_is_believed_about_a_whole_answer_unless_it_counts_nothing(
    told: Any, words: int, expected: Any
) -> None:
    assert result(told, words) == expected


@pytest.mark.parametrize(
    ("told", "words", "expected"),
    [
        (None, 100, (40, 100, 140, True)),
        (make_usage(9, 1), 2000, (9, 2000, 2009, True)),
        (make_usage(9, 100), 130, (9, 130, 139, True)),
        (make_usage(9, 130), 100, (9, 130, 139, False)),
        (make_usage(0, 130), 100, (40, 130, 170, True)),
    ],
)
def test_of_a_broken_answer_the_larger_count_holds(told: Any, words: int, expected: Any) -> None:
    assert result(told, words, is_whole=False) == expected


@pytest.mark.parametrize("nonsense", [-5, "12", 2**60, float("nan"), None, [1]])
@pytest.mark.parametrize("is_whole", [True, False])
def test_nonsense_is_as_good_as_nothing(nonsense: Any, is_whole: bool) -> None:
    told: Any = {"prompt_tokens": nonsense, "completion_tokens": nonsense, "total_tokens": nonsense}
    assert result(told, 100, is_whole) == (40, 100, 140, True)


def test_a_total_is_at_least_the_sum_and_stays_where_it_is_more() -> None:
    assert result({**make_usage(9, 3), "total_tokens": 4}, 3)[2] == 12
    assert result({**make_usage(9, 3), "total_tokens": 40}, 3)[2] == 40


def test_estimates_of_what_has_prices_of_its_own_are_told_apart() -> None:
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


def test_what_is_believed_is_left_as_it_was_told() -> None:
    told: Any = {
        **make_usage(9, 100, cached=4, reasoning=30),
        "billed_units": {"input_tokens": 3, "output_tokens": 5},
        "cost": 0.1,
    }
    before = {**told}
    assert resolve_usage(told, ProducedTokens(), lambda: 40, False)[0] == told == before
