"""Streams of OpenAI's family for clients of OpenAI: events go on as the provider sent them.

`OpenAIStream` reads every event. If it would change nothing of it, the event's own text goes on.
These are the edits, all for the sake of strict clients:

1. What `OpenAIStream` repairs: see its rules. The chunk is encoded again.
2. `"usage": null` is cut out if the client did not ask for usage, which the gateway always does.
3. The event with a choice's finish reason is held back until the end of the stream, and so is what
   follows it. The event with the usage comes last, if the client asked for it.
4. An event without choices goes on only if the client asked for usage: then it expects one.
   Otherwise the next chunk has its members.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from native_api.dialects.openai_chat.choice import ChoiceBuilder
from native_api.dialects.openai_chat.sameness import are_same_choices, is_same
from native_api.dialects.openai_chat.stream import OpenAIStream, parse_chunk
from native_api.dialects.openai_chat.text_events import ContentPattern, learn_pattern
from native_api.dialects.shared.errors import is_error
from native_api.dialects.shared.text_events import new_tuple
from native_api.dialects.streams import StreamEditor
from native_api.types import Event, ForwardedEvent, Json

NULL_USAGE: Final = ',"usage":null'
SPACED_NULL_USAGE: Final = re.compile(r',\s*"usage"\s*:\s*null')
READ_MEMBERS: Final = frozenset({"x_groq", "citations", "search_results"})
"""Members outside of the choices that the parser reads."""

MAX_PATTERNS: Final = 3
"""How often a pattern is made anew. Some servers change a member in every event."""

REPAIRED_MEMBERS: Final = frozenset({"id", "object", "created", "model", "choices", "usage"})


class OpenAIStreamEditor(StreamEditor):
    parser: OpenAIStream

    def __init__(self, parser: OpenAIStream, keeps_usage: bool) -> None:
        """`keeps_usage` is whether the client asked for usage."""
        super().__init__(parser)
        self._keeps_usage = keeps_usage
        self._head: Json | None = None
        """The head of all chunks; empty if the provider's is not complete."""
        self._held: list[ForwardedEvent] = []
        self._pattern: ContentPattern | None = None
        self._pattern_index = 0
        self._text_choice: ChoiceBuilder | None = None
        """The choice of the pattern; None while its text would have to be read by `parser`."""
        self._patterns_left = MAX_PATTERNS

    def feed(self, event: Event) -> Sequence[ForwardedEvent]:
        data = event.data
        builder, pattern = self._text_choice, self._pattern
        found = pattern.find(data) if pattern and builder else None
        if found and builder and pattern:
            text, start, end = found
            builder.length += len(text)
            choice = {"index": builder.index, "delta": {"content": text}, "finish_reason": None}
            sent = data
            if pattern.is_cut:
                rest = data[end + pattern.after_length :]
                sent = f"{pattern.sent_before}{data[start:end]}{pattern.sent_after}{rest}"
            return (new_tuple(ForwardedEvent, ({"choices": [choice]}, sent, "", None)),)
        if data.strip() == "[DONE]":
            return self._finish(self.parser.finish())
        events = self._read(parse_chunk(event), event)
        self._text_choice = self.parser.text_choice(self._pattern_index)
        return events

    def _read(self, chunk: Json, event: Event) -> Sequence[ForwardedEvent]:
        data, parser = event.data, self.parser
        if parser.add_text_chunk(chunk):
            return (self._choose_text(chunk, data),)
        if parser.add_usage_chunk(chunk):
            if self._has_head(chunk):
                self.usage_event = ForwardedEvent(chunk, self._cut_usage(chunk, data))
            return ()
        if event.type != "error" and self._has_only_unknown_members(chunk):
            return self._pass_in_order(ForwardedEvent(chunk, self._cut_usage(chunk, data)))
        unified = parser.read_chunk(chunk, event.type)
        if unified:
            return (self._choose(unified[0], chunk, data),)
        self._hold_back(chunk, data)
        return ()

    def _choose_text(self, chunk: Json, data: str) -> ForwardedEvent:
        choice = chunk["choices"][0]
        is_whole = "index" in choice and "finish_reason" in choice
        sent = self._cut_usage(chunk, data) if is_whole and self._has_head(chunk) else None
        if sent is None:
            return ForwardedEvent(self.parser.unify_text_chunk(chunk), None)
        if self._patterns_left:
            self._patterns_left -= 1
            self._pattern, self._pattern_index = learn_pattern(data, sent), choice["index"]
        return ForwardedEvent(chunk, sent)

    def _has_only_unknown_members(self, chunk: Json) -> bool:
        """Whether a chunk without choices has nothing for the parser to read."""
        return (
            self._keeps_usage
            and chunk.get("choices") == []
            and READ_MEMBERS.isdisjoint(chunk)
            and not chunk.get("usage")
            and not is_error(chunk)
            and self._has_head(chunk)
        )

    def _pass_in_order(self, event: ForwardedEvent) -> Sequence[ForwardedEvent]:
        if not self._held:
            return (event,)
        self._held.append(event)
        return ()

    def close(self) -> Sequence[ForwardedEvent]:
        return self._finish(list(self.parser.close()))

    def _has_head(self, chunk: Json) -> bool:
        """Whether the chunk has the head of the first chunk that went on."""
        head = self._head
        return bool(
            head
            and chunk.get("id") == head["id"]
            and chunk.get("created") == head["created"]
            and chunk.get("model") == head["model"]
            and chunk.get("object") == "chat.completion.chunk"
        )

    def _cut_usage(self, chunk: Json, data: str) -> str | None:
        """The event's text without the null that only a client with `include_usage` expects.

        None if the text cannot stand in one line, or has more than one such member.
        """
        if "\n" in data or "\r" in data:
            return None
        if self._keeps_usage or "usage" not in chunk:
            return data
        if data.count(NULL_USAGE) == 1:
            return data.replace(NULL_USAGE, "")
        cut, count = SPACED_NULL_USAGE.subn("", data)
        return cut if count == 1 else None

    def _choose(self, unified: Any, chunk: Json, data: str) -> ForwardedEvent:
        """The event itself if nothing of it is repaired, else the unified chunk."""
        if self._head is None:
            head = self.parser.head
            self._head = head if all(head.values()) else {}
        if (
            chunk.get("usage") is None
            and self._has_head(chunk)
            and _is_same_head(chunk, unified)
            and are_same_choices(chunk["choices"], unified["choices"])
        ):
            return ForwardedEvent(unified, self._cut_usage(chunk, data))
        return ForwardedEvent(unified, None)

    def _hold_back(self, chunk: Json, data: str) -> None:
        """Keep an event that only says why a choice has ended."""
        choices = chunk.get("choices")
        if not isinstance(choices, list) or len(choices) != 1 or chunk.get("usage") is not None:
            return
        choice, sent = choices[0], self._cut_usage(chunk, data)
        if (
            sent is not None
            and isinstance(choice, dict)
            and type(choice.get("index")) is int
            and choice.get("finish_reason")
            and self._has_head(chunk)
        ):
            self._held.append(ForwardedEvent(chunk, sent))

    def _finish(self, chunks: list[Any]) -> list[ForwardedEvent]:
        """The last chunk of the stream: by the events that were held back, if they say the same."""
        held, self._held = self._held, []
        others = [event for event in held if not event.chunk["choices"]]
        if not chunks:
            return others
        last, ends = chunks[0], [event.chunk for event in held if event.chunk["choices"]]
        sent = sorted((end["choices"][0] for end in ends), key=lambda choice: choice["index"])
        if ends and are_same_choices(sent, last["choices"]) and _is_same_head(ends[-1], last):
            return held
        return [*others, ForwardedEvent(last, None)]


def _is_same_head(chunk: Json, unified: Json) -> bool:
    """Whether the members outside of the choices are those of the unified chunk."""
    return is_same(
        {name: value for name, value in chunk.items() if name not in REPAIRED_MEMBERS},
        {name: value for name, value in unified.items() if name not in REPAIRED_MEMBERS},
    )
