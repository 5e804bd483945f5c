"""What passes between a dialect and the transport: a request that is ready to send, and a decoded
event of a stream."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from native_api.types.chat import Json


@dataclass(slots=True)
class UpstreamRequest:
    """What a dialect wants sent. `content` is `body` in JSON; credentials are added later, by the
    engine.

    `omitted` names the unified fields that were hints and could not be said (`x-native-omitted`).
    """

    url: str
    body: Json = field(repr=False)
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    omitted: tuple[str, ...] = ()
    content: bytes = field(default=b"", repr=False)


class Event(NamedTuple):
    """One decoded piece of an upstream stream, whatever its framing.

    `type` is the SSE `event:` name, the binary event stream's `:event-type` (or `:exception-type`),
    or "". `data` is the event's whole data as text.
    """

    type: str
    data: str
