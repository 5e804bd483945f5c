"""Calls one target once: sends the prepared request, returns its reply or its stream.

Timeouts: `connect` for the connection; `first_token` for the first chunk of a stream,
`between_tokens` for each later piece; `total` for everything together. A complete reply has only
`connect` and `total`: its first byte comes with its last token. Whatever goes wrong is raised as a
ProviderFault that names the provider.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Final

import httpx

from native_api.dialects.streams import StreamEditor
from native_api.exceptions import ProviderFault
from native_api.operations import Operation
from native_api.types import Json, Target, Usage
from native_api.upstream import transport
from native_api.upstream.attempt_log import AttemptLog
from native_api.upstream.auth.methods import authorize
from native_api.upstream.call_scopes import attributed, deadline
from native_api.upstream.faults import was_sent
from native_api.upstream.prepared_request import PreparedRequest
from native_api.upstream.replies import parse_reply, raise_for_status, read_token_count
from native_api.upstream.stream import UpstreamStream

ACCEPT_HEADERS: Final = {
    "sse": "text/event-stream",
    "ndjson": "application/x-ndjson",
    "eventstream": "application/vnd.amazon.eventstream",
}


@dataclass(slots=True)
class UpstreamReply:
    """A complete unified reply, and the hints that the target's dialect cannot express.

    `forwarded` is the reply in the client's own words, if the target speaks them.
    """

    target: Target
    operation: Operation
    reply: Any
    omitted: tuple[str, ...]
    forwarded: Json | None = None

    @property
    def usage(self) -> Usage | None:
        usage: Usage | None = self.reply.get("usage")
        return usage

    def unread_deltas(self) -> list[Json]:
        """The reply's output, if the reply is not handed on."""
        return self.operation.reply_deltas(self.reply)

    async def aclose(self) -> None:
        """Nothing is open any more."""


async def complete(prepared: PreparedRequest, attempts: AttemptLog) -> UpstreamReply:
    """The complete reply. Counts what was sent in `attempts`. Raises ProviderFault."""
    target, dialect = prepared.target, prepared.dialect
    async with attributed(target), deadline(target.timeouts.total):
        body = await _read_answer(prepared, attempts)
        reply, forwarded = parse_reply(
            prepared.operation, dialect, body, target, _is_forwarded(prepared)
        )
    return UpstreamReply(target, prepared.operation, reply, prepared.request.omitted, forwarded)


async def count_tokens(prepared: PreparedRequest, attempts: AttemptLog, seconds: float) -> int:
    """The input tokens that the provider counts, if it does so in time. Counts and raises as
    `complete`."""
    target = prepared.target
    async with attributed(target), deadline(min(seconds, target.timeouts.total)):
        return read_token_count(prepared.dialect, await _read_answer(prepared, attempts), target)


async def _read_answer(prepared: PreparedRequest, attempts: AttemptLog) -> bytes:
    """The body of a complete answer. Raises ProviderFault unless the status is 2xx."""
    response = await _send(prepared, "application/json", attempts)
    try:
        await raise_for_status(response, prepared.dialect, prepared.target)
        return await transport.read_body(response)
    finally:
        await response.aclose()


def _make_editor(prepared: PreparedRequest) -> StreamEditor | None:
    client_body = prepared.client_body
    if client_body is None or not _is_forwarded(prepared):
        return None
    return prepared.dialect.editor(prepared.target, client_body.body)


def _is_forwarded(prepared: PreparedRequest) -> bool:
    return prepared.client_body is not None and prepared.client_body.forwards_replies


async def open_stream(prepared: PreparedRequest, attempts: AttemptLog) -> UpstreamStream:
    """The stream, once its first chunk with content has arrived. Counts and raises as
    `complete`."""
    target, dialect = prepared.target, prepared.dialect
    timeouts = target.timeouts
    ends_at = asyncio.get_running_loop().time() + timeouts.total
    async with attributed(target), deadline(min(timeouts.first_token, timeouts.total)):
        response = await _send(prepared, ACCEPT_HEADERS[dialect.framing], attempts)
        try:
            await raise_for_status(response, dialect, target)
            editor = _make_editor(prepared)
            stream = UpstreamStream(
                response, dialect, target, prepared.request.omitted, ends_at, editor
            )
            await stream.begin()
        except BaseException:
            await response.aclose()
            raise
    return stream


async def _send(prepared: PreparedRequest, accept: str, attempts: AttemptLog) -> httpx.Response:
    target, request, content = prepared.target, prepared.request, prepared.content
    request.headers = {
        "content-type": "application/json",
        "accept": accept,
        "accept-encoding": "identity",
        "user-agent": "django-native-api",
        **request.headers,
    }
    headers = await authorize(request, "POST", content, target.provider)
    attempts.count += 1
    attempts.sent_tokens = prepared.tokens
    try:
        return await transport.send("POST", request.url, headers, content, target.timeouts.connect)
    except ProviderFault as fault:
        attempts.count -= not was_sent(fault)
        raise
