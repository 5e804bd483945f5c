"""The blocks of a stream while they grow. Rules:

1. Only tool calls, images and tool results begin with an event. Any other block begins with its
   first piece, whose type is the block's type.
2. Text, reasoning and calls are delivered piece by piece. Citations (which come before the text
   that rests on them), encrypted reasoning, images and the wire's own blocks are delivered when
   their block ends.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import Any, Final

from native_api.dialects.bedrock.reply import SERVER_TOOL_TYPE
from native_api.dialects.bedrock.reply_builder import ReplyBuilder
from native_api.dialects.shared.call_arguments import NO_ARGUMENTS, CallArguments
from native_api.dialects.shared.deltas import extend_delta
from native_api.dialects.shared.json_values import dump_json, parse_json
from native_api.dialects.shared.tools import format_arguments
from native_api.types import Json

DELIVERED_AT_ONCE: Final = frozenset(
    {"", "text", "citation", "reasoningContent", "redactedContent"}
)
"""Types of block of which nothing that the model wrote is left to deliver."""


class Block:
    """One block as far as it has come.

    `type` is the member of its start or its pieces, "" before the first. `members` are those that
    do not come in `pieces`. `start` is where its text begins, `item_index` the index of its
    reasoning item or tool call, and `is_server_call` says whether one of Amazon's own tools is
    called.
    """

    __slots__ = (
        "arguments", "citations", "is_server_call", "item_index", "members", "pieces", "start",
        "type",
    )  # fmt: skip

    def __init__(self, start: int) -> None:
        self.type = ""
        self.start = start
        self.members: Json = {}
        self.citations: list[Json] = []
        self.pieces: list[str] = []
        self.item_index: int | None = None
        self.arguments = CallArguments()
        self.is_server_call = False

    @property
    def is_delivered_at_once(self) -> bool:
        return self.type in DELIVERED_AT_ONCE or (
            self.type == "toolUse" and not self.is_server_call
        )

    @property
    def is_image(self) -> bool:
        return self.type == "image" and bool(self.pieces)

    def build_partial(self) -> Json:
        """The block so far, its input as text."""
        input_json = {"input": "".join(self.pieces)} if self.pieces else {}
        return {self.type: {**self.members, **input_json}}


class BlockReader:
    """Reads the blocks of one reply, by their indexes on the wire. Each event returns a delta."""

    def __init__(self, builder: ReplyBuilder) -> None:
        self._builder = builder
        self._open_blocks: dict[int, Block] = {}

    def start(self, data: Json) -> Json:
        block = self._get_block(data)
        for block_type, members in (data.get("start") or {}).items():
            if block_type == "toolUse":
                return self._start_call(block, block_type, dict(members or {}))
            block.type, block.members = block_type, dict(members or {})
        return {}

    def add(self, data: Json) -> Json:
        block = self._get_block(data)
        delta: Json = {}
        for piece_type, piece in (data.get("delta") or {}).items():
            if piece is not None:
                add_piece = PIECE_READERS.get(piece_type, BlockReader._add_other)
                extend_delta(delta, add_piece(self, block, piece_type, piece))
        return delta

    def stop(self, data: Json) -> Json:
        block = self._open_blocks.pop(data.get("contentBlockIndex", 0), None)
        return self._finish_block(block) if block is not None else {}

    def stop_all(self) -> Json:
        delta: Json = {}
        for index in sorted(self._open_blocks):
            extend_delta(delta, self._finish_block(self._open_blocks.pop(index)))
        return delta

    def pending(self) -> Json:
        """The open blocks, as far as they have come, that are delivered when they end."""
        blocks = [block for block in self._open_blocks.values() if not block.is_delivered_at_once]
        images = [block for block in blocks if block.is_image]
        native_blocks = [block.build_partial() for block in blocks if not block.is_image]
        return {
            "images": images,
            "provider_content": [{"block": block} for block in native_blocks],
        }

    def _get_block(self, data: Json) -> Block:
        index = data.get("contentBlockIndex", 0)
        block = self._open_blocks.get(index)
        if block is None:
            block = self._open_blocks[index] = Block(self._builder.position.length)
        return block

    # --- pieces, by their types ------------------------------------------------------------------

    def _add_text(self, block: Block, piece_type: str, piece: Any) -> Json:
        block.type = block.type or piece_type
        return self._builder.add_text(piece)

    def _add_citation(self, block: Block, piece_type: str, piece: Any) -> Json:
        block.type = block.type or piece_type
        block.citations.append(piece)
        return {}

    def _add_input(self, block: Block, piece_type: str, piece: Any) -> Json:
        delta = {} if block.type == piece_type else self._start_call(block, piece_type, {})
        value = piece.get("input")
        text = value if isinstance(value, str) else dump_json(value or {})
        if block.is_server_call:
            block.pieces.append(text)
        elif text:
            extend_delta(delta, self._send_arguments(block, block.arguments.add(text)))
        return delta

    def _start_call(self, block: Block, block_type: str, members: Json) -> Json:
        block.type, block.members = block_type, members
        block.is_server_call = members.get("type") == SERVER_TOOL_TYPE
        if block.is_server_call:
            return {}
        delta = self._builder.add_call(members, "")
        block.item_index = self._builder.position.calls - 1 if "tool_calls" in delta else None
        return delta

    def _send_arguments(self, block: Block, text: str) -> Json:
        if block.item_index is None:
            return self._builder.add_text(text)
        call = {"index": block.item_index, "function": {"arguments": text}}
        return {"tool_calls": [call]} if text else {}

    def _finish_arguments(self, block: Block) -> Json:
        """The rest of the arguments; if no pieces came, the input that the block began with."""
        rest = block.arguments.finish()
        if rest == NO_ARGUMENTS:
            rest = format_arguments(block.members.get("input"))
        return self._send_arguments(block, rest)

    def _add_reasoning(self, block: Block, piece_type: str, piece: Any) -> Json:
        if piece.get("redactedContent"):
            block.type = "redactedContent"
            block.pieces.append(piece["redactedContent"])
            return {}
        if not piece.keys() & {"text", "signature"}:
            return self._add_other(block, piece_type, piece)
        block.type = piece_type
        if block.item_index is not None:
            return self._builder.extend_reasoning(block.item_index, piece)
        delta = self._builder.add_reasoning(piece.get("text") or "", piece.get("signature"))
        block.item_index = delta["reasoning_details"][0]["index"]
        return delta

    def _add_image(self, block: Block, piece_type: str, piece: Any) -> Json:
        data = (piece.get("source") or {}).get("bytes")
        if not data:
            return self._add_other(block, piece_type, piece)
        block.type = piece_type
        block.pieces.append(data)
        return {}

    def _add_result(self, block: Block, piece_type: str, piece: Any) -> Json:
        """The result of one of Amazon's own tools. Consecutive texts belong together."""
        block.type = piece_type
        content = block.members.setdefault("content", [])
        for item in piece or ():
            if "text" in item and content and "text" in content[-1]:
                content[-1] = {"text": content[-1]["text"] + item["text"]}
            else:
                content.append(item)
        return {}

    def _add_other(self, block: Block, piece_type: str, piece: Any) -> Json:
        block.type = block.type or piece_type
        block.members |= piece if isinstance(piece, dict) else {"value": piece}
        return {}

    # --- ends ------------------------------------------------------------------------------------

    def _finish_block(self, block: Block) -> Json:
        """What is delivered when a block ends."""
        block_type, builder = block.type, self._builder
        if block_type == "toolUse" and block.is_server_call:
            call = {**block.members, "input": parse_json("".join(block.pieces))}
            return builder.add_native_block({block_type: call})
        if block_type == "toolUse":
            return self._finish_arguments(block)
        if block_type == "redactedContent":
            return builder.add_encrypted_reasoning(_join_base64(block.pieces))
        if block.is_image:
            source = {"bytes": _join_base64(block.pieces)}
            return builder.add_image({**block.members, "source": source})
        if block_type in ("text", "citation"):
            builder.add_citations(block.citations, block.start)
            return {}
        is_reasoning = block_type == "reasoningContent" and block.item_index is not None
        if block_type and not is_reasoning:
            return builder.add_native_block({block_type: block.members})
        return {}


PIECE_READERS: Final = {
    "text": BlockReader._add_text,
    "citation": BlockReader._add_citation,
    "toolUse": BlockReader._add_input,
    "reasoningContent": BlockReader._add_reasoning,
    "image": BlockReader._add_image,
    "toolResult": BlockReader._add_result,
}


def _join_base64(pieces: list[str]) -> str:
    """Base64 that came in pieces, each padded."""
    if len(pieces) == 1:
        return pieces[0]
    try:
        return b64encode(b"".join(b64decode(piece, validate=True) for piece in pieces)).decode()
    except ValueError:
        return "".join(pieces)
