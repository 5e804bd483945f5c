"""Estimates are close to the counts of the large providers' tokenizers, and cheap."""

from __future__ import annotations

from typing import Any

import pytest

from native_api.usage.media_tokens import IMAGE_TOKENS, LOW_DETAIL_IMAGE_TOKENS
from native_api.usage.tokens import (
    MESSAGE_TOKENS,
    prompt_tokens,
    text_tokens,
)
from tests.dialects.work_counter import count_calls


@pytest.mark.parametrize(
    ("text", "minimum", "maximum"),
    [
        ("", 0, 0),
        ("a", 1, 1),
        ("The quick brown fox jumps over the lazy dog.", 9, 13),
        ("Größe und Gewicht sind beliebig wählbar.", 9, 16),
        ("敏捷的棕色狐狸跳过了懒狗", 9, 14),
        ("いろはにほへとちりぬるを", 9, 14),
        ("Съешь же ещё этих мягких французских булок", 11, 28),
        ("🙂🙂🙂", 3, 9),
        ("\ud800", 1, 2),
    ],
)
def test_a_text_counts_about_as_many_tokens_as_tokenizers_count(
    text: str, minimum: int, maximum: int
) -> None:
    assert minimum <= text_tokens(text) <= maximum


def chat(*messages: dict[str, Any], **fields: Any) -> Any:
    return {"model": "m", "messages": list(messages), **fields}


def test_a_prompt_counts_messages_and_their_frames() -> None:
    one = prompt_tokens(chat({"role": "user", "content": "x" * 400}))
    assert one == 100 + 2 * MESSAGE_TOKENS
    assert (
        prompt_tokens(chat({"role": "user", "content": [{"type": "text", "text": "x" * 400}]}))
        == one
    )


def test_an_image_of_any_size_counts_the_same() -> None:
    def with_image(**image: Any) -> int:
        return prompt_tokens(
            chat({"role": "user", "content": [{"type": "image_url", "image_url": image}]})
        )

    frame = 2 * MESSAGE_TOKENS
    assert (
        IMAGE_TOKENS + frame
        <= with_image(url="data:image/png;base64," + "A" * 10**6)
        <= IMAGE_TOKENS + 2 * frame
    )
    assert (
        LOW_DETAIL_IMAGE_TOKENS + frame
        <= with_image(url="https://a.example/b.png", detail="low")
        <= LOW_DETAIL_IMAGE_TOKENS + 2 * frame
    )


def test_tools_schemas_calls_audio_and_files_count() -> None:
    bare = prompt_tokens(chat({"role": "user", "content": ""}))
    parts = [
        {"type": "input_audio", "input_audio": {"data": "A" * 64000, "format": "wav"}},
        {"type": "file", "file": {"file_id": "f"}},
    ]
    call = {
        "id": "c",
        "type": "function",
        "function": {"name": "f", "arguments": '{"a": "' + "x" * 400 + '"}'},
    }
    assert prompt_tokens(chat({"role": "user", "content": parts})) >= bare + 10
    assert (
        prompt_tokens(chat({"role": "assistant", "content": None, "tool_calls": [call]}))
        >= bare + 100
    )
    assert (
        prompt_tokens(
            chat(
                {"role": "user", "content": ""},
                tools=[{"type": "function", "function": {"name": "x" * 400}}],
            )
        )
        >= bare + 100
    )
    assert (
        prompt_tokens(
            chat(
                {"role": "user", "content": ""},
                response_format={"type": "json_schema", "x": "x" * 400},
            )
        )
        >= bare + 100
    )


def test_a_megabyte_takes_no_more_calls_than_a_word() -> None:
    calls = count_calls(lambda: text_tokens("hello wörld 汉字 "))
    assert count_calls(lambda: text_tokens("hello wörld 汉字 " * 50_000)) == calls
