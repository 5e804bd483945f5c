"""The base of the endpoints that count input tokens."""

from __future__ import annotations

from native_api.gateway.calls import CallReply
from native_api.gateway.token_counting import count_tokens
from native_api.inbound.base import ParsedRequest
from native_api.types import Caller
from native_api.views.inference import InferenceView


class TokenCountView(InferenceView):
    """Counts what its `inbound_format` reads. The count of a provider, or our estimate with
    `x-native-estimated: true`."""

    async def call(self, parsed: ParsedRequest, caller: Caller) -> CallReply:
        return CallReply(
            *await count_tokens(
                parsed.body,
                caller,
                self.request_id,
                parsed.client_body,
                self.inbound_format.endpoint,
            )
        )
