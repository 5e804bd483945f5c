"""Recognizes the events of one stream that are only more text, without parsing them.

Such events are the same but for their text and OpenAI's `obfuscation`: so the first one, which was
parsed, is the pattern for the rest. This is what a forwarded stream costs.
"""

from __future__ import annotations

import re
from typing import Final

import orjson

CONTENT: Final = re.compile(r'"content"\s*:\s*"')
STRING_END: Final = re.compile(r'(?:[^"\\]|\\.)*"')
OBFUSCATION: Final = '"obfuscation":"'
"""OpenAI's random characters, which hide the length of the text. Always the last member."""


class TextPattern:
    """An event `before` its text and `after` it, and how the two are sent."""

    __slots__ = (
        "_after",
        "_before",
        "_is_cut",
        "_is_obfuscated",
        "_length_after",
        "_sent_after",
        "_sent_before",
        "_start",
    )

    def __init__(self, before: str, after: str, sent_before: str, sent_after: str) -> None:
        self._before, self._after = before, after
        self._sent_before, self._sent_after = sent_before, sent_after
        self._is_cut = (before, after) != (sent_before, sent_after)
        self._is_obfuscated = after.endswith(OBFUSCATION)
        self._start, self._length_after = len(before), len(after)

    def match(self, data: str) -> tuple[str, str] | None:
        """The text of an event and what to send, if the event is of this kind."""
        if not data.startswith(self._before):
            return None
        start = self._start
        end = data.find('"', start)
        text = data[start:end]
        if "\\" in text:
            text, end = _read_escaped(data, start)
        elif not text.isprintable():
            return None
        if not text or not data.startswith(self._after, end):
            return None
        rest = end + self._length_after
        if len(data) != rest and not (self._is_obfuscated and _closes(data, rest)):
            return None
        if not self._is_cut:
            return text, data
        return text, f"{self._sent_before}{data[start:end]}{self._sent_after}{data[rest:]}"


def _closes(data: str, start: int) -> bool:
    """Whether the value of `obfuscation`, which begins here, is the end of the event."""
    return data.endswith('"}') and (data[start:-2].isalnum() or start == len(data) - 2)


def learn_pattern(data: str, sent: str) -> TextPattern | None:
    """The pattern of an event that was parsed, and is sent as `sent`. None if it cannot be one."""
    parts, sent_parts = _split(data), _split(sent)
    return TextPattern(*parts, *sent_parts) if parts and sent_parts else None


def _split(data: str) -> tuple[str, str] | None:
    found = CONTENT.search(data)
    if found is None or OBFUSCATION in data[: found.end()]:
        return None
    _, end = _read_escaped(data, found.end())
    after, obfuscation, _ = data[end:].partition(OBFUSCATION)
    return data[: found.end()], after + obfuscation


def _read_escaped(data: str, start: int) -> tuple[str, int]:
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
