"""The blocks of a stream while they grow. What each means is `bedrock_reply`'s matter.

Only calls of tools, images and results begin with an event of their own; other blocks are there
with their first piece, and the kind of that piece tells theirs. What can be said at once is;
citations, which come before the text that rests on them, encrypted reasoning, images and the wire's
own blocks are said when their block ends.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import Any, Final

from native_api.dialects.bedrock.reply import SERVER_TOOL, Reply, join
from native_api.dialects.shared.json_values import dump_json, parse_json
from native_api.types import Json

SAID_AT_ONCE: Final = frozenset({"", "text", "citation", "reasoningContent", "redactedContent"})
"""Kinds of which nothing that the model wrote is left to say."""


class Block:
    """`kind` is the member of its start or deltas, "" before the first; `start` where in the text
    it begins."""

    __slots__ = ("citations", "head", "is_said", "kind", "number", "pieces", "start")

    def __init__(self, start: int) -> None:
        self.kind = ""
        self.start = start
        self.head: Json = {}
        self.citations: list[Json] = []
        self.pieces: list[str] = []
        self.number: int | None = None
        self.is_said = False

    @property
    def is_said_at_once(self) -> bool:
        return self.kind in SAID_AT_ONCE or (
            self.kind == "toolUse" and self.head.get("type") != SERVER_TOOL
        )

    @property
    def is_image(self) -> bool:
        return self.kind == "image" and bool(self.pieces)

    def so_far(self) -> Json:
        return {
            self.kind: {**self.head, "input": "".join(self.pieces)} if self.pieces else self.head
        }


class Blocks:
    """The open blocks of one reply, by their indexes on the wire."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self._open: dict[int, Block] = {}

    def start(self, told: Json) -> Json:
        """The delta that a `contentBlockStart` means, like those of the others below."""
        block = self._block(told)
        for kind, head in (told.get("start") or {}).items():
            if kind == "toolUse":
                return self._call(block, kind, dict(head or {}))
            block.kind, block.head = kind, dict(head or {})
        return {}

    def grow(self, told: Json) -> Json:
        block = self._block(told)
        delta: Json = {}
        for kind, piece in (told.get("delta") or {}).items():
            if piece is not None:
                join(delta, PIECES.get(kind, Blocks._other)(self, block, kind, piece))
        return delta

    def stop(self, told: Json) -> Json:
        block = self._open.pop(told.get("contentBlockIndex", 0), None)
        return self._owed(block) if block is not None else {}

    def stop_all(self) -> Json:
        delta: Json = {}
        for index in sorted(self._open):
            join(delta, self._owed(self._open.pop(index)))
        return delta

    def held(self) -> Json:
        """The blocks that are told when they stop, as far as they have come."""
        blocks = [block for block in self._open.values() if not block.is_said_at_once]
        images = [block for block in blocks if block.is_image]
        return {
            "images": images,
            "provider_content": [
                {"block": block.so_far()} for block in blocks if not block.is_image
            ],
        }

    def _block(self, told: Json) -> Block:
        index = told.get("contentBlockIndex", 0)
        block = self._open.get(index)
        if block is None:
            block = self._open[index] = Block(self._reply.length)
        return block

    # --- pieces, by their kinds --------------------------------------------------------------------------------

    def _text(self, block: Block, kind: str, piece: Any) -> Json:
        block.kind = block.kind or kind
        return self._reply.text(piece)

    def _citation(self, block: Block, kind: str, piece: Any) -> Json:
        block.kind = block.kind or kind
        block.citations.append(piece)
        return {}

    def _arguments(self, block: Block, kind: str, piece: Any) -> Json:
        begun = {} if block.kind == kind else self._call(block, kind, {})
        given = piece.get("input")
        text = given if isinstance(given, str) else dump_json(given or {})
        if block.head.get("type") == SERVER_TOOL:
            block.pieces.append(text)
        elif text:
            join(begun, self._said(block, text))
        return begun

    def _call(self, block: Block, kind: str, head: Json) -> Json:
        block.kind, block.head = kind, head
        if head.get("type") == SERVER_TOOL:
            return {}
        delta = self._reply.call(head, "")
        block.number = self._reply.calls - 1 if "tool_calls" in delta else None
        return delta

    def _said(self, block: Block, text: str) -> Json:
        block.is_said = True
        if block.number is None:
            return self._reply.text(text)
        return {"tool_calls": [{"index": block.number, "function": {"arguments": text}}]}

    def _reasoning(self, block: Block, kind: str, piece: Any) -> Json:
        if piece.get("redactedContent"):
            block.kind = "redactedContent"
            block.pieces.append(piece["redactedContent"])
            return {}
        if not piece.keys() & {"text", "signature"}:
            return self._other(block, kind, piece)
        block.kind = kind
        if block.number is not None:
            return self._reply.more_thought(block.number, piece)
        delta = self._reply.thought(piece.get("text") or "", piece.get("signature"))
        block.number = delta["reasoning_details"][0]["index"]
        return delta

    def _image(self, block: Block, kind: str, piece: Any) -> Json:
        data = (piece.get("source") or {}).get("bytes")
        if not data:
            return self._other(block, kind, piece)
        block.kind = kind
        block.pieces.append(data)
        return {}

    def _result(self, block: Block, kind: str, piece: Any) -> Json:
        """Results of Amazon's own tools come in pieces whose texts belong together."""
        block.kind = kind
        content = block.head.setdefault("content", [])
        for item in piece or ():
            if "text" in item and content and "text" in content[-1]:
                content[-1] = {"text": content[-1]["text"] + item["text"]}
            else:
                content.append(item)
        return {}

    def _other(self, block: Block, kind: str, piece: Any) -> Json:
        block.kind = block.kind or kind
        block.head |= piece if isinstance(piece, dict) else {"value": piece}
        return {}

    def _owed(self, block: Block) -> Json:
        """What a block owes when it ends."""
        kind = block.kind
        if kind == "toolUse" and block.head.get("type") == SERVER_TOOL:
            return self._reply.kept(
                {kind: {**block.head, "input": parse_json("".join(block.pieces))}}
            )
        if kind == "toolUse":
            return {} if block.is_said else self._said(block, "{}")
        if kind == "redactedContent":
            return self._reply.hidden(_joined(block.pieces))
        if block.is_image:
            return self._reply.image({**block.head, "source": {"bytes": _joined(block.pieces)}})
        if kind in ("text", "citation"):
            self._reply.cite(block.citations, block.start)
            return {}
        is_thought = kind == "reasoningContent" and block.number is not None
        return self._reply.kept({kind: block.head}) if kind and not is_thought else {}


PIECES: Final = {
    "text": Blocks._text,
    "citation": Blocks._citation,
    "toolUse": Blocks._arguments,
    "reasoningContent": Blocks._reasoning,
    "image": Blocks._image,
    "toolResult": Blocks._result,
}


def _joined(pieces: list[str]) -> str:
    """Base64 that came in pieces, each with an end of its own."""
    if len(pieces) == 1:
        return pieces[0]
    try:
        return b64encode(b"".join(b64decode(piece, validate=True) for piece in pieces)).decode()
    except ValueError:
        return "".join(pieces)
