"""The frames of unified replies and of chunks. The gateway fills in what a wire does not have."""

from __future__ import annotations

from typing import Any, TypedDict, Unpack

from native_api.types import ChatCompletion, ChatCompletionChunk, Usage


class Head(TypedDict, total=False):
    """What a reply says of itself, as far as its wire has it."""

    reply_id: str
    created: int
    model: str
    service_tier: str | None


def build_completion(
    choices: list[Any], usage: Usage | None, **head: Unpack[Head]
) -> ChatCompletion:
    """A complete reply with these choices. `head` may have its `reply_id`, `created`, `model` and
    `service_tier`."""
    completion: ChatCompletion = _build_frame("chat.completion", choices, head)
    if usage:
        completion["usage"] = usage
    return completion


def build_chunk(choices: list[Any], **head: Unpack[Head]) -> ChatCompletionChunk:
    """A chunk of a stream with these choices. `head` is as in `build_completion`."""
    chunk: ChatCompletionChunk = _build_frame("chat.completion.chunk", choices, head)
    return chunk


def _build_frame(kind: str, choices: list[Any], head: Head) -> Any:
    frame = {
        "id": head.get("reply_id", ""),
        "object": kind,
        "created": head.get("created", 0),
        "model": head.get("model", ""),
        "choices": choices,
    }
    if head.get("service_tier"):
        frame["service_tier"] = head["service_tier"]
    return frame
