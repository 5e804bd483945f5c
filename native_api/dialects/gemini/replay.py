"""A model's turn sent back in the order it came in: thoughts, built-in tool blocks, text and calls.
See `replay`.

A `reasoning.encrypted` item is the signature of the text that follows it, up to the next item.
`gemini_reply` writes the items.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from native_api.dialects.shared.replay import arrange_blocks, read_items
from native_api.types import Json

FORMAT: Final = "gemini"

NOT_SENT: Final = frozenset({"groundingMetadata", "urlContextMetadata", "citationMetadata"})
"""Blocks that tell about a reply and are no parts of it."""


def replay_turn(message: Mapping[str, Any], files: list[Json], calls: list[Json]) -> list[Json]:
    """The parts of one assistant message; `files` and `calls` are parts already."""
    text = _text(message)

    def plain(start: int, end: int) -> list[Json]:
        return [{"text": text[start:end]}] if start < end else []

    def whole(item: Json, start: int, end: int) -> tuple[Json | None, int]:
        if item.get("type") == "reasoning.encrypted":
            return {"text": text[start:end], "thoughtSignature": item.get("data") or ""}, end
        if "block" not in item:
            return _thought(item), start
        return _image(item["block"], files) if "image" in item["block"] else dict(
            item["block"]
        ) or None, start

    items = read_items(message, FORMAT, lambda block: not NOT_SENT & block.keys())
    placed = [item["block"].get("image") for item in items if "block" in item]
    return arrange_blocks(
        items,
        len(text),
        calls,
        plain,
        whole,
        [file for number, file in enumerate(files) if number not in placed],
    )


def _image(block: Json, files: list[Json]) -> Json | None:
    """The image whose place a block tells by its number."""
    number = block["image"]
    return files[number] if isinstance(number, int) and 0 <= number < len(files) else None


def _thought(item: Json) -> Json:
    part = {"text": item.get("text") or "", "thought": True}
    return {**part, "thoughtSignature": item["signature"]} if item.get("signature") else part


def _text(message: Mapping[str, Any]) -> str:
    content = message.get("content") or ""
    if not isinstance(content, str):
        content = "".join(part.get("text") or part.get("refusal") or "" for part in content)
    return content or message.get("refusal") or ""
