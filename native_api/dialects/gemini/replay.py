"""A model's turn sent back in the order in which it came: thoughts, built-in tool blocks, text and
calls. See `shared.replay`.

A `reasoning.encrypted` item is the signature of the text that follows it, up to the next item.
`reply` writes the items.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from native_api.dialects.shared.replay import arrange_blocks, read_items
from native_api.types import Json

WIRE: Final = "gemini"

METADATA_FIELDS: Final = frozenset({"groundingMetadata", "urlContextMetadata", "citationMetadata"})
"""Fields that describe a reply. They are kept as blocks, but they are not parts and never sent."""


def replay_turn(message: Mapping[str, Any], media: list[Json], calls: list[Json]) -> list[Json]:
    """The parts of one assistant message. `media` and `calls` are parts already; `media` begins
    with the message's images, which blocks name by their index."""
    text = _read_text(message)

    def build_text(start: int, end: int) -> list[Json]:
        return [{"text": text[start:end]}] if start < end else []

    def build_item(item: Json, start: int, end: int) -> tuple[Json | None, int]:
        if item.get("type") == "reasoning.encrypted":
            return {"text": text[start:end], "thoughtSignature": item.get("data") or ""}, end
        if "block" not in item:
            return _build_thought(item), start
        block = item["block"]
        return (_find_image(block, media) if "image" in block else dict(block) or None), start

    items = read_items(message, WIRE, lambda block: not METADATA_FIELDS & block.keys())
    placed = [item["block"].get("image") for item in items if "block" in item]
    unplaced = [part for index, part in enumerate(media) if index not in placed]
    return arrange_blocks(items, len(text), calls, build_text, build_item, unplaced)


def _find_image(block: Json, media: list[Json]) -> Json | None:
    """The image that a block names by its index."""
    index = block["image"]
    return media[index] if isinstance(index, int) and 0 <= index < len(media) else None


def _build_thought(item: Json) -> Json:
    part = {"text": item.get("text") or "", "thought": True}
    return {**part, "thoughtSignature": item["signature"]} if item.get("signature") else part


def _read_text(message: Mapping[str, Any]) -> str:
    content = message.get("content") or ""
    if not isinstance(content, str):
        content = "".join(part.get("text") or part.get("refusal") or "" for part in content)
    return content or message.get("refusal") or ""
