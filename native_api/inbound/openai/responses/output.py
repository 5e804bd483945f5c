"""Makes the output items of a response from the deltas of one unified reply. A complete reply is
its deltas in their order, so that both forms have the same items.

Rules:
1. An item ends when another one begins. Items are done in their order, because clients keep them in
   the order in which they were done; so a call whose arguments are not whole holds up the rest.
2. What this API has no words for (signatures, blocks of a provider's tools) is sealed into the
   `encrypted_content` of a reasoning item: that of the reasoning it belongs to, else one without a
   summary, before the item that comes next if that may depend on it, or at the end.
3. Annotations come at the end of a reply, with places that count over the whole text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from native_api.dialects.openai_responses.items import WIRE
from native_api.dialects.shared.call_extras import read_extras
from native_api.dialects.shared.issuers import has_extra
from native_api.dialects.shared.parts import parse_data_url
from native_api.inbound.base import Seal
from native_api.inbound.openai.responses.output_items import (
    OUTPUT_TEXT,
    REFUSAL,
    SUMMARY_TEXT,
    CallItem,
    CustomCallItem,
    ImageItem,
    MessageItem,
    OutputItem,
    OutputListener,
    Part,
    ReasoningItem,
    ServerItem,
)
from native_api.inbound.openai.responses.text_details import (
    build_logprob,
    place_annotations,
    read_url,
)
from native_api.inbound.openai.responses.unify_tools import ToolName, split_name
from native_api.inbound.replayed import ReplayedMembers
from native_api.inbound.sealed import seal_replayed
from native_api.types import Json

SERVER_ITEMS: Final = frozenset(
    {
        "web_search_call", "file_search_call", "code_interpreter_call", "computer_call", "mcp_call",
        "mcp_list_tools", "mcp_approval_request", "local_shell_call", "shell_call",
        "shell_call_output", "apply_patch_call", "tool_search_call", "tool_search_output",
        "program", "program_output",
    }
)  # fmt: skip
"""Items of a provider of this API that clients see. Others are only sealed."""


class ReplyOutput:
    """The output of one reply. Call `add` for each delta, then `finish` once."""

    def __init__(self, key: str, body: Json, seal: Seal, listener: OutputListener) -> None:
        """`key` makes the ids, `body` is the client's request."""
        self.items: list[OutputItem] = []
        self.text_part: Part | None = None
        """The text that more text would be added to."""
        self._key, self._body, self._seal, self._listener = key, body, seal, listener
        self._current: OutputItem | None = None
        self._calls: dict[Any, CallItem] = {}
        self._done_count = 0
        self._length = 0
        self._replayed = ReplayedMembers()
        self._must_seal = False
        """Whether what is not sealed yet belongs before the next item."""
        self._phase: str | None = None
        self._tokens: list[Json] = []
        self._annotations: list[Json] = []

    def build(self) -> list[Json]:
        return [item.build() for item in self.items]

    def add(self, delta: Mapping[str, Any], tokens: list[Json]) -> None:
        """Add a delta, with the log probabilities of its text."""
        self._tokens += tokens
        if delta.get("reasoning_content"):
            self._add_reasoning(delta["reasoning_content"])
        self._collect(delta)
        if delta.get("content"):
            self.add_text(delta["content"])
        if delta.get("audio"):
            self._add_transcript(delta["audio"])
        if delta.get("refusal"):
            self._add_message_text(REFUSAL, delta["refusal"])
        for image in delta.get("images") or ():
            self._add_image(image)
        for index, piece in enumerate(delta.get("tool_calls") or ()):
            self._add_call(piece.get("index", index), piece)
        for item in delta.get("provider_content") or ():
            self._add_block(item)
        self._annotations += delta.get("annotations") or ()

    def _collect(self, delta: Mapping[str, Any]) -> None:
        """Keep what is sealed later."""
        self._replayed.add(delta)
        calls = delta.get("tool_calls")
        if delta.get("reasoning_details") or (calls and has_extra(calls)):
            self._must_seal = True

    # --- items -----------------------------------------------------------------------------------

    def _begin(self, item: OutputItem) -> None:
        self.items.append(item)
        self._current = item
        self._listener.on_item_added(item)

    def _end_current(self) -> None:
        """End the item that grows, and seal what belongs before the next one."""
        self._end_item()
        if self._must_seal:
            self._add_sealed()

    def _end_item(self) -> None:
        item, self._current, self.text_part = self._current, None, None
        if isinstance(item, ReasoningItem):
            item.encrypted_content = self._seal_members()
        if item is not None:
            item.has_ended = True
            self._finish_items()

    def _add_sealed(self) -> None:
        """A reasoning item for what is not sealed yet, if there is anything."""
        sealed = self._seal_members()
        if sealed is not None:
            item = ReasoningItem(self._key, len(self.items))
            self._begin(item)
            item.encrypted_content, item.has_ended, self._current = sealed, True, None
            self._finish_items()

    def _seal_members(self) -> str | None:
        self._must_seal = False
        members = self._replayed.take()
        if members is None:
            return None
        return seal_replayed(self._seal, members)

    def _finish_items(self, is_end: bool = False) -> None:
        """Finish the items that are complete, or at the end all, in their order."""
        for item in self.items[self._done_count :]:
            if not (is_end or item.is_complete):
                return
            item.is_done = True
            if item.parts:
                self._listener.on_part_done(item, item.parts[-1])
            self._listener.on_item_done(item)
            self._done_count += 1

    # --- reasoning and text ----------------------------------------------------------------------

    def _add_reasoning(self, text: str) -> None:
        item = self._current
        if not isinstance(item, ReasoningItem):
            text = text.lstrip("\n") if self.items else text
            if not text:
                return
            self._end_item()
            item = ReasoningItem(self._key, len(self.items))
            self._begin(item)
            self._add_part(item, Part(SUMMARY_TEXT, 0))
        self._add_piece(item, item.parts[0], text)

    def add_text(self, text: str) -> None:
        """Add a piece of the reply's text."""
        part, item = self.text_part, self._current
        if part is None or item is None:
            self._add_message_text(OUTPUT_TEXT, text)
            return
        self._length += len(text)
        part.pieces.append(text)
        tokens = self._take_tokens(part) if self._tokens else self._tokens
        self._listener.on_piece(item, part, text, tokens)

    def _add_message_text(self, kind: str, text: str) -> None:
        item = self._current
        if not isinstance(item, MessageItem):
            self._end_current()
            item = MessageItem(self._key, len(self.items), self._phase)
            self._phase = None
            self._begin(item)
        if not item.parts or item.parts[-1].kind != kind:
            if item.parts:
                self._listener.on_part_done(item, item.parts[-1])
            self._add_part(item, Part(kind, len(item.parts), self._length))
        if kind == OUTPUT_TEXT:
            self.text_part = item.parts[-1]
            self.add_text(text)
            return
        self.text_part = None
        self._add_piece(item, item.parts[-1], text)

    def _add_transcript(self, audio: Any) -> None:
        """Speech is said by its transcript."""
        if isinstance(audio, dict) and audio.get("transcript"):
            self.add_text(audio["transcript"])

    def _add_part(self, item: OutputItem, part: Part) -> None:
        item.parts.append(part)
        self._listener.on_part_added(item, part)

    def _add_piece(self, item: OutputItem, part: Part, text: str) -> None:
        if text:
            part.pieces.append(text)
            self._listener.on_piece(item, part, text, [])

    def _take_tokens(self, part: Part) -> list[Json]:
        tokens, self._tokens = list(map(build_logprob, self._tokens)), []
        part.tokens += tokens
        return tokens

    # --- calls -----------------------------------------------------------------------------------

    def _add_call(self, index: Any, piece: Json) -> None:
        kind = "custom" if "custom" in piece else "function"
        function = piece.get(kind) or {}
        call = self._calls.get(index)
        if call is None:
            self._end_current()
            call = self._calls[index] = self._build_call(kind, function.get("name") or "", piece)
            self._begin(call)
        if not call.is_done:
            self._add_piece(call, call.parts[0], function.get(call.argument_kind) or "")

    def _build_call(self, kind: str, name: str, piece: Json) -> CallItem:
        members = read_extras(piece, WIRE)
        tool = split_name(name, self._body)
        if members.get("namespace"):
            tool = ToolName(name, str(members["namespace"]))
        item_class = CustomCallItem if kind == "custom" else CallItem
        return item_class(self._key, len(self.items), piece.get("id") or "", tool)

    # --- images and items of a provider's tools --------------------------------------------------

    def _add_image(self, image: Json) -> None:
        url = read_url(image)
        inline = parse_data_url(url)
        if inline is not None:
            self._end_current()
            self._begin(ImageItem(self._key, len(self.items), inline.media_type, inline.data))
        elif url:
            self.add_text(f"![image]({url})")

    def _add_block(self, item: Json) -> None:
        block = item.get("block") or {}
        if item.get("format") != WIRE:
            return
        if block.get("type") in SERVER_ITEMS:
            self._end_current()
            self._begin(ServerItem(self._key, len(self.items), block))
        elif block.get("type") == "message":
            self._add_phase(block.get("phase"))

    def _add_phase(self, phase: str | None) -> None:
        """The phase of a message stands before its text in a complete reply, else after it."""
        if isinstance(self._current, MessageItem):
            self._current.phase = phase
        else:
            self._phase = phase

    # --- the end ---------------------------------------------------------------------------------

    def finish(self, is_incomplete: bool) -> None:
        """Finish all items. `is_incomplete` is whether the reply was cut short."""
        if self._tokens and self.text_part is not None:
            self._take_tokens(self.text_part)
        self._place_annotations()
        if self._current is not None:
            self._current.is_incomplete = is_incomplete
        self._end_current()
        self._add_sealed()
        self._finish_items(is_end=True)

    def break_off(self) -> None:
        """Mark the items that are not done as incomplete: nothing follows."""
        for item in self.items[self._done_count :]:
            item.is_done = item.is_incomplete = True

    def _place_annotations(self) -> None:
        texts = list(self._iterate_texts())
        for item, part, annotation in place_annotations(texts, self._annotations):
            part.annotations.append(annotation)
            if not item.is_done:
                self._listener.on_annotation(item, part, annotation)

    def _iterate_texts(self) -> Iterable[tuple[OutputItem, Part]]:
        for item in self.items:
            for part in item.parts:
                if part.kind == OUTPUT_TEXT:
                    yield item, part
