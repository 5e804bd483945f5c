"""A complete message as the deltas that a stream of it would have, in the order of the reply as far
as the message knows it (`dialects.shared.replay`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from native_api.dialects.shared.replay import arrange_blocks, merge_items
from native_api.types import Json

OFFSETS: Final = ("at", "calls", "reasoning", "until")
END_MEMBERS: Final = ("audio", "refusal", "annotations")


def iterate_deltas(message: Mapping[str, Any]) -> Iterable[Json]:
    """One delta for each text, call, image, and item of reasoning or of a provider's tools."""
    content = message.get("content") or ""
    images, blocks = message.get("images") or [], message.get("provider_content") or []
    places = _place_images(blocks, len(images))
    first_reasoning, reasoning = _list_reasoning(message)

    def build_text(start: int, end: int) -> list[Json]:
        return [{"content": content[start:end]}] if start < end else []

    def build_item(item: Json, start: int, end: int) -> tuple[Json, int]:
        until = max(start, item.get("until") or 0)
        return {"content": content[start:until], **item["delta"]}, until

    yield first_reasoning
    yield from arrange_blocks(
        merge_items(reasoning, _list_blocks(blocks, images, places)),
        len(content),
        _list_calls(message),
        build_text,
        build_item,
        [{"images": [image]} for index, image in enumerate(images) if index not in places.values()],
    )
    yield {name: message[name] for name in END_MEMBERS if message.get(name)}


def _list_reasoning(message: Mapping[str, Any]) -> tuple[Json, list[Json]]:
    """The delta of the reasoning before all details, and those of the details."""
    details = message.get("reasoning_details") or []
    first, *texts = split_reasoning(message.get("reasoning_content") or "", details)
    placed = [
        _place(detail, {"reasoning_content": text, "reasoning_details": [detail]})
        for detail, text in zip(details, texts, strict=True)
    ]
    return {"reasoning_content": first}, placed


def _list_calls(message: Mapping[str, Any]) -> list[Json]:
    calls = message.get("tool_calls") or ()
    return [{"tool_calls": [{**call, "index": index}]} for index, call in enumerate(calls)]


def _list_blocks(
    blocks: Sequence[Json], images: Sequence[Json], places: Mapping[int, int]
) -> list[Json]:
    """The deltas of blocks, with the images that stand there."""
    placed = []
    for number, block in enumerate(blocks):
        delta: Json = {"provider_content": [block]}
        if number in places:
            delta["images"] = [images[places[number]]]
        placed.append(_place(block, delta))
    return placed


def _place(item: Json, delta: Json) -> Json:
    """The delta of an item with the item's place."""
    return {"delta": delta, **{name: item[name] for name in OFFSETS if name in item}}


def _place_images(blocks: Sequence[Json], count: int) -> dict[int, int]:
    """The blocks in whose place an image stands -> the index of the image.

    Gemini's blocks name it; those of Responses are in the order of the images.
    """
    places: dict[int, int] = {}
    for number, item in enumerate(blocks):
        block = item.get("block") or {}
        if block.get("type") == "image_generation_call" and block.get("result"):
            places[number] = len(places)
        elif isinstance(block.get("image"), int):
            places[number] = block["image"]
    return {number: index for number, index in places.items() if 0 <= index < count}


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
