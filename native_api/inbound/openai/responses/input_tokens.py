"""Counting the input tokens of a response:
https://platform.openai.com/docs/api-reference/responses/input-tokens (read 2026-11). The request is
that of a response, of which it has a part of the fields."""

from __future__ import annotations

from typing import Any

from native_api.inbound.base import ClientContext, ParsedRequest, to_json
from native_api.inbound.openai.responses.responses import ResponsesFormat
from native_api.operations import COUNT_TOKENS


class InputTokensFormat(ResponsesFormat):
    operation = COUNT_TOKENS
    endpoint = "responses/input_tokens"

    def parse(self, data: dict[str, Any], context: ClientContext) -> ParsedRequest:
        return super().parse({**data, "stream": None}, context)

    def reply(self, parsed: ParsedRequest, reply: Any) -> bytes:
        """The body for a number of tokens."""
        return to_json({"object": "response.input_tokens", "input_tokens": reply})
