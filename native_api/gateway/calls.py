"""The one entry for a call: plan -> limits -> engine -> usage. Views use it, and so can any Python
code of the site.

    reply = await gateway.complete(chat, caller)          # reply.completion, reply.headers
    stream = await gateway.stream(chat, caller)           # async for chunks in stream: …
    reply = gateway.complete_sync(chat, caller)           # from a synchronous view or task

Rules:
1. Every call that reached routing leaves exactly one usage record, whatever its end, and one for
   each target that was hedged and lost.
2. The record is in the journal before the last piece of the answer is handed on.
3. One head per reply: id, created and model are the same on every chunk.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from native_api import background
from native_api.access.model_access import resolved
from native_api.exceptions import NativeError
from native_api.gateway.call_record import CallRecord
from native_api.gateway.connection_test import doubts
from native_api.gateway.plan import known_catalog, resolve_call
from native_api.inbound.headers import safe_value
from native_api.limits.headers import merged
from native_api.limits.reservations import CallReservation
from native_api.logs import new_request_id
from native_api.pricing import lookup
from native_api.routing import attempts
from native_api.routing.health_sync import pool
from native_api.types import Caller, ChatCompletion, ChatCompletionChunk, ChatRequest

CHAT: Final = "chat/completions"

pool.health.doubt = doubts.ask


@dataclass(slots=True)
class Reply:
    """A complete reply and the `x-native-…` headers that tell how it came about."""

    completion: ChatCompletion
    headers: dict[str, str]


async def complete(chat: ChatRequest, caller: Caller, request_id: str = "") -> Reply:
    """The whole reply. Raises NativeError; cancelling closes the upstream connection."""
    call_record = CallRecord(chat, caller, request_id or new_request_id(), CHAT)
    with _telling(call_record), call_record:
        plan, reservation = await _let_in(chat, caller, call_record)
        completed = await attempts.complete(
            chat, plan, call_record.attempts, pool, reservation.reserve
        )
        completion = completed.completion
        _Head(call_record, completion).put_on(completion)
        call_record.told_all(completion)
        return Reply(completion, headers_of(call_record, completed.omitted))


async def stream(chat: ChatRequest, caller: Caller, request_id: str = "") -> CallStream:
    """The stream, once its first chunk is there. Raises NativeError; cancelling closes the upstream
    connection."""
    call_record = CallRecord(chat, caller, request_id or new_request_id(), CHAT)
    with _telling(call_record), call_record.until_stream():
        plan, reservation = await _let_in(chat, caller, call_record)
        upstream = await attempts.open_stream(
            chat, plan, call_record.attempts, pool, reservation.reserve
        )
        try:
            call_record.first_token()
            return CallStream(chat, call_record, upstream)
        except BaseException:
            await upstream.aclose()
            raise


async def _let_in(
    chat: ChatRequest, caller: Caller, call_record: CallRecord
) -> tuple[attempts.CallPlan, CallReservation]:
    """The plan of the call, once the caller may make it, and what its attempts are covered with.
    Raises NativeError."""
    call_record.named = (await known_catalog()).named(chat.get("tier") or chat.get("model") or "")
    caller = await resolved(caller)
    plan = await resolve_call(chat, caller)
    plan.caller = caller.identity
    await lookup.aready()
    call_record.reservation = reservation = CallReservation(chat, plan, call_record.record_id)
    await reservation.bind(caller)
    return plan, reservation


class CallStream:
    """The chunks of a reply in batches, the usage chunk last where it was asked for. Iterate once,
    then `aclose`.

    Raises NativeError where the reply breaks off. However it ends, its record is written first.
    """

    def __init__(
        self, chat: ChatRequest, call_record: CallRecord, upstream: attempts.RoutedStream
    ) -> None:
        self.headers = headers_of(call_record, upstream.omitted)
        self._wants_usage = bool((chat.get("stream_options") or {}).get("include_usage"))
        self._call_record = call_record
        self._upstream = call_record.upstream = upstream
        self._head: _Head | None = None
        self._batches = self._stamped()

    def __aiter__(self) -> AsyncIterator[list[ChatCompletionChunk]]:
        return self._batches

    async def _stamped(self) -> AsyncIterator[list[ChatCompletionChunk]]:
        call_record = self._call_record
        with call_record:
            async for batch in self._upstream:
                if batch:
                    self._stamp(batch)
                    call_record.told(batch, self._upstream.usage)
                    yield batch
            call_record.settle(self._upstream.usage)
        if self._wants_usage:
            yield [self._usage_chunk()]

    def _stamp(self, batch: list[ChatCompletionChunk]) -> None:
        if self._head is None:
            self._head = _Head(self._call_record, batch[0])
        for chunk in batch:
            self._head.put_on(chunk)

    def _usage_chunk(self) -> ChatCompletionChunk:
        chunk: Any = {
            "object": "chat.completion.chunk",
            "choices": [],
            "usage": self._call_record.usage,
        }
        (self._head or _Head(self._call_record, chunk)).put_on(chunk)
        last: ChatCompletionChunk = chunk
        return last

    async def aclose(self, error: BaseException | None = None) -> None:
        """Close the upstream connection. `error` is why the stream is not read to its end; None
        means that the client has left."""
        try:
            await self._batches.aclose()  # type: ignore[attr-defined]
        finally:
            try:
                self._call_record.left() if error is None else self._call_record.failed(error)
            finally:
                await self._upstream.aclose()


class _Head:
    """What every chunk of a reply has in common: the provider's words where it has some, else
    ours."""

    __slots__ = ("created", "id", "model")

    def __init__(
        self, call_record: CallRecord, first: ChatCompletion | ChatCompletionChunk
    ) -> None:
        self.id = first.get("id") or f"chatcmpl-{call_record.record_id.hex}"
        self.created = first.get("created") or int(time.time())
        self.model = first.get("model") or (
            call_record.attempts.target.model if call_record.attempts.target else ""
        )

    def put_on(self, value: ChatCompletion | ChatCompletionChunk) -> None:
        value["id"] = self.id
        value["created"] = self.created
        value["model"] = self.model


@contextmanager
def _telling(call_record: CallRecord) -> Iterator[None]:
    """An error tells how it came about, as a reply does."""
    try:
        yield
    except NativeError as error:
        error.headers = {**error.headers, **merged(headers_of(call_record), error.headers)}
        raise


def headers_of(call_record: CallRecord, omitted: tuple[str, ...] = ()) -> dict[str, str]:
    """`x-native-model` is the route that answered, which may be a fallback of the one that was
    asked for."""
    log = call_record.attempts
    headers = {
        "x-native-model": safe_value(
            log.route or call_record.chat.get("model") or call_record.chat.get("tier") or ""
        ),
        "x-native-attempts": str(log.count),
    }
    if log.target:
        headers["x-native-provider"] = safe_value(log.target.provider.name)
    if omitted:
        headers["x-native-omitted"] = safe_value(", ".join(omitted))
    if call_record.reservation is not None:
        headers.update(call_record.reservation.headers)
    return headers


# --- for synchronous callers -------------------------------------------------------------------------------


def complete_sync(chat: ChatRequest, caller: Caller, request_id: str = "") -> Reply:
    """`complete`, for callers without an event loop."""
    return background.run(complete(chat, caller, request_id))


__all__ = [
    "CallStream",
    "NativeError",
    "Reply",
    "complete",
    "complete_sync",
    "headers_of",
    "new_request_id",
    "stream",
]
