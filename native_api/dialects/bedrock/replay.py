"""An assistant's turn, sent back to Bedrock in the order it came in: reasoning, text, the wire's
own blocks and calls.

`shared.replay` puts them in order; this module builds the blocks. Reasoning goes back only if it is
signed or encrypted: "User messages cannot contain reasoning content", Bedrock says of that of
DeepSeek R1 and Nova (https://github.com/can1357/oh-my-pi/pull/9086, 2026-08). Of Nova and MiniMax
there is one report of the contrary (https://github.com/maximhq/bifrost/pull/6942, 2026-09).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from native_api.dialects.shared.parts import is_blank, list_parts
from native_api.dialects.shared.replay import arrange_blocks, read_items
from native_api.types import Json

WIRE: Final = "bedrock"
"""The `format` of reasoning and blocks that Bedrock made."""

REPLY_FIELDS: Final = ("additionalModelResponseFields", "trace")
"""Fields that describe a reply and come only on request. They are kept like blocks, but not sent
back."""

BuildCachePoint = Callable[[Mapping[str, Any]], list[Json]]
"""Returns the cache point of a part, if any."""


def replay_turn(
    message: Mapping[str, Any],
    files: list[Json],
    calls: list[Json],
    takes_reasoning: bool,
    build_cache_point: BuildCachePoint,
) -> list[Json]:
    """The blocks of one assistant message. `files` and `calls` are blocks already."""
    text = _TurnText(message, build_cache_point)
    items = [
        item
        for item in read_items(message, WIRE, _is_sent)
        if "block" in item or (takes_reasoning and _is_proven(item))
    ]

    def build_text(start: int, end: int) -> list[Json]:
        return text.take_blocks(end)

    def build_item(item: Json, start: int, end: int) -> tuple[Json, int]:
        return _build_item(item), start

    return arrange_blocks(items, text.length, calls, build_text, build_item, files)


def _is_sent(block: Json) -> bool:
    return bool(block) and not any(name in block for name in REPLY_FIELDS)


def _is_proven(item: Json) -> bool:
    """Whether a reasoning item is signed or encrypted."""
    return bool(item.get("signature")) or item.get("type") == "reasoning.encrypted"


class _TurnText:
    """The text of one message, part by part, each with its cache point."""

    def __init__(self, message: Mapping[str, Any], build_cache_point: BuildCachePoint) -> None:
        parts = list_parts(message)
        if message.get("refusal"):
            parts.append({"type": "refusal", "refusal": message["refusal"]})
        self._remaining = [
            (part.get("text") or part.get("refusal") or "", build_cache_point(part))
            for part in parts
        ]
        self.length = sum(len(text) for text, _ in self._remaining)
        self._position = 0

    def take_blocks(self, end: int) -> list[Json]:
        """The blocks up to `end`, an offset in characters, that were not returned before."""
        blocks: list[Json] = []
        while self._remaining and self._position < end:
            text, cache_point = self._remaining.pop(0)
            piece = text[: end - self._position]
            self._position += len(piece)
            blocks += [] if is_blank(piece) else [{"text": piece}]
            if len(piece) < len(text):
                self._remaining.insert(0, (text[len(piece) :], cache_point))
                break
            blocks += cache_point if blocks else []
        return blocks


def _build_item(item: Json) -> Json:
    if "block" in item:
        return dict(item["block"])
    if item.get("type") == "reasoning.encrypted":
        return {"reasoningContent": {"redactedContent": item.get("data") or ""}}
    return {
        "reasoningContent": {
            "reasoningText": {"text": item.get("text") or "", "signature": item["signature"]}
        }
    }
