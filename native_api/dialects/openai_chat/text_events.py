"""The events that are only more of one choice's text (`shared.text_events`), and how they are sent:
without the usage that a client did not ask for."""

from __future__ import annotations

from native_api.dialects.shared.text_events import TextPattern, split_event


class ContentPattern(TextPattern):
    """An event that was parsed, and the parts of what is sent of it."""

    __slots__ = ("_is_cut", "_sent_after", "_sent_before")

    def __init__(self, parts: tuple[str, str], sent_parts: tuple[str, str]) -> None:
        super().__init__(*parts)
        self._is_cut = parts != sent_parts
        self._sent_before, sent_tail = sent_parts
        self._sent_after = TextPattern("", sent_tail).after

    def match(self, data: str) -> tuple[str, str] | None:
        """The text of an event and what to send, if the event is of this kind."""
        found = self.find(data)
        if found is None:
            return None
        text, start, end = found
        if not self._is_cut:
            return text, data
        rest = data[end + len(self.after) :]
        return text, f"{self._sent_before}{data[start:end]}{self._sent_after}{rest}"


def learn_pattern(data: str, sent: str) -> ContentPattern | None:
    """The pattern of an event that was parsed, and is sent as `sent`. None if it cannot be one."""
    parts, sent_parts = split_event(data, "content"), split_event(sent, "content")
    return ContentPattern(parts, sent_parts) if parts and sent_parts else None
