"""The kinds of calls: what is sent, counted and reserved for each.

Routing, limits, records and costs know an Operation and never the fields of one kind, such as
`messages` or `choices`. Pure: no I/O, no Django, no clock.

All unified requests share the fields that these rooms read: `model`, `tier`, `stream`, `metadata`,
`conversation_id`, `fallbacks`, `provider_options`, `service_tier`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Final

import orjson

from native_api.dialects.base import Dialect
from native_api.dialects.shared.request_fields import read_max_tokens
from native_api.types import (
    ChatCompletion,
    ChatCompletionChunk,
    EmbeddingsReply,
    EmbeddingsRequest,
    Json,
    Target,
    UpstreamRequest,
)
from native_api.usage import tokens
from native_api.usage.output_tokens import ProducedTokens

__all__ = ["CHAT", "COUNT_TOKENS", "EMBEDDINGS"]

EMBEDDINGS_FIELDS: Final = frozenset(EmbeddingsRequest.__annotations__)


class Output:
    """What arrived of a reply: its tokens, and how it ended. Fed with chunks or one complete reply.

    This class is for replies without output tokens; it counts nothing.
    """

    def __init__(self, audio_format: str = "") -> None:
        self.finish_reason = ""
        """OpenAI's name; "" before the end."""
        self.service_tier = ""
        """The tier that the provider reported; "" if none."""
        self.produced = ProducedTokens(audio_format)

    def add_chunks(self, chunks: Iterable[Any]) -> None: ...
    def add_reply(self, reply: Any) -> None: ...
    def add_deltas(self, deltas: Iterable[Json]) -> None:
        """Count deltas that no client received (`Operation.reply_deltas`, `unread_deltas`)."""


class Operation(ABC):
    """One kind of call. Instances hold no state."""

    name: ClassVar[str]
    endpoint: ClassVar[str]
    """The path below `v1/`, as usage records name it."""
    has_files: ClassVar[bool] = False
    """Whether a body may name remote files (`upstream.files`)."""
    has_reply_head: ClassVar[bool] = False
    """Whether a reply has `id`, `created` and `model`, which the gateway fills in."""
    is_free: ClassVar[bool] = False
    """Whether a call uses no tokens of a model: only the number of calls is limited then."""

    @abstractmethod
    def build_request(self, dialect: Dialect, body: Any, target: Target) -> UpstreamRequest:
        """The upstream request for a unified body. Raises InvalidRequest, UnsupportedField."""

    @abstractmethod
    def parse_reply(self, dialect: Dialect, reply: Json, target: Target) -> Any:
        """The unified reply for a provider's complete reply. Raises UpstreamError."""

    @abstractmethod
    def new_output(self, body: Mapping[str, Any]) -> Output: ...

    @abstractmethod
    def reply_deltas(self, reply: Any) -> list[Json]:
        """A complete reply as the deltas of a stream, for counting what no client received."""

    @abstractmethod
    def estimate_input(self, body: Mapping[str, Any]) -> int:
        """The input tokens of a unified body, for calls that fail before anything is sent."""

    @abstractmethod
    def estimate_sent(self, body: Mapping[str, Any], upstream: Json, content: bytes) -> int:
        """The input tokens of a body as it is sent; `content` is `upstream` in JSON."""

    @abstractmethod
    def max_output_tokens(self, body: Mapping[str, Any]) -> int | None:
        """The client's limit of output tokens per answer; None if it set none.

        0 means that this kind of call has no output tokens.
        """

    @abstractmethod
    def answer_count(self, body: Mapping[str, Any]) -> int:
        """How many answers the unified body asks for."""


class ChatOutput(Output):
    """The output of a chat, all its choices together."""

    def add_chunks(self, chunks: Iterable[ChatCompletionChunk]) -> None:
        add = self.produced.add
        for chunk in chunks:
            self.service_tier = chunk.get("service_tier") or self.service_tier
            for choice in chunk["choices"]:
                add(choice["delta"])
                if choice["finish_reason"]:
                    self.finish_reason = choice["finish_reason"]

    def add_reply(self, reply: ChatCompletion) -> None:
        for choice in reply["choices"]:
            self.produced.add(choice["message"])
            self.finish_reason = choice["finish_reason"] or ""
        self.service_tier = reply.get("service_tier") or ""

    def add_deltas(self, deltas: Iterable[Json]) -> None:
        for delta in deltas:
            self.produced.add(delta)


class Chat(Operation):
    """A chat completion, complete or streamed."""

    name = "chat"
    endpoint = "chat/completions"
    has_files = True
    has_reply_head = True

    def build_request(self, dialect: Dialect, body: Any, target: Target) -> UpstreamRequest:
        return dialect.request(body, target)

    def parse_reply(self, dialect: Dialect, reply: Json, target: Target) -> ChatCompletion:
        return dialect.response(reply, target)

    def new_output(self, body: Mapping[str, Any]) -> ChatOutput:
        return ChatOutput((body.get("audio") or {}).get("format") or "")

    def reply_deltas(self, reply: ChatCompletion) -> list[Json]:
        return [choice["message"] for choice in reply["choices"]]

    def estimate_input(self, body: Mapping[str, Any]) -> int:
        return tokens.prompt_tokens(body)

    def estimate_sent(self, body: Mapping[str, Any], upstream: Json, content: bytes) -> int:
        return tokens.sent_tokens(upstream, content, tokens.may_hold_media(body))

    def max_output_tokens(self, body: Mapping[str, Any]) -> int | None:
        return read_max_tokens(body)  # type: ignore[arg-type]

    def answer_count(self, body: Mapping[str, Any]) -> int:
        return body.get("n") or 1


class CountTokens(Chat):
    """The input tokens of a chat, which is built as if it were to be answered.

    A reply is `{"input_tokens"}`. It is made by `routing.token_counting`, not read as others are.
    """

    name = "count_tokens"
    endpoint = "count_tokens"
    has_reply_head = False
    is_free = True

    def new_output(self, body: Mapping[str, Any]) -> Any:
        return Output()

    def max_output_tokens(self, body: Mapping[str, Any]) -> int | None:
        return 0


class Embeddings(Operation):
    """Embeddings of texts. Never streamed."""

    name = "embeddings"
    endpoint = "embeddings"

    def build_request(self, dialect: Dialect, body: Any, target: Target) -> UpstreamRequest:
        return dialect.embeddings_request(body, target)

    def parse_reply(self, dialect: Dialect, reply: Json, target: Target) -> EmbeddingsReply:
        return dialect.embeddings_reply(reply, target)

    def new_output(self, body: Mapping[str, Any]) -> Output:
        return Output()

    def reply_deltas(self, reply: EmbeddingsReply) -> list[Json]:
        return []

    def estimate_input(self, body: Mapping[str, Any]) -> int:
        return tokens.embedding_tokens(body["input"])

    def estimate_sent(self, body: Mapping[str, Any], upstream: Json, content: bytes) -> int:
        """The inputs, and the fields that nobody here knows: they may hold texts as well."""
        fields = {name: upstream[name] for name in upstream.keys() - EMBEDDINGS_FIELDS}
        more = tokens.text_tokens(orjson.dumps(fields).decode()) if fields else 0
        return more + tokens.embedding_tokens(upstream.get("input") or body["input"])

    def max_output_tokens(self, body: Mapping[str, Any]) -> int | None:
        return 0

    def answer_count(self, body: Mapping[str, Any]) -> int:
        return 1


CHAT: Final = Chat()
"""A chat completion, complete or streamed."""

COUNT_TOKENS: Final = CountTokens()
"""The input tokens of a chat."""

EMBEDDINGS: Final = Embeddings()
"""Embeddings of texts."""
