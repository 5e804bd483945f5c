"""Reasoning in the replies of the family's servers: numbered details, and thinking in tags."""

from __future__ import annotations

from typing import Any, Final

from native_api.types import Json

JOINED_TEXTS: Final = frozenset({"text", "summary", "data", "signature"})
"""Members of a detail that come in pieces."""
PLACES: Final = frozenset({"type", "index"})
"""Members by which clients match the pieces of a detail."""


class Detail:
    """A detail so far: its number, its `id`, and the members that were said."""

    __slots__ = ("id", "number", "said")

    def __init__(self, number: int, item_id: Any) -> None:
        self.number = number
        self.id = item_id
        self.said: set[str] = set()

    def take_new(self, piece: Json) -> Json:
        """What is new of a piece.

        Servers repeat `id`, `format` and `provider` in each (OpenRouter, recorded 2026-08), and
        clients would join them.
        """
        members = {
            name: value
            for name, value in piece.items()
            if name in JOINED_TEXTS or name in PLACES or name not in self.said
        }
        self.said |= {name for name, value in members.items() if value is not None}
        return {**members, "index": self.number}


class ReasoningDetails:
    """Numbers `reasoning_details`.

    OpenRouter gives the summary and the encrypted form of one block the same index.
    """

    __slots__ = ("_count", "_details", "_last")

    def __init__(self) -> None:
        self._count = 0
        self._details: dict[tuple[Any, Any], Detail] = {}
        self._last: tuple[Any, Any] | None = None

    def number(self, item: Json) -> Json:
        """A piece of a detail with its index; all pieces of one detail have the same."""
        key = self._find_key(item.get("type"), item.get("index"))
        detail, item_id = self._details.get(key), item.get("id")
        if detail is None or (item_id and detail.id and item_id != detail.id):
            detail = self._details[key] = Detail(self._count, item_id)
            self._count += 1
        self._last = key
        return detail.take_new(item)

    def _find_key(self, kind: Any, index: Any) -> tuple[Any, Any]:
        """The type and the index of a detail. A piece may leave out either."""
        last = self._last
        if last is not None and kind in (None, last[0]) and index in (None, last[1]):
            return last
        if kind is None:
            kind = next((key[0] for key in reversed(self._details) if key[1] == index), None)
        return kind, index


class ThinkTags:
    """Separates the thinking at the head of a text, `<think>…</think>`, from the answer.

    Tags may be split between pieces: `pending` is text that may still be part of one.
    """

    OPEN: Final = "<think>"
    CLOSE: Final = "</think>"

    __slots__ = ("_state", "pending")

    def __init__(self) -> None:
        self.pending = ""
        self._state = "head"

    def feed(self, text: str) -> tuple[str, str]:
        """The thinking and the answer, as far as they can be separated yet."""
        self.pending += text
        thought = content = ""
        if self._state == "head":
            self._read_opening()
        if self._state == "thinking":
            thought = self._read_thought()
        if self._state == "gap":
            self.pending = self.pending.lstrip("\r\n")
            self._state = "answer" if self.pending else "gap"
        if self._state == "answer":
            content, self.pending = self.pending, ""
        return thought, content

    def _read_opening(self) -> None:
        head = self.pending.lstrip()
        if head.startswith(self.OPEN):
            self._state, self.pending = "thinking", head[len(self.OPEN) :]
        elif not self.OPEN.startswith(head):
            self._state = "answer"

    def _read_thought(self) -> str:
        thought, tag, rest = self.pending.partition(self.CLOSE)
        if tag:
            self._state, self.pending = "gap", rest
            return thought
        partial_tag = next(
            (
                size
                for size in range(len(self.CLOSE) - 1, 0, -1)
                if self.pending.endswith(self.CLOSE[:size])
            ),
            0,
        )
        end = len(self.pending) - partial_tag
        thought, self.pending = self.pending[:end], self.pending[end:]
        return thought

    def close(self) -> tuple[str, str]:
        """The rest of the thinking and of the answer, at the end of the text."""
        pending, self.pending = self.pending, ""
        return (pending, "") if self._state == "thinking" else ("", pending)
