"""Counting input tokens: https://platform.claude.com/docs/en/api/messages-count-tokens and
https://cloud.google.com/vertex-ai/generative-ai/docs/partner-models/claude/count-tokens (read
2026-11). The body is that of a message without what only its answer needs."""

from __future__ import annotations

from typing import Final

from native_api.dialects.shared.json_values import encode
from native_api.types import Json, Target, UpstreamRequest

NOT_COUNTED: Final = frozenset(
    {
        "max_tokens", "stream", "temperature", "top_p", "top_k", "stop_sequences", "metadata",
        "service_tier", "container", "diagnostics", "inference_geo", "fallbacks",
        "fallback_credit_token", "thread",
    }
)  # fmt: skip
"""Members of a message's body that the endpoint does not have, and refuses ("Extra inputs are not
permitted"). Others go on: what is new is more likely to be read by the model."""

VERTEX_MODEL: Final = "count-tokens"
"""Stands in the place of the model in the address, which stands in the body."""


def build_count_request(request: UpstreamRequest) -> UpstreamRequest:
    """For Anthropic's own API and those that are built like it."""
    url, mark, query = request.url.partition("?")
    return _replace(request, f"{url}/count_tokens{mark}{query}", {})


def build_vertex_count_request(request: UpstreamRequest, target: Target) -> UpstreamRequest:
    models, _, _ = request.url.rpartition("/")
    return _replace(request, f"{models}/{VERTEX_MODEL}:rawPredict", {"model": target.model})


def _replace(request: UpstreamRequest, url: str, members: Json) -> UpstreamRequest:
    body = {name: value for name, value in request.body.items() if name not in NOT_COUNTED}
    body |= members
    return UpstreamRequest(url, body, dict(request.headers), content=encode(body))
