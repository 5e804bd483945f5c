"""Keeps the order of a model's turn, for wires whose replies are lists of blocks.

A client keeps a reply as text, tool calls, `reasoning_details` and `provider_content`. The wire's
single list is restored from offsets, which `ReplyPosition` writes and `arrange_blocks` reads. They
are left out if they are 0: an item's `at` is the number of characters of content before it, its
`calls` the number of tool calls before it, a block's `reasoning` the number of reasoning items
before it.

1. An empty block only marks where the text continues after another text or after a call.
2. A block that contains part of the content gives its end in `until` and does not repeat it.
3. If a client lost the items or changed the text, the text and the calls are still sent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from native_api.types import Json


class ReplyPosition:
    """How much of a reply was read: characters, calls, reasoning items and blocks."""

    __slots__ = ("blocks", "calls", "length", "reasoning", "wire")

    def __init__(self, wire: str) -> None:
        self.wire = wire
        self.length = self.calls = self.reasoning = self.blocks = 0

    def offsets(self) -> Json:
        """`at` and `calls` of an item that starts here."""
        offsets = {}
        if self.length:
            offsets["at"] = self.length
        if self.calls:
            offsets["calls"] = self.calls
        return offsets

    def build_item(self, block: Json, offsets: Json) -> Json:
        """The next item of `provider_content`."""
        item: Json = {"format": self.wire, "index": self.blocks, "block": block, **offsets}
        if self.reasoning:
            item["reasoning"] = self.reasoning
        self.blocks += 1
        return item


def read_items(
    message: Mapping[str, Any], wire: str, is_sent: Callable[[Json], bool]
) -> list[Json]:
    """The wire's own reasoning items, and its blocks that `is_sent` accepts, in reply order."""
    reasoning = [
        item for item in message.get("reasoning_details") or () if item.get("format") == wire
    ]
    if not message.get("provider_content"):
        return reasoning
    blocks = [
        item
        for item in message.get("provider_content") or ()
        if item.get("format") == wire and is_sent(item.get("block") or {})
    ]
    return merge_items(reasoning, blocks)


def merge_items(reasoning: Sequence[Json], blocks: Sequence[Json]) -> list[Json]:
    """Reasoning items and blocks in reply order."""
    items: list[Json] = []
    rest = list(blocks)
    for index, item in enumerate(reasoning):
        while rest and (rest[0].get("reasoning") or 0) <= index:
            items.append(rest.pop(0))
        items.append(item)
    return items + rest


TextBuilder = Callable[[int, int], list[Json]]
"""(start, end) -> the wire's blocks for these characters of the content."""

ItemBuilder = Callable[[Json, int, int], tuple[Json | None, int]]
"""(item, start, start of the next item) -> the wire's block, and the end of the text in it."""


def arrange_blocks(
    items: list[Json],
    length: int,
    calls: list[Json],
    build_text: TextBuilder,
    build_item: ItemBuilder,
    files: Sequence[Json] = (),
) -> list[Json]:
    """The blocks of one turn. `length` is that of the content.

    Files come after the text. Calls with no item after them come last.
    """
    blocks: list[Json] = []
    text_end = calls_end = 0
    for index, item in enumerate(items):
        start = _clamp(item.get("at"), text_end, length)
        blocks += build_text(text_end, start)
        calls_start, calls_end = calls_end, max(calls_end, item.get("calls") or 0)
        blocks += calls[calls_start:calls_end]
        next_start = items[index + 1].get("at") if index + 1 < len(items) else length
        block, text_end = build_item(item, start, _clamp(next_start, start, length))
        if block is not None:
            blocks.append(block)
    return [*blocks, *build_text(text_end, length), *files, *calls[calls_end:]]


def _clamp(offset: int | None, low: int, high: int) -> int:
    return min(max(offset or 0, low), high)
