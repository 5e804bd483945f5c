"""Builds the deltas of one Responses reply from its output items, in pieces or whole.

A complete reply is items that come whole, so it equals the folded stream.

A unified message has one text; the wire has a list of items: messages, calls, reasoning, server
tools. A message after another one is a new paragraph, since it is a text of its own: GPT-5.3 and
later write a commentary before the answer. Its block has its `phase` and where it begins.

To restore the list for the next turn (`replay`), each reasoning detail and block carries its
offsets, which are left out if they are 0: `at` is the number of characters of content before it,
`calls` the number of tool calls, a block's `reasoning` the number of reasoning details, and a
detail's `blocks` the number of blocks before it, if later ones were sent earlier.

What an item said is compared with what was sent, each time that the item is mentioned: some
servers send encrypted reasoning only in the final response
(https://github.com/earendil-works/pi/issues/6608, 2026-08).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from native_api.dialects.openai_responses.items import (
    CALLS,
    PARAGRAPH,
    WIRE,
    OutputItem,
    Part,
    build_annotation,
    build_image,
)
from native_api.dialects.openai_responses.server_calls import is_server_call
from native_api.dialects.shared.call_arguments import CallArguments
from native_api.dialects.shared.json_values import read_objects
from native_api.types import Json

CALL_MEMBERS: Final = frozenset({"id", "type", "status", "call_id", "name", "arguments", "input"})
MESSAGE_MEMBERS: Final = frozenset({"id", "type", "role", "phase", "status"})


class ReplyBuilder:
    """The state of one reply. Methods return the delta of a piece, empty if nothing is new."""

    def __init__(self) -> None:
        self.call_count = 0
        self.logprobs: list[Json] = []
        self.tools: Any = None
        """The tools that the response names."""
        self._annotations: list[tuple[Part, Json]] = []
        self._length = 0
        self._ends_with_space = True
        self._detail_count = 0
        self._block_count = 0
        self._has_reasoning = False
        self._items: dict[Any, OutputItem] = {}
        self._keys: dict[str, Any] = {}

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
            item = OutputItem(self._offsets(), self._detail_count, self._block_count)
            self._items[key] = item
        return item

    def _open_before(self, key: Any, later: OutputItem | None) -> OutputItem | None:
        """The item with this key. One that no event mentioned stands where the `later` one does."""
        if key not in self._items and later is not None:
            self._items[key] = OutputItem(later.offsets, later.reasoning, later.blocks)
        return self._items.get(key, later)

    def pending(self) -> list[str]:
        """Arguments that came before the names of their calls."""
        return [item.pending_arguments for item in self._items.values() if item.pending_arguments]

    def build_annotations(self) -> list[Json]:
        """The annotations of the whole reply. They are sent together at the end: see `deltas`."""
        return [
            build_annotation(annotation, part.start or 0, (part.start or 0) + part.length)
            for part, annotation in self._annotations
        ]

    def _offsets(self) -> Json:
        offsets = {}
        if self._length:
            offsets["at"] = self._length
        if self.call_count:
            offsets["calls"] = self.call_count
        return offsets

    # --- messages --------------------------------------------------------------------------------

    def add_text(self, item: OutputItem, part: Part, piece: str) -> Json:
        if not piece:
            return {}
        content = piece
        if item.content_start is None:
            if not (self._ends_with_space or piece[0].isspace()):
                content, item.is_paragraph = PARAGRAPH + piece, True
                self._length += len(PARAGRAPH)
            item.content_start = self._length
        self._ends_with_space = piece[-1].isspace()
        if part.start is None:
            part.start = self._length
        part.length += len(piece)
        self._length += len(piece)
        return {"content": content}

    def add_refusal(self, part: Part, piece: str) -> Json:
        part.length += len(piece)
        return {"refusal": piece} if piece else {}

    def add_annotation(self, part: Part, annotation: Any) -> None:
        part.annotation_count += 1
        if isinstance(annotation, dict):
            self._annotations.append((part, annotation))

    def add_logprobs(self, part: Part, tokens: list[Json]) -> None:
        """Keep log probabilities. They are sent in the choice, not in the delta."""
        part.has_logprobs = True
        self.logprobs += tokens

    def _add_message(self, item: OutputItem, message: Json) -> Iterator[Json]:
        contents = list(enumerate(read_objects(message.get("content"))))
        texts = [(place, part) for place, part in contents if part.get("type") in TEXT_PARTS]
        refusals = [(place, part) for place, part in contents if part.get("type") == "refusal"]
        others = [part for place, part in contents if part.get("type") not in MESSAGE_PARTS]
        for part, content in _match(item, "text", "text", texts):
            yield self._add_output_text(item, part, content)
        for part, content in _match(item, "refusal", "refusal", refusals):
            yield self.add_refusal(part, (content.get("refusal") or "")[part.length :])
        if message.get("phase") or others:
            yield self._add_message_block(item, message, others)
        elif item.is_paragraph:
            item.paragraph = message  # Its phase may still come.

    def _add_output_text(self, item: OutputItem, part: Part, content: Json) -> Json:
        tokens = read_objects(content.get("logprobs"))
        if tokens and not part.has_logprobs:
            self.add_logprobs(part, tokens)
        delta = self.add_text(item, part, (content.get("text") or "")[part.length :])
        for annotation in (content.get("annotations") or [])[part.annotation_count :]:
            self.add_annotation(part, annotation)
        return delta

    def _add_message_block(self, item: OutputItem, message: Json, others: list[Json]) -> Json:
        block = {
            name: message[name]
            for name in sorted(MESSAGE_MEMBERS & message.keys())
            if message[name] is not None
        }
        if others:
            block["content"] = others
        start = {"at": item.content_start} if item.content_start else {}
        return self._add_block(item, block, **start)

    # --- tool calls ------------------------------------------------------------------------------

    def start_call(self, item: OutputItem, call: Json) -> Json:
        """The first piece of a call: its id and name, and the arguments that came before them.

        Empty for a call that the provider runs itself.
        """
        kind, key = CALLS[call["type"]]
        item.is_server_call = item.is_server_call or is_server_call(call, self.tools)
        if item.call_index is not None or item.is_server_call:
            return {}
        item.call_index, self.call_count = self.call_count, self.call_count + 1
        item.arguments = CallArguments() if kind == "function" else None
        call_id = call.get("call_id") or call.get("id") or ""
        arguments, item.pending_arguments = item.pending_arguments, ""
        piece: Json = {
            "index": item.call_index,
            "id": call_id,
            "type": kind,
            kind: {"name": call.get("name") or "", key: _read_arguments(item, arguments)},
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
        item.argument_length += len(piece)
        if item.is_server_call:
            return {}
        if item.call_index is None:
            item.pending_arguments += piece
            return {}
        return _build_arguments(item, kind, _read_arguments(item, piece))

    def _add_call(self, item: OutputItem, call: Json) -> Iterator[Json]:
        yield self.start_call(item, call)
        if item.is_server_call:
            item.pending_arguments = ""
            yield self._add_block(item, call)
            return
        arguments = call.get(CALLS[call["type"]][1])
        arguments = arguments if isinstance(arguments, str) else ""
        yield self.add_arguments(item, call["type"], arguments[item.argument_length :])

    # --- reasoning -------------------------------------------------------------------------------

    def add_reasoning(
        self, item: OutputItem, item_id: str | None, kind: str, part: Part, piece: str
    ) -> Json:
        """A piece of a reasoning summary (`summary`) or of the reasoning itself (`text`)."""
        part.length += len(piece)
        if part.detail_index is not None:
            if not piece:
                return {}
            detail = {"index": part.detail_index, kind: piece}
            return {"reasoning_content": piece, "reasoning_details": [detail]}
        delta: Json = {"reasoning_content": piece} if piece else {}
        if piece and self._has_reasoning:
            delta["reasoning_content"] = PARAGRAPH + piece
        self._has_reasoning = self._has_reasoning or bool(piece)
        part.detail_index = self._detail_count
        detail = {"type": f"reasoning.{kind}", kind: piece}
        return {**delta, **self._add_detail(item, detail, item_id)}

    def _add_detail(self, item: OutputItem, detail: Json, item_id: str | None) -> Json:
        detail = {**detail, "format": WIRE, "index": self._detail_count}
        if item_id:
            detail["id"] = item_id
        if not item.has_details:
            detail |= item.offsets
            if item.blocks != self._block_count:
                detail["blocks"] = item.blocks
        item.has_details = True
        self._detail_count += 1
        return {"reasoning_details": [detail]}

    def _add_reasoning_item(self, item: OutputItem, reasoning: Json) -> Iterator[Json]:
        item_id = reasoning.get("id")
        for kind, member in REASONING_MEMBERS.items():
            contents = list(enumerate(read_objects(reasoning.get(member))))
            for part, content in _match(item, kind, "text", contents):
                text = content.get("text") or ""
                yield self.add_reasoning(item, item_id, kind, part, text[part.length :])
        # Later ones may be another, which OpenAI refuses.
        if reasoning.get("encrypted_content") and not item.has_encrypted:
            item.has_encrypted = True
            detail = {"type": "reasoning.encrypted", "data": reasoning["encrypted_content"]}
            yield self._add_detail(item, detail, item_id)
        item.placeholder_id = item_id or ""

    # --- whole items -----------------------------------------------------------------------------

    def _add_block(self, item: OutputItem, block: Json, **offsets: int) -> Json:
        if item.has_block:
            return {}
        item.has_block = True
        content: Json = {
            "format": WIRE,
            "index": self._block_count,
            "block": block,
            **item.offsets,
            **offsets,
        }
        if item.reasoning:
            content["reasoning"] = item.reasoning
        self._block_count += 1
        return {"provider_content": [content]}

    def add_item(self, key: Any, output: Json) -> Iterator[Json]:
        """The deltas of a finished item, without what was sent before."""
        kind = output.get("type")
        item = self.open_item(key)
        if kind == "message":
            yield from self._add_message(item, output)
        elif kind in CALLS:
            yield from self._add_call(item, output)
        elif kind == "reasoning":
            yield from self._add_reasoning_item(item, output)
        elif not item.has_block:
            yield self._add_block(item, output)
            yield build_image(output)

    def add_output(self, output: Any) -> Iterator[Json]:
        """The deltas of all items of a finished response, without what was sent before."""
        items = [
            (self.find_key(index, item.get("id")), item)
            for index, item in enumerate(output or ())
            if isinstance(item, dict)
        ]
        later = None
        for key, _ in reversed(items):
            later = self._open_before(key, later)
        for key, item in items:
            yield from self.add_item(key, item)
        yield from self._finish()

    def _finish(self) -> Iterator[Json]:
        """What is known only when no item can change any more."""
        for item in self._items.values():
            if item.arguments is not None:
                yield _build_arguments(item, "function_call", item.arguments.finish())
            if item.paragraph:
                yield self._add_message_block(item, item.paragraph, [])
            if item.placeholder_id and not item.has_details:
                # A stored conversation refers to its reasoning only by the item's id.
                detail = {"type": "reasoning.summary", "summary": ""}
                yield self._add_detail(item, detail, item.placeholder_id)


TEXT_PARTS: Final = ("output_text", "text")
MESSAGE_PARTS: Final = (*TEXT_PARTS, "refusal")
REASONING_MEMBERS: Final = {"summary": "summary", "text": "content"}
"""Kind of a reasoning text -> the member of the item with such texts."""


def _match(
    item: OutputItem, kind: str, member: str, contents: list[tuple[int, Json]]
) -> Iterator[tuple[Part, Json]]:
    """The contents of a finished item, each with what was sent of it."""
    texts = [(place, content.get(member) or "") for place, content in contents]
    # Reasoning itself is called `text` too, but no item has both.
    parts = item.match_parts(kind, texts)
    return zip(parts, (content for _, content in contents), strict=True)


def _read_arguments(item: OutputItem, piece: str) -> str:
    """What is sent of a piece. The input of a custom call is free text."""
    return item.arguments.add(piece) if item.arguments is not None else piece


def _build_arguments(item: OutputItem, kind: str, text: str) -> Json:
    if not text:
        return {}
    name, key = CALLS[kind]
    return {"tool_calls": [{"index": item.call_index, name: {key: text}}]}
