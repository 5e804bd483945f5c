"""Tool calls and reasoning details of one choice, numbered 0, 1, 2… in order of appearance,
whatever the server counts.

What servers of the family do, each seen in the wild: no index at all (Ollama, MLX); index 0 for
every parallel call, told apart by ids (Gemini's compatible endpoint); indexes that count other
blocks too; no id, or the id and name again in every piece, or empty ones (Qwen); arguments whole,
null or an object. A client of OpenAI joins every string of a piece to what it has, so a piece must
hold only what is new.
"""

from __future__ import annotations

from typing import Any

from native_api.dialects.shared.json_values import dump_json
from native_api.dialects.shared.tools import ANSWER_TOOL
from native_api.types import Json


class Call:
    __slots__ = ("id", "is_custom", "is_forced", "name", "number", "said")

    def __init__(self, number: int, call_id: str, name: str, is_custom: bool) -> None:
        self.number = number
        self.id = call_id
        self.name = name
        self.is_custom = is_custom
        self.is_forced = name == ANSWER_TOOL
        self.said = False


class Calls:
    """`take` each piece as it comes, then `owed` once. `forced` is what was said by the tool that
    stands for the answer."""

    __slots__ = ("_by_index", "_calls", "_choice", "_given", "count", "forced")

    def __init__(self, choice: int) -> None:
        self.count = 0
        self.forced = False
        self._choice = choice
        self._calls: list[Call] = []
        self._by_index: dict[Any, Call] = {}
        self._given: dict[Any, Call] = {}

    def take(self, piece: Json, reply_id: str) -> tuple[Json | None, str]:
        """The unified piece, None where it says nothing new; and text, where the piece is the
        answer itself."""
        told = piece.get("custom") if piece.get("custom") is not None else piece.get("function")
        told = told if isinstance(told, dict) else {}
        call = self._known(piece, told)
        is_new = call is None
        if call is None:
            call = self._begin(piece, told, reply_id)
        words = _words(told.get("input") if call.is_custom else told.get("arguments"))
        unified = None if call.is_forced else self._piece(call, is_new, piece, told, words)
        call.said = call.said or bool(words)
        return unified, words if call.is_forced else ""

    def _known(self, piece: Json, told: Json) -> Call | None:
        """The call that a piece goes on with, None where it begins one."""
        index, call_id, name = piece.get("index"), piece.get("id"), told.get("name")
        if index is not None:
            call = self._by_index.get(index)
            is_other = (
                call is not None
                and call_id
                and name
                and call.id != call_id
                and self._given.get(call_id) is not call
            )
            return None if is_other else call
        if call_id:
            return self._given.get(call_id)
        last = self._calls[-1] if self._calls else None
        return None if last is None or (name and (last.said or name != last.name)) else last

    def _begin(self, piece: Json, told: Json, reply_id: str) -> Call:
        name = str(told.get("name") or "")
        number = -1 if name == ANSWER_TOOL else self.count
        call_id = str(piece.get("id") or self._made_id(reply_id or name))
        if call_id in self._given:
            call_id = (
                f"{call_id}_{self.count}"  # results are matched by id, so two calls never share one
            )
        call = Call(number, call_id, name, "custom" in piece or piece.get("type") == "custom")
        self._calls.append(call)
        if piece.get("index") is not None:
            self._by_index[piece["index"]] = call
        if piece.get("id"):
            self._given[piece["id"]] = call
        if call.is_forced:
            self.forced = True
        else:
            self.count += 1
        return call

    def _made_id(self, seed: str) -> str:
        """An id where the server gave none: the same for the same reply, complete or streamed."""
        position = f"{self._choice}_{self.count}" if self._choice else str(self.count)
        return f"call_{seed}_{position}"

    def _piece(self, call: Call, is_new: bool, piece: Json, told: Json, words: str) -> Json | None:
        kind, key = ("custom", "input") if call.is_custom else ("function", "arguments")
        extra: Json = (
            {"extra_content": piece["extra_content"]} if piece.get("extra_content") else {}
        )
        if is_new:
            return {
                "index": call.number,
                "id": call.id,
                "type": kind,
                kind: {"name": call.name, key: words},
                **extra,
            }
        more: Json = {}
        name = told.get("name")
        if name and name != call.name and not call.said:
            # A name in pieces, as some servers stream it.
            more["name"], call.name = name, call.name + name
        if words:
            more[key] = words
        if more:
            extra[kind] = more
        return {"index": call.number, **extra} if extra else None

    def owed(self) -> list[Json]:
        """`{}` for functions that were called without a word: clients parse the arguments."""
        silent = [
            call
            for call in self._calls
            if not call.said and not call.is_custom and not call.is_forced
        ]
        return [{"index": call.number, "function": {"arguments": "{}"}} for call in silent]


def _words(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else dump_json(value)


class Details:
    """Numbers `reasoning_details`. OpenRouter gives the summary and the encrypted form of one block
    the same index."""

    __slots__ = ("_last", "_numbers")

    def __init__(self) -> None:
        self._numbers: dict[tuple[Any, Any], tuple[int, Any]] = {}
        self._last: tuple[Any, Any] | None = None

    def number(self, item: Json) -> Json:
        """A piece of a detail with its number; pieces of the same one have the same."""
        kind, index = item.get("type"), item.get("index")
        key = (kind, index)
        if index is None and self._last is not None and kind in (None, self._last[0]):
            key = self._last
        known = self._numbers.get(key)
        item_id = item.get("id")
        is_new = known is None or bool(item_id and known[1] and item_id != known[1])
        if known is None or is_new:
            known = self._numbers[key] = (self._count(), item_id)
        self._last = key
        # Clients join the strings of pieces, so what names the detail is said once; servers say it
        # with each.
        told = (
            item
            if is_new
            else {name: value for name, value in item.items() if name not in ("id", "format")}
        )
        return {**told, "index": known[0]}

    def _count(self) -> int:
        return 1 + max((number for number, _ in self._numbers.values()), default=-1)
