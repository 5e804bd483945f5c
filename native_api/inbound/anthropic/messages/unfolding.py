"""A complete message as the deltas of which it may have come, so that complete messages are written
as streams are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from native_api.dialects.shared.replay import arrange_blocks, read_items
from native_api.types import Json

LISTS = ("reasoning_details", "provider_content")


def unfold(message: Mapping[str, Any]) -> list[Json]:
    """The deltas of the message, in the order in which its items stood (`shared.replay`)."""
    text = message.get("content") or ""
    items = list(_read_all_items(message))
    thinking = message.get("reasoning_content") or ""
    is_placed = thinking == "".join(map(_read_thinking, items))
    rest = {name: message[name] for name in ("refusal", "images", "audio") if message.get(name)}

    def build_text(start: int, end: int) -> list[Json]:
        delta: Json = {"content": text[start:end]} if start < end else {}
        if delta and end == len(text) and message.get("annotations"):
            delta["annotations"] = message["annotations"]
        return [delta] if delta else []

    def build_item(item: Json, start: int, end: int) -> tuple[Json, int]:
        if "block" not in item:
            said = _read_thinking(item) if is_placed else ""
            delta: Json = {"reasoning_details": [item]}
            return {**delta, "reasoning_content": said} if said else delta, start
        until = min(max(item.get("until") or 0, start), end)
        return {"content": text[start:until], "provider_content": [item]}, until

    calls = [
        {"tool_calls": [{**call, "index": index}]}
        for index, call in enumerate(message.get("tool_calls") or ())
    ]
    files = [rest] if rest else []
    deltas = arrange_blocks(items, len(text), calls, build_text, build_item, files)
    return deltas if is_placed else [{"reasoning_content": thinking}, *deltas]


def _read_all_items(message: Mapping[str, Any]) -> Iterator[Json]:
    """The items of all formats, those of each in their order."""
    formats = {item.get("format"): None for name in LISTS for item in message.get(name) or ()}
    for format_name in formats:
        yield from read_items(message, format_name, lambda block: True)


def _read_thinking(item: Mapping[str, Any]) -> str:
    thinking = item.get("text") or item.get("summary")
    return thinking if isinstance(thinking, str) and "block" not in item else ""
