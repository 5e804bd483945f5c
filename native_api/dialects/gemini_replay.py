"""A model's turn sent back in the order it came in: thoughts, built-in tool blocks, text and calls.

A client keeps a reply as text, tool calls, `reasoning_details` and `provider_content`. What the wire had as one list of
parts is put together again by two numbers, both left out where they are 0: an item's `at` counts the characters of
content before it, its `calls` the tool calls before it. A block's `reasoning` counts the reasoning items before it.
`gemini_reply` writes them. Where a client lost the items, the text and the calls remain.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from native_api.types import Json

FORMAT: Final = "gemini"

NOT_SENT: Final = frozenset({"groundingMetadata", "urlContextMetadata", "citationMetadata"})
"""Blocks that tell about a reply and are no parts of it."""


def replayed(message: Mapping[str, Any], files: list[Json], calls: list[Json]) -> list[Json]:
    """The parts of one assistant message; `files` and `calls` are parts already."""
    text = _text(message)
    parts: list[Json] = []
    items = _items(message)
    at = called = 0
    for position, item in enumerate(items):
        start = min(item.get("at", 0), len(text))
        parts += _plain(text[at:start])
        at = max(at, start)
        parts += calls[called : item.get("calls", 0)]
        called = max(called, item.get("calls", 0))
        if item.get("type") == "reasoning.encrypted":
            end = items[position + 1].get("at", 0) if position + 1 < len(items) else len(text)
            parts.append({"text": text[at:end], "thoughtSignature": item.get("data", "")})
            at = max(at, min(end, len(text)))
        else:
            parts.append(_whole(item))
    return [*parts, *_plain(text[at:]), *files, *calls[called:]]


def _plain(text: str) -> list[Json]:
    return [{"text": text}] if text else []


def _whole(item: Json) -> Json:
    """A block as it came, or a thought."""
    if "block" in item:
        return dict(item["block"])
    part = {"text": item.get("text") or "", "thought": True}
    return {**part, "thoughtSignature": item["signature"]} if item.get("signature") else part


def _items(message: Mapping[str, Any]) -> list[Json]:
    """Reasoning items and blocks of this dialect's own, in the order they came in."""
    reasoning = [item for item in message.get("reasoning_details") or () if item.get("format") == FORMAT]
    blocks = [item for item in message.get("provider_content") or () if _is_sent(item)]
    items: list[Json] = []
    for position, item in enumerate(reasoning):
        while blocks and blocks[0].get("reasoning", 0) <= position:
            items.append(blocks.pop(0))
        items.append(item)
    return items + blocks


def _is_sent(item: Json) -> bool:
    block = item.get("block")
    return item.get("format") == FORMAT and isinstance(block, dict) and not NOT_SENT & block.keys()


def _text(message: Mapping[str, Any]) -> str:
    content = message.get("content") or ""
    if not isinstance(content, str):
        content = "".join(part.get("text") or part.get("refusal") or "" for part in content)
    return content or message.get("refusal") or ""
