"""What the inbound formats of OpenAI's APIs share: a serializer that checks, and the envelope."""

from __future__ import annotations

from typing import Any

from native_api.exceptions import NativeError
from native_api.inbound.base import ClientContext, InboundFormat, ParsedRequest, to_json
from native_api.inbound.checks import FieldError
from native_api.inbound.openai.error_envelope import error_envelope
from native_api.inbound.request_serializer import RequestSerializer, restore_written
from native_api.types import ClientBody, Json


class OpenAIFormat(InboundFormat):
    def __init__(self, serializer: RequestSerializer) -> None:
        """One serializer for all requests: making one costs more than a check."""
        self._serializer = serializer

    def error(self, error: NativeError, request_id: str) -> bytes:
        return to_json(error_envelope(error))


class UnifiedFormat(OpenAIFormat):
    """An API whose request is the unified one."""

    def parse(self, data: dict[str, Any], context: ClientContext | None = None) -> ParsedRequest:
        try:
            data, left_out = self._serializer.adapt(data)
        except FieldError as error:
            raise error.as_invalid_request() from None
        body, unknown_fields = self._serializer.check(data)
        dropped_fields = [*left_out, *unknown_fields]
        if not self.wire:
            return ParsedRequest(body, dropped_fields, context=context)
        written = restore_written(data, body, unknown_fields)
        client_body = ClientBody(self.wire, written, self._unify, is_unified_wire=True, made=body)
        return ParsedRequest(body, dropped_fields, client_body, context)

    def _unify(self, body: Json, omitted: list[str]) -> Any:
        return self._serializer.check_known(body)
