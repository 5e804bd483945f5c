"""Calls a model: resolves the call, reserves limits, tries targets, records usage. For views and
for any Python code of the site.

    reply = await gateway.complete(chat, caller)          # reply.completion, reply.headers
    stream = await gateway.stream(chat, caller)           # async for chunks in stream: …
    reply = gateway.complete_sync(chat, caller)           # from a synchronous view or task

Rules:
1. Every call that reaches routing leaves exactly one usage record, however it ends, and one for
   each hedged attempt that lost.
2. The record is in the journal before the last piece of the reply is handed on.
3. `id`, `created` and `model` are the same in every chunk of a reply, and every tool call has an id
   of its own (`reply_head`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from native_api import background
from native_api.access.model_access import resolve_caller
from native_api.exceptions import NativeError
from native_api.gateway.call_record import CallRecord
from native_api.gateway.connection_test import health_probes
from native_api.gateway.hooks import HookedCall
from native_api.gateway.plan import current_catalog, resolve_call
from native_api.gateway.reply_head import ReplyHead
from native_api.inbound.headers import list_names, safe_value
from native_api.limits.headers import merge_headers
from native_api.limits.reservations import CallReservation
from native_api.logs import new_request_id
from native_api.operations import CHAT, EMBEDDINGS, Operation
from native_api.pricing import lookup
from native_api.routing import attempts
from native_api.routing.call_plan import CallPlan
from native_api.routing.health_sync import target_pool
from native_api.routing.routed_stream import RoutedStream
from native_api.types import (
    Caller,
    ChatCompletion,
    ChatRequest,
    ClientBody,
    EmbeddingsReply,
    EmbeddingsRequest,
    ForwardedEvent,
    Json,
)

target_pool.health.request_probe = health_probes.schedule


@dataclass(slots=True)
class Reply:
    """A complete chat, and the response headers that describe the call (`x-native-…`, limits)."""

    completion: ChatCompletion
    headers: dict[str, str]


@dataclass(slots=True)
class EmbedReply:
    """Embeddings, and the response headers that describe the call."""

    embeddings: EmbeddingsReply
    headers: dict[str, str]


class CallReply(NamedTuple):
    """The unified reply, and the headers that describe the call.

    `forwarded` is the reply in the client's own words, if the target speaks them.
    """

    reply: Any
    headers: dict[str, str]
    forwarded: Json | None = None


async def complete(chat: ChatRequest, caller: Caller, request_id: str = "") -> Reply:
    """The complete reply, also if `chat` asks for a stream. Raises NativeError.

    Cancelling closes the upstream connection.
    """
    answer = await call(CHAT, {**chat, "stream": False}, caller, request_id)
    return Reply(answer.reply, answer.headers)


async def embed(request: EmbeddingsRequest, caller: Caller, request_id: str = "") -> EmbedReply:
    """The embeddings of the request's inputs. Raises NativeError."""
    answer = await call(EMBEDDINGS, request, caller, request_id)
    return EmbedReply(answer.reply, answer.headers)


async def call(
    operation: Operation,
    body: Mapping[str, Any],
    caller: Caller,
    request_id: str = "",
    client_body: ClientBody | None = None,
    endpoint: str = "",
) -> CallReply:
    """The complete reply to a unified request of this kind.

    `client_body` goes on to targets that speak its wire; then `body` needs only what routing and
    limits read. `endpoint` is that of the usage record, if it is not the operation's. Raises
    NativeError.
    """
    call_record = CallRecord(body, caller, request_id or new_request_id(), operation, endpoint)
    hooks = HookedCall(call_record, caller)
    with adding_headers(call_record), call_record:
        async with hooks:
            body, client_body = await hooks.before_call(body, client_body)
            plan, reservation = await admit(body, caller, call_record, client_body)
            upstream = await attempts.complete(
                body, plan, call_record.attempts, target_pool, reservation.reserve
            )
            if operation.has_reply_head:
                ReplyHead(call_record, upstream.reply).complete(upstream.reply)
            call_record.on_reply(upstream.reply)
            reply = await hooks.after_call(upstream.reply)
            return CallReply(
                reply, reply_headers(call_record, upstream.omitted), upstream.forwarded
            )


async def stream(chat: ChatRequest, caller: Caller, request_id: str = "") -> CallStream:
    """The stream, once its first chunk has arrived. Raises NativeError.

    Cancelling closes the upstream connection.
    """
    return await open_stream({**chat, "stream": True}, caller, request_id)


async def open_stream(
    body: Any,
    caller: Caller,
    request_id: str = "",
    client_body: ClientBody | None = None,
    endpoint: str = "",
) -> CallStream:
    """`stream` for clients: `client_body` goes on to targets that speak its wire.

    Their events come back as ForwardedEvents, see `CallStream.is_forwarded`.
    """
    call_record = CallRecord(body, caller, request_id or new_request_id(), CHAT, endpoint)
    hooks = HookedCall(call_record, caller)
    with adding_headers(call_record), call_record.recording_failures():
        async with hooks:
            body, client_body = await hooks.before_call(body, client_body)
            plan, reservation = await admit(body, caller, call_record, client_body)
            upstream = await attempts.open_stream(
                body, plan, call_record.attempts, target_pool, reservation.reserve
            )
            try:
                call_record.on_first_token()
                return CallStream(body, call_record, upstream, hooks)
            except BaseException:
                await upstream.aclose()
                raise


async def admit(
    body: Mapping[str, Any],
    caller: Caller,
    call_record: CallRecord,
    client_body: ClientBody | None,
) -> tuple[CallPlan, CallReservation]:
    """The plan of a call that the caller may make, and its reservation. Raises NativeError."""
    requested = body.get("tier") or body.get("model") or ""
    call_record.requested_model = (await current_catalog()).named(requested)
    caller = await resolve_caller(caller)
    plan = await resolve_call(body, caller)
    plan.caller, plan.operation = caller.identity, call_record.operation
    plan.client_body = call_record.client_body = client_body
    await lookup.ensure_ready()
    call_record.reservation = reservation = CallReservation(body, plan, call_record.record_id)
    await reservation.load_rules(caller)
    return plan, reservation


class CallStream:
    """The chunks of a reply in batches, with the usage chunk last if the request asks for it.

    If `is_forwarded`, the batches hold ForwardedEvents. Iterate once, then call `aclose`. Raises
    NativeError if the reply breaks off. The record is written before the end, however the stream
    ends.
    """

    def __init__(
        self,
        chat: ChatRequest,
        call_record: CallRecord,
        upstream: RoutedStream,
        hooks: HookedCall,
    ) -> None:
        self.headers = reply_headers(call_record, upstream.omitted)
        self.is_forwarded = upstream.is_forwarded
        self._wants_usage = bool((chat.get("stream_options") or {}).get("include_usage"))
        self._call_record, self._hooks = call_record, hooks
        self._upstream = call_record.upstream = upstream
        self._head: ReplyHead | None = None
        self._batches = self._stamped_batches()

    def __aiter__(self) -> AsyncIterator[list[Any]]:
        return self._batches

    async def _stamped_batches(self) -> AsyncIterator[list[Any]]:
        call_record, change = self._call_record, self._hooks.change_batch
        with call_record:
            async with self._hooks:
                async for batch in self._upstream:
                    if batch:
                        call_record.on_chunks(self._stamp(batch), self._upstream.usage)
                        if change is None:
                            yield batch
                            continue
                        chunks, error = await change(batch)
                        if chunks:
                            yield chunks
                        if error is not None:
                            raise error
                call_record.on_chunks(
                    [event.chunk for event in self._upstream.last_events], self._upstream.usage
                )
                call_record.on_usage(self._upstream.usage)
                last = self._last_items()
                if change is not None:
                    last, error = await change(last)
                    if error is not None:
                        raise error
        if last:
            yield last

    def _stamp(self, batch: list[Any]) -> list[Any]:
        """The chunks of a batch. All of them have the same head."""
        chunks = [event.chunk for event in batch] if self.is_forwarded else batch
        if not self._upstream.is_stamped:
            return chunks
        head = self._head
        if head is None:
            head = self._head = ReplyHead(self._call_record, chunks[0])
        for index, chunk in enumerate(chunks):
            has_new_id = head.fill_call_ids(chunk)
            if not self.is_forwarded or batch[index].data is None:
                head.apply(chunk)
            elif has_new_id:
                head.apply(chunk)
                batch[index] = ForwardedEvent(chunk, None)
        return chunks

    def _last_items(self) -> list[Any]:
        """What goes on after the usage is recorded."""
        if not self._upstream.is_stamped:
            return list(self._upstream.last_events)
        return [self._usage_item()] if self._wants_usage else []

    def _usage_item(self) -> Any:
        """The last item: the provider's own event if it reports what is recorded."""
        usage, event = self._call_record.usage, self._upstream.usage_event
        if event is not None and event.chunk["usage"] == usage:
            return event
        chunk: Any = {"object": "chat.completion.chunk", "choices": [], "usage": usage}
        (self._head or ReplyHead(self._call_record, chunk)).apply(chunk)
        return ForwardedEvent(chunk, None) if self.is_forwarded else chunk

    async def aclose(self, error: BaseException | None = None) -> None:
        """Close the upstream connection.

        `error` is the reason if the stream was not read to its end; None means that the client
        left.
        """
        try:
            await self._batches.aclose()  # type: ignore[attr-defined]
        finally:
            try:
                if error is None:
                    self._call_record.on_client_disconnect()
                else:
                    self._call_record.on_error(error)
            finally:
                await self._upstream.aclose()


@contextmanager
def adding_headers(call_record: CallRecord) -> Iterator[None]:
    """Give errors the headers that a reply has."""
    try:
        yield
    except NativeError as error:
        error.headers = {
            **error.headers,
            **merge_headers(reply_headers(call_record), error.headers),
        }
        raise


def reply_headers(call_record: CallRecord, omitted: tuple[str, ...] = ()) -> dict[str, str]:
    """The headers that describe a call. `x-native-model` is the route that answered, which may be a
    fallback of the requested one."""
    log = call_record.attempts
    headers = {
        "x-native-model": safe_value(
            log.route or call_record.body.get("model") or call_record.body.get("tier") or ""
        ),
        "x-native-attempts": str(log.count),
    }
    if log.target:
        headers["x-native-provider"] = safe_value(log.target.provider.name)
    if omitted:
        headers["x-native-omitted"] = list_names(omitted)
    if call_record.reservation is not None:
        headers.update(call_record.reservation.headers)
    return headers


# --- for synchronous callers ---------------------------------------------------------------------


def embed_sync(request: EmbeddingsRequest, caller: Caller, request_id: str = "") -> EmbedReply:
    """`embed`, for callers without an event loop."""
    return background.run(embed(request, caller, request_id))


def complete_sync(chat: ChatRequest, caller: Caller, request_id: str = "") -> Reply:
    """`complete`, for callers without an event loop."""
    return background.run(complete(chat, caller, request_id))
