"""What every inbound format is: how the clients of one API speak. Pure, and one file per API.

An inbound format checks a request and makes the unified request of it, and it writes replies,
streams and errors in its API's words. It knows nothing of providers.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, ClassVar, Final, NamedTuple, Protocol

import orjson

from native_api.exceptions import NativeError
from native_api.operations import Operation
from native_api.types import ClientBody, ForwardedEvent, Json


class Seal(Protocol):
    """Seals what only this gateway reads when the caller sends it back
    (`access.sealing.CallerSeal`)."""

    def seal(self, value: Any) -> str: ...
    def open(self, text: Any) -> Any:
        """The sealed value; None if the text is another caller's, altered, or not sealed."""


class ClientContext(NamedTuple):
    """What an inbound format may know of a request besides its body."""

    headers: Mapping[str, str]
    """The request's headers. Names are compared without case."""
    seal: Seal

    def __repr__(self) -> str:
        """Without the headers, in which the caller's key is."""
        return "ClientContext()"


class ParsedRequest(NamedTuple):
    """A checked request. `dropped_fields` are unknown ones.

    `body` is the unified request. If it is expensive to make, it is only its head, without the
    conversation: `client_body` makes the whole when somebody needs it. `client_body` is the request
    in the client's words, if there are providers that speak them.
    """

    body: Any
    dropped_fields: list[str]
    client_body: ClientBody | None = None
    context: ClientContext | None = None
    echo: Mapping[str, Any] = MappingProxyType({})
    """Members of the reply that only the view knows, such as whether it is kept."""


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

    endpoint: ClassVar[str] = ""
    """The path below `v1/` in usage records, if it is not the operation's."""
    conversation_fields: ClassVar[Sequence[str]] = ("conversation_id",)
    """The fields with which clients name a conversation; empty if requests belong to none."""
    field_names: ClassVar[Mapping[str, str]] = {}
    """Unified field -> this API's word for it, if it has another."""
    field_paths: ClassVar[Sequence[tuple[re.Pattern[str], str]]] = ()
    """Patterns of paths in the unified request that are not only renamed, and what stands for them
    in this API's. Messages and tools have the numbers of the client's request already
    (`ClientBody.find_place`)."""

    @abstractmethod
    def parse(self, data: dict[str, Any], context: ClientContext) -> ParsedRequest:
        """The unified request of a JSON body. Raises InvalidRequest."""

    @abstractmethod
    def error(self, error: NativeError, request_id: str) -> bytes:
        """The body of an error response."""

    def status(self, error: NativeError) -> int:
        """The status of an error response."""
        return error.status

    def headers(self, headers: dict[str, str], now: datetime) -> dict[str, str]:
        """The headers of any response in this API's names; by default in OpenAI's. `now` is in
        UTC."""
        return headers

    def reply(self, parsed: ParsedRequest, reply: Any) -> bytes:
        """The body of a complete reply."""
        return to_json(reply)

    def forward(self, parsed: ParsedRequest, body: Json) -> bytes:
        """The body of a provider's reply on this format's wire."""
        raise NotImplementedError(f"{self.wire} is translated in any case")

    def stream(self, parsed: ParsedRequest) -> StreamWriter:
        """A writer for one stream. Only for operations that have streams."""
        raise NotImplementedError(f"{self.operation.name} has no streams")

    def rename_field(self, path: str) -> str:
        """The path of a unified field, such as `messages[0].content`, in this API's words."""
        for pattern, written in self.field_paths:
            path = pattern.sub(written, path, count=1)
        name = FIELD_NAME.match(path)
        if name is None or name[0] not in self.field_names:
            return path
        return self.field_names[name[0]] + path[name.end() :]


FIELD_NAME: Final = re.compile(r"[a-z_]+")


def to_json(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS)
