"""A request as one target gets it: built by the target's dialect before anything is sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from native_api.dialects import DIALECTS
from native_api.dialects.base import Dialect, encode
from native_api.operations import CHAT, Operation
from native_api.types import Json, Target, UpstreamRequest
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
    tokens: int = 0

    @property
    def body(self) -> Json:
        return self.request.body

    @property
    def content(self) -> bytes:
        return self.request.content


def prepare(body: Any, target: Target, operation: Operation = CHAT) -> PreparedRequest:
    """The request for this target, from a unified body, without waiting for anything.

    If it names files that must be fetched first, the unified body stands in (`wire` is "").
    Raises UnsupportedField, InvalidRequest.
    """
    dialect = DIALECTS[target.provider.dialect]
    if operation.has_files and inline.files_to_fetch(body, dialect.remote_files, target.provider):
        unified = UpstreamRequest("", body, content=encode(body))
        return PreparedRequest(target, "", unified, operation)
    return _build(body, dialect, target, operation)


async def fetch_files(body: Any, target: Target, operation: Operation = CHAT) -> PreparedRequest:
    """`prepare` for a request whose remote files are fetched now. Raises the same errors."""
    dialect = DIALECTS[target.provider.dialect]
    body = await inline.inline_files(body, dialect.remote_files, target.provider)
    return _build(body, dialect, target, operation)


def _build(body: Any, dialect: Dialect, target: Target, operation: Operation) -> PreparedRequest:
    request = operation.build_request(dialect, body, target)
    inline.refuse_addresses(request.body, body, target.provider)
    return PreparedRequest(target, dialect.name, request, operation)
