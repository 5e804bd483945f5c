"""What a dialect and the transport exchange: a request to send, and a decoded event of a stream."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

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
