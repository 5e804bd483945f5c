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


class ReplayedMembers:
    """Collects from the deltas, or the message, of one choice. `take` returns what is new."""

    __slots__ = ("_call_ids", "_new")

    def __init__(self) -> None:
        self._new: Json = {}
        self._call_ids: dict[Any, str] = {}
        """The index of a call -> its id."""

    def add(self, delta: Mapping[str, Any]) -> None:
        """Collect from a delta or a complete message."""
        for name in LISTS:
            if delta.get(name):
                self._new[name] = [*self._new.get(name, ()), *delta[name]]
        for position, call in enumerate(delta.get("tool_calls") or ()):
            index = call.get("index", position)
            if call.get("id"):
                self._call_ids[index] = call["id"]
            if call.get("extra_content"):
                calls = self._new.setdefault("calls", {})
                call_id = self._call_ids.get(index, "")
                calls[call_id] = {**calls.get(call_id, {}), **call["extra_content"]}

    def take(self) -> Json | None:
        """What came since the last time, for `restore`; None if that is nothing."""
        taken, self._new = self._new, {}
        return taken or None


def restore(pieces: Iterable[Mapping[str, Any]]) -> Json:
    """The members of a unified message from what `take` returned for its parts, in their order.

    `calls` is call id -> `extra_content`.
    """
    restored: Json = {}
    for piece in pieces:
        for name in LISTS:
            if piece.get(name):
                items = restored.setdefault(name, [])
                for item in piece[name]:
                    _join(items, item)
        if piece.get("calls"):
            restored["calls"] = {**restored.get("calls", {}), **piece["calls"]}
    return restored


def _join(items: list[Json], item: Json) -> None:
    """Add an item, or what is new of one that began in an earlier delta."""
    index = item.get("index")
    known = next((each for each in items if index is not None and each.get("index") == index), None)
    if known is None:
        items.append(dict(item))
        return
    for name, value in item.items():
        is_text = isinstance(value, str) and isinstance(known.get(name), str)
        if name in ("text", "summary", "data", "signature") and is_text:
            known[name] += value
        else:
            known[name] = value
