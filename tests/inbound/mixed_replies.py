"""Unified replies of several wires that no provider has sent: any order of texts and thinking, calls
whose pieces are mixed, and what providers need back. Those of `made_replies` are of one wire."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

from hypothesis import strategies as st

from tests.dialects.stream_folding import fold
from tests.inbound.recorded_replies import HEAD, RecordedReply, build_usage_chunk

WIRES = ("openai", "openai_responses", "gemini", "bedrock", "anthropic")
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
VALUES = TEXTS | st.integers(-9, 9) | st.none() | st.lists(TEXTS, max_size=2)
ARGUMENTS = st.dictionaries(TEXTS, VALUES, max_size=3).map(json.dumps)
FINISH_REASONS = st.sampled_from(["stop", "length", "content_filter"])
KINDS = st.lists(
    st.sampled_from(["text", "thinking", "encrypted", "calls", "block"]), min_size=1, max_size=7
)


class DeltaMaker:
    """Makes the deltas of a reply, with the places that a dialect would note."""

    def __init__(self, draw: Any, wire: str) -> None:
        self._draw, self._wire = draw, wire
        self.deltas: list[Any] = [{"role": "assistant", "content": ""}]
        self._length = self._calls = self._reasoning = self._blocks = 0

    def add(self, kind: str) -> None:
        {
            "text": self._add_text,
            "thinking": self._add_thinking,
            "encrypted": self._add_encrypted,
            "calls": self._add_calls,
            "block": self._add_block,
        }[kind]()

    def _places(self) -> dict[str, int]:
        places = {"at": self._length, "calls": self._calls}
        return {name: value for name, value in places.items() if value}

    def _item(self, **members: Any) -> dict[str, Any]:
        return {**members, "format": self._wire, "issued_by": "p", **self._places()}

    def _add_text(self) -> None:
        for piece in self._draw(st.lists(TEXTS, min_size=1, max_size=3)):
            self._length += len(piece)
            self.deltas.append({"content": piece})

    def _add_thinking(self) -> None:
        index, self._reasoning = self._reasoning, self._reasoning + 1
        first, *rest = self._draw(st.lists(TEXTS, min_size=1, max_size=3))
        item = self._item(type="reasoning.text", text=first, index=index)
        self.deltas.append({"reasoning_content": first, "reasoning_details": [item]})
        for piece in rest:
            detail = {"index": index, "text": piece}
            self.deltas.append({"reasoning_content": piece, "reasoning_details": [detail]})
        self.deltas.append({"reasoning_details": [{"index": index, "signature": f"s{index}"}]})

    def _add_encrypted(self) -> None:
        item = self._item(type="reasoning.encrypted", data="d", index=self._reasoning)
        self._reasoning += 1
        self.deltas.append({"reasoning_details": [item]})

    def _add_block(self) -> None:
        if self._wire in ("openai", "anthropic"):
            return
        item = self._item(index=self._blocks, block={"type": "searched", "n": self._blocks})
        if self._reasoning:
            item["reasoning"] = self._reasoning
        self._blocks += 1
        self.deltas.append({"provider_content": [item]})

    def _add_calls(self) -> None:
        """One to three calls, whose pieces come one after another or mixed."""
        calls: list[_Call] = [
            _Call(self._draw(ARGUMENTS), self._draw) for _ in range(self._draw(st.integers(1, 3)))
        ]
        while calls:
            call = self._draw(st.sampled_from(calls)) if len(calls) > 1 else calls[0]
            if call.index is None:
                call.index, self._calls = self._calls, self._calls + 1
                piece = self._start_call(call.index)
            else:
                piece = {"index": call.index, "function": {"arguments": call.pieces.pop(0)}}
            self.deltas.append({"tool_calls": [piece]})
            calls = [each for each in calls if each.pieces]

    def _start_call(self, index: int) -> dict[str, Any]:
        start: dict[str, Any] = {"index": index, "id": f"call_{index}", "type": "function"}
        start["function"] = {"name": "look", "arguments": ""}
        if self._wire != "anthropic" and self._draw(st.booleans()):
            start["extra_content"] = {"vendor": {"signature": f"t{index}", "issued_by": "p"}}
        return start


class _Call:
    """A call and the pieces of its arguments that are still to come."""

    def __init__(self, arguments: str, draw: Any) -> None:
        cut = draw(st.integers(0, len(arguments)))
        self.pieces = [text for text in (arguments[:cut], arguments[cut:]) if text]
        self.index: int | None = None


@st.composite
def mixed_replies(draw: Any) -> RecordedReply:
    """A reply in both forms."""
    wire = draw(st.sampled_from(WIRES))
    maker = DeltaMaker(draw, wire)
    for kind in draw(KINDS):
        maker.add(kind)
    has_calls = any("tool_calls" in delta for delta in maker.deltas)
    reason = "tool_calls" if has_calls else draw(FINISH_REASONS)
    chunks = [_build_chunk(delta, None) for delta in maker.deltas]
    chunks.append(_build_chunk({}, reason))
    usage = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}
    completion = {**HEAD, "object": "chat.completion", "choices": fold(deepcopy(chunks))}
    return RecordedReply(wire, {**completion, "usage": usage}, [*chunks, build_usage_chunk(usage)])


def _build_chunk(delta: Any, finish_reason: str | None) -> Any:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return {**HEAD, "object": "chat.completion.chunk", "choices": [choice]}
