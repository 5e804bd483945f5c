"""A model's turn sent back in the order it came in: reasoning, text, the wire's own blocks and
calls.

A client keeps a reply as text, tool calls, `reasoning_details` and `provider_content`. Converse's
list of blocks is put together again by the numbers that `bedrock_reply` writes, each left out where
it is 0: an item's `at` counts the characters of content before it, its `calls` the tool calls
before it, a block's `reasoning` the reasoning items before it. Reasoning goes back only as it was
signed or encrypted: unsigned text is refused
(https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ReasoningTextBlock.html, read
2026-11).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from native_api.dialects.shared.parts import read_parts
from native_api.dialects.shared.provider_content import read_own_reasoning
from native_api.types import Json

WIRE: Final = "bedrock"

NOT_SENT: Final = frozenset({"trace", "additionalModelResponseFields"})
"""Kept content that tells about a reply and is no block of it."""

Marker = Callable[[Mapping[str, Any]], list[Json]]


def replay_turn(
    message: Mapping[str, Any],
    files: list[Json],
    calls: list[Json],
    takes_reasoning: bool,
    marker: Marker,
) -> list[Json]:
    """The blocks of one assistant message. `files` and `calls` are blocks already; `marker` gives a
    part's cache point, if any."""
    text = _Text(message, marker)
    blocks: list[Json] = []
    called = 0
    for item in _items(message, takes_reasoning):
        blocks += text.until(item.get("at", 0))
        blocks += calls[called : item.get("calls", 0)]
        called = max(called, item.get("calls", 0))
        blocks.append(_whole(item))
    return [*blocks, *text.until(None), *files, *calls[called:]]


class _Text:
    """The text of a message, part by part, given out up to a position."""

    def __init__(self, message: Mapping[str, Any], marker: Marker) -> None:
        parts = read_parts(message)
        if message.get("refusal"):
            parts.append({"type": "refusal", "refusal": message["refusal"]})
        self._rest = [
            (part.get("text") or part.get("refusal") or "", marker(part)) for part in parts
        ]
        self._position = 0

    def until(self, end: int | None) -> list[Json]:
        """The blocks up to `end`, a number of characters from the beginning; None for all that is
        left."""
        blocks: list[Json] = []
        while self._rest and (end is None or self._position < end):
            text, mark = self._rest.pop(0)
            taken = text if end is None else text[: end - self._position]
            self._position += len(taken)
            blocks += [{"text": taken}] if taken else []
            if len(taken) < len(text):
                self._rest.insert(0, (text[len(taken) :], mark))
                break
            blocks += mark
        return blocks


def _items(message: Mapping[str, Any], takes_reasoning: bool) -> list[Json]:
    """Reasoning and kept blocks of this wire's own that are sent back, in the order they came
    in."""
    reasoning = read_own_reasoning(message, WIRE)
    blocks = [item for item in message.get("provider_content") or () if _is_sent(item)]
    items: list[Json] = []
    for position, item in enumerate(reasoning):
        while blocks and blocks[0].get("reasoning", 0) <= position:
            items.append(blocks.pop(0))
        if takes_reasoning and (item.get("signature") or item.get("type") == "reasoning.encrypted"):
            items.append(item)
    return items + blocks


def _is_sent(item: Json) -> bool:
    block = item.get("block")
    return item.get("format") == WIRE and isinstance(block, dict) and not NOT_SENT & block.keys()


def _whole(item: Json) -> Json:
    if "block" in item:
        return dict(item["block"])
    if item.get("type") == "reasoning.encrypted":
        return {"reasoningContent": {"redactedContent": item.get("data") or ""}}
    return {
        "reasoningContent": {
            "reasoningText": {"text": item.get("text") or "", "signature": item["signature"]}
        }
    }
