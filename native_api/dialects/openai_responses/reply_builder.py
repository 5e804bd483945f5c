"""Builds the deltas of one Responses reply from its output items, in pieces or whole.

A complete reply is items that come whole, so it equals the folded stream.

A unified message has one text; the wire has a list of items: messages, calls, reasoning, server
tools. To restore the list for the next turn (`replay`), each reasoning detail and block carries its
offsets, which are left out if they are 0: `at` is the number of characters of content before it,
`calls` the number of tool calls, and a block's `reasoning` the number of reasoning details.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from native_api.dialects.openai_responses.items import (
    CALLS,
    WIRE,
    OutputItem,
    build_annotation,
    build_image,
)
from native_api.dialects.shared.json_values import read_objects
from native_api.types import Json

CALL_MEMBERS: Final = frozenset({"id", "type", "status", "call_id", "name", "arguments", "input"})
MESSAGE_MEMBERS: Final = frozenset({"id", "type", "role", "phase", "status"})


class ReplyBuilder:
    """The state of one reply. Methods return the delta of a piece, empty if nothing is new."""

    def __init__(self) -> None:
        self.call_count = 0
        self.annotations: list[Json] = []
        self.logprobs: list[Json] = []
        self._length = 0
        self._detail_count = 0
        self._block_count = 0
        self._has_reasoning = False
        self._items: dict[Any, OutputItem] = {}
        self._keys: dict[str, Any] = {}
        self._done: set[Any] = set()

    def find_key(self, index: Any, item_id: Any) -> Any:
        """The key of an item: its index in the output, or its id if a server sends no indexes."""
        if item_id and item_id in self._keys:
            return self._keys[item_id]
        key = item_id if index is None else index
        if item_id:
            self._keys[item_id] = key
        return key

    def open_item(self, key: Any) -> OutputItem:
        """The item with this key; it is created when it is first mentioned."""
        item = self._items.get(key)
        if item is None:
            item = self._items[key] = OutputItem(self._offsets(), self._detail_count)
        return item

    def pending(self) -> list[str]:
        """Arguments that came before the names of their calls."""
        return [item.pending_arguments for item in self._items.values() if item.pending_arguments]

    def _offsets(self) -> Json:
        offsets = {}
        if self._length:
            offsets["at"] = self._length
        if self.call_count:
            offsets["calls"] = self.call_count
        return offsets

    # --- messages --------------------------------------------------------------------------------

    def add_text(self, item: OutputItem, part: int, piece: str) -> Json:
        item.part_starts.setdefault(part, self._length)
        item.lengths["text", part] = item.lengths.get(("text", part), 0) + len(piece)
        self._length += len(piece)
        return {"content": piece} if piece else {}

    def add_refusal(self, item: OutputItem, part: int, piece: str) -> Json:
        item.lengths["refusal", part] = item.lengths.get(("refusal", part), 0) + len(piece)
        return {"refusal": piece} if piece else {}

    def add_annotation(self, item: OutputItem, part: int, annotation: Any) -> None:
        """Keep an annotation. All are sent together at the end: see `deltas`."""
        item.counts["annotation", part] = item.counts.get(("annotation", part), 0) + 1
        if isinstance(annotation, dict):
            start = item.part_starts.get(part, self._length)
            self.annotations.append(build_annotation(annotation, start))

    def add_logprobs(self, item: OutputItem, part: int, tokens: list[Json]) -> None:
        """Keep log probabilities. They are sent in the choice, not in the delta."""
        item.counts["logprobs", part] = item.counts.get(("logprobs", part), 0) + len(tokens)
        self.logprobs += tokens

    def _add_message(self, item: OutputItem, message: Json) -> Iterator[Json]:
        others = []
        for part, content in enumerate(read_objects(message.get("content"))):
            kind = content.get("type")
            if kind in ("output_text", "text"):
                yield from self._add_output_text(item, part, content)
            elif kind == "refusal":
                refusal = content.get("refusal") or ""
                sent = item.lengths.get(("refusal", part), 0)
                yield self.add_refusal(item, part, refusal[sent:])
            else:
                others.append(content)
        if message.get("phase") or others:
            block = {
                name: message[name]
                for name in sorted(MESSAGE_MEMBERS & message.keys())
                if message[name] is not None
            }
            yield self._add_block(item, {**block, "content": others} if others else block)

    def _add_output_text(self, item: OutputItem, part: int, content: Json) -> Iterator[Json]:
        text = content.get("text") or ""
        tokens = read_objects(content.get("logprobs"))
        if tokens and not item.counts.get(("logprobs", part)):
            self.add_logprobs(item, part, tokens)
        yield self.add_text(item, part, text[item.lengths.get(("text", part), 0) :])
        annotations = content.get("annotations") or []
        for annotation in annotations[item.counts.get(("annotation", part), 0) :]:
            self.add_annotation(item, part, annotation)

    # --- tool calls ------------------------------------------------------------------------------

    def start_call(self, item: OutputItem, call: Json) -> Json:
        """The first piece of a call: its id and name, and the arguments that came before them."""
        kind, key = CALLS[call["type"]]
        if item.call_index is not None:
            return {}
        item.call_index, self.call_count = self.call_count, self.call_count + 1
        call_id = call.get("call_id") or call.get("id") or f"call_{item.call_index}"
        arguments, item.pending_arguments = item.pending_arguments, ""
        piece: Json = {
            "index": item.call_index,
            "id": call_id,
            "type": kind,
            kind: {"name": call.get("name") or "", key: arguments},
        }
        extra = {
            name: value
            for name, value in call.items()
            if name not in CALL_MEMBERS and value is not None
        }
        if extra:
            piece["extra_content"] = {WIRE: extra}
        return {"tool_calls": [piece]}

    def add_arguments(self, item: OutputItem, kind: str, piece: str) -> Json:
        """A piece of a call's arguments or input."""
        item.lengths["arguments", 0] = item.lengths.get(("arguments", 0), 0) + len(piece)
        if item.call_index is None:
            item.pending_arguments += piece
            return {}
        name, key = CALLS[kind]
        return {"tool_calls": [{"index": item.call_index, name: {key: piece}}]} if piece else {}

    def _add_call(self, item: OutputItem, call: Json) -> Iterator[Json]:
        kind, key = CALLS[call["type"]]
        yield self.start_call(item, call)
        arguments = call.get(key)
        arguments = arguments if isinstance(arguments, str) else ""
        sent = item.lengths.get(("arguments", 0), 0)
        if kind == "function" and not arguments.strip() and not sent:
            arguments = "{}"
        yield self.add_arguments(item, call["type"], arguments[sent:])

    # --- reasoning -------------------------------------------------------------------------------

    def add_reasoning(
        self, item: OutputItem, item_id: str | None, kind: str, part: int, piece: str
    ) -> Json:
        """A piece of a reasoning summary (`summary`) or of the reasoning itself (`text`)."""
        key = (kind, part)
        item.lengths[key] = item.lengths.get(key, 0) + len(piece)
        index = item.detail_indexes.get(key)
        if index is not None and not piece:
            return {}
        delta: Json = {"reasoning_content": piece} if piece else {}
        if index is not None:
            delta["reasoning_details"] = [{"index": index, kind: piece}]
            return delta
        if piece and self._has_reasoning:
            delta["reasoning_content"] = f"\n\n{piece}"  # Each text is a paragraph.
        self._has_reasoning = self._has_reasoning or bool(piece)
        item.detail_indexes[key] = self._detail_count
        detail = {"type": f"reasoning.{kind}", kind: piece}
        return {**delta, **self._add_detail(item, detail, item_id)}

    def _add_detail(self, item: OutputItem, detail: Json, item_id: str | None) -> Json:
        detail = {**detail, "format": WIRE, "index": self._detail_count}
        if item_id:
            detail["id"] = item_id
        if self._detail_count == item.reasoning:
            detail |= item.offsets
        self._detail_count += 1
        return {"reasoning_details": [detail]}

    def _add_reasoning_item(self, item: OutputItem, reasoning: Json) -> Iterator[Json]:
        item_id = reasoning.get("id")
        for kind, member in (("summary", "summary"), ("text", "content")):
            for part, content in enumerate(read_objects(reasoning.get(member))):
                text = content.get("text") or ""
                sent = item.lengths.get((kind, part), 0)
                yield self.add_reasoning(item, item_id, kind, part, text[sent:])
        if reasoning.get("encrypted_content"):
            detail = {"type": "reasoning.encrypted", "data": reasoning["encrypted_content"]}
            yield self._add_detail(item, detail, item_id)
        elif not item.detail_indexes and item_id:
            # A stored conversation refers to its reasoning only by the item's id.
            yield self._add_detail(item, {"type": "reasoning.summary", "summary": ""}, item_id)

    # --- whole items -----------------------------------------------------------------------------

    def _add_block(self, item: OutputItem, block: Json) -> Json:
        content: Json = {
            "format": WIRE,
            "index": self._block_count,
            "block": block,
            **item.offsets,
        }
        if item.reasoning:
            content["reasoning"] = item.reasoning
        self._block_count += 1
        return {"provider_content": [content]}

    def add_item(self, key: Any, output: Json) -> Iterator[Json]:
        """The deltas of a finished item, without what was sent before. It is finished only once."""
        if key in self._done:
            return
        self._done.add(key)
        kind = output.get("type")
        item = self.open_item(key)
        if kind == "message":
            yield from self._add_message(item, output)
        elif kind in CALLS:
            yield from self._add_call(item, output)
        elif kind == "reasoning":
            yield from self._add_reasoning_item(item, output)
        else:
            yield self._add_block(item, output)
            yield build_image(output)
