"""Replies of every composition, as a dialect would give them: in chunks, and folded."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from native_api.dialects.shared.replay import ReplyPosition
from tests.dialects.stream_folding import fold
from tests.inbound.recorded_replies import HEAD, RecordedReply, build_usage_chunk

WIRE = "anthropic"
ISSUER = "p"
USAGE = {
    "prompt_tokens": 7,
    "completion_tokens": 5,
    "total_tokens": 12,
    "prompt_tokens_details": {"cached_tokens": 3},
    "completion_tokens_details": {"reasoning_tokens": 2},
}

words = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\n"), min_size=1, max_size=12
)
texts = st.lists(words, min_size=1, max_size=3)
"""A text in pieces."""

items = st.one_of(
    st.tuples(st.just("text"), texts),
    st.tuples(st.just("reasoning"), texts),
    st.tuples(st.just("hidden"), words),
    st.tuples(st.just("call"), st.dictionaries(words, words, max_size=2)),
    st.tuples(st.just("signed_call"), st.dictionaries(words, words, max_size=2)),
    st.tuples(st.just("block"), words),
)
endings = st.tuples(
    st.sampled_from(["stop", "length", "content_filter"]), st.one_of(st.just(""), words)
)
"""The finish reason, and a refusal."""


class ReplyMaker:
    """Makes the deltas of one reply, as dialects do."""

    def __init__(self) -> None:
        self.deltas: list[Any] = [{"role": "assistant", "content": ""}]
        self._position = ReplyPosition(WIRE)
        self._follows_call = False

    def add(self, kind: str, value: Any) -> None:
        self.deltas += getattr(self, f"make_{kind}")(value)
        self._follows_call = kind.endswith("call")

    def make_text(self, pieces: list[str]) -> list[Any]:
        deltas: list[Any] = [{"content": piece} for piece in pieces]
        if self._follows_call:
            mark = {**self._position.build_item({}, self._position.offsets()), "issued_by": ISSUER}
            deltas.append({"provider_content": [mark]})
        self._position.length += sum(map(len, pieces))
        return deltas

    def make_reasoning(self, pieces: list[str]) -> list[Any]:
        index = self._position.reasoning
        first, *rest = pieces
        detail = self._make_detail("reasoning.text", text=first)
        return [
            {"reasoning_content": first, "reasoning_details": [detail]},
            *(
                {
                    "reasoning_content": piece,
                    "reasoning_details": [{"index": index, "text": piece}],
                }
                for piece in rest
            ),
            {"reasoning_details": [{"index": index, "signature": f"signature {index}"}]},
        ]

    def make_hidden(self, data: str) -> list[Any]:
        return [{"reasoning_details": [self._make_detail("reasoning.encrypted", data=data)]}]

    def _make_detail(self, kind: str, **members: str) -> Any:
        offsets, index = self._position.offsets(), self._position.reasoning
        self._position.reasoning += 1
        frame = {"type": kind, "format": WIRE, "index": index, "issued_by": ISSUER}
        return {**frame, **members, **offsets}

    def make_call(self, arguments: dict[str, str]) -> list[Any]:
        index = self._position.calls
        self._position.calls += 1
        written = json.dumps(arguments)
        call = {"index": index, "id": f"call_{index}", "type": "function"}
        return [
            {"tool_calls": [{**call, "function": {"name": "look", "arguments": ""}}]},
            *(
                {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}
                for piece in (written[:3], written[3:])
                if piece
            ),
        ]

    def make_signed_call(self, arguments: dict[str, str]) -> list[Any]:
        first, *rest = self.make_call(arguments)
        extra = {"google": {"thought_signature": "s", "issued_by": ISSUER}}
        first["tool_calls"][0]["extra_content"] = extra
        return [first, *rest]

    def make_block(self, text: str) -> list[Any]:
        block = {"type": "server_tool_use", "name": text}
        item = self._position.build_item(block, self._position.offsets())
        return [{"provider_content": [{**item, "issued_by": ISSUER}]}]


def make_reply(composition: list[tuple[str, Any]], ending: tuple[str, str]) -> RecordedReply:
    maker = ReplyMaker()
    for kind, value in composition:
        maker.add(kind, value)
    reason, refusal = ending
    if reason == "stop" and any(kind.endswith("call") for kind, _ in composition):
        reason = "tool_calls"
    last = {"refusal": refusal} if refusal else {}
    chunks = [make_chunk(delta) for delta in maker.deltas] + [make_chunk(last, reason)]
    completion = {**HEAD, "object": "chat.completion", "choices": fold(chunks), "usage": USAGE}
    return RecordedReply(WIRE, completion, [*chunks, build_usage_chunk(USAGE)])


def make_chunk(delta: Any, reason: str | None = None) -> Any:
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    return {**HEAD, "object": "chat.completion.chunk", "choices": [choice]}


made_replies = st.builds(make_reply, st.lists(items, max_size=8), endings)
