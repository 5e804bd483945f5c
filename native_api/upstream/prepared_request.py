"""A request as one target gets it: built by the target's dialect before anything is sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from native_api.dialects import DIALECTS
from native_api.dialects.base import Dialect, encode
from native_api.types import ChatRequest, Json, Target, UpstreamRequest
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
    tokens: int = 0

    @property
    def body(self) -> Json:
        return self.request.body

    @property
    def content(self) -> bytes:
        return self.request.content


def prepare(chat: ChatRequest, target: Target) -> PreparedRequest:
    """The request for this target, without waiting for anything.

    If it names files that must be fetched first, the unified request stands in (`wire` is "").
    Raises UnsupportedField, InvalidRequest.
    """
    dialect = DIALECTS[target.provider.dialect]
    if inline.files_to_fetch(chat, dialect.remote_files, target.provider):
        unified: Any = chat
        return PreparedRequest(target, "", UpstreamRequest("", unified, content=encode(unified)))
    return _build(chat, dialect, target)


async def fetch_files(chat: ChatRequest, target: Target) -> PreparedRequest:
    """`prepare` for a request whose remote files are fetched now. Raises the same errors."""
    dialect = DIALECTS[target.provider.dialect]
    chat = await inline.inline_files(chat, dialect.remote_files, target.provider)
    return _build(chat, dialect, target)


def _build(chat: ChatRequest, dialect: Dialect, target: Target) -> PreparedRequest:
    request = dialect.request(chat, target)
    inline.refuse_addresses(request.body, chat, target.provider)
    return PreparedRequest(target, dialect.name, request)
