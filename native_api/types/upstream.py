"""What a dialect and the transport exchange: a request to send, and the events of a stream. Also
what a client's request and a provider's events are if both speak the same wire."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

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


class ClientBody(NamedTuple):
    """A checked request in its client's own words, for targets that speak the same wire."""

    wire: str
    """`InboundFormat.wire`."""
    body: Json
    unify: Callable[[Json], Any]
    """The unified request for a body in these words, such as one that hooks have changed. Fields
    that the unified request does not have are left out. Raises InvalidRequest."""


class ForwardedEvent(NamedTuple):
    """One event on its way to a client that speaks the provider's wire.

    `data` is its text as the provider sent it; None if the gateway has edited the chunk, which then
    has to be encoded. `chunk` of an event with `data` has at least what is counted: its `choices`.
    """

    chunk: Any
    data: str | None

    def read(self) -> Json:
        """The whole chunk."""
        return self.chunk if self.data is None else orjson.loads(self.data)  # type: ignore[no-any-return]
