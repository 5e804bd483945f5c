"""What of a unified reply a client's API has no words for, and the provider needs back on the next
turn: signatures, encrypted reasoning, blocks of its own tools, extras of calls.

A writer collects it from the deltas (`ReplayedMembers`) and gives it to the client sealed, in a
member that the client sends back unread. The next request's `restore` makes members of the unified
message of it, for `dialects.shared.issuers` to choose from.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from native_api.types import Json

LISTS: Final = ("reasoning_details", "provider_content")
EXTRAS: Final = ("calls", "image_extras")
TEXTS: Final = frozenset({"text", "summary", "data", "signature"})
"""Members of an item that come in pieces."""


class ReplayedMembers:
    """Collects from the deltas, or the message, of one choice. `take` returns what is new."""

    __slots__ = ("_call_ids", "_calls", "_image_count", "_images", "_lists")

    def __init__(self) -> None:
        self._lists: dict[str, list[Json]] = {}
        self._calls: Json = {}
        self._images: Json = {}
        self._image_count = 0
        self._call_ids: dict[Any, str] = {}
        """The index of a call -> its id."""

    def add(self, delta: Mapping[str, Any]) -> None:
        """Collect from a delta or a complete message."""
        for name in LISTS:
            if delta.get(name):
                self._lists.setdefault(name, []).extend(delta[name])
        for position, call in enumerate(delta.get("tool_calls") or ()):
            index = call.get("index", position)
            if call.get("id"):
                self._call_ids[index] = call["id"]
            if call.get("extra_content"):
                call_id = self._call_ids.get(index, "")
                self._calls[call_id] = {**self._calls.get(call_id, {}), **call["extra_content"]}
        for image in delta.get("images") or ():
            if image.get("extra_content"):
                self._images[str(self._image_count)] = image["extra_content"]
            self._image_count += 1

    def take(self) -> Json | None:
        """What came since the last time, for `restore`; None if that is nothing."""
        taken: Json = {name: _join(items) for name, items in self._lists.items()}
        for name, extras in (("calls", self._calls), ("image_extras", self._images)):
            if extras:
                taken[name] = extras
        self._lists, self._calls, self._images = {}, {}, {}
        return taken or None


def restore(pieces: Iterable[Mapping[str, Any]]) -> Json:
    """The members of a unified message from what `take` returned for its parts, in their order.

    `calls` is call id -> `extra_content`, `image_extras` the same for the number of an image.
    """
    lists: dict[str, list[Json]] = {}
    extras: dict[str, Json] = {}
    for piece in pieces:
        for name in LISTS:
            if piece.get(name):
                lists.setdefault(name, []).extend(piece[name])
        for name in EXTRAS:
            if piece.get(name):
                extras[name] = {**extras.get(name, {}), **piece[name]}
    return {**{name: _join(items) for name, items in lists.items()}, **extras}


def _join(pieces: Iterable[Mapping[str, Any]]) -> list[Json]:
    """The items of these pieces, of which those with the same `index` are one item."""
    items: list[Json] = []
    positions: dict[Any, int] = {}
    texts: dict[tuple[int, str], list[str]] = {}
    for piece in pieces:
        index = piece.get("index")
        position = len(items) if index is None else positions.setdefault(index, len(items))
        if position == len(items):
            items.append({})
        for name, value in piece.items():
            if name in TEXTS and isinstance(value, str):
                texts.setdefault((position, name), []).append(value)
            else:
                items[position][name] = value
    for (position, name), parts in texts.items():
        items[position][name] = "".join(parts)
    return items
