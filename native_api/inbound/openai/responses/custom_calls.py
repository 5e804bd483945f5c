"""Calls of functions that stand for custom tools (`custom_tools`), as calls of these tools: in
complete replies, and in streams piece by piece."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable
from typing import Any, Final

import orjson

from native_api.dialects.shared.call_arguments import NO_ARGUMENTS
from native_api.inbound.base import ParsedRequest
from native_api.inbound.openai.responses.custom_tools import INPUT
from native_api.inbound.openai.responses.stream import ResponsesStreamWriter
from native_api.types import Json

BEGINNING: Final = re.compile(r'\s*\{\s*"input"\s*:\s*"')
"""How the arguments of such a function begin, up to the text."""
COMPACT_BEGINNING: Final = '{"input":"'
MAX_BEGINNING: Final = 100
"""Characters that are waited for, for the beginning."""
PIECES: Final = re.compile(r'(?:[^"\\]+|\\u[0-9a-fA-F]{4}|\\[^u])*')
"""The whole pieces at the beginning of a JSON string, which can be decoded without the rest."""
FIRST_HALF: Final = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}$")
"""The first half of a pair that is one character."""


class InputReader:
    """Reads the text out of a function's arguments, which come in pieces. Arguments that begin in
    another way are the text themselves."""

    __slots__ = ("_has_begun", "_has_ended", "_held", "_is_plain")

    def __init__(self) -> None:
        self._held = ""
        self._has_begun = self._has_ended = self._is_plain = False

    def add(self, piece: str) -> str:
        """What is new of the text."""
        self._held += piece
        if not self._has_begun and not self._is_plain:
            self._begin()
        if self._is_plain:
            return self._take(len(self._held))
        return self._decode() if self._has_begun else ""

    def finish(self) -> str:
        """The rest, when no piece can follow."""
        if self._has_begun or self._held.strip() in ("", NO_ARGUMENTS):
            return ""
        return self._take(len(self._held))

    def _begin(self) -> None:
        """See how the arguments begin, once enough of them is there."""
        found = BEGINNING.match(self._held)
        if found is not None:
            self._has_begun, self._held = True, self._held[found.end() :]
            return
        compact = "".join(self._held.split())
        may_begin = compact == NO_ARGUMENTS or COMPACT_BEGINNING.startswith(compact)
        self._is_plain = len(self._held) > MAX_BEGINNING or not may_begin

    def _decode(self) -> str:
        if self._has_ended:
            return ""
        found = PIECES.match(self._held)
        end = found.end() if found is not None else 0
        self._has_ended = self._held[end : end + 1] == '"'
        if not self._has_ended and FIRST_HALF.search(self._held, max(end - 6, 0), end):
            end -= 6  # The other half decides which character it is.
        return _unescape(self._take(end))

    def _take(self, end: int) -> str:
        text, self._held = self._held[:end], self._held[end:]
        return text


def _unescape(text: str) -> str:
    """The text of a JSON string, also of one that models write with line breaks in it."""
    if "\\" not in text:
        return text
    try:
        return str(orjson.loads(f'"{text}"'))
    except orjson.JSONDecodeError:
        pass
    try:
        return str(json.loads(f'"{text}"', strict=False)).encode("utf-8", "replace").decode()
    except json.JSONDecodeError:
        return text


# --- complete replies ----------------------------------------------------------------------------


def restore_calls(completion: Any, names: Collection[str]) -> Any:
    """The unified reply with the calls of these functions as calls of custom tools; itself if
    there are none."""
    choices = [_restore_choice(choice, names) for choice in completion["choices"]]
    return {**completion, "choices": choices}


def _restore_choice(choice: Json, names: Collection[str]) -> Json:
    calls = choice["message"].get("tool_calls")
    if not calls:
        return choice
    restored = [_restore_call(call) if _has_name(call, names) else call for call in calls]
    return {**choice, "message": {**choice["message"], "tool_calls": restored}}


def _has_name(call: Json, names: Collection[str]) -> bool:
    return (call.get("function") or {}).get("name") in names


def _restore_call(call: Json) -> Json:
    reader = InputReader()
    text = reader.add(call["function"].get("arguments") or "") + reader.finish()
    return _replace_function(call, text)


def _replace_function(call: Json, text: str) -> Json:
    """The call, or a piece of one, with this text as what is new of the input."""
    custom: Json = {INPUT: text}
    if (call.get("function") or {}).get("name"):
        custom = {"name": call["function"]["name"], INPUT: text}
    restored = {name: value for name, value in call.items() if name != "function"}
    if "type" in call:
        restored["type"] = "custom"
    return {**restored, "custom": custom}


# --- streams -------------------------------------------------------------------------------------


class ChunkRestorer:
    """Does the same in the chunks of one stream, which has one choice."""

    def __init__(self, names: Collection[str]) -> None:
        self._names = names
        self._readers: dict[Any, InputReader] = {}
        """The index of a call -> what reads its input."""

    def restore(self, chunks: Iterable[Any]) -> list[Any]:
        return [self._restore_chunk(chunk) for chunk in chunks]

    def _restore_chunk(self, chunk: Any) -> Any:
        choice = chunk["choices"][0] if chunk["choices"] else {"delta": {}, "finish_reason": None}
        pieces = choice["delta"].get("tool_calls") or []
        restored = [self._restore_piece(piece) for piece in pieces]
        if choice["finish_reason"] is not None:
            restored += self._finish()
        if not restored:
            return chunk
        delta = {**choice["delta"], "tool_calls": restored}
        return {**chunk, "choices": [{**choice, "delta": delta}]}

    def _restore_piece(self, piece: Json) -> Json:
        index = piece.get("index")
        if _has_name(piece, self._names):
            self._readers[index] = InputReader()
        reader = self._readers.get(index)
        if reader is None:
            return piece
        return _replace_function(
            piece, reader.add((piece.get("function") or {}).get("arguments") or "")
        )

    def _finish(self) -> list[Json]:
        rests = {index: reader.finish() for index, reader in self._readers.items()}
        return [{"index": index, "custom": {INPUT: rest}} for index, rest in rests.items() if rest]


class CustomCallsWriter(ResponsesStreamWriter):
    """Writes a stream whose request has custom tools."""

    def __init__(self, parsed: ParsedRequest, names: Collection[str]) -> None:
        super().__init__(parsed)
        self._restorer = ChunkRestorer(names)

    def feed(self, chunks: Iterable[Any]) -> bytes:
        return super().feed(self._restorer.restore(chunks))
