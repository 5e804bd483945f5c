"""The events that are only more of one choice's text (`shared.text_events`), and how they are sent:
without the usage that a client did not ask for."""

from __future__ import annotations

from native_api.dialects.shared.text_events import TextPattern, split_event


class ContentPattern(TextPattern):
    """An event that was parsed, and the parts of what is sent of it."""

    __slots__ = ("_sent_after", "_sent_before", "is_cut")

    def __init__(self, parts: tuple[str, str], sent_parts: tuple[str, str]) -> None:
        super().__init__(*parts)
        self.is_cut = parts != sent_parts
        self._sent_before, sent_tail = sent_parts
        self._sent_after = TextPattern("", sent_tail).after

    def cut(self, data: str, start: int, end: int) -> str:
        """What to send of an event whose text begins and ends here, if `is_cut`."""
        rest = data[end + self._after_length :]
        return f"{self._sent_before}{data[start:end]}{self._sent_after}{rest}"


def learn_pattern(data: str, sent: str) -> ContentPattern | None:
    """The pattern of an event that was parsed, and is sent as `sent`. None if it cannot be one."""
    parts, sent_parts = split_event(data, "content"), split_event(sent, "content")
    return ContentPattern(parts, sent_parts) if parts and sent_parts else None
