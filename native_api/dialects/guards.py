"""What surrounds the methods that read an answer, in every dialect: failures become UpstreamError,
and what the provider issued is marked (`issuers`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import wraps
from typing import Any, Final, TypeVar

from native_api.dialects.shared.issuers import MARKED_MEMBERS, IssuerMarker
from native_api.exceptions import NativeError, UpstreamError
from native_api.types import ForwardedEvent

T = TypeVar("T")

has_nothing_to_mark: Final = MARKED_MEMBERS.isdisjoint
"""Whether a delta has no member with marks. Every chunk of text is asked, so the loops around it
call nothing else."""


TEXTS: Final = frozenset({"content", "reasoning_content", "refusal"})
"""Members of a message or a delta that are texts."""


def check_texts(delta: Mapping[str, Any]) -> None:
    """Raise UpstreamError if a text is anything else. Writers join texts, and clients do."""
    for name, text in delta.items():
        if text.__class__ is not str and text is not None and name in TEXTS:
            raise UpstreamError(f"The provider's answer is not valid: its {name} is not a text.")


def guard(read: Callable[..., T]) -> Callable[..., T]:
    """Make `read` raise UpstreamError for every failure.

    A reply of an unexpected shape is the provider's fault, not the gateway's.
    """

    @wraps(read)
    def guarded_read(*arguments: Any, **named: Any) -> T:
        try:
            return read(*arguments, **named)
        except NativeError:
            raise
        except Exception as error:
            raise UpstreamError("The provider's answer cannot be understood.") from error

    return guarded_read


def guard_reply(read: Callable[..., Any]) -> Callable[..., Any]:
    """`guard` for `Dialect.response`. The reply gets the marks of its issuer."""

    @wraps(read)
    def read_and_mark(dialect: Any, body: Any, target: Any) -> Any:
        reply = read(dialect, body, target)
        for choice in reply["choices"]:
            check_texts(choice["message"])
        return IssuerMarker(dialect.issuer(target)).mark_reply(reply)

    return guard(read_and_mark)


def guard_chunks(read: Callable[..., Iterable[Any]]) -> Callable[..., list[Any]]:
    """`guard` for a parser's method that yields chunks. They get the marks of their issuer."""

    @wraps(read)
    def guarded_read(parser: Any, *arguments: Any) -> list[Any]:
        try:
            chunks = list(read(parser, *arguments))
            for chunk in chunks:
                for choice in chunk["choices"]:
                    delta = choice["delta"]
                    check_texts(delta)
                    if not has_nothing_to_mark(delta) and parser.marker is not None:
                        parser.marker.mark_choice(choice)
            return chunks
        except NativeError:
            raise
        except Exception as error:
            raise UpstreamError("The provider's answer cannot be understood.") from error

    return guarded_read


def guard_events(
    read: Callable[..., Sequence[ForwardedEvent]],
) -> Callable[..., Sequence[ForwardedEvent]]:
    """`guard` for an editor's method. An event that gets a mark is encoded again."""

    @wraps(read)
    def guarded_read(editor: Any, *arguments: Any) -> Sequence[ForwardedEvent]:
        try:
            events = read(editor, *arguments)
            if not editor.is_stamped:
                return events
            for event in events:
                for choice in event.chunk["choices"]:
                    if not has_nothing_to_mark(choice["delta"]):
                        return _mark_events(editor.parser.marker, events)
            return events
        except NativeError:
            raise
        except Exception as error:
            raise UpstreamError("The provider's answer cannot be understood.") from error

    return guarded_read


def _mark_events(
    marker: IssuerMarker | None, events: Sequence[ForwardedEvent]
) -> Sequence[ForwardedEvent]:
    if marker is None:
        return events
    return [
        ForwardedEvent(event.chunk, None) if _mark_choices(marker, event.chunk) else event
        for event in events
    ]


def _mark_choices(marker: IssuerMarker, chunk: Any) -> bool:
    """Whether any choice of the chunk got a mark; each is marked."""
    return True in [marker.mark_choice(choice) for choice in chunk["choices"]]


def mark_stream(make: Callable[..., Any]) -> Callable[..., Any]:
    """Make `Dialect.stream` give its parser the marker of the reply."""

    @wraps(make)
    def make_marking(dialect: Any, target: Any) -> Any:
        parser = make(dialect, target)
        parser.marker = IssuerMarker(dialect.issuer(target))
        return parser

    return make_marking


def guard_dialect(cls: type) -> None:
    """Guard and mark what a dialect's class defines."""
    _replace_methods(cls, guard_reply, "response")
    _replace_methods(cls, guard, "embeddings_reply", "count_tokens_reply")
    _replace_methods(cls, mark_stream, "stream")


def guard_parser(cls: type) -> None:
    _replace_methods(cls, guard_chunks, "feed", "close")


def guard_editor(cls: Any) -> None:
    _replace_methods(cls, guard_events, *cls.guarded)


def _replace_methods(cls: type, replace: Callable[[Any], Any], *names: str) -> None:
    for name in names:
        if name in cls.__dict__:
            setattr(cls, name, replace(cls.__dict__[name]))
