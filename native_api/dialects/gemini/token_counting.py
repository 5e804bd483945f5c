"""Counting input tokens: https://ai.google.dev/api/tokens and
https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/count-tokens (read 2026-11).

The Gemini API counts a whole request; Vertex AI has members of its own for the parts."""

from __future__ import annotations

from typing import Final

from native_api.dialects.shared.json_values import encode
from native_api.types import Json, UpstreamRequest

VERTEX_MEMBERS: Final = ("contents", "systemInstruction", "tools", "generationConfig")


def build_count_request(
    request: UpstreamRequest, model_path: str, is_vertex: bool
) -> UpstreamRequest:
    """`model_path` is what names the model in the address, `models/NAME`."""
    url, _, _ = request.url.rpartition(":")
    body: Json
    if is_vertex:
        body = {name: request.body[name] for name in VERTEX_MEMBERS if name in request.body}
    else:
        body = {"generateContentRequest": {"model": model_path, **request.body}}
    return UpstreamRequest(f"{url}:countTokens", body, dict(request.headers), content=encode(body))
