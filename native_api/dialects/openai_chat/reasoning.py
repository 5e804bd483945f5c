"""Reasoning in the replies of the family's servers: numbered details, and thinking in tags."""

from __future__ import annotations

from typing import Any, Final

from native_api.types import Json


class ReasoningDetails:
    """Numbers `reasoning_details`.

    OpenRouter gives the summary and the encrypted form of one block the same index.
    """

    __slots__ = ("_last", "_numbers")

    def __init__(self) -> None:
        self._numbers: dict[tuple[Any, Any], tuple[int, Any]] = {}
        self._last: tuple[Any, Any] | None = None

    def number(self, item: Json) -> Json:
        """A piece of a detail with its index; all pieces of one detail have the same."""
        kind, index = item.get("type"), item.get("index")
        key = (kind, index)
        if index is None and self._last is not None and kind in (None, self._last[0]):
            key = self._last
        numbered = self._numbers.get(key)
        item_id = item.get("id")
        is_new = numbered is None or bool(item_id and numbered[1] and item_id != numbered[1])
        if numbered is None or is_new:
            numbered = self._numbers[key] = (self._next_number(), item_id)
        self._last = key
        # Servers repeat `id` and `format` in each piece, and clients would join them.
        members = (
            item
            if is_new
            else {name: value for name, value in item.items() if name not in ("id", "format")}
        )
        return {**members, "index": numbered[0]}

    def _next_number(self) -> int:
        return 1 + max((number for number, _ in self._numbers.values()), default=-1)


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
