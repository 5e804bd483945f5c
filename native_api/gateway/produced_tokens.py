"""What a model has written, in tokens: an estimate from the deltas of its answer, and which of that
and the provider's counts holds.

Lengths are added up with each delta, and made into tokens once, at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from native_api.pricing.tables import count_of
from native_api.types import Json, Usage
from native_api.usage.tokens import tokens_of_lengths

IMAGE_TOKENS: Final = 1290
"""Gemini's count for an image of up to 1024x1024 that it made
(https://ai.google.dev/gemini-api/docs/pricing, read 2026-11)."""

AUDIO_BYTES_A_TOKEN: Final = 3200
"""Base64 bytes: a twentieth of a second of 24 kHz PCM, which OpenAI counts as a token that it spoke
(https://platform.openai.com/docs/guides/realtime-costs, read 2026-11)."""
COMPRESSED_AUDIO_BYTES_A_TOKEN: Final = 500
COMPRESSED: Final = frozenset({"mp3", "opus", "aac", "flac"})

PLACEHOLDER: Final = 10
"""Times that the estimate of what was written may exceed the provider's count for a whole answer. A
smaller count is a placeholder, such as the 1 of `message_start` from servers that never tell the
final one. Tokenizers need no more than 40 bytes a token for any usual text."""

ROUNDING: Final = 2
"""Tokens that the estimate of a single word may be too high by."""

NOT_WRITTEN: Final = frozenset(
    {
        "type", "id", "call_id", "item_id", "tool_use_id", "mimeType", "result",
        "signature", "thoughtSignature", "encrypted_content", "encrypted_index",
        "groundingMetadata", "urlContextMetadata", "citationMetadata", "trace", "additionalModelResponseFields",
    }
)  # fmt: skip
"""Members of a provider's blocks that a model did not write as tokens."""

FILES: Final = frozenset({"data", "bytes"})
"""Members that hold a file."""

OF_A_MEMBER: Final = 8
"""Characters of JSON around a name and its value."""


class Text:
    """The length of a text that comes in pieces."""

    __slots__ = ("beyond", "length")

    def __init__(self) -> None:
        self.length = self.beyond = 0

    def add(self, piece: Any) -> None:
        """Anything but text counts nothing."""
        if isinstance(piece, str):
            self.length += len(piece)
            if not piece.isascii():
                self.beyond += len(piece.encode("utf-8", "surrogatepass")) - len(piece)

    @property
    def tokens(self) -> int:
        return tokens_of_lengths(self.length, self.beyond)


class Produced:
    """Counts an answer, all its choices together. `audio_format` is the one that was asked for."""

    __slots__ = (
        "_audio_bytes",
        "_audio_bytes_a_token",
        "_blocks",
        "_images",
        "_text",
        "_texts",
        "_thought",
    )

    def __init__(self, audio_format: str = "") -> None:
        self._text, self._thought, self._blocks = Text(), Text(), Text()
        self._audio_bytes = self._images = 0
        self._audio_bytes_a_token = (
            COMPRESSED_AUDIO_BYTES_A_TOKEN if audio_format in COMPRESSED else AUDIO_BYTES_A_TOKEN
        )
        self._texts = {
            "content": self._text.add,
            "reasoning_content": self._thought.add,
            "refusal": self._text.add,
        }

    def add(self, delta: Mapping[str, Any]) -> None:
        """Count a delta, or a whole message. Never raises for one of a dialect's."""
        texts = self._texts
        for name, value in delta.items():
            if name in texts:
                texts[name](value)
            elif value and name in OTHERS:
                OTHERS[name](self, value)

    def _call(self, calls: Iterable[Json]) -> None:
        for call in calls:
            for words in (call.get("function") or call.get("custom") or {}).values():
                self._text.add(words)

    def _speak(self, audio: Any) -> None:
        if isinstance(audio, dict):
            self._text.add(audio.get("transcript"))
            if isinstance(audio.get("data"), str):
                self._audio_bytes += len(audio["data"])

    def _draw(self, images: Any) -> None:
        self._images += len(images) if isinstance(images, list) else 0

    def _keep(self, items: Iterable[Json]) -> None:
        """Blocks of the provider's own: calls of its tools, code, and the results that the model
        went on with."""
        waiting: list[Any] = [item.get("block") for item in items]
        while waiting:
            value = waiting.pop()
            if isinstance(value, str):
                self._blocks.add(value)
            elif isinstance(value, list):
                waiting += value
            elif isinstance(value, dict):
                waiting += [
                    member for name, member in value.items() if self._is_written(name, member)
                ]

    def _is_written(self, name: str, member: Any) -> bool:
        if name in NOT_WRITTEN:
            return False
        if name in FILES and isinstance(member, str):
            self._images += 1
            return False
        self._blocks.length += len(name) + OF_A_MEMBER
        return True

    @property
    def written(self) -> int:
        """Tokens of what is the model's own words for certain."""
        return self._text.tokens + self._thought.tokens

    @property
    def tokens(self) -> int:
        return self.written + self._blocks.tokens + sum(self._files().values())

    def details(self) -> Json:
        """The parts of `tokens` that have prices of their own."""
        parts = {"reasoning_tokens": self._thought.tokens, **self._files()}
        return {name: count for name, count in parts.items() if count}

    def _files(self) -> dict[str, int]:
        return {
            "audio_tokens": -(-self._audio_bytes // self._audio_bytes_a_token),
            "image_tokens": self._images * IMAGE_TOKENS,
        }


OTHERS: Final[Mapping[str, Callable[[Produced, Any], None]]] = {
    "tool_calls": Produced._call,
    "audio": Produced._speak,
    "images": Produced._draw,
    "provider_content": Produced._keep,
}
"""Members of a delta that are not text. `reasoning_details` repeat `reasoning_content`; annotations
are about the text."""


def counted(
    told: Usage | None, produced: Produced, sent: Callable[[], int], is_whole: bool
) -> tuple[Usage, bool]:
    """The usage that counts for an answer, and whether any of it is an estimate. `sent` estimates
    the prompt.

    The provider is believed about an answer that is whole, unless it counts nothing, or next to
    nothing, for words that are there. Of an answer that is not whole the larger of what was told
    and what was produced counts: what is told on the way is behind.
    """
    usage: Any = dict(told or {})
    prompt, completion, total = (
        count_of(usage.get(name)) for name in ("prompt_tokens", "completion_tokens", "total_tokens")
    )
    read, written = prompt or sent(), completion
    if not (is_whole and (prompt or completion) and _is_believable(completion, produced)):
        written = max(completion, produced.tokens)
    usage |= {
        "prompt_tokens": read,
        "completion_tokens": written,
        "total_tokens": max(total, read + written),
    }
    is_estimate = told is None or (read, written) != (prompt, completion)
    if is_estimate:
        usage.pop("billed_units", None)  # what is charged is what is estimated
    if written != completion:
        _add_details(usage, produced.details())
    return usage, is_estimate


def _is_believable(completion: int, produced: Produced) -> bool:
    estimate = produced.written if completion else produced.tokens
    return estimate <= completion * PLACEHOLDER + ROUNDING


def _add_details(usage: Json, estimates: Json) -> None:
    told = usage.get("completion_tokens_details")
    told = told if isinstance(told, dict) else {}
    details = {
        **told,
        **{name: max(count_of(told.get(name)), count) for name, count in estimates.items()},
    }
    if details:
        usage["completion_tokens_details"] = details
