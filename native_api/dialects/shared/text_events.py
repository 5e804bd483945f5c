"""Recognizes the events of a stream that are only more of one text, without parsing them. This is
what a forwarded stream costs.

Such events are the same but for their text, a running number and random padding: so the first one,
which was parsed, is the pattern for the rest.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Final

import orjson

from native_api.types import NO_CHUNK, ForwardedEvent, Json

new_tuple: Final = tuple.__new__
"""Makes a named tuple in half the time."""

STRING_END: Final = re.compile(r'(?:[^"\\]|\\.)*"')
NUMBER: Final = re.compile(r'("sequence_number"\s*:\s*)\d+(?=[,}])')
VARYING: Final = re.compile(
    r'"obfuscation"\s*:\s*"(?P<word>[0-9A-Za-z]*)(?=")'
    r'|"sequence_number"\s*:\s*(?P<number>[0-9]+)(?=[,}])'
    r"|\}(?P<padding> *)(?=\}$)"
)
"""What differs after a text: OpenAI's characters that hide its length, the running number, and
Anthropic's spaces before the end."""

KINDS: Final = {"word": "[0-9A-Za-z]*", "number": "[0-9]+", "padding": " *"}

MAX_DIGITS: Final = 12
"""Of a running number."""
MAX_LENGTH: Final = 5000
"""Characters of an event that a pattern is learned from."""
MAX_PATTERNS: Final = 100
"""How many patterns a stream may have, so that one whose events have nothing in common is not
slowed down."""


class TextPattern:
    """What the events of one text have in common.

    `head` and `tail` are what is before the text and after it, in the event that was parsed.
    """

    __slots__ = ("_before", "_is_ending", "_middle", "_reach", "_start", "after", "after_length")

    def __init__(self, head: str, tail: str) -> None:
        number = NUMBER.search(head)
        self._before = head[: number.end(1)] if number else head
        self._middle = head[number.end() :] if number else ""
        self._start = len(self._before)
        self._reach = self._start + MAX_DIGITS + len(self._middle)
        self.after, ending = _split_tail(tail)
        self._is_ending = _compile(ending).fullmatch
        self.after_length = len(self.after)

    def find(self, data: str) -> tuple[str, int, int] | None:
        """The text of an event, and where it begins and ends; None if the event is another."""
        if not data.startswith(self._before):
            return None
        start = self._start
        if self._middle:
            end = data.find(self._middle, start, self._reach)
            if end < 0 or not data[start:end].isdigit():
                return None
            start = end + len(self._middle)
        end = data.find('"', start)
        text = data[start:end]
        if "\\" in text:
            text, end = read_escaped(data, start)
        elif not text.isprintable():
            return None
        if not text or not data.startswith(self.after, end):
            return None
        rest = end + self.after_length
        return (text, start, end) if self._is_ending(data, rest) else None


def _split_tail(tail: str) -> tuple[str, str]:
    """What follows the text up to the first thing that differs, and the pattern of the rest."""
    literal, pattern, position = "", "", 0
    for found in VARYING.finditer(tail):
        kind = found.lastgroup or ""
        between = tail[position : found.start(kind)]
        literal, pattern = (literal, pattern + re.escape(between)) if pattern else (between, "")
        pattern += KINDS[kind]
        position = found.end(kind)
    if not pattern:
        return tail, ""
    return literal, pattern + re.escape(tail[position:])


_compile: Final = lru_cache(maxsize=256)(re.compile)
"""Events of one provider end in few ways."""


def split_event(data: str, name: str) -> tuple[str, str] | None:
    """An event before and after the text in the member `name`; None if that is not certain."""
    found = list(re.finditer(rf'"{name}"\s*:\s*"', data)) if len(data) <= MAX_LENGTH else []
    if len(found) != 1 or "\n" in data or "\r" in data:
        return None
    start = found[0].end()
    text, end = read_escaped(data, start)
    return (data[:start], data[end:]) if text else None


def read_escaped(data: str, start: int) -> tuple[str, int]:
    """The string whose opening quote is before `start`, and where its closing quote is.

    The text is "" if the string is empty or is not JSON.
    """
    found = STRING_END.match(data, start)
    if found is None:
        return "", start
    try:
        text: str = orjson.loads(data[start - 1 : found.end()])
    except orjson.JSONDecodeError:
        return "", start
    return text, found.end() - 1


Add = Callable[[str], Iterable[Json]]
"""Adds more of one text to a reply, and returns the deltas."""


class TextEvents:
    """The text events of one stream. The first of each text is read by the stream's parser; `take`
    gives the parser all the others together."""

    __slots__ = ("_add", "_kind", "_pattern", "_patterns_left", "_pieces", "_returned")

    def __init__(self) -> None:
        self._pattern: TextPattern | None = None
        self._patterns_left = MAX_PATTERNS
        self._add: Add = _add_nothing
        self._kind = ""
        self._pieces: list[str] = []
        self._returned: list[Json] = []

    def read(self, data: str) -> tuple[ForwardedEvent] | None:
        """The event as it goes on, if it is more of the text; None if it has to be parsed."""
        found = self._pattern.find(data) if self._pattern is not None else None
        if found is None:
            return None
        self._pieces.append(found[0])
        return (new_tuple(ForwardedEvent, (NO_CHUNK, data, self._kind, None)),)

    def learn(self, event: ForwardedEvent, name: str, add: Add | None) -> None:
        """Learn from an event that was parsed, with a piece of text in its member `name`.

        `add` adds more of this text.
        """
        self._pattern = None
        if add is None or event.data is None or self._patterns_left == 0:
            return
        self._patterns_left -= 1
        parts = split_event(event.data, name)
        if parts is not None:
            self._pattern, self._add, self._kind = TextPattern(*parts), add, event.type

    def pause(self) -> None:
        """The next event has to be parsed."""
        self._pattern = None

    def forget(self) -> None:
        """From now on every event has to be parsed."""
        self._pattern, self._patterns_left = None, 0

    def take(self) -> list[Json]:
        """The deltas of what was read since the last time."""
        deltas, self._returned = self._returned, []
        if self._pieces:
            text, self._pieces = "".join(self._pieces), []
            deltas += [delta for delta in self._add(text) if delta]
        return deltas

    def give_back(self, deltas: list[Json]) -> None:
        """Keep deltas that were taken and reached nobody."""
        self._returned = deltas


def _add_nothing(text: str) -> Iterable[Json]:
    return ()
