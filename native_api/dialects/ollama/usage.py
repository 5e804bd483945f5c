"""Token counts of an Ollama reply (https://docs.ollama.com/api/chat, read 2026-11)."""

from __future__ import annotations

from native_api.dialects.shared.token_counts import build_usage, read_count
from native_api.types import Json, Usage


def read_usage(body: Json) -> Usage | None:
    """The usage in a reply, None if it has no counts. Older versions do not count a prompt that was
    cached as a whole."""
    if "prompt_eval_count" not in body and "eval_count" not in body:
        return None
    return build_usage(read_count(body, "prompt_eval_count"), read_count(body, "eval_count"))
