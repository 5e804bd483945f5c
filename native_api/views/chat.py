"""`POST v1/chat/completions`."""

from __future__ import annotations

from django.http import StreamingHttpResponse
from django.http.response import HttpResponseBase
from rest_framework.request import Request

from native_api import bridge, gateway
from native_api.conf import native_settings
from native_api.parsers import read_and_check
from native_api.renderers import EventStream
from native_api.serializers import ChatCompletionSerializer
from native_api.types import Caller, ChatRequest
from native_api.views.base import NativeView, caller_of

serializer = ChatCompletionSerializer()
"""Bound once: checking keeps no state, and building it anew would cost more than a check."""


class ChatCompletionsView(NativeView):
    async def post(self, request: Request) -> HttpResponseBase:
        chat, left_out = await read_and_check(request, serializer.check)
        caller = caller_of(request)
        if chat.get("stream"):
            return await self._stream(chat, caller, left_out)
        reply = await self.on_engine(gateway.complete(chat, caller, self.request_id))
        self._tell(reply.headers, left_out)
        return self.json(reply.completion)

    async def _stream(self, chat: ChatRequest, caller: Caller, left_out: list[str]) -> StreamingHttpResponse:
        reply = await self.on_engine(gateway.stream(chat, caller, self.request_id))
        try:
            self._tell(reply.headers, left_out)
            response = StreamingHttpResponse(content_type="text/event-stream; charset=utf-8")
            # Django's GZipMiddleware would hold events back until it has enough to compress; it leaves what is encoded alone.
            response.headers["content-encoding"] = "identity"
            response.headers["x-accel-buffering"] = "no"
            opened = bridge.AsyncStream if self.on_asgi else bridge.SyncStream
            response.streaming_content = opened(EventStream(reply), native_settings.KEEPALIVE_SECONDS)
        except BaseException as error:
            await self.on_engine(reply.aclose(error))
            raise
        return response

    def _tell(self, headers: dict[str, str], left_out: list[str]) -> None:
        self.tell(headers)
        if left_out:
            told = self.answer_headers.get("x-native-omitted")
            self.answer_headers["x-native-omitted"] = ", ".join([*([told] if told else []), *left_out])
