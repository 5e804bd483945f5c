"""A stream of Anthropic's events."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from native_api.exceptions import NativeError
from native_api.inbound.base import ParsedRequest, StreamWriter


class MessagesStreamWriter(StreamWriter):
    """Writes the events of one message."""

    def __init__(self, parsed: ParsedRequest) -> None:
        self._parsed = parsed

    def feed(self, chunks: Iterable[Any]) -> bytes:
        raise NotImplementedError

    def ping(self) -> bytes:
        raise NotImplementedError

    def fail(self, error: NativeError) -> bytes:
        raise NotImplementedError

    def close(self) -> bytes:
        raise NotImplementedError
