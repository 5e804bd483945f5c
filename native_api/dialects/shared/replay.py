"""A model's turn in the order it came in, there and back. Shared by the wires whose replies are
lists of blocks.

A client keeps a reply as text, tool calls, `reasoning_details` and `provider_content`. What the
wire had as one list is put together again by numbers that `Place` writes and `arranged` reads, each
left out where it is 0: an item's `at` counts the characters of content before it, its `calls` the
tool calls before it, a block's `reasoning` the reasoning items before it.

1. An empty block stands for nothing: it only tells where the text goes on, after another text or
   after a call.
2. A block that has words of the content in it tells their end in `until` and does not repeat them.
3. Where a client lost the items or changed the text, the text and the calls remain.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from native_api.types import Json


class ReplyPosition:
    """Where a reply stands while it is read."""

    __slots__ = ("blocks", "calls", "length", "reasoning", "wire")

    def __init__(self, wire: str) -> None:
        self.wire = wire
        self.length = self.calls = self.reasoning = self.blocks = 0

    def offsets(self) -> Json:
        here = {}
        if self.length:
            here["at"] = self.length
        if self.calls:
            here["calls"] = self.calls
        return here

    def build_item(self, block: Json, here: Json) -> Json:
        """The item of `provider_content` for a block that stands `here`."""
        item: Json = {"format": self.wire, "index": self.blocks, "block": block, **here}
        if self.reasoning:
            item["reasoning"] = self.reasoning
        self.blocks += 1
        return item


def read_items(
    message: Mapping[str, Any], wire: str, is_sent: Callable[[Json], bool]
) -> list[Json]:
    """The wire's own reasoning items and blocks in the order they came in; `is_sent` chooses among
    the blocks."""
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
    items: list[Json] = []
    for position, item in enumerate(reasoning):
        while blocks and (blocks[0].get("reasoning") or 0) <= position:
            items.append(blocks.pop(0))
        items.append(item)
    return items + blocks


Plain = Callable[[int, int], list[Json]]
"""The wire's blocks for the characters of content from one position to another."""

Whole = Callable[[Json, int, int], tuple[Json | None, int]]
"""The wire's block for an item that stands at one position with the next item at another, and where
its own words end."""


def arrange_blocks(
    items: list[Json],
    length: int,
    calls: list[Json],
    plain: Plain,
    whole: Whole,
    files: Sequence[Json] = (),
) -> list[Json]:
    """The blocks of one turn; `length` is that of the text. Files come after the text, calls
    without an item after them come last."""
    blocks: list[Json] = []
    at = called = 0
    for position, item in enumerate(items):
        start = _bounded(item.get("at"), at, length)
        blocks += plain(at, start)
        count = max(called, item.get("calls") or 0)
        blocks += calls[called:count]
        following = items[position + 1].get("at") if position + 1 < len(items) else length
        block, at = whole(item, start, _bounded(following, start, length))
        called = count
        if block is not None:
            blocks.append(block)
    return [*blocks, *plain(at, length), *files, *calls[called:]]


def _bounded(position: int | None, least: int, most: int) -> int:
    return min(max(position or 0, least), most)
