"""The frames of unified replies and of chunks. `id`, `created` and `model` may be empty: the
gateway fills in what a wire does not have."""

from __future__ import annotations

from typing import Any, TypedDict, Unpack

from native_api.types import ChatCompletion, ChatCompletionChunk, Usage


class Head(TypedDict, total=False):
    """What a frame says of its reply."""

    reply_id: str
    created: int
    model: str
    service_tier: str | None


def build_completion(
    choices: list[Any], usage: Usage | None, **head: Unpack[Head]
) -> ChatCompletion:
    """A complete reply with these choices. `usage` and `service_tier` are left out if empty."""
    completion: Any = {**build_chunk(choices, **head), "object": "chat.completion"}
    if usage:
        completion["usage"] = usage
    return completion  # type: ignore[no-any-return]


def build_chunk(
    choices: list[Any],
    *,
    reply_id: str = "",
    created: int = 0,
    model: str = "",
    service_tier: str | None = None,
) -> ChatCompletionChunk:
    """A chunk of a stream with these choices. `service_tier` is left out if it is empty."""
    chunk: ChatCompletionChunk = {
        "id": reply_id,
        "object": "chat.completion.chunk",
        "created": created,
        "model": model,
        "choices": choices,
    }
    if service_tier:
        chunk["service_tier"] = service_tier
    return chunk
