"""The one entry for a call: plan -> limits -> engine -> usage. Views use it, and so can any Python code of the site.

    reply = await gateway.complete(chat, caller)          # reply.completion, reply.headers
    stream = await gateway.stream(chat, caller)           # async for chunks in stream: …
    reply = gateway.complete_sync(chat, caller)           # from a synchronous view or task

Rules:
1. Every call that reached routing leaves exactly one usage record, whatever its end, and one for each target that was hedged and lost.
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
from native_api.gateway.call_record import Meter
from native_api.gateway.connection_test import doubts
from native_api.gateway.plan import known_catalog, plan
from native_api.inbound.headers import safe_value
from native_api.limits.headers import merged
from native_api.limits.reservations import Hold
from native_api.logs import new_request_id
from native_api.pricing import lookup
from native_api.routing import attempts as client
from native_api.routing.health_sync import fleet
from native_api.types import Caller, ChatCompletion, ChatCompletionChunk, ChatRequest

CHAT: Final = "chat/completions"

fleet.health.doubt = doubts.ask


@dataclass(slots=True)
class Reply:
    """A complete reply and the `x-native-…` headers that tell how it came about."""

    completion: ChatCompletion
    headers: dict[str, str]


async def complete(chat: ChatRequest, caller: Caller, request_id: str = "") -> Reply:
    """The whole reply. Raises NativeError; cancelling closes the upstream connection."""
    meter = Meter(chat, caller, request_id or new_request_id(), CHAT)
    with _telling(meter), meter:
        planned, hold = await _let_in(chat, caller, meter)
        completed = await client.complete(chat, planned, meter.attempts, fleet, hold.cover)
        completion = completed.completion
        _Head(meter, completion).put_on(completion)
        meter.told_all(completion)
        return Reply(completion, headers_of(meter, completed.omitted))


async def stream(chat: ChatRequest, caller: Caller, request_id: str = "") -> ReplyStream:
    """The stream, once its first chunk is there. Raises NativeError; cancelling closes the upstream connection."""
    meter = Meter(chat, caller, request_id or new_request_id(), CHAT)
    with _telling(meter), meter.until_stream():
        planned, hold = await _let_in(chat, caller, meter)
        upstream = await client.open_stream(chat, planned, meter.attempts, fleet, hold.cover)
        try:
            meter.first_token()
            return ReplyStream(chat, meter, upstream)
        except BaseException:
            await upstream.aclose()
            raise


async def _let_in(chat: ChatRequest, caller: Caller, meter: Meter) -> tuple[client.Plan, Hold]:
    """The plan of the call, once the caller may make it, and what its attempts are covered with. Raises NativeError."""
    meter.named = (await known_catalog()).named(chat.get("tier") or chat.get("model") or "")
    caller = await resolved(caller)
    planned = await plan(chat, caller)
    planned.caller = caller.identity
    await lookup.aready()
    meter.hold = hold = Hold(chat, planned, meter.record_id)
    await hold.bind(caller)
    return planned, hold


class ReplyStream:
    """The chunks of a reply in batches, the usage chunk last where it was asked for. Iterate once, then `aclose`.

    Raises NativeError where the reply breaks off. However it ends, its record is written first.
    """

    def __init__(self, chat: ChatRequest, meter: Meter, upstream: client.Stream) -> None:
        self.headers = headers_of(meter, upstream.omitted)
        self._wants_usage = bool((chat.get("stream_options") or {}).get("include_usage"))
        self._meter = meter
        self._upstream = meter.upstream = upstream
        self._head: _Head | None = None
        self._batches = self._stamped()

    def __aiter__(self) -> AsyncIterator[list[ChatCompletionChunk]]:
        return self._batches

    async def _stamped(self) -> AsyncIterator[list[ChatCompletionChunk]]:
        meter = self._meter
        with meter:
            async for batch in self._upstream:
                if batch:
                    self._stamp(batch)
                    meter.told(batch, self._upstream.usage)
                    yield batch
            meter.settle(self._upstream.usage)
        if self._wants_usage:
            yield [self._usage_chunk()]

    def _stamp(self, batch: list[ChatCompletionChunk]) -> None:
        if self._head is None:
            self._head = _Head(self._meter, batch[0])
        for chunk in batch:
            self._head.put_on(chunk)

    def _usage_chunk(self) -> ChatCompletionChunk:
        chunk: Any = {"object": "chat.completion.chunk", "choices": [], "usage": self._meter.usage}
        (self._head or _Head(self._meter, chunk)).put_on(chunk)
        last: ChatCompletionChunk = chunk
        return last

    async def aclose(self, error: BaseException | None = None) -> None:
        """Close the upstream connection. `error` is why the stream is not read to its end; None means that the client has left."""
        try:
            await self._batches.aclose()  # type: ignore[attr-defined]
        finally:
            try:
                self._meter.left() if error is None else self._meter.failed(error)
            finally:
                await self._upstream.aclose()


class _Head:
    """What every chunk of a reply has in common: the provider's words where it has some, else ours."""

    __slots__ = ("created", "id", "model")

    def __init__(self, meter: Meter, first: ChatCompletion | ChatCompletionChunk) -> None:
        self.id = first.get("id") or f"chatcmpl-{meter.record_id.hex}"
        self.created = first.get("created") or int(time.time())
        self.model = first.get("model") or (meter.attempts.target.model if meter.attempts.target else "")

    def put_on(self, value: ChatCompletion | ChatCompletionChunk) -> None:
        value["id"] = self.id
        value["created"] = self.created
        value["model"] = self.model


@contextmanager
def _telling(meter: Meter) -> Iterator[None]:
    """An error tells how it came about, as a reply does."""
    try:
        yield
    except NativeError as error:
        error.headers = {**error.headers, **merged(headers_of(meter), error.headers)}
        raise


def headers_of(meter: Meter, omitted: tuple[str, ...] = ()) -> dict[str, str]:
    """`x-native-model` is the route that answered, which may be a fallback of the one that was asked for."""
    attempts = meter.attempts
    headers = {
        "x-native-model": safe_value(attempts.route or meter.chat.get("model") or meter.chat.get("tier") or ""),
        "x-native-attempts": str(attempts.count),
    }
    if attempts.target:
        headers["x-native-provider"] = safe_value(attempts.target.provider.name)
    if omitted:
        headers["x-native-omitted"] = safe_value(", ".join(omitted))
    if meter.hold is not None:
        headers.update(meter.hold.headers)
    return headers


# --- for synchronous callers -------------------------------------------------------------------------------


def complete_sync(chat: ChatRequest, caller: Caller, request_id: str = "") -> Reply:
    """`complete`, for callers without an event loop."""
    return background.run(complete(chat, caller, request_id))


__all__ = ["NativeError", "Reply", "ReplyStream", "complete", "complete_sync", "headers_of", "new_request_id", "stream"]
