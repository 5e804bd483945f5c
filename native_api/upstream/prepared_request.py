"""A request as one target gets it: built by the target's dialect before anything is sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from native_api.dialects import DIALECTS
from native_api.dialects.base import Dialect
from native_api.dialects.shared.json_values import encode
from native_api.operations import CHAT, Operation
from native_api.types import ClientBody, Json, Target, UpstreamRequest
from native_api.upstream.files import inline


@dataclass(slots=True)
class PreparedRequest:
    """Built and encoded once, however often it is sent to its target.

    `wire` is the dialect's name; "" while remote files are still to be fetched: then the body is
    the unified request, not what is sent. `tokens` is an estimate of the input, 0 until one is
    made.
    """

    target: Target
    wire: str
    request: UpstreamRequest
    operation: Operation = CHAT
    client_body: ClientBody | None = None
    """Set if the client's own body is forwarded: then the events of the reply are, too."""
    tokens: int = 0

    @property
    def body(self) -> Json:
        return self.request.body

    @property
    def content(self) -> bytes:
        return self.request.content


def prepare(
    body: Any, target: Target, operation: Operation = CHAT, client_body: ClientBody | None = None
) -> PreparedRequest:
    """The request for this target, without waiting for anything.

    It is made from `client_body` if the target speaks its wire, otherwise from `body`, the unified
    request. If that names files that must be fetched first, it stands in itself (`wire` is "").
    Raises UnsupportedField, InvalidRequest.
    """
    dialect = DIALECTS[target.provider.dialect]
    client_body = _match_wire(client_body, dialect)
    source: Any = body if client_body is None else client_body.body
    if operation.has_files and inline.files_to_fetch(source, dialect.remote_files, target.provider):
        unified = UpstreamRequest("", source, content=encode(source))
        return PreparedRequest(target, "", unified, operation)
    return _build(source, dialect, target, operation, client_body)


async def fetch_files(
    body: Any, target: Target, operation: Operation = CHAT, client_body: ClientBody | None = None
) -> PreparedRequest:
    """`prepare` for a request whose remote files are fetched now. Raises the same errors."""
    dialect = DIALECTS[target.provider.dialect]
    client_body = _match_wire(client_body, dialect)
    source: Any = body if client_body is None else client_body.body
    source = await inline.inline_files(source, dialect.remote_files, target.provider)
    return _build(source, dialect, target, operation, client_body)


def _build(
    source: Any,
    dialect: Dialect,
    target: Target,
    operation: Operation,
    client_body: ClientBody | None,
) -> PreparedRequest:
    if client_body is None:
        request = operation.build_request(dialect, source, target)
    else:
        request = dialect.forward(source, target)
    inline.refuse_addresses(request.body, source, target.provider)
    return PreparedRequest(target, dialect.name, request, operation, client_body)


def _match_wire(client_body: ClientBody | None, dialect: Dialect) -> ClientBody | None:
    """The client's body if the dialect speaks its wire."""
    return client_body if client_body and client_body.wire == dialect.wire else None
