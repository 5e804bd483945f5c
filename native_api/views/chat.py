"""`POST v1/chat/completions`."""

from __future__ import annotations

import weakref

from django.http import HttpRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase
from rest_framework.request import Request

from native_api import background
from native_api.conf import native_settings
from native_api.gateway import calls
from native_api.inbound.json_body import read_and_check
from native_api.inbound.openai import ChatCompletionSerializer
from native_api.inbound.openai.rendering import EventStream
from native_api.types import Caller, ChatRequest
from native_api.views import private_api
from native_api.views.base import NativeView

serializer = ChatCompletionSerializer()
"""One for all requests: a check keeps no state, and making a serializer costs more than a check."""


class ChatCompletionsView(NativeView):
    async def post(self, request: Request) -> HttpResponseBase:
        chat, dropped_fields = await read_and_check(request, serializer.check)
        caller = await self.get_caller(request)
        if chat.get("stream"):
            return await self._stream(
                private_api.django_request(request), chat, caller, dropped_fields
            )
        reply = await self.on_engine(calls.complete(chat, caller, self.request_id))
        self._add_reply_headers(reply.headers, dropped_fields)
        return self.json(reply.completion)

    async def _stream(
        self, request: HttpRequest, chat: ChatRequest, caller: Caller, dropped_fields: list[str]
    ) -> StreamingHttpResponse:
        reply = await self.on_engine(calls.stream(chat, caller, self.request_id))
        try:
            self._add_reply_headers(reply.headers, dropped_fields)
            response = StreamingHttpResponse(content_type="text/event-stream; charset=utf-8")
            # Django's GZipMiddleware delays events until it has enough to compress, unless a
            # response is encoded already.
            response.headers["content-encoding"] = "identity"
            response.headers["x-accel-buffering"] = "no"
            stream_class = background.AsyncStream if self.on_asgi else background.SyncStream
            stream = stream_class(EventStream(reply), native_settings.KEEPALIVE_SECONDS)
        except BaseException as error:
            await self.on_engine(reply.aclose(error))
            raise
        response.streaming_content = stream
        _close_with(request, stream)
        return response

    def _add_reply_headers(self, added: dict[str, str], dropped_fields: list[str]) -> None:
        self.add_headers(added)
        if dropped_fields:
            omitted = self.headers.get("x-native-omitted")
            self.headers["x-native-omitted"] = ", ".join(
                [*([omitted] if omitted else []), *dropped_fields]
            )


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
