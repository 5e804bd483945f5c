"""Builds one choice of a reply, piece by piece. A complete reply is one piece.

Unknown members are passed on. Differences between servers are evened out: reasoning has one name,
content is text, calls are numbered, the role comes once, and sources become annotations.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from native_api.dialects.openai_chat.annotations import build_annotations, read_sources
from native_api.dialects.openai_chat.content import merge_members, split_content
from native_api.dialects.openai_chat.finish_reasons import map_finish_reason
from native_api.dialects.openai_chat.reasoning import ReasoningDetails, ThinkTags
from native_api.dialects.openai_chat.server_calls import ServerCalls
from native_api.dialects.openai_chat.tool_calls import ToolCalls
from native_api.dialects.shared.errors import read_embedded_error
from native_api.dialects.shared.failure_reasons import raise_failure
from native_api.dialects.shared.json_values import dump_json, read_objects
from native_api.types import Json, Quirks

PLAIN: Final = frozenset({"content", "role", "refusal"})
REASONING: Final = ("reasoning_content", "reasoning", "reasoning_text")
REASONING_MEMBERS: Final = frozenset({"reasoning_details", *REASONING})
CALL_MEMBERS: Final = frozenset({"tool_calls", "function_call"})
TRANSLATED: Final = frozenset({"role", "channel", "token_id", *CALL_MEMBERS, *REASONING_MEMBERS})
"""Members that are sent in another form, or that only describe the text, such as Groq's `channel`
and Together's `token_id`."""
PASSED_ON: Final = frozenset({"content", "refusal", "annotations", "audio", "images"})
KNOWN_MEMBERS: Final = PASSED_ON | TRANSLATED
GOOGLE_THOUGHT: Final = {"google": {"thought": True}}
WIRE: Final = "openai"


class ChoiceBuilder:
    """The state of one choice. Call `add` for each piece, then `finish` once.

    Members of a message that have no unified field are collected into one block of
    `provider_content`, so that they come back if the client sends the message again.
    """

    def __init__(self, index: int, quirks: Quirks) -> None:
        self.index = index
        self.finish_reason: str | None = None
        self.length = 0
        self.has_begun = False
        self.extra: Json = {}
        self._calls = ToolCalls()
        self._server_calls = ServerCalls()
        self._details = ReasoningDetails()
        self._tags = ThinkTags() if quirks.reasoning_field == "think_tags" else None
        self._in_thought = False
        self._others: Json = {}
        self._annotations: list[Json] = []

    def takes_text(self) -> bool:
        """Whether text would simply be more of the answer."""
        return self.has_begun and self._tags is None and not self._in_thought and not self.extra

    def add_text(self, piece: Any) -> bool:
        """Count a piece that is only more text. False if it has to be added by `add`."""
        if type(piece) is not dict or len(piece) != 1 or not self.takes_text():
            return False
        text = piece.get("content")
        if type(text) is not str or not text:
            return False
        self.length += len(text)
        return True

    def add(self, piece: Json) -> Json:
        """The delta for one piece, empty if nothing is new."""
        is_plain = piece.keys() <= PLAIN and self._tags is None and not self._in_thought
        if is_plain and isinstance(piece.get("content"), str | None):
            delta = {name: value for name, value in piece.items() if name != "role"}
        else:
            delta = self._build_delta(piece)
        if delta.get("content"):
            self.length += len(delta["content"])
        if not self.has_begun and (delta or "role" in piece):
            self.has_begun = True
            return {"role": "assistant", **delta}
        return delta if any(value is not None for value in delta.values()) else {}

    def _build_delta(self, piece: Json) -> Json:
        delta = {
            name: piece[name] for name in PASSED_ON & piece.keys() if piece[name] or name in PLAIN
        }
        self._add_content(piece, delta)
        # A list whose items have no `index` is sent once, at the end: see `deltas`.
        self._annotations += read_objects(delta.pop("annotations", None))
        if REASONING_MEMBERS & piece.keys() or "reasoning_content" in delta:
            self._add_reasoning(piece, delta)
        if CALL_MEMBERS & piece.keys():
            self._add_tool_calls(piece, delta)
        others = {
            name: value for name, value in piece.items() if value and name not in KNOWN_MEMBERS
        }
        if others.get("extra_content") == GOOGLE_THOUGHT:
            del others["extra_content"]
        if others:
            merge_members(self._others, others)
        if self._tags is not None and delta.get("content"):
            self._add_untagged(self._tags.feed(delta.pop("content")), delta)
        return delta

    def _add_content(self, piece: Json, delta: Json) -> None:
        content = delta.get("content")
        if isinstance(content, list):
            split_content(delta, delta.pop("content"), self.length)
        elif content is not None and not isinstance(content, str):
            delta["content"] = dump_json(content)
        elif content:
            self._separate_google_thought(piece.get("extra_content") == GOOGLE_THOUGHT, delta)

    def _separate_google_thought(self, is_thought: bool, delta: Json) -> None:
        """Gemini's compatible endpoint marks thoughts, and also puts `<thought>` tags in them."""
        if is_thought:
            self._in_thought = True
            delta["reasoning_content"] = delta.pop("content").removeprefix("<thought>")
        elif self._in_thought:
            self._in_thought = False
            delta["content"] = delta["content"].removeprefix("</thought>")

    def _add_reasoning(self, piece: Json, delta: Json) -> None:
        details = [
            self._details.number(item) for item in read_objects(piece.get("reasoning_details"))
        ]
        if details:
            delta["reasoning_details"] = details
        text = delta.pop("reasoning_content", None)
        text = text or next(
            (piece[name] for name in REASONING if isinstance(piece.get(name), str) and piece[name]),
            "",
        )
        text = text or "".join(item.get("text") or item.get("summary") or "" for item in details)
        if text:
            delta["reasoning_content"] = text

    def _add_tool_calls(self, piece: Json, delta: Json) -> None:
        call_pieces = read_objects(piece.get("tool_calls"))
        if piece.get("function_call"):
            call_pieces.append({"index": "function_call", "function": piece["function_call"]})
        calls = []
        for call_piece in call_pieces:
            if self._server_calls.take(call_piece):
                continue
            call, answer = self._calls.add(call_piece)
            if call is not None:
                calls.append(call)
            if answer:
                delta["content"] = (delta.get("content") or "") + answer
        if calls:
            delta["tool_calls"] = calls

    def _add_untagged(self, texts: tuple[str, str], delta: Json) -> None:
        thought, content = texts
        if thought:
            delta["reasoning_content"] = delta.get("reasoning_content", "") + thought
        if content:
            delta["content"] = content

    def read_finish_reason(self, choice: Mapping[str, Any]) -> None:
        """Note the finish reason, if there is one. Raises UpstreamError for a failed choice."""
        reason = choice.get("finish_reason")
        if choice.get("error"):
            raise read_embedded_error({"error": choice["error"]})
        raise_failure(reason, choice.get("native_finish_reason"))
        if reason and self.finish_reason is None:
            self.finish_reason = str(reason).lower()

    def pending(self) -> tuple[str, Json]:
        """Text that may still be part of a tag, and the members that are sent at the end."""
        return self._tags.pending if self._tags is not None else "", self._others

    def finish(self, body: Mapping[str, Any]) -> tuple[Json, str]:
        """The last delta and the finish reason.

        If the choice has no annotations, the sources of the whole `body` are used.
        """
        delta: Json = {}
        if self._tags is not None:
            self._add_untagged(self._tags.close(), delta)
        calls = self._calls.finish()
        if calls:
            delta["tool_calls"] = calls
        if self._server_calls:
            self._others["server_tool_calls"] = self._server_calls.build()
        if self._others:
            delta["provider_content"] = [{"format": WIRE, "index": 0, "block": self._others}]
        length = self.length + len(delta.get("content", ""))
        annotations = build_annotations(self._annotations, length)
        if not annotations and self.index == 0:
            annotations = read_sources(body, length)
        if annotations:
            delta["annotations"] = annotations
        has_answer = self._calls.has_answer or bool(self._server_calls)
        reason = map_finish_reason(self.finish_reason, self._calls.count, has_answer)
        return delta, reason
