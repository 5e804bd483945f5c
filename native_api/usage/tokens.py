"""Estimates of token counts, for where a provider tells none. No tokenizer: within a third of the truth, at memory speed.

Rules, from the published tokenizers' averages:
1. About four bytes of UTF-8 are a token, and about one CJK character is. Both come out of two lengths: bytes beyond the
   number of characters are there in pairs for each CJK character.
2. A message costs a few tokens for its frame, a tool the length of its JSON, an image a constant, whatever its size.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import orjson

from native_api.types import ChatRequest, Json

MESSAGE_TOKENS: Final = 4
"""Role, separators and, once for the request, the opening of the answer."""

IMAGE_TOKENS: Final = 765
"""OpenAI's count for a 1024x1024 image (https://platform.openai.com/docs/guides/images-vision, read 2026-11)."""

LOW_DETAIL_IMAGE_TOKENS: Final = 85

AUDIO_BYTES_A_TOKEN: Final = {"wav": 6400}
"""Base64 bytes: a tenth of a second of 24 kHz PCM. Other formats are compressed about six times."""
COMPRESSED_AUDIO_BYTES_A_TOKEN: Final = 1000

FILE_TOKENS: Final = 1500
"""The least a document costs, about one page of text with its picture."""
FILE_BYTES_A_TOKEN: Final = 100


def text_tokens(text: str) -> int:
    """An estimate for one text, rounded up; 0 for the empty one."""
    if text.isascii():
        return -(-len(text) // 4)
    return tokens_of_lengths(len(text), len(text.encode("utf-8", "surrogatepass")) - len(text))


def tokens_of_lengths(characters: int, bytes_beyond: int) -> int:
    """The same for a text of which only lengths are known; `bytes_beyond` are those of its UTF-8 beyond one a character."""
    wide = -(-bytes_beyond // 2)
    return wide + -(-max(0, characters - wide) // 4)


def prompt_tokens(chat: ChatRequest) -> int:
    """An estimate for everything in `chat` that the model reads. Never raises for a checked request."""
    total = MESSAGE_TOKENS + sum(_message_tokens(message) for message in chat.get("messages") or ())
    for extra in (chat.get("tools"), chat.get("response_format")):
        total += _json_tokens(extra) if extra else 0
    return total


def _message_tokens(message: Any) -> int:
    total = MESSAGE_TOKENS + _text_or_nothing(message.get("name")) + _text_or_nothing(message.get("reasoning_content"))
    content = message.get("content")
    if isinstance(content, str):
        total += text_tokens(content)
    else:
        total += sum(_part_tokens(part) for part in content or ())
    if message.get("tool_calls"):
        total += _json_tokens([call.get("function") or call.get("custom") for call in message["tool_calls"]])
    return total


def _part_tokens(part: Json) -> int:
    count = PARTS.get(part.get("type") or "")
    return count(part) if count else 0


def _text(part: Json) -> int:
    return _text_or_nothing(part.get("text") or part.get("refusal"))


def _image(part: Json) -> int:
    image = part.get("image_url")
    low = isinstance(image, dict) and image.get("detail") == "low"
    return LOW_DETAIL_IMAGE_TOKENS if low else IMAGE_TOKENS


def _audio(part: Json) -> int:
    audio = part.get("input_audio") or {}
    return -(-len(audio.get("data") or "") // AUDIO_BYTES_A_TOKEN.get(audio.get("format") or "", COMPRESSED_AUDIO_BYTES_A_TOKEN))


def _file(part: Json) -> int:
    return max(FILE_TOKENS, len((part.get("file") or {}).get("file_data") or "") // FILE_BYTES_A_TOKEN)


PARTS: Final[dict[str, Callable[[Json], int]]] = {
    "text": _text,
    "refusal": _text,
    "image_url": _image,
    "input_audio": _audio,
    "file": _file,
}


def _text_or_nothing(value: Any) -> int:
    return text_tokens(value) if isinstance(value, str) else 0


def _json_tokens(value: Any) -> int:
    return text_tokens(orjson.dumps(value, default=str).decode())
