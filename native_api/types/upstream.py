"""What a dialect and the transport exchange: a request to send, and the events of a stream. Also
what a client's request and a provider's events are if both speak the same wire."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import orjson

from native_api.types.chat import Json


@dataclass(slots=True)
class UpstreamRequest:
    """The request that a dialect has built. `content` is `body` as JSON; credentials are added
    later, by `upstream.auth`.

    `omitted` names the optional fields of the unified request that the wire cannot express
    (`x-native-omitted`).
    """

    url: str
    body: Json = field(repr=False)
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    omitted: tuple[str, ...] = ()
    content: bytes = field(default=b"", repr=False)


class Event(NamedTuple):
    """One decoded event of a provider's stream, of any framing.

    `type` is the SSE `event:` name, the binary event stream's `:event-type` (or `:exception-type`),
    or "". `data` is the event's whole data as text.
    """

    type: str
    data: str


@dataclass(slots=True)
class ClientBody:
    """A checked request in its client's own words, for targets that speak the same wire."""

    wire: str
    """`InboundFormat.wire`."""
    body: Json = field(repr=False)
    unify: Callable[[Json, list[str]], Any] = field(repr=False)
    """The unified request for a body in these words. Adds to the list what it has to leave out, in
    the unified request's words where it has them. Raises InvalidRequest."""
    is_unified_wire: bool = False
    """Whether the words are those of the unified request, so that hooks see this body."""
    forwards_replies: bool = True
    """Whether the replies of targets that speak the wire go on as they were sent."""
    made: Any = field(default=None, repr=False)
    """The unified request, once somebody needed it."""
    omitted: list[str] = field(default_factory=list)
    """What `unified` leaves out."""
    can_lack_search: bool = False
    """Whether a target without web search gets the request without it, which is reported."""
    locate: Callable[[Json], Mapping[str, str]] | None = field(default=None, repr=False)
    """For a body in the client's words: the place of each message and tool in the unified request
    (`messages[0]`) -> that in the body."""
    check: Callable[[], None] | None = field(default=None, repr=False)
    """Raises UnsupportedField if only a target of the wire can answer what has been unified."""

    @property
    def unified(self) -> Any:
        """The unified request, for hooks. Raises InvalidRequest."""
        if self.made is None:
            self.made = self.unify(self.body, self.omitted)
        return self.made

    def find_place(self, path: str) -> str:
        """The place in the client's body of one in the unified request; the same if it is not
        known."""
        head = UNIFIED_PLACE.match(path)
        if head is None or self.locate is None:
            return path
        place = self.locate(self.body).get(head[1])
        return path if place is None else place + path[head.end() :]

    def translate(self) -> Any:
        """The unified request, for targets of other wires. Raises InvalidRequest,
        UnsupportedField."""
        unified = self.unified
        if self.check is not None:
            self.check()
        return unified

    def replace(self, body: Json, unified: Any) -> ClientBody:
        """The same with another body, of which `unified` is the unified request."""
        return ClientBody(
            self.wire, body, self.unify, self.is_unified_wire, self.forwards_replies, unified
        )


UNIFIED_PLACE: Final = re.compile(r"((?:messages|tools)\[\d+\])(?:\.function|\.custom)?")


class ForwardedEvent(NamedTuple):
    """One event on its way to a client that speaks the provider's wire.

    `data` is its text as the provider sent it; None if the gateway has edited it: then `edited` is
    the event, or `chunk` on the wire of Chat Completions. `chunk` has at least what is counted: its
    `choices`. `type` is the SSE `event:` name, "" without one.
    """

    chunk: Any
    data: str | None
    type: str = ""
    edited: Json | None = None

    def read(self) -> Json:
        """The whole event."""
        if self.data is not None:
            return orjson.loads(self.data)  # type: ignore[no-any-return]
        return self.chunk if self.edited is None else self.edited


NO_CHUNK: Final[Any] = MappingProxyType({"choices": ()})
"""The chunk of an event with nothing to count."""
