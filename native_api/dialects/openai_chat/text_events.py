"""The events that are only more of one choice's text (`shared.text_events`), and how they are sent:
without the usage that a client did not ask for."""

from __future__ import annotations

from native_api.dialects.shared.text_events import TextPattern, split_event


class ContentPattern(TextPattern):
    """An event that was parsed, and the parts of what is sent of it. The text stands between
    `sent_before` and `sent_after`, if the event `is_cut`."""

    __slots__ = ("is_cut", "sent_after", "sent_before")

    def __init__(self, parts: tuple[str, str], sent_parts: tuple[str, str]) -> None:
        super().__init__(*parts)
        self.is_cut = parts != sent_parts
        self.sent_before, sent_tail = sent_parts
        self.sent_after = TextPattern("", sent_tail).after


def learn_pattern(data: str, sent: str) -> ContentPattern | None:
    """The pattern of an event that was parsed, and is sent as `sent`. None if it cannot be one."""
    parts, sent_parts = split_event(data, "content"), split_event(sent, "content")
    return ContentPattern(parts, sent_parts) if parts and sent_parts else None
