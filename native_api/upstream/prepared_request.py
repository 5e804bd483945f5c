"""A request as one target gets it: built by the target's dialect before anything is sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from native_api.dialects import DIALECTS
from native_api.dialects.base import Dialect
from native_api.dialects.shared.json_values import encode
from native_api.exceptions import UnsupportedField
from native_api.operations import CHAT, Operation
from native_api.types import ClientBody, Json, Target, UpstreamRequest
from native_api.upstream.files import inline


@dataclass(slots=True)
class PreparedRequest:
    """Built and encoded once, however often it is sent to its target.

    `wire` is the name of the dialect that has built it; "" while remote files are still to be
    fetched: then the body is the client's, not what is sent. `tokens` is an estimate of the input,
    0 until one is made.
    """

    target: Target
    wire: str
    request: UpstreamRequest
    operation: Operation = CHAT
    client_body: ClientBody | None = None
    """Set if the client's own body is forwarded: then the events of the reply are, too."""
    tokens: int = 0

    @property
    def dialect(self) -> Dialect:
        """What has built the request and reads the reply."""
        return DIALECTS[self.wire]

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

    It is made from the client's own body if the target speaks its wire, otherwise from the unified
    request: that of `client_body`, or else `body`. If that names files that must be fetched first,
    it stands in itself (`wire` is ""). Raises UnsupportedField, InvalidRequest.
    """
    source = _choose_source(body, target, client_body)
    if operation.has_files and source.is_unified:
        fetched = source.dialect.remote_files
        if inline.files_to_fetch(source.body, fetched, target.provider):
            unified = UpstreamRequest("", source.body, content=encode(source.body))
            return PreparedRequest(target, "", unified, operation)
    return _build(source, target, operation)


async def fetch_files(
    body: Any, target: Target, operation: Operation = CHAT, client_body: ClientBody | None = None
) -> PreparedRequest:
    """`prepare` for a request whose remote files are fetched now. Raises the same errors."""
    source = _choose_source(body, target, client_body)
    inlined = await inline.inline_files(source.body, source.dialect.remote_files, target.provider)
    return _build(source._replace(body=inlined), target, operation)


class Source(NamedTuple):
    """What a request is made from, and the dialect that makes it."""

    dialect: Dialect
    body: Any
    client_body: ClientBody | None = None
    """Set if `body` is the client's own."""
    translated: ClientBody | None = None
    """The client's own, if `body` is the unified request that was made of it."""
    omitted: tuple[str, ...] = ()
    """What of it `body` does not have."""

    @property
    def is_unified(self) -> bool:
        return self.client_body is None or self.client_body.is_unified_wire


def _choose_source(body: Any, target: Target, client_body: ClientBody | None) -> Source:
    dialect = DIALECTS[target.provider.dialect]
    if client_body is None:
        return Source(dialect, body)
    forwarder = dialect.forwarder(client_body.wire, target)
    if forwarder is not None:
        return Source(forwarder, client_body.body, client_body)
    unified, omitted = client_body.translate(), client_body.omitted
    if client_body.can_lack_search and SEARCH in unified and not dialect.has_search(target):
        unified = {name: value for name, value in unified.items() if name != SEARCH}
        omitted = [*omitted, SEARCH]
    return Source(dialect, unified, translated=client_body, omitted=tuple(omitted))


SEARCH: Final = "web_search_options"


def _build(source: Source, target: Target, operation: Operation) -> PreparedRequest:
    dialect, body, client_body = source.dialect, source.body, source.client_body
    if client_body is None:
        request = _translate(source, target, operation)
    else:
        request = dialect.forward(body, target)
    inline.refuse_addresses(request.body, body, target.provider)
    wire = _find_name(dialect, target)
    return PreparedRequest(target, wire, request, operation, client_body)


def _translate(source: Source, target: Target, operation: Operation) -> UpstreamRequest:
    """The request made of the unified one. An error names the place in the client's words."""
    try:
        request = operation.build_request(source.dialect, source.body, target)
    except UnsupportedField as error:
        if source.translated is None:
            raise
        raise UnsupportedField(source.translated.find_place(error.path), error.reason) from None
    if source.omitted:
        request.omitted = tuple(dict.fromkeys((*source.omitted, *request.omitted)))
    return request


def _find_name(dialect: Dialect, target: Target) -> str:
    """The name that leads to the dialect: the provider's DIALECT, because a site's own may have
    inherited its `name`."""
    named = target.provider.dialect
    return named if DIALECTS[named] is dialect else dialect.name
