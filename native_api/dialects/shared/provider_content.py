"""Reasoning and blocks in a model's earlier message, by the wire that made them. Those of another
issuer are left out before (`issuers`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from native_api.dialects.shared.issuers import NATIVE_FORMATS
from native_api.types import Json


def read_own_reasoning(message: Mapping[str, Any], wire: str) -> list[Json]:
    """The reasoning that this wire made."""
    return [item for item in message.get("reasoning_details") or () if item.get("format") == wire]


def read_vendor_reasoning(message: Mapping[str, Any]) -> list[Json]:
    """The reasoning that a vendor of OpenAI's family made."""
    return [
        item
        for item in message.get("reasoning_details") or ()
        if item.get("format") not in NATIVE_FORMATS
    ]


def read_own_blocks(message: Mapping[str, Any], wire: str) -> list[Json]:
    """Copies of the wire's own blocks, such as its server tools' calls and results."""
    items = message.get("provider_content")
    if not items:
        return []
    return [
        dict(item["block"]) for item in items if item.get("format") == wire and item.get("block")
    ]
