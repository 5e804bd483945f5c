"""The endpoints of OpenAI's Responses API that call models. Those for responses that are kept are
in `responses`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import orjson
from rest_framework.request import Request

from native_api.conf import native_settings
from native_api.exceptions import InvalidRequest, NativeError
from native_api.gateway.calls import CallReply
from native_api.gateway.keeping import keep
from native_api.gateway.response_state import ResolvedInput, resolve_state
from native_api.inbound.base import ParsedRequest, StreamWriter, to_json
from native_api.inbound.body_limits import declared_length
from native_api.inbound.json_body import read_and_check, request_memory, run_check
from native_api.inbound.openai.responses import (
    CompactFormat,
    InputTokensFormat,
    ResponsesFormat,
)
from native_api.types import Caller, Json
from native_api.views import private_api
from native_api.views.inference import InferenceView
from native_api.views.token_counts import TokenCountView


class ResponsesInputView(InferenceView):
    """Base of the endpoints whose `input` may refer to what the site keeps."""

    resolved: ResolvedInput | None = None
    """The request without references; None if the site keeps nothing, because what it refers to may
    be at the provider then."""

    async def parse(
        self, request: Request, caller: Caller, check: Callable[[Json], ParsedRequest]
    ) -> ParsedRequest:
        if not native_settings.RESPONSES["STORE"]:
            return await super().parse(request, caller, check)
        data = await read_and_check(request, lambda body: body)
        with request_memory(private_api.django_request(request)) as memory:
            resolved = self.resolved = await resolve_state(data, caller, memory)
            size = declared_length(request.META.get("CONTENT_LENGTH") or "") + resolved.added_bytes
            parsed = await run_check(partial(check, resolved.body), size)
        return parsed._replace(echo=_make_echo(resolved))

    def reword(self, error: NativeError) -> NativeError:
        error = super().reword(error)
        if self.resolved is None or not isinstance(error, InvalidRequest):
            return error
        return self.resolved.in_clients_words(error)


def _make_echo(resolved: ResolvedInput) -> Json:
    """What the reply says of its state."""
    return {"store": resolved.keep, "previous_response_id": resolved.previous_response_id}


class ResponsesView(ResponsesInputView):
    """`POST v1/responses`."""

    inbound_format = ResponsesFormat()

    async def write_reply(self, parsed: ParsedRequest, answer: CallReply, caller: Caller) -> bytes:
        """A response is kept before it is answered, and says whether it was."""
        content = await super().write_reply(parsed, answer, caller)
        resolved = self.resolved
        if resolved is None or not resolved.keep:
            return content
        response = orjson.loads(content)
        if await _keep(resolved, caller, response):
            return content
        return to_json({**response, "store": False})

    def before_end(
        self, parsed: ParsedRequest, writer: StreamWriter, caller: Caller
    ) -> Callable[[], Awaitable[None]] | None:
        resolved = self.resolved
        if resolved is None or not resolved.keep:
            return None
        return partial(_keep_streamed, resolved, caller, writer)


class CompactView(ResponsesInputView):
    """`POST v1/responses/compact`."""

    inbound_format = CompactFormat()


class InputTokensView(ResponsesInputView, TokenCountView):
    """`POST v1/responses/input_tokens`."""

    inbound_format = InputTokensFormat()


async def _keep_streamed(resolved: ResolvedInput, caller: Caller, writer: Any) -> None:
    """Keep what a ResponsesStreamWriter has written, before it writes the end."""
    writer.is_stored = await _keep(resolved, caller, writer.finish())


async def _keep(resolved: ResolvedInput, caller: Caller, response: Json) -> bool:
    return await keep(caller, response, resolved.input_items, resolved.previous_response_id)
