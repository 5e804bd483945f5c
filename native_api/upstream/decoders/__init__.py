"""Bytes of a provider's stream -> events, for each framing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from native_api.dialects.base import Framing
from native_api.types import Event
from native_api.upstream.decoders import aws_eventstream, ndjson, sse


class Decoder(Protocol):
    def feed(self, data: bytes) -> list[Event]: ...
    def close(self) -> list[Event]: ...


DECODERS: Final[dict[Framing, Callable[[], Decoder]]] = {
    "sse": sse.SSEDecoder,
    "ndjson": ndjson.NDJSONDecoder,
    "eventstream": aws_eventstream.AWSEventStreamDecoder,
}
