"""A Gemini reply, complete or streamed, as the unified one. The parts of a candidate are
`gemini_reply`'s matter.

A stream is a series of replies without an end of its own: each candidate's `finishReason` is the
end. Some models repeat it or send it before the last text, so what a candidate owes at the end
leaves when the stream closes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import orjson

from native_api.dialects.base import StreamParser
from native_api.dialects.gemini.errors import read_reply_error
from native_api.dialects.gemini.logprobs import logprobs
from native_api.dialects.gemini.reply import Candidate
from native_api.dialects.gemini.usage import join_reported_counts, read_service_tier, read_usage
from native_api.dialects.shared.deltas import add_delta, complete_message
from native_api.exceptions import UpstreamError
from native_api.types import (
    ChatCompletion,
    ChatCompletionChunk,
    Choice,
    ChunkChoice,
    Event,
    Json,
    Usage,
)

UNSTATED: Final = "BLOCK_REASON_UNSPECIFIED"


def build_reply(body: Any) -> ChatCompletion:
    """The unified reply. Raises UpstreamError where the body is an error or holds no answer."""
    reply = _reply(body)
    pieces = reply.get("candidates") or []
    reply_id = str(reply.get("responseId") or "")
    choices = [_choice(piece, position, reply_id) for position, piece in enumerate(pieces)]
    if not choices:
        choices = [_blocked_choice(reply)]
    completion: ChatCompletion = {
        "id": reply_id,
        "object": "chat.completion",
        "created": 0,
        "model": str(reply.get("modelVersion") or ""),
        "choices": choices,
    }
    counts = _counts(reply)
    usage, tier = read_usage(counts), read_service_tier(counts)
    if usage:
        completion["usage"] = usage
    if tier:
        completion["service_tier"] = tier
    return completion


def _reply(body: Any) -> Json:
    """The reply in a body or event; errors may come alone in a list."""
    if isinstance(body, list) and body:
        body = body[0]
    if not isinstance(body, dict) or "error" in body:
        raise read_reply_error(body)
    return body


def _counts(reply: Json) -> Json:
    counts = reply.get("usageMetadata")
    return counts if isinstance(counts, dict) else {}


def _choice(piece: Json, position: int, reply_id: str) -> Choice:
    candidate = Candidate(_index(piece, position))
    message: Json = {"role": "assistant", "content": None, **candidate.take(piece, reply_id)}
    owed, ending = candidate.end()
    add_delta(message, owed)
    complete_message(message)
    choice: Choice = {"index": candidate.index, "message": message, **ending}  # type: ignore[typeddict-item]
    likelihoods = logprobs(piece)
    if likelihoods:
        choice["logprobs"] = likelihoods
    return choice


def _index(piece: Json, position: int) -> int:
    """The candidate's number; Vertex AI leaves it out where there is only one."""
    index = piece.get("index", position)
    return index if isinstance(index, int) and index >= 0 else position


def _blocked_choice(reply: Json) -> Choice:
    """The choice of a reply without candidates: the prompt was blocked, or there is no answer at
    all."""
    refusal = _refusal(reply)
    if not refusal:
        raise UpstreamError("The provider's answer has no candidates.")
    message = {"role": "assistant", "content": None, "refusal": refusal}
    return {"index": 0, "message": message, **_blocked(reply)}  # type: ignore[typeddict-item]


def _refusal(reply: Json) -> str:
    """Why the prompt was blocked, "" where it was not."""
    feedback = reply.get("promptFeedback") or {}
    reason = feedback.get("blockReason")
    if not reason or reason == UNSTATED:
        return ""
    return str(feedback.get("blockReasonMessage") or f"The provider blocked the prompt: {reason}.")


def _blocked(reply: Json) -> Json:
    return {
        "finish_reason": "content_filter",
        "native_finish_reason": str(reply["promptFeedback"]["blockReason"]),
    }


class GeminiStream(StreamParser):
    """One reply's events. Each is a reply of its own with the next parts in it."""

    def __init__(self) -> None:
        self._id = ""
        self._model = ""
        self._candidates: dict[int, Candidate] = {}
        self._started: set[int] = set()
        self._counts: Json = {}
        self._refusal = ""
        self._blocked: Json = {}
        self._tier: str | None = None

    def feed(self, event: Event) -> Iterable[ChatCompletionChunk]:
        try:
            body = orjson.loads(event.data)
        except orjson.JSONDecodeError:
            raise UpstreamError("The provider sent a stream event that is not JSON.") from None
        reply = _reply(body)
        self._head(reply)
        choices = [
            choice
            for position, piece in enumerate(reply.get("candidates") or ())
            if (choice := self._piece(piece, position))
        ]
        return (self._chunk(choices),) if choices else ()

    def _head(self, reply: Json) -> None:
        self._id = self._id or str(reply.get("responseId") or "")
        self._model = self._model or str(reply.get("modelVersion") or "")
        if not self._refusal and _refusal(reply):
            self._refusal, self._blocked = _refusal(reply), _blocked(reply)
        counts = _counts(reply)
        if counts:
            self._counts = join_reported_counts(self._counts, counts)
            self.usage: Usage | None = read_usage(self._counts)
            self._tier = read_service_tier(self._counts)

    def _piece(self, piece: Json, position: int) -> ChunkChoice | None:
        index = _index(piece, position)
        candidate = self._candidates.get(index)
        if candidate is None:
            candidate = self._candidates[index] = Candidate(index)
        delta = candidate.take(piece, self._id)
        likelihoods = logprobs(piece)
        if not delta and not likelihoods:
            return None
        choice = self._delta(index, delta)
        if likelihoods:
            choice["logprobs"] = likelihoods
        return choice

    def _delta(self, index: int, delta: Json, ending: Json | None = None) -> ChunkChoice:
        if index not in self._started:
            self._started.add(index)
            delta = {"role": "assistant", **delta}
        choice: Any = {"index": index, "delta": delta, "finish_reason": None, **(ending or {})}
        told: ChunkChoice = choice
        return told

    def _chunk(self, choices: list[ChunkChoice]) -> ChatCompletionChunk:
        chunk: ChatCompletionChunk = {
            "id": self._id,
            "object": "chat.completion.chunk",
            "created": 0,
            "model": self._model,
            "choices": choices,
        }
        if self._tier:
            chunk["service_tier"] = self._tier
        return chunk

    def pending_delta(self) -> Json:
        return {
            "tool_calls": [
                call for candidate in self._candidates.values() for call in candidate.held()
            ]
        }

    def close(self) -> Iterable[ChatCompletionChunk]:
        if not self._candidates and self._refusal:
            return (self._chunk([self._delta(0, {"refusal": self._refusal}, self._blocked)]),)
        unfinished = [
            candidate for candidate in self._candidates.values() if candidate.reason is None
        ]
        if self._refusal:
            for candidate in unfinished:
                candidate.reason = "PROHIBITED_CONTENT"
        elif unfinished or not self._candidates:
            raise UpstreamError(
                "The provider's stream ended before the answer did.", code="stream_truncated"
            )
        return [
            self._chunk([self._ending(self._candidates[index], unfinished)])
            for index in sorted(self._candidates)
        ]

    def _ending(self, candidate: Candidate, unfinished: list[Candidate]) -> ChunkChoice:
        owed, ending = candidate.end()
        return self._delta(
            candidate.index, owed, self._blocked if candidate in unfinished else ending
        )
