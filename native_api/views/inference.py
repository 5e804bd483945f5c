"""The endpoints that call models: one view for all inbound formats."""

from __future__ import annotations

import weakref
from collections.abc import Awaitable, Callable
from functools import partial
from typing import ClassVar

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from rest_framework.request import Request

from native_api import background
from native_api.access.sealing import CallerSeal
from native_api.conf import native_settings
from native_api.gateway import calls
from native_api.gateway.calls import CallReply
from native_api.inbound.base import ClientContext, InboundFormat, ParsedRequest, StreamWriter
from native_api.inbound.conversation_ids import add_conversation_id
from native_api.inbound.headers import list_names
from native_api.inbound.json_body import read_and_check
from native_api.inbound.openai import ChatCompletions, EmbeddingsFormat
from native_api.types import Caller, Json
from native_api.views import private_api
from native_api.views.base import NativeView
from native_api.views.event_stream import EventStream, EventStreamResponse


class InferenceView(NativeView):
    """Answers in its `inbound_format`, errors included."""

    inbound_format: ClassVar[InboundFormat]

    def spoken_format(self) -> InboundFormat:
        return self.inbound_format

    async def post(self, request: Request, model: str = "") -> HttpResponseBase:
        """A `model` of the URL replaces that of the body, as at Azure."""
        caller = await self.get_caller(request)
        context = ClientContext(request.headers, CallerSeal(caller))
        parsed = await self.parse(request, caller, partial(self._parse, model, context))
        if parsed.body.get("stream"):
            return await self._stream(private_api.django_request(request), parsed, caller)
        answer = await self.on_engine(self.call(parsed, caller))
        self._add_call_headers(answer.headers, parsed)
        return self.json_bytes(await self.write_reply(parsed, answer, caller))

    # --- what the endpoints of one API may do otherwise ------------------------------------------

    async def parse(
        self, request: Request, caller: Caller, check: Callable[[Json], ParsedRequest]
    ) -> ParsedRequest:
        """The checked request. Raises NativeError."""
        return await read_and_check(request, check)

    async def call(self, parsed: ParsedRequest, caller: Caller) -> CallReply:
        """The complete reply. Raises NativeError."""
        inbound = self.inbound_format
        return await calls.call(
            inbound.operation,
            parsed.body,
            caller,
            self.request_id,
            parsed.client_body,
            inbound.endpoint,
        )

    async def write_reply(self, parsed: ParsedRequest, answer: CallReply, caller: Caller) -> bytes:
        """The body of a complete reply."""
        if answer.forwarded is not None:
            return self.inbound_format.forward(parsed, answer.forwarded)
        return self.inbound_format.reply(parsed, answer.reply)

    def before_end(
        self, parsed: ParsedRequest, writer: StreamWriter, caller: Caller
    ) -> Callable[[], Awaitable[None]] | None:
        """What is awaited before the end of a stream is written; None if nothing is."""
        return None

    # --- the steps of every call -----------------------------------------------------------------

    def _parse(self, model: str, context: ClientContext, body: Json) -> ParsedRequest:
        if model:
            body = {**body, "model": model}
        inbound, sources = self.inbound_format, native_settings.CONVERSATION_ID_FROM
        if (
            sources
            and inbound.conversation_fields
            and all(body.get(name) is None for name in inbound.conversation_fields)
        ):
            body = add_conversation_id(body, context.headers, sources)
        return inbound.parse(body, context)

    async def _stream(
        self, request: HttpRequest, parsed: ParsedRequest, caller: Caller
    ) -> EventStreamResponse:
        reply = await self.on_engine(
            calls.open_stream(
                parsed.body,
                caller,
                self.request_id,
                parsed.client_body,
                self.inbound_format.endpoint,
            )
        )
        try:
            self._add_call_headers(reply.headers, parsed)
            response = EventStreamResponse()
            writer = self.inbound_format.stream(parsed)
            stream_class = background.AsyncStream if self.on_asgi else background.SyncStream
            stream = stream_class(
                EventStream(reply, writer, self.before_end(parsed, writer, caller)),
                native_settings.KEEPALIVE_SECONDS,
                writer.ping(),
            )
        except BaseException as error:
            await self.on_engine(reply.aclose(error))
            raise
        response.streaming_content = stream
        _close_with(request, stream)
        return response

    def _add_call_headers(self, added: dict[str, str], parsed: ParsedRequest) -> None:
        self.add_headers(added)
        self._rename_omitted({} if parsed.client_body is None else parsed.client_body.body)
        if parsed.dropped_fields:
            listed = self.headers.get("x-native-omitted", "")
            self.headers["x-native-omitted"] = list_names(parsed.dropped_fields, listed)

    def _rename_omitted(self, written: Json) -> None:
        """Name the fields that were left out as the client's API does, and those of another API
        that the client has `written` as they are."""
        omitted = self.headers.get("x-native-omitted")
        if omitted and self.inbound_format.field_names:
            rename = self.inbound_format.rename_field
            names = [name if name in written else rename(name) for name in omitted.split(", ")]
            self.headers["x-native-omitted"] = list_names(names)


class ChatCompletionsView(InferenceView):
    """`POST v1/chat/completions`, and Azure's `openai/deployments/{model}/chat/completions`, whose
    path names the model."""

    inbound_format = ChatCompletions()


class EmbeddingsView(InferenceView):
    """`POST v1/embeddings`, and Azure's `openai/deployments/{model}/embeddings`."""

    inbound_format = EmbeddingsFormat()


def _close_with(
    request: HttpRequest, stream: background.AsyncStream | background.SyncStream
) -> None:
    """Close the stream when Django closes the request, which it does with the response that it
    sends. That may be a middleware's own, or an error page.

    In these cases Django does not close the view's response, and an exception on its way to the
    error page keeps it alive for long. The references here are weak: a stream that nobody holds any
    more is closed by that.
    """
    close_stream, request_reference = weakref.WeakMethod(stream.close), weakref.ref(request)

    def close() -> None:
        if (close_now := close_stream()) is not None:
            close_now()
        if (closed := request_reference()) is not None:
            type(closed).close(closed)

    request.close = close  # type: ignore[method-assign]
