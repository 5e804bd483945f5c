"""Builds one reply from Anthropic's blocks, as unified deltas. Rules:

1. A complete reply is read block by block too, so that it equals the folded stream.
2. Thinking is delivered twice: as text for people (`reasoning_content`), and as what Anthropic
   wants back on the next turn (`reasoning_details`, with its signature).
3. Blocks of Anthropic's own tools are kept whole in `provider_content`, and so are the citations of
   a text. See `shared.replay` for the offsets that say where they stood.

Source: https://platform.claude.com/docs/en/api/messages and /build-with-claude/streaming (read
2026-11).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from native_api.dialects.anthropic.blocks import Block, build_annotation, read_string
from native_api.dialects.anthropic.replay import WIRE
from native_api.dialects.shared.call_arguments import NO_ARGUMENTS
from native_api.dialects.shared.deltas import extend_delta
from native_api.dialects.shared.replay import ReplyPosition
from native_api.dialects.shared.tools import ANSWER_TOOL, format_arguments
from native_api.types import Json

UNIFIED_CALL_MEMBERS: Final = frozenset({"type", "id", "name", "input"})
"""The members of a `tool_use` block that have a unified name."""


class ReplyBuilder:
    """The state of one reply. Call `start`, `add` and `stop` for each block, then `finish` once.
    Each returns a delta, `{}` if there is nothing to tell."""

    def __init__(self, answer_tool: str = ANSWER_TOOL) -> None:
        """`answer_tool` is the tool whose call is the answer; "" if there is none."""
        self.reply_id = ""
        self._answer_tool = answer_tool
        self.has_answer_call = False
        """Whether the model called the answer tool, whose arguments are the text of the reply."""
        self.annotations: list[Json] = []
        self.position = ReplyPosition(WIRE)
        self._open_blocks: dict[Any, Block] = {}
        self._follows_text_or_call = False
        """Whether the next text would be taken for a part of the text before it, or be moved before
        a call, unless an empty block marks where it begins."""

    @property
    def is_empty(self) -> bool:
        return not self.position.length and not self.position.calls

    def start(self, index: Any, members: Json) -> Json:
        """The delta of a block's beginning."""
        block = self._open_blocks[index] = Block(
            members, self.position.offsets(), self.position.length
        )
        start_block = BLOCK_STARTERS.get(block.type)
        return start_block(self, block) if start_block else {}

    def add(self, index: Any, piece: Json) -> Json:
        piece_type = piece.get("type")
        block = self._open_blocks.get(index)
        if block is None:
            block = self._open_blocks[index] = Block(
                {"type": "text"}, self.position.offsets(), self.position.length
            )
        if piece_type == "text_delta":
            return self._add_text(piece.get("text"))
        if piece_type == "input_json_delta":
            return self._add_arguments(block, read_string(piece.get("partial_json")))
        if piece_type in ("thinking_delta", "signature_delta"):
            return self._add_thinking(block, piece)
        if piece_type == "citations_delta":
            block.citations.append(piece.get("citation"))
        else:
            block.merge(piece)
        return {}

    def stop(self, index: Any) -> Json:
        block = self._open_blocks.pop(index, None)
        if block is None:
            return {}
        if block.type == "text":
            return self._stop_text(block)
        if block.type == "tool_use":
            return self._stop_call(block)
        if block.type in BLOCK_STARTERS:
            return {}
        self._follows_text_or_call = False
        return {"provider_content": [self.position.build_item(block.build(), block.offsets)]}

    def finish(self, reply_fields: Json) -> Json:
        """The last delta: blocks that were left open, annotations, and `reply_fields`, which
        describe the reply."""
        delta: Json = {}
        for index in list(self._open_blocks):
            extend_delta(delta, self.stop(index))
        if self.annotations:
            delta["annotations"] = self.annotations
        if reply_fields:
            item = self.position.build_item(reply_fields, {})
            delta.setdefault("provider_content", []).append(item)
        return delta

    def pending(self) -> Json:
        """The open blocks, as far as they have come, that are delivered when they stop."""
        blocks = [
            block.build_partial()
            for block in self._open_blocks.values()
            if block.type not in BLOCK_STARTERS
        ]
        return {"provider_content": [{"block": block} for block in blocks]}

    # --- text ------------------------------------------------------------------------------------

    def _add_text(self, text: Any) -> Json:
        if not isinstance(text, str) or not text:
            return {}
        self.position.length += len(text)
        return {"content": text}

    def _start_text(self, block: Block) -> Json:
        return self._add_text(block.members.get("text"))

    def _stop_text(self, block: Block) -> Json:
        end = self.position.length
        if block.citations:
            self.annotations += [
                annotation
                for citation in block.citations
                if (annotation := build_annotation(citation, block.start, end))
            ]
            self._follows_text_or_call = False
            cited = {"type": "text", "citations": block.citations}
            item = self.position.build_item(cited, block.offsets)
            return {"provider_content": [{**item, "until": end}]}
        if end == block.start:
            return {}
        needs_mark, self._follows_text_or_call = self._follows_text_or_call, True
        if not needs_mark:
            return {}
        return {"provider_content": [self.position.build_item({}, block.offsets)]}

    # --- thinking --------------------------------------------------------------------------------

    def _start_thinking(self, block: Block) -> Json:
        text = read_string(block.members.get("thinking"))
        item = {"type": "reasoning.text", "text": text}
        if block.members.get("signature"):
            item["signature"] = block.members["signature"]
        delta = self._start_reasoning(block, item)
        return {"reasoning_content": text, **delta} if text else delta

    def _start_redacted_thinking(self, block: Block) -> Json:
        data = read_string(block.members.get("data"))
        return self._start_reasoning(block, {"type": "reasoning.encrypted", "data": data})

    def _start_reasoning(self, block: Block, item: Json) -> Json:
        block.item_index = self.position.reasoning
        self.position.reasoning += 1
        self._follows_text_or_call = False
        item = {**item, "format": WIRE, "index": block.item_index, **block.offsets}
        return {"reasoning_details": [item]}

    def _add_thinking(self, block: Block, piece: Json) -> Json:
        if block.item_index is None or block.type not in ("thinking", "redacted_thinking"):
            return {}
        if piece["type"] == "signature_delta":
            signature = read_string(piece.get("signature"))
            return {"reasoning_details": [{"index": block.item_index, "signature": signature}]}
        text = read_string(piece.get("thinking"))
        if not text:
            return {}
        return {
            "reasoning_content": text,
            "reasoning_details": [{"index": block.item_index, "text": text}],
        }

    # --- calls -----------------------------------------------------------------------------------

    def _start_call(self, block: Block) -> Json:
        if self._answer_tool and block.members.get("name") == self._answer_tool:
            self.has_answer_call = True
            return {}
        block.item_index = self.position.calls
        self.position.calls += 1
        self._follows_text_or_call = True
        return {"tool_calls": [self._build_call(block, "")]}

    def _stop_call(self, block: Block) -> Json:
        """The rest of the arguments. Servers may send the input at the beginning of the block, in
        pieces, or both (Kimi: https://github.com/earendil-works/pi/issues/2593, 2026-03); pieces
        win, as in Anthropic's SDK."""
        rest = block.arguments.finish()
        if rest == NO_ARGUMENTS:
            rest = format_arguments(block.members.get("input"))
        return self._send_arguments(block, rest)

    def _build_call(self, block: Block, arguments: str) -> Json:
        name = read_string(block.members.get("name"))
        call: Json = {
            "index": block.item_index,
            "id": read_string(block.members.get("id")),
            "type": "function",
            "function": {"name": name, "arguments": arguments},
        }
        extras = {
            member: value
            for member, value in block.members.items()
            if member not in UNIFIED_CALL_MEMBERS and value is not None
        }
        if extras:
            call["extra_content"] = {WIRE: extras}
        return call

    def _add_arguments(self, block: Block, piece: str) -> Json:
        if block.type != "tool_use":
            block.input_json += piece
            return {}
        return self._send_arguments(block, block.arguments.add(piece))

    def _send_arguments(self, block: Block, text: str) -> Json:
        if block.item_index is None:
            return self._add_text(text)
        call = {"index": block.item_index, "function": {"arguments": text}}
        return {"tool_calls": [call]} if text else {}


BLOCK_STARTERS: Final[Mapping[Any, Callable[[ReplyBuilder, Block], Json]]] = {
    "text": ReplyBuilder._start_text,
    "thinking": ReplyBuilder._start_thinking,
    "redacted_thinking": ReplyBuilder._start_redacted_thinking,
    "tool_use": ReplyBuilder._start_call,
}
"""The types of block that have a unified form."""
