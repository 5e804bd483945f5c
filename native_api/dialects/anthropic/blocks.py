"""The blocks of one Anthropic reply, as unified deltas. The complete reply is read block by block
too, so both agree.

Thinking comes out twice: as text for people (`reasoning_content`), and as what Anthropic wants back
on the next turn (`reasoning_details`, with its signature). Blocks of Anthropic's own tools are kept
whole in `provider_content`, and so are the citations of a text. See `replay` for the numbers that
tell where they stood. Source: https://platform.claude.com/docs/en/api/messages and
/build-with-claude/streaming (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from native_api.dialects.shared.deltas import add_delta
from native_api.dialects.shared.json_values import parse_json
from native_api.dialects.shared.replay import ReplyPosition
from native_api.dialects.shared.tools import ANSWER_TOOL, format_arguments
from native_api.types import Json

WIRE: Final = "anthropic"
OF_A_CALL: Final = frozenset({"type", "id", "name", "input"})


class Answer:
    """The state of one reply. `start`, `add` and `stop` for each block, then `end` once."""

    def __init__(self) -> None:
        self.reply_id = ""
        self.forced = False
        self.annotations: list[Json] = []
        self.place = ReplyPosition(WIRE)
        self._open: dict[Any, _Block] = {}
        self._goes_on = False
        """Whether a text that comes now must be told apart from what came last."""

    @property
    def said_nothing(self) -> bool:
        return not self.place.length and not self.place.calls

    def start(self, index: Any, told: Json, whole: bool = False) -> Json:
        """The delta that a block's beginning means. `whole`: no pieces will follow."""
        block = self._open[index] = _Block(told, self.place.offsets(), self.place.length)
        begin = BEGINNINGS.get(block.kind)
        return begin(self, block, whole) if begin else {}

    def add(self, index: Any, piece: Json) -> Json:
        kind = piece.get("type")
        block = self._open.get(index)
        if block is None:
            block = self._open[index] = _Block(
                {"type": "text"}, self.place.offsets(), self.place.length
            )
        if kind == "text_delta":
            return self._say(piece.get("text"))
        if kind == "input_json_delta":
            return self._arguments(block, _string(piece.get("partial_json")))
        if kind in ("thinking_delta", "signature_delta"):
            return self._think_on(block, piece)
        if kind == "citations_delta":
            block.citations.append(piece.get("citation"))
        else:
            block.take(piece)
        return {}

    def stop(self, index: Any) -> Json:
        block = self._open.pop(index, None)
        if block is None:
            return {}
        if block.kind == "text":
            return self._stop_text(block)
        if block.kind == "tool_use":
            return {} if block.said else self._arguments(block, "{}")
        if block.kind in BEGINNINGS:
            return {}
        self._goes_on = False
        return {"provider_content": [self.place.build_item(block.plain(), block.here)]}

    def end(self, about: Json) -> Json:
        """What is owed at the end: blocks that were left open, annotations, and what was told about
        the reply."""
        owed: Json = {}
        for index in list(self._open):
            add_delta(owed, self.stop(index))
        if self.annotations:
            owed["annotations"] = self.annotations
        if about:
            owed.setdefault("provider_content", []).append(self.place.build_item(about, {}))
        return owed

    def held(self) -> Json:
        """The blocks that are told when they stop, as far as they have come."""
        blocks = [block.so_far() for block in self._open.values() if block.kind not in BEGINNINGS]
        return {"provider_content": [{"block": block} for block in blocks]}

    # --- text ------------------------------------------------------------------------------------------------

    def _say(self, text: Any) -> Json:
        if not isinstance(text, str) or not text:
            return {}
        self.place.length += len(text)
        return {"content": text}

    def _start_text(self, block: _Block, whole: bool) -> Json:
        return self._say(block.told.get("text"))

    def _stop_text(self, block: _Block) -> Json:
        end = self.place.length
        if block.citations:
            self.annotations += [
                found
                for citation in block.citations
                if (found := annotation(citation, block.start, end))
            ]
            self._goes_on = False
            kept = self.place.build_item({"type": "text", "citations": block.citations}, block.here)
            return {"provider_content": [{**kept, "until": end}]}
        if end == block.start:
            return {}
        goes_on, self._goes_on = self._goes_on, True
        return {"provider_content": [self.place.build_item({}, block.here)]} if goes_on else {}

    # --- thinking --------------------------------------------------------------------------------------------

    def _start_thought(self, block: _Block, whole: bool) -> Json:
        text = _string(block.told.get("thinking"))
        item = {"type": "reasoning.text", "text": text}
        if block.told.get("signature"):
            item["signature"] = block.told["signature"]
        delta = self._reason(block, item)
        return {"reasoning_content": text, **delta} if text else delta

    def _start_redacted(self, block: _Block, whole: bool) -> Json:
        return self._reason(
            block, {"type": "reasoning.encrypted", "data": _string(block.told.get("data"))}
        )

    def _reason(self, block: _Block, item: Json) -> Json:
        block.number = self.place.reasoning
        self.place.reasoning += 1
        self._goes_on = False
        return {
            "reasoning_details": [{**item, "format": WIRE, "index": block.number, **block.here}]
        }

    def _think_on(self, block: _Block, piece: Json) -> Json:
        if block.number is None or block.kind not in ("thinking", "redacted_thinking"):
            return {}
        if piece["type"] == "signature_delta":
            return {
                "reasoning_details": [
                    {"index": block.number, "signature": _string(piece.get("signature"))}
                ]
            }
        text = _string(piece.get("thinking"))
        return (
            {
                "reasoning_content": text,
                "reasoning_details": [{"index": block.number, "text": text}],
            }
            if text
            else {}
        )

    # --- calls -----------------------------------------------------------------------------------------------

    def _start_call(self, block: _Block, whole: bool) -> Json:
        told = block.told
        given = format_arguments(told.get("input")) if whole or told.get("input") else ""
        block.said = bool(given)
        if told.get("name") == ANSWER_TOOL:
            self.forced = True
            return self._say(given)
        block.number = self.place.calls
        self.place.calls += 1
        self._goes_on = True
        name = _string(told.get("name"))
        call: Json = {
            "index": block.number,
            "id": _string(told.get("id")) or f"call_{self.reply_id or name}_{block.number}",
            "type": "function",
            "function": {"name": name, "arguments": given},
        }
        extra = {
            member: value
            for member, value in told.items()
            if member not in OF_A_CALL and value is not None
        }
        if extra:
            call["extra_content"] = {WIRE: extra}
        return {"tool_calls": [call]}

    def _arguments(self, block: _Block, piece: str) -> Json:
        if block.kind != "tool_use":
            block.json += piece
            return {}
        if not piece:
            return {}
        block.said = True
        if block.number is None:
            return self._say(piece)
        return {"tool_calls": [{"index": block.number, "function": {"arguments": piece}}]}


BEGINNINGS: Final[Mapping[Any, Callable[[Answer, _Block, bool], Json]]] = {
    "text": Answer._start_text,
    "thinking": Answer._start_thought,
    "redacted_thinking": Answer._start_redacted,
    "tool_use": Answer._start_call,
}
"""The blocks that have a unified shape."""


class _Block:
    """One block while it is read. `number` is that of its reasoning item or its call; `json` the
    pieces of a block's `input`."""

    __slots__ = ("citations", "here", "json", "kind", "number", "said", "start", "told")

    def __init__(self, told: Json, here: Json, start: int) -> None:
        self.told = dict(told)
        self.kind = told.get("type") if isinstance(told.get("type"), str) else ""
        self.here = here
        self.start = start
        self.number: int | None = None
        self.said = False
        self.json = ""
        self.citations: list[Any] = [*(told.get("citations") or ())] if self.kind == "text" else []

    def take(self, piece: Json) -> None:
        """A piece of a block that has no unified shape: text is added to text, anything else put in
        its place."""
        for name, value in piece.items():
            present = self.told.get(name)
            if name != "type" and value is not None:
                self.told[name] = (
                    present + value
                    if isinstance(present, str) and isinstance(value, str)
                    else value
                )

    def so_far(self) -> Json:
        return {**self.told, "input": self.json} if self.json else self.told

    def plain(self) -> Json:
        if self.json:
            self.told["input"] = parse_json(self.json)
        return self.told


def annotation(citation: Any, start: int, end: int) -> Json | None:
    """OpenAI's `url_citation`, of which strict clients take no other kind; the URL of a source
    without an address is empty."""
    if not isinstance(citation, dict):
        return None
    source = _string(citation.get("source"))
    url = _string(citation.get("url")) or (
        source if source.startswith(("http://", "https://")) else ""
    )
    title = _string(citation.get("title")) or _string(citation.get("document_title")) or source
    told = {"url": url, "title": title, "start_index": start, "end_index": end}
    if citation.get("cited_text"):
        told["cited_text"] = citation["cited_text"]
    return {"type": "url_citation", "url_citation": told}


def _string(value: Any) -> str:
    return value if isinstance(value, str) else ""
