"""Log probabilities of a reply's text, in OpenAI's shape
(https://docs.cohere.com/reference/chat, read 2026-11)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from native_api.types import Json


def build_logprobs(items: Iterable[Any]) -> Json:
    """OpenAI's `logprobs`. Cohere reports pieces of text: the probability of a piece of several
    tokens is that of all of them together."""
    content = [_build_token(item) for item in items if isinstance(item, dict)]
    return {"content": content, "refusal": None}


def _build_token(item: Json) -> Json:
    text = item.get("text") or ""
    token = {
        "token": text,
        "logprob": sum(item.get("logprobs") or ()),
        "bytes": list(text.encode()),
        "top_logprobs": [],
    }
    return {**token, **{name: item[name] for name in ("token_ids", "logprobs") if item.get(name)}}
