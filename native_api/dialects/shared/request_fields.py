"""Small fields of the unified request that several wires read alike."""

from __future__ import annotations

from native_api.exceptions import UnsupportedField
from native_api.types import ChatRequest


def read_stop_sequences(chat: ChatRequest) -> list[str]:
    stop = chat.get("stop") or []
    return [stop] if isinstance(stop, str) else list(stop)


def read_max_tokens(chat: ChatRequest) -> int | None:
    return chat.get("max_completion_tokens") or chat.get("max_tokens")


def check_text_only(chat: ChatRequest) -> None:
    """For wires that answer in text alone."""
    if set(chat.get("modalities") or ["text"]) != {"text"}:
        raise UnsupportedField("modalities", "this provider answers in text only")
