"""What every inbound format is: how the clients of one API speak. Pure, and one file per API.

An inbound format checks a request and makes the unified request of it, and it writes replies,
streams and errors in its API's words. It knows nothing of providers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, ClassVar, NamedTuple

import orjson

from native_api.exceptions import NativeError
from native_api.operations import Operation
from native_api.types import ClientBody, ForwardedEvent


class ParsedRequest(NamedTuple):
    """A checked request. `body` is the unified request; `dropped_fields` are unknown ones.

    `client_body` is the request in the client's words, if there are providers that speak them.
    """

    body: Any
    dropped_fields: list[str]
    client_body: ClientBody | None = None


class StreamWriter(ABC):
    """Writes one stream: chunks in, bytes out."""

    @abstractmethod
    def feed(self, chunks: Iterable[Any]) -> bytes:
        """The events of these chunks, which leave in one write."""

    def forward(self, events: Iterable[ForwardedEvent]) -> bytes:
        """These events of a provider that speaks this format's wire, which leave in one write."""
        raise NotImplementedError

    @abstractmethod
    def ping(self) -> bytes:
        """What keeps the connection open while the provider is silent."""

    @abstractmethod
    def fail(self, error: NativeError) -> bytes:
        """The end of a stream that failed."""

    @abstractmethod
    def close(self) -> bytes:
        """The end of a complete stream."""


class InboundFormat(ABC):
    """One API of clients. Instances hold no state of a request."""

    operation: ClassVar[Operation]
    """What a request of this API is, of `native_api.operations`."""
    wire: ClassVar[str] = ""
    """The wire that clients of this API speak, if there are providers that speak it too
    (`Dialect.wire`)."""

    @abstractmethod
    def parse(self, data: dict[str, Any]) -> ParsedRequest:
        """The unified request of a JSON body. Raises InvalidRequest."""

    @abstractmethod
    def error(self, error: NativeError) -> bytes:
        """The body of an error response."""

    def headers(self, headers: dict[str, str]) -> dict[str, str]:
        """The headers of any response in this API's names; by default in OpenAI's."""
        return headers

    def reply(self, reply: Any) -> bytes:
        """The body of a complete reply."""
        return to_json(reply)

    def stream(self) -> StreamWriter:
        """A writer for one stream. Only for operations that have streams."""
        raise NotImplementedError(f"{self.operation.name} has no streams")


def to_json(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS)
