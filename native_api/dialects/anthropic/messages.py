"""Unified messages -> Anthropic's `system` and `messages`. Rules, most of them a 400 where they are
broken:

1. Turns alternate; consecutive ones of a role are one turn. Tool results are the first blocks of
   the turn right after their calls.
2. Instructions at the beginning are `system`. Later ones stay where they are on models that take
   that, right before the assistant's turn that they come before, so that what is cached and what
   was thought before them stays valid; else they join `system`
   (https://platform.claude.com/docs/en/build-with-claude/mid-conversation-system-messages, read
   2026-11).
3. An assistant's turn goes back exactly as it came: each thinking block with its signature, each
   block of Anthropic's own tools, each text with its citations, in the order they had
   (https://platform.claude.com/docs/en/build-with-claude/preserved-thinking, read 2026-11).
4. No empty text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from native_api.dialects.anthropic.betas import of_block
from native_api.dialects.anthropic.parts import block, text_block
from native_api.dialects.shared.parts import read_parts
from native_api.dialects.shared.provider_content import read_own_blocks
from native_api.dialects.shared.replay import arrange_blocks, read_items
from native_api.dialects.shared.tools import parse_arguments, read_tool_calls
from native_api.types import Json, Message

WIRE: Final = "anthropic"


class MessageTranslator:
    """Collects the turns of one request. `keeps_place` says whether instructions may stand among
    them."""

    def __init__(self, keeps_place: bool) -> None:
        self.system: list[Json] = []
        self.turns: list[Json] = []
        self.omitted: set[str] = set()
        self.betas: list[str] = []
        self._keeps_place = keeps_place
        self._waiting: list[Json] = []

    def add(self, messages: Sequence[Message]) -> None:
        for position, message in enumerate(messages):
            self._add(message, f"messages[{position}]")
        self._place_instructions()
        if not self.turns and self.system:
            # The wire needs a turn: instructions alone are what the user says.
            self.turns, self.system = [{"role": "user", "content": self.system}], []
        for turn in self.turns:
            if turn["role"] == "user":
                turn["content"].sort(key=_is_no_result)

    def _add(self, message: Mapping[str, Any], place: str) -> None:
        role = message["role"]
        if role in ("system", "developer"):
            told = [*(text_block(part) for part in read_parts(message)), *self._own(message)]
            (self._waiting if self.turns and self._keeps_place else self.system).extend(told)
        elif role == "assistant":
            told = _assistants(message)
            if told:
                self._place_instructions()
                self._turn("assistant", told)
        else:
            self._turn("user", self._users(message, place))
        if message.get("name") and role not in ("tool", "function"):
            self.omitted.add("messages.name")

    def _place_instructions(self) -> None:
        """They need a user's turn before them: after an assistant's there is no place but the
        beginning."""
        if self._waiting and self.turns[-1]["role"] == "user":
            self._turn("system", self._waiting)
        else:
            self.system += self._waiting
        self._waiting = []

    def _turn(self, role: str, blocks: list[Json]) -> None:
        if self.turns and self.turns[-1]["role"] == role:
            self.turns[-1]["content"] += blocks
        elif blocks:
            self.turns.append({"role": role, "content": blocks})

    def _users(self, message: Mapping[str, Any], place: str) -> list[Json]:
        parts = read_parts(message)
        content = [block(part, f"{place}.content[{index}]") for index, part in enumerate(parts)]
        for part, told in zip(parts, content, strict=True):
            if part["type"] == "file":
                self._needs(told)
            elif part["type"] == "image_url" and part["image_url"].get("detail") in ("low", "high"):
                self.omitted.add("messages.image_url.detail")
        content += self._own(message)
        return content if message["role"] == "user" else [_result(message, content)]

    def _own(self, message: Mapping[str, Any]) -> list[Json]:
        if not message.get("provider_content"):
            return []
        blocks = read_own_blocks(message, WIRE)
        for told in blocks:
            self._needs(told)
        return blocks

    def _needs(self, told: Json) -> None:
        feature = of_block(told)
        if feature:
            self.betas.append(feature)


def _is_no_result(told: Json) -> bool:
    return bool(told.get("type") != "tool_result")


def _result(message: Mapping[str, Any], content: list[Json]) -> Json:
    result: Json = {
        "type": "tool_result",
        "tool_use_id": message.get("tool_call_id") or message.get("name"),
    }
    marker = next(
        (told.pop("cache_control") for told in reversed(content) if "cache_control" in told), None
    )
    if content:
        result["content"] = content
    if message.get("is_error"):
        result["is_error"] = True
    if marker:
        result["cache_control"] = marker
    return result


def container_of(messages: Sequence[Message]) -> str | None:
    """The container whose code waits for what the last calls give: Anthropic wants it named with
    their results."""
    last: Mapping[str, Any] = next(
        (message for message in reversed(messages) if message["role"] == "assistant"), {}
    )
    callers = [_extra(call).get("caller") for call in last.get("tool_calls") or ()]
    if not any(isinstance(caller, dict) and caller.get("type") != "direct" for caller in callers):
        return None
    about = [
        block["container"]
        for block in read_own_blocks(last, WIRE)
        if isinstance(block.get("container"), dict)
    ]
    return about[-1].get("id") if about else None


# --- the assistant's turns ---------------------------------------------------------------------------------


def _assistants(message: Mapping[str, Any]) -> list[Json]:
    texts = _Texts(message)
    items = read_items(message, WIRE, _is_part)
    calls = [_call(call) for call in read_tool_calls(message)]

    def whole(item: Json, start: int, end: int) -> tuple[Json | None, int]:
        told = item.get("block")
        if told is None:
            return _thinking(item), start
        if told.get("type") != "text" or "text" in told:
            return dict(told) or None, start
        until = min(max(item.get("until") or 0, start), end)
        return texts.cited(told, start, until), until

    return arrange_blocks(items, texts.length, calls, texts.plain, whole)


def _is_part(told: Json) -> bool:
    """Blocks without a type only tell about the reply."""
    return not told or "type" in told


class _Texts:
    """The text of one message, as the blocks that the client wrote it in."""

    def __init__(self, message: Mapping[str, Any]) -> None:
        content = message.get("content")
        self._ends: list[tuple[int, Any]] = []
        if isinstance(content, str) and not message.get("refusal"):
            self._text, self.length = content, len(content)
            return
        parts = read_parts(message)
        if message.get("refusal"):
            parts.append({"type": "refusal", "refusal": message["refusal"]})
        texts = [part.get("text") or part.get("refusal") or "" for part in parts]
        self._text = "".join(texts)
        self.length = len(self._text)
        end = 0
        for part, text in zip(parts, texts, strict=True):
            end += len(text)
            self._ends.append((end, part.get("cache_control")))

    def plain(self, start: int, end: int) -> list[Json]:
        if not self._ends:
            return [{"type": "text", "text": self._text[start:end]}] if start < end else []
        told = []
        for boundary, marker in self._ends:
            if start < boundary < end:
                told += self._block(start, boundary, marker)
                start = boundary
        return told + self._block(start, end, self._marker(end))

    def _block(self, start: int, end: int, marker: Any) -> list[Json]:
        if start >= end:
            return []
        told = {"type": "text", "text": self._text[start:end]}
        return [{**told, "cache_control": marker} if marker else told]

    def _marker(self, end: int) -> Any:
        return next((marker for boundary, marker in self._ends if boundary == end), None)

    def cited(self, told: Json, start: int, until: int) -> Json | None:
        return (
            {**self._block(start, until, self._marker(until))[0], **told} if start < until else None
        )


def _thinking(item: Mapping[str, Any]) -> Json | None:
    """None for a thought without what proves it: Anthropic refuses it."""
    if item.get("type") == "reasoning.encrypted":
        return {"type": "redacted_thinking", "data": item.get("data") or ""}
    if item.get("type") == "reasoning.text" and item.get("signature"):
        return {
            "type": "thinking",
            "thinking": item.get("text") or "",
            "signature": item["signature"],
        }
    return None


def _call(call: Mapping[str, Any]) -> Json:
    function = call.get("function") or {
        "name": call["custom"]["name"],
        "arguments": call["custom"]["input"],
    }
    told = {
        "type": "tool_use",
        "id": call["id"],
        "name": function["name"],
        "input": parse_arguments(function["arguments"]),
    }
    return {**_extra(call), **told}


def _extra(call: Mapping[str, Any]) -> Json:
    """Members of a call that have no unified name."""
    extra: Json = (call.get("extra_content") or {}).get(WIRE) or {}
    return extra
