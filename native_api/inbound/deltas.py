"""A complete message as the deltas that a stream of it would have, in the order of the reply as far
as the message knows it (`dialects.shared.replay`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from native_api.dialects.shared.replay import arrange_blocks, merge_items
from native_api.types import Json

OFFSETS: Final = ("at", "calls", "reasoning", "until")


def iterate_deltas(message: Mapping[str, Any]) -> Iterable[Json]:
    """One delta for each text, call, image, and item of reasoning or of a provider's tools."""
    content, images = message.get("content") or "", message.get("images") or []
    details, blocks = message.get("reasoning_details") or [], message.get("provider_content") or []
    texts = split_reasoning(message.get("reasoning_content") or "", details)
    placed = {block.get("block", {}).get("image") for block in blocks}

    def build_text(start: int, end: int) -> list[Json]:
        return [{"content": content[start:end]}] if start < end else []

    def build_item(item: Json, start: int, end: int) -> tuple[Json, int]:
        until = max(start, item.get("until") or 0)
        return {"content": content[start:until], **item["delta"]}, until

    yield {"reasoning_content": texts.pop(0)}
    reasoning = [
        _place(detail, {"reasoning_content": text, "reasoning_details": [detail]})
        for detail, text in zip(details, texts, strict=True)
    ]
    yield from arrange_blocks(
        merge_items(reasoning, [_place(block, _build_block(block, images)) for block in blocks]),
        len(content),
        [
            {"tool_calls": [{**call, "index": index}]}
            for index, call in enumerate(message.get("tool_calls") or ())
        ],
        build_text,
        build_item,
        [{"images": [image]} for index, image in enumerate(images) if index not in placed],
    )
    yield _build_end(message)


def _place(item: Json, delta: Json) -> Json:
    """The delta of an item with the item's place."""
    return {"delta": delta, **{name: item[name] for name in OFFSETS if name in item}}


def _build_block(block: Json, images: Sequence[Json]) -> Json:
    """The delta of a block, with the image that stands there."""
    index = (block.get("block") or {}).get("image")
    delta: Json = {"provider_content": [block]}
    if isinstance(index, int) and 0 <= index < len(images):
        delta["images"] = [images[index]]
    return delta


def _build_end(message: Mapping[str, Any]) -> Json:
    """The last delta. Speech is said by its transcript."""
    delta = {name: message[name] for name in ("refusal", "annotations") if message.get(name)}
    transcript = (message.get("audio") or {}).get("transcript")
    return {**delta, "content": transcript} if transcript and not message.get("content") else delta


def split_reasoning(text: str, details: Sequence[Json]) -> list[str]:
    """The text of the reasoning before all details, then that of each.

    The text has the texts of the details, often with empty lines between them.
    """
    pieces = [""]
    for detail in details:
        own = detail.get("text") or detail.get("summary") or ""
        before, found, after = text.partition(own) if own else ("", "", text)
        pieces.append(before + found if found else "")
        text = after if found else text
    last = max((index for index, piece in enumerate(pieces) if piece), default=0)
    pieces[last] += text
    return pieces
