"""What every dialect is. Rules first:

1. Pure: no I/O, no Django, no clock, no randomness. One instance serves all requests at once, so it
   holds no state.
2. Every unified field is in exactly one of `renamed`, `built`, `hints`, `refused`; a test walks
   them.
3. Nothing is dropped or clamped silently: a hint that the wire cannot say is reported in `omitted`,
   anything else raises `UnsupportedField`.
4. Nothing that came with the request, or that is remembered between requests, is changed: options
   are merged into a copy.
5. What the gateway owns in a body (`owned`) comes from the unified request alone, and a body that
   names what a provider keeps (`body_inspection`) is refused unless its provider has an account of its
   own.
6. Unknown events, fields and finish reasons from a provider are never fatal.
7. The folded stream equals the complete reply.
8. Whatever a provider sends is a reply or an UpstreamError: `response`, `feed` and `close` are
   guarded here, for every dialect.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from typing import Any, ClassVar, Literal, TypeVar

import orjson

from native_api.dialects.shared import body_inspection, gateway_owned
from native_api.dialects.shared.token_counts import join_usage
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


def guard(read: Callable[..., T]) -> Callable[..., T]:
    """`read`, whose every failure is an UpstreamError: a reply in a shape that nobody foresaw is
    the provider's fault."""

    @wraps(read)
    def guarded_read(*arguments: Any, **named: Any) -> T:
        try:
            return read(*arguments, **named)
        except NativeError:
            raise
        except Exception as error:
            raise UpstreamError("The provider's answer cannot be understood.") from error

    return guarded_read


def guard_chunks(read: Callable[..., Iterable[T]]) -> Callable[..., list[T]]:
    """The same for what is read lazily."""

    @wraps(read)
    def guarded_read(*arguments: Any) -> list[T]:
        try:
            return list(read(*arguments))
        except NativeError:
            raise
        except Exception as error:
            raise UpstreamError("The provider's answer cannot be understood.") from error

    return guarded_read


def parse_event(event: Event) -> Any:
    """What an event of a JSON stream says. Raises UpstreamError for anything else."""
    try:
        return orjson.loads(event.data)
    except orjson.JSONDecodeError:
        raise UpstreamError("The provider sent a stream event that is not JSON.") from None


class StreamParser(ABC):
    """Turns one reply's events into unified chunks. Fed one event at a time; owns no iterator.

    `usage` is true at any moment: what the provider has told so far, None before it told anything.
    """

    usage: Usage | None = None

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for name in ("feed", "close"):
            if name in cls.__dict__:
                setattr(cls, name, guard_chunks(cls.__dict__[name]))

    def record_usage(self, told: Usage | None) -> None:
        """Note what the provider tells of usage now; it never makes less of what was told before
        than `counts` says."""
        if told is not None:
            self.usage = told if self.usage is None else join_usage(self.usage, told)

    def pending_delta(self) -> Json:
        """What was read of the answer and is in no chunk yet, in the form of a delta. For counting
        what a broken answer had."""
        return {}

    @abstractmethod
    def feed(self, event: Event) -> Iterable[ChatCompletionChunk]:
        """The chunks this event means, often none. Raises UpstreamError where the event is the
        provider's error."""

    @abstractmethod
    def close(self) -> Iterable[ChatCompletionChunk]:
        """The chunks owed at the end of the stream. Raises UpstreamError where the reply was cut
        short.

        The engine calls this once, when the upstream closed the connection cleanly.
        """


class Dialect(ABC):
    """How one wire is spoken. See the module's rules."""

    name: ClassVar[str]
    framing: ClassVar[Framing] = "sse"
    native_format: ClassVar[str] = ""
    """What this wire's own blocks and reasoning are marked with, where that is not `name`."""

    renamed_fields: ClassVar[Mapping[str, str]]
    """Unified field -> body field, copied as it is."""
    translated_fields: ClassVar[frozenset[str]]
    """Unified fields that `build` translates."""
    omitted_fields: ClassVar[frozenset[str]] = frozenset()
    """Unified fields this wire cannot say and that do not change the answer's meaning: left out and
    reported."""
    refused_fields: ClassVar[frozenset[str]] = frozenset()
    """Unified fields this wire cannot say and that do: the target is unsuitable."""

    remote_files: ClassVar[frozenset[str]] = frozenset()
    """Part types (`image_url`, `file`) whose http(s) URL the provider fetches itself; others must
    come inline."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "response" in cls.__dict__:
            cls.response = guard(cls.__dict__["response"])  # type: ignore[method-assign]

    def request(self, chat: ChatRequest, target: Target) -> UpstreamRequest:
        """The upstream request for this chat at this target. Raises InvalidRequest."""
        self.check_provider_content(chat)
        body: Json = {}
        omitted: list[str] = []
        chat = _without_storing(chat, target, omitted)
        options = self.read_options(chat, target)
        unsupported = self.unsupported_fields(chat, target)
        for name, value in chat.items():
            if name in ROUTING_FIELDS or value is None:
                continue
            if name in self.refused_fields or (
                name in unsupported and name not in self.omitted_fields and not is_hint(name)
            ):
                self.refuse_field(name, value)
            elif name in self.omitted_fields or name in unsupported:
                omitted.append(name)
            elif name in self.renamed_fields:
                body[self.renamed_fields[name]] = value
        supported: Any = (
            {name: value for name, value in chat.items() if name not in unsupported}
            if unsupported
            else chat
        )
        try:
            self.build_body(supported, target, body, omitted)
            self.add_options(body, options, chat, target)
        except RecursionError:
            raise InvalidRequest("The request is nested too deeply.") from None
        headers = {**self.headers(chat, target), **self.pop_headers(body)}
        content = encode(body)
        if not target.provider.own_account:
            body_inspection.refuse_provider_state(body, content, chat)
        return UpstreamRequest(
            self.url(chat, target), body, headers, tuple(dict.fromkeys(omitted)), content
        )

    def read_options(self, chat: ChatRequest, target: Target) -> Json:
        """The caller's own additions for this target, none of them a member that the gateway owns.
        Raises UnsupportedField."""
        name, options = find_provider_options(chat, target)
        gateway_owned.check_options(
            self.name, options, f"provider_options.{name}", target.provider.own_account
        )
        return options

    def unsupported_fields(self, chat: ChatRequest, target: Target) -> frozenset[str]:
        """Fields this target refuses although its wire has them."""
        return target.provider.quirks.unsupported

    def refuse_field(self, name: str, value: Any) -> None:
        """Raise for a field the wire cannot say, unless its value asks for nothing (`n: 1`, `tools:
        []`)."""
        if not is_default(name, value):
            raise UnsupportedField(name, "this provider has no such field")

    def check_provider_content(self, chat: ChatRequest) -> None:
        """Raise for blocks of another wire's own that the client wrote; those of a model's reply
        are left out where they mean nothing."""
        for position, message in enumerate(chat["messages"]):
            if message.get("provider_content") and message["role"] != "assistant":
                for item in message["provider_content"]:
                    if item.get("format") != (self.native_format or self.name):
                        raise UnsupportedField(
                            f"messages[{position}].provider_content",
                            "these blocks are for another kind of provider",
                        )

    def add_options(
        self, body: Json, options: Mapping[str, Any], chat: ChatRequest, target: Target
    ) -> None:
        """Put the caller's own additions for this target into the body."""
        merge_options(body, options)

    @abstractmethod
    def build_body(self, chat: ChatRequest, target: Target, body: Json, omitted: list[str]) -> None:
        """Fill `body` with everything that is more than a rename; append to `omitted` what had to
        be left out."""

    @abstractmethod
    def url(self, chat: ChatRequest, target: Target) -> str: ...

    def headers(self, chat: ChatRequest, target: Target) -> dict[str, str]:
        """Headers of the wire itself; the provider's own and the credentials are added by the
        engine."""
        return {}

    def pop_headers(self, body: Json) -> dict[str, str]:
        """Takes members out of the finished body that the wire has as headers."""
        return {}

    @abstractmethod
    def response(self, body: Json, target: Target) -> ChatCompletion:
        """The unified reply. Raises UpstreamError where the body is an error or no reply at all."""

    def unfinished_state(self, body: Any) -> str:
        """The state of a reply whose answer the provider is yet to write, which nobody would count;
        "" for any other."""
        return ""

    @abstractmethod
    def stream(self, target: Target) -> StreamParser:
        """A fresh parser for one reply."""

    @abstractmethod
    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
        """What a non-2xx answer means. `headers` has lower-case names; `body` may be anything."""


HINT_FIELDS = frozenset(
    {
        "seed", "presence_penalty", "frequency_penalty", "logit_bias", "temperature", "top_p", "verbosity",
        "reasoning_effort", "parallel_tool_calls", "prediction", "metadata", "user", "safety_identifier",
        "prompt_cache_key", "service_tier", "store",
    }
)  # fmt: skip
"""Unified fields whose loss changes how an answer is made or kept, not what it means."""


def is_hint(name: str) -> bool:
    return name in HINT_FIELDS


DEFAULT_VALUES: Mapping[str, Any] = {
    "n": 1,
    "tool_choice": "auto",
    "response_format": {"type": "text"},
    "modalities": ["text"],
}
"""Values that ask for what a model does anyway."""


def is_default(name: str, value: Any) -> bool:
    """Empty `web_search_options` do ask: for a search as it is done by default."""
    if name == "web_search_options":
        return False
    return value in (None, False, [], {}, "") or (
        name in DEFAULT_VALUES and value == DEFAULT_VALUES[name]
    )


def find_provider_options(chat: ChatRequest, target: Target) -> tuple[str, Json]:
    """The name and the members of the caller's own additions for this target: by the provider's
    name, else by its dialect's."""
    options = chat.get("provider_options") or {}
    name = target.provider.name if target.provider.name in options else target.provider.dialect
    return name, options.get(name) or {}


def _without_storing(chat: ChatRequest, target: Target, omitted: list[str]) -> ChatRequest:
    """What a provider stores is there for all callers of its key, so it is asked not to."""
    if not chat.get("store") or target.provider.own_account:
        return chat
    omitted.append("store")
    return {**chat, "store": False}


def merge_options(body: Json, options: Mapping[str, Any]) -> None:
    """Merge `options` into `body`, objects member by member, anything else replaced. Changes `body`
    itself and nothing in it."""
    for name, value in options.items():
        body[name] = _merged(body.get(name), value)


def _merged(present: Any, value: Any) -> Any:
    """`value` in place of, or merged into, what is present. Objects are made new; they may be the
    client's, or remembered."""
    if not isinstance(value, Mapping):
        return value
    members = dict(present) if isinstance(present, Mapping) else {}
    for name, member in value.items():
        members[name] = _merged(members.get(name), member)
    return members


def encode(body: Json) -> bytes:
    """The body in JSON. Raises InvalidRequest where it is nested more deeply than can be written,
    though not than can be read."""
    try:
        return orjson.dumps(body)
    except TypeError:
        raise InvalidRequest("The request is nested too deeply.") from None
