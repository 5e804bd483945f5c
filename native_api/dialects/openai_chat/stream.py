"""Streams of OpenAI's family. Chunks already have the unified shape; this repairs what servers get
wrong. Rules:

1. The finish reason of a choice is sent once, last: when the stream is done. Servers repeat it,
   send it before the last text, or forget it.
2. Members outside the choices (Azure's filter results, Perplexity's sources, llama.cpp's timings)
   are sent with the next chunk that has choices: a chunk without any breaks clients.
3. `[DONE]` or a finish reason for every choice is the end; without either the answer was cut short.
4. An error after every choice has its finish reason is ignored.
5. Most chunks are only more text of one choice. They take a short way, since it is what a stream
   costs.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from native_api.dialects.openai_chat.choice import ChoiceBuilder
from native_api.dialects.openai_chat.content import build_logprobs
from native_api.dialects.openai_chat.reply import CHOICE_MEMBERS, without_usage
from native_api.dialects.openai_chat.usage import read_usage
from native_api.dialects.shared.errors import is_error, read_embedded_error
from native_api.dialects.shared.reply_fields import (
    CHECKED_FIELDS,
    KNOWN_TIERS,
    read_checked_fields,
    read_service_tier,
)
from native_api.dialects.streams import StreamParser, parse_event
from native_api.exceptions import UpstreamError
from native_api.types import ChatCompletionChunk, Event, Json, Quirks

HEAD: Final = frozenset(
    {"id", "object", "created", "model", "choices", "usage", "x_groq", *CHECKED_FIELDS}
)
TEXT_CHUNK: Final = frozenset(
    {
        "id", "object", "created", "model", "choices", "usage", "system_fingerprint",
        "service_tier", "obfuscation",
    }
)  # fmt: skip
TEXT_CHOICE: Final = frozenset({"index", "delta", "finish_reason", "logprobs"})
"""The members that a chunk of only text, and its choice, may have."""


class OpenAIStream(StreamParser):
    def __init__(self, quirks: Quirks) -> None:
        self._quirks = quirks
        self._choices: dict[int, ChoiceBuilder] = {}
        self.head: Json = {}
        """`id`, `created` and `model` of the reply; empty before the first chunk."""
        self._reply_fields: Json = {}
        self._last_values: Json = {}
        self._sources: Json = {}
        self._ended = False

    def feed(self, event: Event) -> Iterable[ChatCompletionChunk]:
        if event.data.strip() == "[DONE]":
            return self.finish()
        chunk = parse_chunk(event)
        if self.add_text_chunk(chunk):
            return (self.unify_text_chunk(chunk),)
        if self.add_usage_chunk(chunk):
            return ()
        return self.read_chunk(chunk, event.type)

    def finish(self) -> list[ChatCompletionChunk]:
        """The last chunk, at `[DONE]`."""
        self.has_ended = True
        return self._finish()

    def read_chunk(self, chunk: Json, event_type: str) -> list[ChatCompletionChunk]:
        """What is new in a chunk of any kind. Raises UpstreamError if it is an error."""
        if chunk.get("usage") or chunk.get("x_groq"):
            self.record_usage(read_usage(chunk))
        self._raise_error(event_type, chunk)
        self._read_reply_fields(chunk)
        choices = [
            choice
            for choice in map(self._build_choice, chunk.get("choices") or ())
            if choice is not None
        ]
        return [self._build_chunk(choices)] if choices else []

    def add_usage_chunk(self, chunk: Json) -> bool:
        """Record the usage of a chunk without anything else. False if it is any other."""
        if chunk.get("choices") != [] or not chunk.get("usage") or not chunk.keys() <= TEXT_CHUNK:
            return False
        self.record_usage(read_usage(chunk))
        self._reply_fields |= read_service_tier(chunk)
        return True

    def add_text_chunk(self, chunk: Json) -> bool:
        """Count a chunk that is only more text of one choice. False if it is any other."""
        choices = chunk.get("choices")
        if (
            self._reply_fields
            or not chunk.keys() <= TEXT_CHUNK
            or chunk.get("usage") is not None
            or type(choices) is not list
            or len(choices) != 1
        ):
            return False
        choice, tier = choices[0], chunk.get("service_tier")
        if tier is not None and tier not in KNOWN_TIERS:
            return False
        if type(choice) is not dict or not choice.keys() <= TEXT_CHOICE:
            return False
        builder = self._choices.get(choice.get("index", 0))
        return (
            builder is not None
            and choice.get("finish_reason") is None
            and choice.get("logprobs") is None
            and builder.add_text(choice.get("delta"))
        )

    def text_choice(self, index: int) -> ChoiceBuilder | None:
        """The choice, if a chunk with more of its text would have to be counted and no more."""
        builder = self._choices.get(index)
        return builder if builder and not self._reply_fields and builder.takes_text() else None

    def unify_text_chunk(self, chunk: Json) -> ChatCompletionChunk:
        """A chunk that `add_text_chunk` has counted, in the unified shape."""
        unified: Any = {
            name: value for name, value in chunk.items() if value is not None
        } | self.head
        unified["object"] = "chat.completion.chunk"
        choice = unified["choices"][0]
        choice["index"], choice["finish_reason"] = choice.get("index", 0), None
        return unified  # type: ignore[no-any-return]

    def _raise_error(self, event_type: str, chunk: Json) -> None:
        groq = chunk.get("x_groq")
        if isinstance(groq, dict) and groq.get("error"):
            chunk = {"error": groq["error"]}
        if (event_type == "error" or is_error(chunk)) and not self._is_complete():
            raise read_embedded_error(chunk if is_error(chunk) else {"error": chunk})

    def _is_complete(self) -> bool:
        return bool(self._choices) and all(
            builder.finish_reason is not None for builder in self._choices.values()
        )

    def _read_reply_fields(self, chunk: Json) -> None:
        if not self.head.get("id"):
            self.head = {
                "id": str(chunk.get("id") or ""),
                "created": chunk.get("created") or 0,
                "model": str(chunk.get("model") or ""),
            }
        for name, value in chunk.items():
            if (
                name not in HEAD
                and value is not None
                and "choices" in chunk
                and self._is_new(name, value)
            ):
                self._reply_fields[name] = value
        for name in ("citations", "search_results"):
            if chunk.get(name):
                self._sources[name] = chunk[name]
        self._reply_fields |= read_checked_fields(chunk)
        groq = without_usage(chunk.get("x_groq"))
        if groq:
            self._reply_fields["x_groq"] = groq

    def _is_new(self, name: str, value: Any) -> bool:
        """Whether to send a list or object: Perplexity repeats all its sources in each chunk."""
        if not isinstance(value, list | dict):
            return True
        is_new: bool = self._last_values.get(name) != value
        self._last_values[name] = value
        return is_new

    def _build_choice(self, choice: Any) -> Json | None:
        """One choice in the unified shape, None if nothing is left of it."""
        if not isinstance(choice, dict):
            return None
        index = choice["index"] if isinstance(choice.get("index"), int) else 0
        builder = self._choices.get(index)
        if builder is None:
            builder = self._choices[index] = ChoiceBuilder(index, self._quirks)
        builder.read_finish_reason(choice)
        if choice.get("usage"):
            self.record_usage(read_usage(choice))
        delta = builder.add(_read_delta(choice, builder))
        if choice.keys() - CHOICE_MEMBERS:
            builder.extra |= {
                name: value
                for name, value in choice.items()
                if name not in CHOICE_MEMBERS and value is not None
            }
        logprobs = choice.get("logprobs")
        if logprobs is not None:
            logprobs = build_logprobs(logprobs, delta.get("content") or "")
        if not delta and logprobs is None:
            return None
        extra, builder.extra = builder.extra, {}
        unified = {"index": index, "delta": delta, "finish_reason": None, **extra}
        if "logprobs" in choice:
            unified["logprobs"] = logprobs
        return unified

    def _build_chunk(self, choices: list[Json]) -> ChatCompletionChunk:
        fields, self._reply_fields = self._reply_fields, {}
        chunk: Any = {**self.head, "object": "chat.completion.chunk", "choices": choices, **fields}
        unified: ChatCompletionChunk = chunk
        return unified

    def _finish(self) -> list[ChatCompletionChunk]:
        if self._ended or not self._choices:
            return []
        self._ended = True
        return [
            self._build_chunk(
                [self._build_last_choice(self._choices[index]) for index in sorted(self._choices)]
            )
        ]

    def _build_last_choice(self, builder: ChoiceBuilder) -> Json:
        delta, finish_reason = builder.finish(self._sources)
        if not builder.has_begun:
            delta = {"role": "assistant", **delta}
        return {
            "index": builder.index,
            "delta": delta,
            "finish_reason": finish_reason,
            **builder.extra,
        }

    def pending_delta(self) -> Json:
        pending = [builder.pending() for builder in self._choices.values()]
        return {
            "content": "".join(text for text, _ in pending),
            "provider_content": [{"block": others} for _, others in pending],
        }

    def close(self) -> Iterable[ChatCompletionChunk]:
        if not self._choices or not (self.has_ended or self._is_complete()):
            raise UpstreamError(
                "The provider's stream ended before the answer did.", code="stream_truncated"
            )
        return self._finish()


def parse_chunk(event: Event) -> Json:
    """The chunk of an event. Raises UpstreamError if it is none."""
    chunk = parse_event(event)
    if not isinstance(chunk, dict):
        raise read_embedded_error(chunk)
    return chunk


def _read_delta(choice: Json, builder: ChoiceBuilder) -> Json:
    """What a choice adds. A whole message after deltas adds nothing (Perplexity, MiniMax)."""
    delta = choice.get("delta")
    if isinstance(delta, dict):
        return delta
    if choice.get("text"):
        return {"content": choice["text"]}
    message = choice.get("message")
    return message if isinstance(message, dict) and not builder.has_begun else {}
