"""What a model has produced, in tokens.

An estimate from the deltas of the answer, and the decision whether the provider's counts or the
estimate is used. Each delta only adds up lengths; they become tokens once, at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from native_api.dialects.shared.token_counts import read_count
from native_api.types import Json, Usage
from native_api.usage.tokens import tokens_of_lengths

IMAGE_TOKENS: Final = 1290
"""Gemini's count for an image of up to 1024x1024 that it made
(https://ai.google.dev/gemini-api/docs/pricing, read 2026-11)."""

AUDIO_BYTES_PER_TOKEN: Final = 3200
"""Base64 bytes: a twentieth of a second of 24 kHz PCM, which OpenAI counts as a token of spoken
output (https://platform.openai.com/docs/guides/realtime-costs, read 2026-11)."""
COMPRESSED_AUDIO_BYTES_PER_TOKEN: Final = 500
COMPRESSED_FORMATS: Final = frozenset({"mp3", "opus", "aac", "flac"})

MAX_ESTIMATE_FACTOR: Final = 10
"""How many times the estimate may exceed the provider's count for a complete answer. A smaller
count is a placeholder, such as the 1 in `message_start` from servers that never send the final
count. Tokenizers need no more than 40 bytes per token for any usual text."""

ROUNDING_TOKENS: Final = 2
"""The estimate of a single word may be too high by so many."""

NOT_WRITTEN: Final = frozenset(
    {
        "type", "id", "call_id", "item_id", "tool_use_id", "mimeType", "result",
        "signature", "thoughtSignature", "encrypted_content", "encrypted_index",
        "groundingMetadata", "urlContextMetadata", "citationMetadata", "trace",
        "additionalModelResponseFields",
    }
)  # fmt: skip
"""Members of a provider's blocks that the model did not write as tokens."""

FILE_MEMBERS: Final = frozenset({"data", "bytes"})
"""Members that contain a file."""

MEMBER_CHARACTERS: Final = 8
"""The characters of JSON around a name and its value."""


class TextLength:
    """The length of a text that arrives in pieces."""

    __slots__ = ("characters", "extra_bytes")

    def __init__(self) -> None:
        self.characters = self.extra_bytes = 0

    def add(self, piece: Any) -> None:
        """Anything but text counts nothing."""
        if isinstance(piece, str):
            self.characters += len(piece)
            if not piece.isascii():
                self.extra_bytes += len(piece.encode("utf-8", "surrogatepass")) - len(piece)

    @property
    def tokens(self) -> int:
        return tokens_of_lengths(self.characters, self.extra_bytes)


class ProducedTokens:
    """Counts an answer, all its choices together. `audio_format` is the requested one."""

    __slots__ = (
        "_audio_bytes",
        "_audio_bytes_per_token",
        "_blocks",
        "_images",
        "_reasoning",
        "_text",
        "_texts",
    )

    def __init__(self, audio_format: str = "") -> None:
        self._text, self._reasoning, self._blocks = TextLength(), TextLength(), TextLength()
        self._audio_bytes = self._images = 0
        self._audio_bytes_per_token = (
            COMPRESSED_AUDIO_BYTES_PER_TOKEN
            if audio_format in COMPRESSED_FORMATS
            else AUDIO_BYTES_PER_TOKEN
        )
        self._texts = {
            "content": self._text.add,
            "reasoning_content": self._reasoning.add,
            "refusal": self._text.add,
        }

    def add(self, delta: Mapping[str, Any]) -> None:
        """Count a delta, or a whole message. Never raises for one that a dialect made."""
        texts = self._texts
        for name, value in delta.items():
            if name in texts:
                texts[name](value)
            elif value and name in OTHER_MEMBERS:
                OTHER_MEMBERS[name](self, value)

    def _add_tool_calls(self, calls: Iterable[Json]) -> None:
        for call in calls:
            for text in (call.get("function") or call.get("custom") or {}).values():
                self._text.add(text)

    def _add_audio(self, audio: Any) -> None:
        if isinstance(audio, dict):
            self._text.add(audio.get("transcript"))
            if isinstance(audio.get("data"), str):
                self._audio_bytes += len(audio["data"])

    def _add_images(self, images: Any) -> None:
        self._images += len(images) if isinstance(images, list) else 0

    def _add_blocks(self, items: Iterable[Json]) -> None:
        """Provider blocks: calls of its tools, code, and the results that the model read."""
        nodes: list[Any] = [item.get("block") for item in items]
        while nodes:
            node = nodes.pop()
            if isinstance(node, str):
                self._blocks.add(node)
            elif isinstance(node, list):
                nodes += node
            elif isinstance(node, dict):
                nodes += [value for name, value in node.items() if self._is_written(name, value)]

    def _is_written(self, name: str, value: Any) -> bool:
        """Whether the model wrote this member. Counts its name, or the image that it contains."""
        if name in NOT_WRITTEN:
            return False
        if name in FILE_MEMBERS and isinstance(value, str):
            self._images += 1
            return False
        self._blocks.characters += len(name) + MEMBER_CHARACTERS
        return True

    @property
    def text_tokens(self) -> int:
        """The tokens that are certainly the model's own text or reasoning."""
        return self._text.tokens + self._reasoning.tokens

    @property
    def tokens(self) -> int:
        return self.text_tokens + self._blocks.tokens + sum(self._file_tokens().values())

    def details(self) -> Json:
        """The parts of `tokens` that have their own prices."""
        parts = {"reasoning_tokens": self._reasoning.tokens, **self._file_tokens()}
        return {name: count for name, count in parts.items() if count}

    def _file_tokens(self) -> dict[str, int]:
        return {
            "audio_tokens": -(-self._audio_bytes // self._audio_bytes_per_token),
            "image_tokens": self._images * IMAGE_TOKENS,
        }


OTHER_MEMBERS: Final[Mapping[str, Callable[[ProducedTokens, Any], None]]] = {
    "tool_calls": ProducedTokens._add_tool_calls,
    "audio": ProducedTokens._add_audio,
    "images": ProducedTokens._add_images,
    "provider_content": ProducedTokens._add_blocks,
}
"""Members of a delta that are not plain text. `reasoning_details` repeat `reasoning_content`, and
annotations are about the text, so they do not count."""


def resolve_usage(
    reported: Usage | None,
    produced: ProducedTokens,
    estimate_prompt: Callable[[], int],
    is_complete: bool,
) -> tuple[Usage, bool]:
    """The usage of an answer, and whether any of it is an estimate.

    The provider's counts are used for a complete answer, unless they are zero or next to zero
    although there is text. For an incomplete answer, the larger of the provider's count and the
    estimate is used, because counts in the middle of a stream lag behind.
    """
    usage: Any = dict(reported or {})
    prompt, completion, total = (
        read_count(usage, name) for name in ("prompt_tokens", "completion_tokens", "total_tokens")
    )
    read, written = prompt or estimate_prompt(), completion
    if not (is_complete and (prompt or completion) and _is_plausible(completion, produced)):
        written = max(completion, produced.tokens)
    usage |= {
        "prompt_tokens": read,
        "completion_tokens": written,
        "total_tokens": max(total, read + written),
    }
    is_estimate = reported is None or (read, written) != (prompt, completion)
    if is_estimate:
        usage.pop("billed_units", None)  # the estimate is charged instead
    if written != completion:
        _add_details(usage, produced.details())
    return usage, is_estimate


def _is_plausible(completion: int, produced: ProducedTokens) -> bool:
    estimate = produced.text_tokens if completion else produced.tokens
    return estimate <= completion * MAX_ESTIMATE_FACTOR + ROUNDING_TOKENS


def _add_details(usage: Json, estimates: Json) -> None:
    reported = usage.get("completion_tokens_details")
    reported = reported if isinstance(reported, dict) else {}
    details = {
        **reported,
        **{name: max(read_count(reported, name), count) for name, count in estimates.items()},
    }
    if details:
        usage["completion_tokens_details"] = details
