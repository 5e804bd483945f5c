"""What every dialect is. Rules first:

1. Pure: no I/O, no Django, no clock, no randomness. One instance serves all requests at once, so it holds no state.
2. Every unified field is in exactly one of `renamed`, `built`, `hints`, `refused`; a test walks them.
3. Nothing is dropped or clamped silently: a hint that the wire cannot say is reported in `omitted`, anything else
   raises `UnsupportedField`.
4. Unknown events, fields and finish reasons from a provider are never fatal.
5. The folded stream equals the complete reply.
6. Whatever a provider sends is a reply or an UpstreamError: `response`, `feed` and `close` are guarded here, for every dialect.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from typing import Any, ClassVar, Literal, TypeVar

from native_api.exceptions import InvalidRequest, NativeError, UnsupportedField, UpstreamError
from native_api.types import (
    ROUTING_FIELDS,
    ChatCompletion,
    ChatCompletionChunk,
    ChatRequest,
    Event,
    Json,
    Target,
    UpstreamRequest,
    Usage,
)

Framing = Literal["sse", "ndjson", "eventstream"]
T = TypeVar("T")


def guarded(read: Callable[..., T]) -> Callable[..., T]:
    """`read`, whose every failure is an UpstreamError: a reply in a shape that nobody foresaw is the provider's fault."""

    @wraps(read)
    def guarded_read(*arguments: Any, **named: Any) -> T:
        try:
            return read(*arguments, **named)
        except NativeError:
            raise
        except Exception as error:
            raise UpstreamError("The provider's answer cannot be understood.") from error

    return guarded_read


def guarded_chunks(read: Callable[..., Iterable[T]]) -> Callable[..., list[T]]:
    """The same for what is read lazily."""
    return guarded(wraps(read)(lambda *arguments, **named: list(read(*arguments, **named))))


class StreamParser(ABC):
    """Turns one reply's events into unified chunks. Fed one event at a time; owns no iterator.

    `usage` is true at any moment: what the provider has told so far, None before it told anything.
    """

    usage: Usage | None = None

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for name in ("feed", "close"):
            if name in cls.__dict__:
                setattr(cls, name, guarded_chunks(cls.__dict__[name]))

    @abstractmethod
    def feed(self, event: Event) -> Iterable[ChatCompletionChunk]:
        """The chunks this event means, often none. Raises UpstreamError where the event is the provider's error."""

    @abstractmethod
    def close(self) -> Iterable[ChatCompletionChunk]:
        """The chunks owed at the end of the stream. Raises UpstreamError where the reply was cut short.

        The engine calls this once, when the upstream closed the connection cleanly.
        """


class Dialect(ABC):
    """How one wire is spoken. See the module's rules."""

    name: ClassVar[str]
    framing: ClassVar[Framing] = "sse"

    renamed: ClassVar[Mapping[str, str]]
    """Unified field -> body field, copied as it is."""
    built: ClassVar[frozenset[str]]
    """Unified fields that `build` translates."""
    hints: ClassVar[frozenset[str]] = frozenset()
    """Unified fields this wire cannot say and that do not change the answer's meaning: left out and reported."""
    refused: ClassVar[frozenset[str]] = frozenset()
    """Unified fields this wire cannot say and that do: the target is unsuitable."""

    remote_files: ClassVar[frozenset[str]] = frozenset()
    """Part types (`image_url`, `file`) whose http(s) URL the provider fetches itself; others must come inline."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "response" in cls.__dict__:
            cls.response = guarded(cls.__dict__["response"])  # type: ignore[method-assign]

    def request(self, chat: ChatRequest, target: Target) -> UpstreamRequest:
        """The upstream request for this chat at this target. Raises InvalidRequest."""
        self.check_blocks(chat)
        body: Json = {}
        omitted: list[str] = []
        unsupported = target.provider.quirks.unsupported
        for name, value in chat.items():
            if name in ROUTING_FIELDS or value is None:
                continue
            if name in self.refused or (name in unsupported and name not in self.hints and not is_hint(name)):
                self.refuse(name, value)
            elif name in self.hints or name in unsupported:
                omitted.append(name)
            elif name in self.renamed:
                body[self.renamed[name]] = value
        said: Any = {name: value for name, value in chat.items() if name not in unsupported} if unsupported else chat
        try:
            self.build(said, target, body, omitted)
        except RecursionError:
            raise InvalidRequest("The request is nested too deeply.") from None
        self.add_options(body, provider_options(chat, target))
        return UpstreamRequest(self.url(chat, target), body, self.headers(chat, target), tuple(omitted))

    def refuse(self, name: str, value: Any) -> None:
        """Raise for a field the wire cannot say, unless its value asks for nothing (`n: 1`, `tools: []`).

        Empty `web_search_options` ask for a search, as it is done by default.
        """
        asks_for_nothing = value in (None, False, [], {}, "") or (name == "n" and value == 1)
        if not asks_for_nothing or name == "web_search_options":
            raise UnsupportedField(name, "this provider has no such field")

    def check_blocks(self, chat: ChatRequest) -> None:
        """Raise for blocks of another wire's own that the client wrote; those of a model's reply are left out where they mean nothing."""
        for position, message in enumerate(chat["messages"]):
            if message.get("provider_content") and message["role"] != "assistant":
                for item in message["provider_content"]:
                    if item.get("format") != self.name:
                        raise UnsupportedField(f"messages[{position}].provider_content", "these blocks are for another kind of provider")

    def add_options(self, body: Json, options: Mapping[str, Any]) -> None:
        """Put the caller's own additions for this provider into the body."""
        merge(body, options)

    @abstractmethod
    def build(self, chat: ChatRequest, target: Target, body: Json, omitted: list[str]) -> None:
        """Fill `body` with everything that is more than a rename; append to `omitted` what had to be left out."""

    @abstractmethod
    def url(self, chat: ChatRequest, target: Target) -> str: ...

    def headers(self, chat: ChatRequest, target: Target) -> dict[str, str]:
        """Headers of the wire itself; the provider's own and the credentials are added by the engine."""
        return {}

    @abstractmethod
    def response(self, body: Json, target: Target) -> ChatCompletion:
        """The unified reply. Raises UpstreamError where the body is an error or no reply at all."""

    @abstractmethod
    def stream(self, target: Target) -> StreamParser:
        """A fresh parser for one reply."""

    @abstractmethod
    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
        """What a non-2xx answer means. `headers` has lower-case names; `body` may be anything."""


HINTS = frozenset(
    {
        "seed", "presence_penalty", "frequency_penalty", "logit_bias", "temperature", "top_p", "verbosity",
        "reasoning_effort", "parallel_tool_calls", "prediction", "metadata", "user", "safety_identifier",
        "prompt_cache_key", "service_tier", "store",
    }
)  # fmt: skip
"""Unified fields whose loss changes how an answer is made or kept, not what it means."""


ROUTED_KEYS = frozenset({"model", "models", "modelId", "fallbacks", "stream"})
"""Body fields that `provider_options` must not set: they would get round access rules, prices and framing."""


def is_hint(name: str) -> bool:
    return name in HINTS


def provider_options(chat: ChatRequest, target: Target) -> Json:
    """The caller's own additions for this provider: by the provider's name, else by its dialect's."""
    options = chat.get("provider_options") or {}
    name = target.provider.name if target.provider.name in options else target.provider.dialect
    chosen = options.get(name) or {}
    for key in ROUTED_KEYS & chosen.keys():
        raise UnsupportedField(f"provider_options.{name}.{key}", "set it in the request itself; it decides access and price")
    return chosen


def merge(body: Json, options: Mapping[str, Any]) -> None:
    """Merge `options` into `body`, objects member by member, anything else replaced."""
    for name, value in options.items():
        present = body.get(name)
        if isinstance(present, dict) and isinstance(value, dict):
            merge(present, value)
        else:
            body[name] = value
