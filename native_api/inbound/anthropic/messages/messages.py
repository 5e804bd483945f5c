"""Anthropic's Messages, as clients speak it: https://platform.claude.com/docs/en/api/messages (read
2026-11). This module puts the parts of the format together; each other module holds one of them."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, ClassVar, Final

from native_api.dialects.anthropic.betas import BETA_HEADER, check_betas
from native_api.exceptions import NativeError
from native_api.inbound.anthropic.errors import error_envelope, status_of
from native_api.inbound.anthropic.headers import name_headers
from native_api.inbound.anthropic.messages.forward import seal_message
from native_api.inbound.anthropic.messages.opened import open_messages
from native_api.inbound.anthropic.messages.reply import build_message
from native_api.inbound.anthropic.messages.serializer import MessagesSerializer
from native_api.inbound.anthropic.messages.stream import MessagesStreamWriter
from native_api.inbound.anthropic.messages.unify import read_head, unify
from native_api.inbound.base import (
    ClientContext,
    InboundFormat,
    ParsedRequest,
    StreamWriter,
    to_json,
)
from native_api.inbound.request_serializer import RequestSerializer, restore_written
from native_api.inbound.translation import Translation
from native_api.operations import CHAT, Operation
from native_api.types import Json

BETA_SEPARATOR: Final = ","
FIELD_NAMES: Final = {
    "max_completion_tokens": "max_tokens",
    "stop": "stop_sequences",
    "parallel_tool_calls": "tool_choice.disable_parallel_tool_use",
    "response_format": "output_config.format",
    "reasoning_effort": "output_config.effort",
    "user": "metadata.user_id",
}


UNIFIED_PATHS: Final = (
    (re.compile(r"messages\.reasoning_details"), "messages.thinking"),
    (re.compile(r"reasoning\.max_tokens"), "thinking.budget_tokens"),
    (re.compile(r"messages\.provider_content"), "messages.content"),
    (re.compile(r"messages\.tool_calls\b.*"), "messages.tool_use"),
    (
        re.compile(
            r"(messages\[\d+\](?:\.content\[\d+\])??)(?:\.content(?:\[\d+\])?)?"
            r"\.(?:image_url|file|provider_content|tool_calls)\b.*"
        ),
        r"\1",
    ),
    (re.compile(r"(tools(?:\[\d+\])?)(?:\.function)?\.parameters\b.*"), r"\1.input_schema"),
    (re.compile(r"(tools(?:\[\d+\])?)\.function\b"), r"\1"),
    (re.compile(r"\.tool_call_id$"), ".tool_use_id"),
    (re.compile(r"^response_format\.json_schema\b"), "output_config.format"),
)
"""Which block of a message is meant is not known: several may be one part, or none."""


class MessagesFormat(InboundFormat):
    operation: ClassVar[Operation] = CHAT
    wire = "anthropic"
    endpoint = "messages"
    field_names = FIELD_NAMES
    field_paths = UNIFIED_PATHS

    def __init__(self) -> None:
        self._serializer: RequestSerializer = MessagesSerializer()

    def parse(self, data: dict[str, Any], context: ClientContext) -> ParsedRequest:
        checked, dropped_fields = self._serializer.check(data)
        body = restore_written(data, checked, dropped_fields)
        betas = read_betas(body.get("betas"), context.headers.get(BETA_HEADER) or "")
        if betas:
            body["betas"] = betas
        body["messages"], lost = open_messages(body["messages"], context.seal)
        client_body = Translation(unify).make_client_body(self.wire, body)
        return ParsedRequest(read_head(checked), [*dropped_fields, *lost], client_body, context)

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


def read_betas(written: list[Any] | None, header: str) -> list[str]:
    """The betas of the body, which raw clients write, and of the header, each once. Raises
    InvalidRequest for what is not a name."""
    named = [name for item in header.split(BETA_SEPARATOR) if (name := item.strip())]
    check_betas(written, "betas")
    check_betas(named, BETA_HEADER)
    return list(dict.fromkeys([*(written or ()), *named]))
