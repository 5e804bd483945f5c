"""An assistant's turn, sent back to Anthropic exactly as it came: each thinking block with its
signature, each block of Anthropic's own tools, each text with its citations, in their order
(https://platform.claude.com/docs/en/build-with-claude/preserved-thinking, read 2026-11).

`shared.replay` puts them in order; this module builds the blocks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from native_api.dialects.shared.parts import is_blank, list_parts, read_cache_control
from native_api.dialects.shared.replay import arrange_blocks, read_items
from native_api.dialects.shared.tools import parse_arguments, read_called_function, read_tool_calls
from native_api.types import Json

WIRE: Final = "anthropic"
"""The `format` of reasoning and blocks that Anthropic made."""


def replay_turn(message: Mapping[str, Any]) -> list[Json]:
    """The blocks of one assistant message."""
    text = _TurnText(message)
    items = read_items(message, WIRE, _is_sent)
    calls = [_build_call(call) for call in read_tool_calls(message)]

    def build_item(item: Json, start: int, end: int) -> tuple[Json | None, int]:
        block = item.get("block")
        if block is None:
            return _build_thinking(item), start
        if block.get("type") != "text" or "text" in block:
            return dict(block) or None, start
        until = min(max(item.get("until") or 0, start), end)
        return text.build_cited(block, start, until), until

    return arrange_blocks(items, text.length, calls, text.build_blocks, build_item)


def _is_sent(block: Json) -> bool:
    """Blocks without a type only describe the reply. An empty block marks a boundary."""
    return not block or "type" in block


class _TurnText:
    """The text of one message. Its blocks end where the client's parts end."""

    def __init__(self, message: Mapping[str, Any]) -> None:
        content = message.get("content")
        self._part_ends: list[tuple[int, Any]] = []
        """The end offset of each part, and its `cache_control`; empty if the content is a
        string."""
        if isinstance(content, str) and not message.get("refusal"):
            self._text, self.length = content, len(content)
            return
        parts = list_parts(message)
        if message.get("refusal"):
            parts.append({"type": "refusal", "refusal": message["refusal"]})
        texts = [part.get("text") or part.get("refusal") or "" for part in parts]
        self._text = "".join(texts)
        self.length = len(self._text)
        end = 0
        for part, text in zip(parts, texts, strict=True):
            end += len(text)
            self._part_ends.append((end, read_cache_control(part)))

    def build_blocks(self, start: int, end: int) -> list[Json]:
        """The text blocks between two offsets."""
        if not self._part_ends:
            return self._build_block(start, end, None)
        blocks: list[Json] = []
        for part_end, cache_control in self._part_ends:
            if start < part_end < end:
                blocks += self._build_block(start, part_end, cache_control)
                start = part_end
        return blocks + self._build_block(start, end, self._find_cache_control(end))

    def build_cited(self, block: Json, start: int, end: int) -> Json | None:
        """A text block with the citations of `block`."""
        blocks = self._build_block(start, end, self._find_cache_control(end))
        return {**blocks[0], **block} if blocks else None

    def _build_block(self, start: int, end: int, cache_control: Any) -> list[Json]:
        if start >= end or is_blank(self._text[start:end]):
            return []
        block = {"type": "text", "text": self._text[start:end]}
        return [{**block, "cache_control": cache_control} if cache_control else block]

    def _find_cache_control(self, end: int) -> Any:
        return next((control for part_end, control in self._part_ends if part_end == end), None)


def _build_thinking(item: Mapping[str, Any]) -> Json | None:
    """None for thinking without a signature, which Anthropic refuses."""
    if item.get("type") == "reasoning.encrypted":
        return {"type": "redacted_thinking", "data": item.get("data") or ""}
    if item.get("type") == "reasoning.text" and item.get("signature"):
        return {
            "type": "thinking",
            "thinking": item.get("text") or "",
            "signature": item["signature"],
        }
    return None


def _build_call(call: Mapping[str, Any]) -> Json:
    function = read_called_function(call)
    block = {
        "type": "tool_use",
        "id": call["id"],
        "name": function["name"],
        "input": parse_arguments(function["arguments"]),
    }
    return {**read_call_extras(call), **block}


def read_call_extras(call: Mapping[str, Any]) -> Json:
    """The members of a `tool_use` block that have no unified name."""
    extras: Json = (call.get("extra_content") or {}).get(WIRE) or {}
    return extras
