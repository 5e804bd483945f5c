"""The content blocks of a reply: what a unified reply says, as events of Anthropic's stream, from
which complete messages are made too.

Rules:
1. One block is open at a time, and clients know blocks by their index. So what belongs to a later
   block waits until the one before it ends. Text and thinking end when anything else begins; a call
   ends when its arguments are a whole object, or with the reply.
2. What Anthropic made goes on as its own blocks, with signatures sealed. What another provider
   needs back (`ReplayedMembers`) is the signature of the thinking that it belongs to. Without such
   thinking it is a `redacted_thinking` before the next block, because Claude Code drops thinking
   at the end of a message (2.1.197, read 2026-11). If the client did not ask for thinking, no text
   has to wait for that: simple clients read the text of the first block. Behind the last text it
   begins and ends before that ends, because `claude -p` prints the block that ends last.
3. Signatures come whole and last: SDKs assign them (anthropic 2.14, `accumulate_event`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from native_api.dialects.anthropic.replay import WIRE
from native_api.dialects.shared.issuers import MARK
from native_api.dialects.shared.json_values import dump_json
from native_api.inbound.anthropic.messages.open_blocks import (
    Block,
    CallBlock,
    OwnThinking,
    ReplayedThinking,
)
from native_api.inbound.anthropic.messages.reply_parts import (
    build_citation,
    describe_image,
    read_call_members,
)
from native_api.inbound.base import Seal
from native_api.inbound.replayed import ReplayedMembers
from native_api.inbound.sealed import seal_replayed, seal_signed
from native_api.types import Json


class ReplyBlocks:
    """Makes events of the deltas of one reply: `add` each of them, then `finish` once."""

    def __init__(self, seal: Seal, asks_for_thinking: bool) -> None:
        self.fields: Json = {}
        """The members of the message besides its content that Anthropic sent."""
        self.refusal = ""
        self.has_citations = False
        """Whether Anthropic's own citations were written, of which the annotations are a copy."""
        self._has_content = False
        self._seal, self._asks_for_thinking = seal, asks_for_thinking
        self._events: list[Json] = []
        self._queue: list[Block] = []
        """The open block, and those that wait for its end."""
        self._count = 0
        self._replayed = ReplayedMembers()
        self._own_thinking: dict[Any, Block] = {}
        self._calls: dict[Any, CallBlock] = {}

    @property
    def has_calls(self) -> bool:
        return bool(self._calls)

    @property
    def open_text(self) -> int | None:
        """The index of the open block if it is text that may go on, and nothing waits."""
        queue = self._queue
        return queue[0].index if len(queue) == 1 and queue[0].takes_text else None

    def add(self, delta: Mapping[str, Any]) -> list[Json]:
        """The events of a delta, often one."""
        if delta.get("reasoning_content") or delta.get("reasoning_details"):
            self._add_reasoning(delta)
        items = delta.get("provider_content") or ()
        if delta.get("content"):
            if any(map(_has_citations, items)):
                self._end_text()  # the text that is cited is known, as in complete messages
            self._add_text(delta["content"])
            self._has_content = True
        if delta.get("refusal"):
            self.refusal += delta["refusal"]
            self._add_text(delta["refusal"])
        for item in items:
            self._add_provider_content(item)
        self._add_extras(delta)
        for piece in delta.get("tool_calls") or ():
            self._add_call(piece)
        return self._take()

    def finish(self) -> list[Json]:
        """The events of all blocks that are still open or waiting."""
        while len(self._queue) > 1:
            self._end_first()
        last = self._last
        if last is not None and last.type == "text":
            self._insert_replayed()
        elif not isinstance(last, ReplayedThinking):
            self._begin_replayed()
        while self._queue:
            self._end_first()
        return self._take()

    @property
    def _last(self) -> Block | None:
        return self._queue[-1] if self._queue else None

    def _take(self) -> list[Json]:
        events, self._events = self._events, []
        return events

    # --- text ------------------------------------------------------------------------------------

    def _add_text(self, text: str) -> None:
        last = self._last
        if last is None or not last.takes_text:
            last = self._begin(Block({"type": "text", "text": ""}))
        self._send(last, {"type": "text_delta", "text": text})

    def _end_text(self) -> None:
        """Let the next text begin another block."""
        if self._last is not None:
            self._last.takes_text = False

    def _add_extras(self, delta: Mapping[str, Any]) -> None:
        """What belongs to the text, or becomes a text because this API has nothing else for it."""
        if delta.get("annotations") and not self.has_citations:
            self._add_citations([build_citation(item) for item in delta["annotations"]])
        for image in delta.get("images") or ():
            self._send_text_block(describe_image(image))
        transcript = (delta.get("audio") or {}).get("transcript")
        if transcript and not self._has_content:
            self._add_text(transcript)

    def _send_text_block(self, text: str) -> None:
        block = self._begin(Block({"type": "text", "text": ""}))
        self._send(block, {"type": "text_delta", "text": text})
        self._end_text()

    def _add_citations(self, citations: list[Json]) -> None:
        """Citations of the last text. One that has ended cannot get any more."""
        block = next((block for block in reversed(self._queue) if block.type == "text"), None)
        if block is not None:
            for citation in citations:
                self._send(block, {"type": "citations_delta", "citation": citation})

    # --- thinking --------------------------------------------------------------------------------

    def _add_reasoning(self, delta: Mapping[str, Any]) -> None:
        details = delta.get("reasoning_details") or ()
        own = [item for item in details if self._is_own(item)]
        for item in own:
            self._add_own_thinking(item)
        if own:
            return
        if details:
            self._replayed.add({"reasoning_details": details})
        if delta.get("reasoning_content"):
            last = self._last
            if not isinstance(last, ReplayedThinking):
                last = self._begin(ReplayedThinking(self._seal, self._replayed))
            self._send(last, {"type": "thinking_delta", "thinking": delta["reasoning_content"]})

    def _is_own(self, item: Mapping[str, Any]) -> bool:
        if "format" in item:
            return bool(item["format"] == WIRE)
        return item.get("index") in self._own_thinking

    def _add_own_thinking(self, item: Mapping[str, Any]) -> None:
        """Thinking of Anthropic's, or a piece of it."""
        if item.get("type") == "reasoning.encrypted":
            sealed = seal_signed(self._seal, item.get(MARK), item.get("data"))
            self._begin(Block({"type": "redacted_thinking", "data": sealed}))
            return
        block = self._own_thinking.get(item.get("index")) if "format" not in item else None
        if not isinstance(block, OwnThinking):
            block = OwnThinking(self._seal, item.get(MARK))
            self._own_thinking[item.get("index")] = self._begin(block)
        if item.get("text"):
            self._send(block, {"type": "thinking_delta", "thinking": item["text"]})
        block.signature += item.get("signature") or ""

    # --- calls and blocks ------------------------------------------------------------------------

    def _add_call(self, piece: Mapping[str, Any]) -> None:
        index = piece.get("index")
        call = self._calls.get(index)
        own_members, extra = read_call_members(piece, WIRE)
        if extra:
            call_id = piece.get("id") or (call.start["id"] if call else "")
            replayed = {"index": index, "id": call_id, "extra_content": extra}
            self._replayed.add({"tool_calls": [replayed]})
        if call is None:
            call = self._calls[index] = CallBlock(piece, own_members)
            self._begin(call)
        text = call.add(piece)
        if text:
            self._send(call, {"type": "input_json_delta", "partial_json": text})
            if len(self._queue) > 1:
                self._advance()

    def _add_provider_content(self, item: Mapping[str, Any]) -> None:
        block = item.get("block") or {}
        if item.get("format") != WIRE:
            self._replayed.add({"provider_content": [item]})
        elif _has_citations(item):
            self.has_citations = True
            self._add_citations(block.get("citations") or [])
            self._end_text()
        elif not block:
            self._end_text()
        elif "type" in block:
            self._add_own_block(block)
        else:
            self.fields |= block

    def _add_own_block(self, block: Json) -> None:
        """A block of Anthropic's own tools. SDKs read the input of a call from pieces."""
        if "input" not in block or not str(block["type"]).endswith("tool_use"):
            self._begin(Block(block))
            return
        opened = self._begin(Block({**block, "input": {}}))
        self._send(
            opened, {"type": "input_json_delta", "partial_json": dump_json(block["input"] or {})}
        )

    # --- the queue -------------------------------------------------------------------------------

    def _begin(self, block: Block) -> Block:
        """Add a block behind the others, which ends those that may end."""
        can_wait = block.type == "text" and not self._asks_for_thinking
        has_thinking = any(isinstance(each, ReplayedThinking) for each in (block, self._last))
        if not (can_wait or has_thinking):
            self._begin_replayed()
        self._append(block)
        return block

    def _begin_replayed(self) -> None:
        """A block for what has no thinking of its own."""
        block = self._take_replayed()
        if block is not None:
            self._append(block)

    def _insert_replayed(self) -> None:
        """The same behind the last text, but before its end."""
        block = self._take_replayed()
        if block is not None:
            self._start(block)
            self._stop(block)

    def _take_replayed(self) -> Block | None:
        members = self._replayed.take()
        if members is None:
            return None
        return Block({"type": "redacted_thinking", "data": seal_replayed(self._seal, members)})

    def _append(self, block: Block) -> None:
        self._queue.append(block)
        if len(self._queue) == 1:
            self._start_first()
        else:
            self._advance()

    def _advance(self) -> None:
        while len(self._queue) > 1 and self._queue[0].may_end():
            self._end_first()

    def _start(self, block: Block) -> None:
        block.index = self._count
        self._count += 1
        event = {"type": "content_block_start", "index": block.index, "content_block": block.start}
        self._events.append(event)

    def _stop(self, block: Block) -> None:
        self._events.append({"type": "content_block_stop", "index": block.index})

    def _start_first(self) -> None:
        block = self._queue[0]
        self._start(block)
        waiting, block.waiting = block.waiting, []
        for piece in waiting:
            self._send(block, piece)

    def _end_first(self) -> None:
        block = self._queue[0]
        for piece in block.finish():
            self._send(block, piece)
        self._stop(block)
        del self._queue[0]
        if self._queue:
            self._start_first()

    def _send(self, block: Block, piece: Json) -> None:
        if block.index is None:
            block.waiting.append(piece)
        elif block is self._queue[0]:
            event = {"type": "content_block_delta", "index": block.index, "delta": piece}
            self._events.append(event)


def _has_citations(item: Mapping[str, Any]) -> bool:
    """Whether an item is a text of Anthropic's with citations, without the text itself."""
    block = item.get("block") or {}
    return item.get("format") == WIRE and block.get("type") == "text" and "text" not in block
