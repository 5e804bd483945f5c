"""Tool calls of one choice, numbered 0, 1, 2… in order of appearance.

Servers of the family number them differently, each way seen in practice: no index at all (Ollama,
MLX); index 0 for every parallel call, whose ids differ (Gemini's compatible endpoint); indexes that
count other blocks too; no id, or the id and name again in every piece, or empty ones (Qwen);
arguments that are whole, null or an object. OpenAI's client joins every string of a piece to what
it has, so a piece must hold only what is new.

Members of a call that nobody here knows are passed on, each once.
"""

from __future__ import annotations

from typing import Any, Final

from native_api.dialects.shared.call_arguments import CallArguments, is_object
from native_api.dialects.shared.json_values import dump_json
from native_api.dialects.shared.tools import ANSWER_TOOL
from native_api.types import Json

READ_MEMBERS: Final = frozenset({"index", "id", "type", "function", "custom"})
READ_FUNCTION_MEMBERS: Final = frozenset({"name", "arguments", "input"})
"""Members of a call, and of its function, that are read; others are passed on."""


class ToolCall:
    __slots__ = (
        "arguments", "has_arguments", "id", "index", "is_answer", "is_custom", "members", "name",
        "text",
    )  # fmt: skip

    def __init__(self, index: int, call_id: str, name: str, is_custom: bool) -> None:
        self.index = index
        self.id = call_id
        self.name = name
        self.is_custom = is_custom
        self.is_answer = name == ANSWER_TOOL
        self.has_arguments = False
        self.arguments = None if is_custom or self.is_answer else CallArguments()
        self.text = ""
        """The last piece of the arguments."""
        self.members: set[tuple[str, str]] = set()
        """What was passed on of other members: ("call" or "function", name)."""

    def read_arguments(self, piece: str) -> str:
        """What is sent of a piece of the arguments."""
        self.has_arguments = self.has_arguments or bool(piece)
        self.text = piece or self.text
        if self.arguments is None:
            return piece
        text = self.arguments.add(piece)
        # Placeholders come with the name. OpenAI sends `{}` after it, and means it.
        self.arguments.holds_empty_object = False
        return text

    def take_members(self, place: str, members: Json, read: frozenset[str]) -> Json:
        """The other members that were not passed on yet."""
        if members.keys() <= read:
            return {}
        taken = {
            name: value
            for name, value in members.items()
            if name not in read and value is not None and (place, name) not in self.members
        }
        self.members |= {(place, name) for name in taken}
        return taken


class ToolCalls:
    """Call `add` for each piece, then `finish` once. `has_answer`: the answer tool was called."""

    __slots__ = ("_by_id", "_by_index", "_calls", "count", "has_answer")

    def __init__(self) -> None:
        self.count = 0
        self.has_answer = False
        self._calls: list[ToolCall] = []
        self._by_index: dict[Any, ToolCall] = {}
        self._by_id: dict[Any, ToolCall] = {}

    def add(self, piece: Json) -> tuple[Json | None, str]:
        """The unified piece, None if nothing is new; and text, if it calls the answer tool."""
        function = piece.get("custom") if piece.get("custom") is not None else piece.get("function")
        function = function if isinstance(function, dict) else {}
        call = self._find(piece, function)
        is_new = call is None
        if call is None:
            call = self._start(piece, function)
        has_arguments = call.has_arguments
        arguments = call.read_arguments(_read_arguments(function))
        if call.is_answer:
            return None, arguments
        return self._build_piece(call, is_new, piece, function, arguments, has_arguments), ""

    def _find(self, piece: Json, function: Json) -> ToolCall | None:
        """The call that a piece continues, None if it starts a new one."""
        index, call_id, name = piece.get("index"), piece.get("id"), function.get("name")
        if index is not None:
            call = self._by_index.get(index)
            is_other = (
                call is not None
                and call_id
                and name
                and call.id != call_id
                and self._by_id.get(call_id) is not call
            )
            return None if is_other or _is_another(call, call_id, function) else call
        if call_id:
            return self._by_id.get(call_id)
        last = self._calls[-1] if self._calls else None
        return (
            None if last is None or (name and (last.has_arguments or name != last.name)) else last
        )

    def _start(self, piece: Json, function: Json) -> ToolCall:
        name = str(function.get("name") or "")
        index = -1 if name == ANSWER_TOOL else self.count
        call_id = str(piece.get("id") or "")
        if call_id in self._by_id:
            # Results are matched by id, so two calls must not share one.
            call_id = f"{call_id}_{self.count}"
        call = ToolCall(index, call_id, name, "custom" in piece or piece.get("type") == "custom")
        self._calls.append(call)
        if piece.get("index") is not None:
            self._by_index[piece["index"]] = call
        if piece.get("id"):
            self._by_id[piece["id"]] = call
        if call.is_answer:
            self.has_answer = True
        else:
            self.count += 1
        return call

    def _build_piece(
        self,
        call: ToolCall,
        is_new: bool,
        piece: Json,
        function: Json,
        arguments: str,
        has_name: bool,
    ) -> Json | None:
        """The unified piece. `has_name` is whether no piece of the name can follow."""
        kind, key = ("custom", "input") if call.is_custom else ("function", "arguments")
        others = call.take_members("call", piece, READ_MEMBERS)
        addition = call.take_members("function", function, READ_FUNCTION_MEMBERS)
        if is_new:
            return {
                "index": call.index,
                "id": call.id,
                "type": kind,
                kind: {"name": call.name, key: arguments, **addition},
                **others,
            }
        name = function.get("name")
        if name and name != call.name and not has_name:
            # Some servers stream the name in pieces.
            addition["name"], call.name = name, call.name + name
        if arguments:
            addition[key] = arguments
        if addition:
            others[kind] = addition
        return {"index": call.index, **others} if others else None

    def finish(self) -> list[Json]:
        """What is left of the arguments: `{}` for functions without any."""
        rests = [
            (call.index, call.arguments.finish())
            for call in self._calls
            if call.arguments is not None
        ]
        return [{"index": index, "function": {"arguments": rest}} for index, rest in rests if rest]


def _is_another(call: ToolCall | None, call_id: Any, function: Json) -> bool:
    """Whether a piece without an id is a second call under the index of the first.

    Both have their whole arguments, which differ.
    """
    if call is None or call_id or call.arguments is None or not function.get("name"):
        return False
    text = _read_arguments(function)
    return text not in ("", call.text) and call.arguments.is_whole() and is_object(text)


def _read_arguments(function: Json) -> str:
    value = function.get("arguments")
    value = function.get("input") if value is None else value
    if value is None:
        return ""
    return value if isinstance(value, str) else dump_json(value)
