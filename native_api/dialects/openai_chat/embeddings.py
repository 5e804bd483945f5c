"""Embeddings of OpenAI's family: https://platform.openai.com/docs/api-reference/embeddings
(read 2026-11)."""

from __future__ import annotations

from typing import Any, Final

from native_api.dialects.shared import gateway_owned
from native_api.dialects.shared.token_counts import build_usage, read_count
from native_api.exceptions import UpstreamError
from native_api.types import EmbeddingsReply, EmbeddingsRequest, Json, Target

COPIED_FIELDS: Final = frozenset({"input", "dimensions", "encoding_format", "user"})
GATEWAY_FIELDS: Final = frozenset(EmbeddingsRequest.__annotations__) - COPIED_FIELDS


def build_embeddings_body(request: EmbeddingsRequest, target: Target) -> Json:
    """The fields as they are, those included that nobody here knows, such as `input_type`. Raises
    UnsupportedField if one decides about something that the gateway owns."""
    fields: Any = request
    body = {
        name: value
        for name, value in fields.items()
        if value is not None and name not in GATEWAY_FIELDS
    }
    unknown = {name: value for name, value in body.items() if name not in COPIED_FIELDS}
    gateway_owned.OPENAI.check_options(unknown, "", target.provider.own_account)
    return {"model": target.model, **body}


def build_embeddings_reply(body: Json, target: Target) -> EmbeddingsReply:
    """The unified reply. Raises UpstreamError if an embedding is missing."""
    items = body.get("data")
    if not isinstance(items, list) or not items:
        raise UpstreamError("The provider's answer holds no embeddings.")
    for index, item in enumerate(items):
        if not isinstance(item, dict) or not isinstance(item.get("embedding"), list | str):
            raise UpstreamError("The provider's answer holds no embeddings.")
        item["object"] = "embedding"
        item.setdefault("index", index)
    items.sort(key=lambda item: item["index"])
    reply: EmbeddingsReply = {
        "object": "list",
        "data": items,
        "model": str(body.get("model") or target.model),
    }
    if isinstance(body.get("usage"), dict):
        reply["usage"] = _read_usage(body["usage"])
    return reply


def _read_usage(usage: Json) -> Any:
    """Some servers count `total_tokens` only."""
    prompt = read_count(usage, "prompt_tokens") or read_count(usage, "total_tokens")
    return build_usage(prompt, 0)
