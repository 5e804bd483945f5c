"""Reasoning and blocks in a model's earlier message that go back to the wire that made them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from native_api.types import Json


def read_own_reasoning(message: Mapping[str, Any], wire: str) -> list[Json]:
    """The reasoning that this wire made."""
    return [item for item in message.get("reasoning_details") or () if item.get("format") == wire]


NATIVE_FORMATS: Final = frozenset(
    {"anthropic", "bedrock", "cohere", "gemini", "ollama", "openai_responses"}
)
"""Values of `format` that dialects write. Any other is a vendor's own (OpenRouter, MiniMax)."""


def read_vendor_reasoning(message: Mapping[str, Any]) -> list[Json]:
    """The reasoning that a vendor of OpenAI's family made."""
    return [
        item
        for item in message.get("reasoning_details") or ()
        if item.get("format") not in NATIVE_FORMATS
    ]


def read_own_blocks(message: Mapping[str, Any], wire: str) -> list[Json]:
    """Copies of the wire's own blocks, such as its server tools' calls and results."""
    return [
        dict(item["block"])
        for item in message.get("provider_content") or ()
        if item.get("format") == wire and item.get("block")
    ]
