"""Counting input tokens:
https://platform.openai.com/docs/api-reference/responses/input-tokens (read 2026-11)."""

from __future__ import annotations

from typing import Final

from native_api.dialects.shared.json_values import encode
from native_api.types import Json, UpstreamRequest

COUNTED: Final = (
    "model", "input", "instructions", "tools", "tool_choice", "parallel_tool_calls", "text",
    "reasoning", "truncation", "personality", "previous_response_id",
)  # fmt: skip
"""Members of a response's body that the endpoint has; it refuses others."""


def build_count_request(request: UpstreamRequest) -> UpstreamRequest:
    url, mark, query = request.url.partition("?")
    body: Json = {name: request.body[name] for name in COUNTED if name in request.body}
    return UpstreamRequest(
        f"{url}/input_tokens{mark}{query}", body, dict(request.headers), content=encode(body)
    )
