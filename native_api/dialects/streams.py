"""The base classes of what reads a provider's stream: a parser, which makes unified chunks of its
events, and an editor, which passes them on to a client that speaks the same wire."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import orjson

from native_api.dialects.guards import guard_editor, guard_parser
from native_api.dialects.shared.issuers import IssuerMarker
from native_api.dialects.shared.token_counts import join_usage
from native_api.exceptions import UpstreamError
from native_api.types import ChatCompletionChunk, Event, ForwardedEvent, Json, Usage


def parse_event(event: Event) -> Any:
    """The JSON of a stream event. Raises UpstreamError if it is not JSON."""
    try:
        return orjson.loads(event.data)
    except orjson.JSONDecodeError:
        raise UpstreamError("The provider sent a stream event that is not JSON.") from None


class StreamParser(ABC):
    """Turns the events of one reply into unified chunks. Fed one event at a time.

    `usage` is correct at any moment, and None before any report.
    """

    usage: Usage | None = None
    """What the provider has reported so far, which `record_usage` adds up."""
    marker: IssuerMarker | None = None
    """Marks what the provider issued; `Dialect.stream` sets it."""

    has_ended: bool = False
    """Whether the provider has said that the reply is whole, on wires where it does: then it does
    not matter how the connection ends."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        guard_parser(cls)

    def record_usage(self, usage: Usage | None) -> None:
        """Add a report of usage to the earlier ones: output only grows, of input the last count
        holds, and zeros change nothing.

        The rules are those of `shared.token_counts`.
        """
        if usage is not None:
            self.usage = usage if self.usage is None else join_usage(self.usage, usage)

    def pending_delta(self) -> Json:
        """What was read but is in no chunk yet, as a delta. It is counted if the stream breaks."""
        return {}

    @abstractmethod
    def feed(self, event: Event) -> Iterable[ChatCompletionChunk]:
        """The chunks of this event, often none. Raises UpstreamError if it is an error."""

    @abstractmethod
    def close(self) -> Iterable[ChatCompletionChunk]:
        """The last chunks of the stream. Raises UpstreamError if the reply was cut short.

        Called once, when the upstream closed the connection cleanly.
        """


class StreamEditor(ABC):
    """Passes on the events of one reply to a client that speaks the same wire.

    Fed one event at a time, as a parser is. `parser` reads every event on the way, so that usage,
    output and end are known.
    """

    usage_event: ForwardedEvent | None = None
    """The provider's own event that reports the usage, if clients know it in this form."""
    last_events: Sequence[ForwardedEvent] = ()
    """The events that end the reply, which go on once the usage is recorded. For other wires than
    Chat Completions, where `usage_event` does that."""
    is_stamped: ClassVar[bool] = True
    """Whether the events are unified chunks, whose head and ids the gateway completes."""
    guarded: ClassVar[tuple[str, ...]] = ("feed", "close")
    """The methods that raise only UpstreamError, whatever a provider sends."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        guard_editor(cls)

    def __init__(self, parser: StreamParser) -> None:
        self.parser = parser

    @abstractmethod
    def feed(self, event: Event) -> Sequence[ForwardedEvent]:
        """What goes on of this event, often the event itself. Raises UpstreamError for an error."""

    @abstractmethod
    def close(self) -> Sequence[ForwardedEvent]:
        """The last events. Raises UpstreamError if the reply was cut short."""
