"""Anthropic's Messages, as clients speak it: https://platform.claude.com/docs/en/api/messages (read
2026-11). This module puts the parts of the format together; each other module holds one of them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from native_api.exceptions import NativeError
from native_api.inbound.anthropic.errors import error_envelope, status_of
from native_api.inbound.anthropic.headers import name_headers
from native_api.inbound.anthropic.messages.forward import seal_message
from native_api.inbound.anthropic.messages.reply import build_message
from native_api.inbound.anthropic.messages.stream import MessagesStreamWriter
from native_api.inbound.base import (
    ClientContext,
    InboundFormat,
    ParsedRequest,
    StreamWriter,
    to_json,
)
from native_api.operations import CHAT
from native_api.types import Json

FIELD_NAMES: Final = {
    "max_completion_tokens": "max_tokens",
    "stop": "stop_sequences",
    "parallel_tool_calls": "tool_choice.disable_parallel_tool_use",
    "response_format": "output_config.format",
    "reasoning_effort": "output_config.effort",
    "user": "metadata.user_id",
}


class MessagesFormat(InboundFormat):
    operation = CHAT
    wire = "anthropic"
    endpoint = "messages"
    field_names = FIELD_NAMES

    def parse(self, data: dict[str, Any], context: ClientContext) -> ParsedRequest:
        return ParsedRequest(data, [], context=context)

    def reply(self, parsed: ParsedRequest, reply: Any) -> bytes:
        return to_json(build_message(parsed, reply))

    def forward(self, parsed: ParsedRequest, body: Json) -> bytes:
        return to_json(seal_message(parsed, body))

    def stream(self, parsed: ParsedRequest) -> StreamWriter:
        return MessagesStreamWriter(parsed)

    def error(self, error: NativeError, request_id: str) -> bytes:
        return to_json(error_envelope(error, request_id))

    def status(self, error: NativeError) -> int:
        return status_of(error)

    def headers(self, headers: dict[str, str], now: datetime) -> dict[str, str]:
        return name_headers(headers, now)
