"""Recognizes the events of a stream that are only more of one text, without parsing them. This is
what a forwarded stream costs.

Such events differ in the text, in a running number, in random padding and in the text's place. So
the first one, which was parsed, gives the shape of the others.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any, Final

import orjson

from native_api.types import NO_CHUNK, ForwardedEvent, Json

Add = Callable[[str], Iterable[Json]]
"""Adds more of one text to a reply, and returns the deltas."""

TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|\s+|[^\s"{}\[\],:]+')

STRING: Final = r'"[^"\\\x00-\x1f]*"'
NUMBER: Final = r"[0-9]+"
FREE_MEMBERS: Final = {'"sequence_number"': NUMBER, '"obfuscation"': STRING}
"""Members whose values mean nothing here -> what they may be."""
PLACE_MEMBERS: Final = frozenset(
    {'"item_id"', '"output_index"', '"content_index"', '"summary_index"', '"index"'}
)
"""Members that say which text it is."""
TEXT: Final = r'"((?:[^"\\\x00-\x1f]|\\.)*)"'

MAX_SHAPES: Final = 50
"""How often a stream may change the shape of its text events, so that one that always does is not
slowed down."""
MAX_LENGTH: Final = 2000
"""Characters of an event that a shape is learned from."""


class DeltaShape:
    """What the events of one kind have in common."""

    __slots__ = ("_fullmatch", "_places", "_text")

    def __init__(self, pattern: re.Pattern[str], text: int, places: tuple[int, ...]) -> None:
        self._fullmatch = pattern.fullmatch
        self._text, self._places = text, places

    def match(self, data: str) -> tuple[str, Any] | None:
        """The text of an event, and the key of its place; None for an event of another shape."""
        found = self._fullmatch(data)
        if found is None:
            return None
        text = found[self._text]
        if "\\" in text:
            try:
                text = orjson.loads(f'"{text}"')
            except orjson.JSONDecodeError:
                return None
        return text, found.group(*self._places)


def learn_shape(data: str, text_member: str) -> DeltaShape | None:
    """The shape of an event that was parsed, whose text is in `text_member`; None if it cannot be
    recognized."""
    if len(data) > MAX_LENGTH or "\n" in data or "\r" in data:
        return None
    tokens = TOKEN.findall(data.rstrip())
    name = f'"{text_member}"'
    if "".join(tokens) != data.rstrip() or tokens.count(name) != 1 or tokens[-1:] != ["}"]:
        return None
    return _compile("".join(_describe(tokens, name)))


def _describe(tokens: list[str], text_name: str) -> Iterator[str]:
    """The pattern of an event. The groups of texts and places are named `text` and `place`."""
    member = ""
    for index, token in enumerate(tokens[:-1]):
        following = next((each for each in tokens[index + 1 :] if not each.isspace()), "")
        if token[0] == '"' and following == ":":
            member = token
        elif member and token[0] not in ":{[" and not token.isspace():
            pattern = _describe_value(member, token, text_name)
            member = ""
            yield pattern
            continue
        is_padding = token.isspace() and index == len(tokens) - 2
        yield "" if is_padding else re.escape(token)
    yield r" *\} *"


def _describe_value(member: str, value: str, text_name: str) -> str:
    if member == text_name:
        return TEXT
    if member in FREE_MEMBERS:
        return FREE_MEMBERS[member]
    if member in PLACE_MEMBERS:
        return f"({STRING})" if value[0] == '"' else f"({NUMBER})"
    return re.escape(value)


@lru_cache(maxsize=128)
def _compile(pattern: str) -> DeltaShape | None:
    """The shape with this pattern. Providers have few, so they are shared by all streams."""
    before, found, _ = pattern.partition(TEXT)
    compiled, text = re.compile(pattern), re.compile(before).groups + 1
    places = tuple(number for number in range(1, compiled.groups + 1) if number != text)
    return DeltaShape(compiled, text, places) if found and places else None


class DeltaReader:
    """Reads the text events of one stream: the first of each text as its parser does, the others
    without parsing them."""

    __slots__ = ("_adders", "_shape", "_shapes_left")

    def __init__(self) -> None:
        self._shape: DeltaShape | None = None
        self._adders: dict[Any, tuple[Add, str]] = {}
        """The place of a text -> what adds more of it to the reply, and the type of its events."""
        self._shapes_left = MAX_SHAPES

    def read(self, data: str) -> ForwardedEvent | None:
        """The event, with what is counted; None if it has to be parsed."""
        found = self._shape.match(data) if self._shape is not None else None
        known = self._adders.get(found[1]) if found else None
        if found is None or known is None or not found[0]:
            return None
        add, kind = known
        return ForwardedEvent(_build_chunk(add(found[0])), data, kind)

    def learn(self, event: ForwardedEvent, text_member: str, add: Add | None) -> None:
        """Learn from an event that was parsed, of whose text `add` adds more."""
        if add is None or event.data is None or self._shapes_left == 0:
            return
        shape = learn_shape(event.data, text_member)
        found = shape.match(event.data) if shape is not None else None
        if found is None:
            self._shapes_left -= 1
            return
        if shape is not self._shape:
            self._shapes_left -= 1
            self._shape, self._adders = shape, {}
        self._adders[found[1]] = add, event.type

    def stop(self) -> None:
        """The reply has ended: nothing is recognized any more."""
        self._shape, self._shapes_left = None, 0


def _build_chunk(deltas: Iterable[Json]) -> Any:
    choices = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas if delta]
    return {"choices": choices} if choices else NO_CHUNK
