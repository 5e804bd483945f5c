"""A streamed Gemini reply as unified chunks. `choice` builds the deltas.

A stream is a series of replies, each with the next parts, and has no final event: a candidate ends
with its `finishReason`. Some models repeat that, or send it before the last text, so the last delta
of each candidate is sent when the stream closes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from native_api.dialects.gemini.choice import ChoiceBuilder
from native_api.dialects.gemini.logprobs import build_logprobs
from native_api.dialects.gemini.reply import (
    build_blocked_ending,
    read_counts,
    read_index,
    read_refusal,
    read_reply,
)
from native_api.dialects.gemini.usage import join_reported_counts, read_service_tier, read_usage
from native_api.dialects.shared.errors import build_truncation_error
from native_api.dialects.shared.frames import build_chunk
from native_api.dialects.streams import StreamParser, parse_event
from native_api.types import ChatCompletionChunk, ChunkChoice, Event, Json, Usage


class GeminiStream(StreamParser):
    """Reads the events of one reply. Each event is a reply with the next parts in it."""

    def __init__(self) -> None:
        self._id = ""
        self._model = ""
        self._builders: dict[int, ChoiceBuilder] = {}
        self._started: set[int] = set()
        self._counts: Json = {}
        self._refusal = ""
        self._blocked_ending: Json = {}
        self._tier: str | None = None

    def feed(self, event: Event) -> Iterable[ChatCompletionChunk]:
        body = parse_event(event)
        reply = read_reply(body)
        self._read_head(reply)
        choices = [
            choice
            for position, candidate in enumerate(reply.get("candidates") or ())
            if (choice := self._read_candidate(candidate, position))
        ]
        return (self._build_chunk(choices),) if choices else ()

    def _read_head(self, reply: Json) -> None:
        self._id = self._id or str(reply.get("responseId") or "")
        self._model = self._model or str(reply.get("modelVersion") or "")
        if not self._refusal and read_refusal(reply):
            self._refusal, self._blocked_ending = read_refusal(reply), build_blocked_ending(reply)
        counts = read_counts(reply)
        if counts:
            self._counts = join_reported_counts(self._counts, counts)
            self.usage: Usage | None = read_usage(self._counts)
            self._tier = read_service_tier(self._counts)

    def _read_candidate(self, candidate: Json, position: int) -> ChunkChoice | None:
        index = read_index(candidate, position)
        builder = self._builders.get(index)
        if builder is None:
            builder = self._builders[index] = ChoiceBuilder(index)
        delta = builder.add(candidate, self._id)
        logprobs = build_logprobs(candidate)
        if not delta and not logprobs:
            return None
        choice = self._build_choice(index, delta)
        if logprobs:
            choice["logprobs"] = logprobs
        return choice

    def _build_choice(self, index: int, delta: Json, ending: Json | None = None) -> ChunkChoice:
        if index not in self._started:
            self._started.add(index)
            delta = {"role": "assistant", **delta}
        members: Any = {"index": index, "delta": delta, "finish_reason": None, **(ending or {})}
        choice: ChunkChoice = members
        return choice

    def _build_chunk(self, choices: list[ChunkChoice]) -> ChatCompletionChunk:
        return build_chunk(choices, reply_id=self._id, model=self._model, service_tier=self._tier)

    def pending_delta(self) -> Json:
        builders = self._builders.values()
        return {"tool_calls": [call for builder in builders for call in builder.pending_calls()]}

    def close(self) -> Iterable[ChatCompletionChunk]:
        if not self._builders and self._refusal:
            refusal = self._build_choice(0, {"refusal": self._refusal}, self._blocked_ending)
            return (self._build_chunk([refusal]),)
        unfinished = [builder for builder in self._builders.values() if builder.reason is None]
        if self._refusal:
            for builder in unfinished:
                builder.reason = "PROHIBITED_CONTENT"
        elif unfinished or not self._builders:
            raise build_truncation_error()
        return [
            self._build_chunk([self._build_last_choice(self._builders[index], unfinished)])
            for index in sorted(self._builders)
        ]

    def _build_last_choice(
        self, builder: ChoiceBuilder, unfinished: list[ChoiceBuilder]
    ) -> ChunkChoice:
        delta, ending = builder.finish()
        if builder in unfinished:
            ending = self._blocked_ending
        return self._build_choice(builder.index, delta, ending)
