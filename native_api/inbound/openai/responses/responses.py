"""OpenAI's Responses, as clients speak them:
https://platform.openai.com/docs/api-reference/responses/create (read 2026-11)."""

from __future__ import annotations

import re
from typing import Any, ClassVar, Final

from native_api.inbound.base import ClientContext, ParsedRequest, to_json
from native_api.inbound.openai.base import OpenAIFormat
from native_api.inbound.openai.responses.custom_calls import CustomCallsWriter, restore_calls
from native_api.inbound.openai.responses.forward import seal_response
from native_api.inbound.openai.responses.opened import open_input
from native_api.inbound.openai.responses.reply import build_response
from native_api.inbound.openai.responses.serializer import ResponsesSerializer
from native_api.inbound.openai.responses.stream import ResponsesStreamWriter
from native_api.inbound.openai.responses.unify import unify
from native_api.inbound.openai.responses.unify_tools import find_custom_names
from native_api.inbound.request_serializer import restore_written
from native_api.inbound.translation import Translation, read_head
from native_api.operations import CHAT
from native_api.types import Json

FIELD_NAMES: Final = {
    "messages": "input",
    "max_completion_tokens": "max_output_tokens",
    "max_tokens": "max_output_tokens",
    "response_format": "text.format",
    "verbosity": "text.verbosity",
    "reasoning_effort": "reasoning.effort",
    "logprobs": "include",
    "web_search_options": "tools.web_search",
}

FIELD_PATHS: Final = (
    (
        re.compile(
            r"^messages\.(?:reasoning_details|reasoning_content|provider_content"
            r"|(?:\w+\.)?extra_content)\b.*"
        ),
        "input.reasoning",
    ),
    (re.compile(r"^(messages(?:\.|\[).*)?image_url\.detail$"), r"\1detail"),
    (re.compile(r"\.image_url\.url$"), ".image_url"),
    (re.compile(r"\.tool_call_id$"), ".call_id"),
    (re.compile(r"^(tools(?:\[\d+\])?)\.function\b"), r"\1"),
    (re.compile(r"^response_format\.json_schema\b"), "text.format"),
)
"""What other wires need back is sealed in items of reasoning."""

HEAD_FIELDS: Final = (
    "model", "tier", "stream", "service_tier", "metadata", "conversation_id", "fallbacks",
    "provider_options",
)  # fmt: skip


class ResponsesFormat(OpenAIFormat):
    wire = "openai_responses"
    operation = CHAT
    endpoint = "responses"
    field_names: ClassVar = FIELD_NAMES
    field_paths = FIELD_PATHS

    def __init__(self) -> None:
        super().__init__(ResponsesSerializer())

    def parse(self, data: dict[str, Any], context: ClientContext) -> ParsedRequest:
        checked, dropped_fields = self._serializer.check(data)
        written = restore_written(data, checked, dropped_fields)
        if "input" in checked:
            written["input"] = open_input(written["input"], context.seal, dropped_fields)
        translation = Translation(unify)
        client_body = translation.make_client_body(self.wire, written, can_lack_search=True)
        head = read_head(checked, HEAD_FIELDS, "max_output_tokens")
        return ParsedRequest(head, dropped_fields, client_body, context)

    def reply(self, parsed: ParsedRequest, reply: Any) -> bytes:
        names = _find_custom_names(parsed)
        return to_json(build_response(parsed, restore_calls(reply, names) if names else reply))

    def forward(self, parsed: ParsedRequest, body: Json) -> bytes:
        return to_json(seal_response(parsed, body))

    def stream(self, parsed: ParsedRequest) -> ResponsesStreamWriter:
        names = _find_custom_names(parsed)
        return CustomCallsWriter(parsed, names) if names else ResponsesStreamWriter(parsed)


def _find_custom_names(parsed: ParsedRequest) -> frozenset[str]:
    return find_custom_names(parsed.client_body.body) if parsed.client_body else frozenset()
