"""Streams of OpenAI's family. Chunks are already in the unified shape; this repairs what servers
get wrong. Rules:

1. A choice's finish reason leaves last, once: when the stream is done. Servers repeat it, send it
   before the last text, or forget it.
2. What is told outside the choices (Azure's filter results, Perplexity's sources, llama.cpp's
   timings) goes with the next chunk that has choices: a chunk without any breaks clients.
3. `[DONE]` or a finish reason for every choice is the end; without either the answer was cut short.
4. An error after the answer was whole is not the answer's.
5. Most chunks are one more piece of text and nothing else: they go a short way, which is what a
   stream costs.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from native_api.dialects.base import StreamParser, parse_event
from native_api.dialects.openai_chat.content import logprobs_of
from native_api.dialects.openai_chat.reply import OF_CHOICE, Answer, without_usage
from native_api.dialects.openai_chat.usage import KNOWN_TIERS, read_service_tier, read_usage
from native_api.dialects.shared.errors import is_error, read_embedded_error
from native_api.exceptions import UpstreamError
from native_api.types import ChatCompletionChunk, Event, Json, Quirks

HEAD: Final = frozenset({"id", "object", "created", "model", "choices", "usage", "x_groq"})
USUAL: Final = frozenset(
    {
        "id",
        "object",
        "created",
        "model",
        "choices",
        "usage",
        "system_fingerprint",
        "service_tier",
        "obfuscation",
    }
)
USUAL_OF_CHOICE: Final = frozenset({"index", "delta", "finish_reason", "logprobs"})


class OpenAIStream(StreamParser):
    def __init__(self, quirks: Quirks) -> None:
        self._quirks = quirks
        self._answers: dict[int, Answer] = {}
        self._head: Json = {}
        self._about: Json = {}
        self._seen: Json = {}
        self._sources: Json = {}
        self._done = False
        self._ended = False

    def feed(self, event: Event) -> Iterable[ChatCompletionChunk]:
        if event.data.strip() == "[DONE]":
            self._done = True
            return self._end()
        told = parse_event(event)
        if not isinstance(told, dict):
            raise read_embedded_error(told)
        piece = self._piece_of_text(told)
        if piece is not None:
            return (piece,)
        self._count(told)
        self._refuse_errors(event, told)
        self._note(told)
        choices = [
            choice for choice in map(self._choice, told.get("choices") or ()) if choice is not None
        ]
        return (self._chunk(choices),) if choices else ()

    def _piece_of_text(self, told: Json) -> ChatCompletionChunk | None:
        """The chunk, where it is one more piece of one choice's text; None where it has to be
        looked at."""
        choices = told.get("choices")
        if (
            self._about
            or not told.keys() <= USUAL
            or told.get("usage") is not None
            or type(choices) is not list
            or len(choices) != 1
        ):
            return None
        choice, tier = choices[0], told.get("service_tier")
        if tier is not None and tier not in KNOWN_TIERS:
            return None
        if type(choice) is not dict or not choice.keys() <= USUAL_OF_CHOICE:
            return None
        answer, delta = self._answers.get(choice.get("index", 0)), choice.get("delta")
        if (
            answer is None
            or choice.get("finish_reason") is not None
            or choice.get("logprobs") is not None
            or not answer.goes_on(delta)
        ):
            return None
        chunk: Any = {name: value for name, value in told.items() if value is not None} | self._head
        chunk["object"] = "chat.completion.chunk"
        choice["index"], choice["finish_reason"] = answer.index, None
        return chunk  # type: ignore[no-any-return]

    def _count(self, told: Json) -> None:
        if told.get("usage") or told.get("x_groq"):
            self.record_usage(read_usage(told))

    def _refuse_errors(self, event: Event, told: Json) -> None:
        groq = told.get("x_groq")
        if isinstance(groq, dict) and groq.get("error"):
            told = {"error": groq["error"]}
        if (event.type == "error" or is_error(told)) and not self._is_whole():
            raise read_embedded_error(told if is_error(told) else {"error": told})

    def _is_whole(self) -> bool:
        return bool(self._answers) and all(
            answer.reason is not None for answer in self._answers.values()
        )

    def _note(self, told: Json) -> None:
        if not self._head.get("id"):
            self._head = {
                "id": str(told.get("id") or ""),
                "created": told.get("created") or 0,
                "model": str(told.get("model") or ""),
            }
        for name, value in told.items():
            if (
                name not in HEAD
                and value is not None
                and "choices" in told
                and self._is_news(name, value)
            ):
                self._about[name] = value
        for name in ("citations", "search_results"):
            if told.get(name):
                self._sources[name] = told[name]
        self._about |= read_service_tier(told)
        groq = without_usage(told.get("x_groq"))
        if groq:
            self._about["x_groq"] = groq

    def _is_news(self, name: str, value: Any) -> bool:
        """Lists and objects are told once: Perplexity sends all its sources with every piece."""
        if not isinstance(value, list | dict):
            return True
        is_news: bool = self._seen.get(name) != value
        self._seen[name] = value
        return is_news

    def _choice(self, choice: Any) -> Json | None:
        """One choice repaired, None where nothing is left to say."""
        if not isinstance(choice, dict):
            return None
        index = choice["index"] if isinstance(choice.get("index"), int) else 0
        answer = self._answers.get(index)
        if answer is None:
            answer = self._answers[index] = Answer(index, self._quirks)
        answer.finish(choice)
        if choice.get("usage"):
            self.record_usage(read_usage(choice))
        delta = answer.take(_told(choice, answer), self._head.get("id") or "")
        if choice.keys() - OF_CHOICE:
            answer.extra |= {
                name: value
                for name, value in choice.items()
                if name not in OF_CHOICE and value is not None
            }
        logprobs = (
            logprobs_of(choice["logprobs"], delta.get("content") or "")
            if choice.get("logprobs") is not None
            else None
        )
        if not delta and logprobs is None:
            return None
        extra, answer.extra = answer.extra, {}
        unified = {"index": index, "delta": delta, "finish_reason": None, **extra}
        if "logprobs" in choice:
            unified["logprobs"] = logprobs
        return unified

    def _chunk(self, choices: list[Json]) -> ChatCompletionChunk:
        about, self._about = self._about, {}
        chunk: Any = {**self._head, "object": "chat.completion.chunk", "choices": choices, **about}
        unified: ChatCompletionChunk = chunk
        return unified

    def _end(self) -> list[ChatCompletionChunk]:
        if self._ended or not self._answers:
            return []
        self._ended = True
        return [
            self._chunk([self._ending(self._answers[index]) for index in sorted(self._answers)])
        ]

    def _ending(self, answer: Answer) -> Json:
        owed, reason = answer.end(self._sources)
        if not answer.has_begun:
            owed = {"role": "assistant", **owed}
        return {"index": answer.index, "delta": owed, "finish_reason": reason, **answer.extra}

    def pending_delta(self) -> Json:
        held = [answer.held() for answer in self._answers.values()]
        return {
            "content": "".join(text for text, _ in held),
            "provider_content": [{"block": others} for _, others in held],
        }

    def close(self) -> Iterable[ChatCompletionChunk]:
        if not self._answers or not (self._done or self._is_whole()):
            raise UpstreamError(
                "The provider's stream ended before the answer did.", code="stream_truncated"
            )
        return self._end()


def _told(choice: Json, answer: Answer) -> Json:
    """What a choice says. A whole message after deltas is what they said already (Perplexity,
    MiniMax)."""
    delta = choice.get("delta")
    if isinstance(delta, dict):
        return delta
    if choice.get("text"):
        return {"content": choice["text"]}
    message = choice.get("message")
    return message if isinstance(message, dict) and not answer.has_begun else {}
