"""Unified messages as Anthropic's `system` and `messages`. Rules, most of them a 400 if broken:

1. Turns alternate; consecutive turns of a role are merged. Tool results are the first blocks of the
   turn right after their calls.
2. Instructions at the beginning are `system`. Later ones stay where they are if the model takes
   that, right before the assistant's turn that follows them, so that the cache and the thinking
   before them stay valid; else they join `system`
   (https://platform.claude.com/docs/en/build-with-claude/mid-conversation-system-messages, read
   2026-11).
3. An assistant's turn goes back exactly as it came (see `replay`).
4. No text is blank. A user's message that says nothing is a full stop, unless another message
   joins its turn. A turn that holds only thinking is left out: it was cut before its answer, and
   models since Claude 5 take it for a prefill and refuse it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from native_api.dialects.anthropic.betas import beta_for_block
from native_api.dialects.anthropic.parts import build_block, build_text_block
from native_api.dialects.anthropic.replay import WIRE, read_call_extras, replay_turn
from native_api.dialects.shared.parts import FILLER_TEXT, read_parts
from native_api.dialects.shared.provider_content import read_own_blocks
from native_api.types import Json, Message

THINKING_TYPES: Final = ("thinking", "redacted_thinking")
"""The types of blocks that no turn may consist of alone."""


class MessageTranslator:
    """Translates the messages of one request: into `system`, `turns`, the `betas` that they need
    and the names of `omitted` fields.

    `takes_system_turns` says whether the model accepts instructions among the turns.
    """

    def __init__(self, takes_system_turns: bool) -> None:
        self.system: list[Json] = []
        self.turns: list[Json] = []
        self.omitted: set[str] = set()
        self.betas: list[str] = []
        self._takes_system_turns = takes_system_turns
        self._pending_instructions: list[Json] = []

    def translate(self, messages: Sequence[Message]) -> None:
        for index, message in enumerate(messages):
            self._add_message(message, f"messages[{index}]")
        self._add_pending_instructions()
        if not self.turns:
            # The wire needs a turn: instructions alone become the user's turn.
            self.turns, self.system = [{"role": "user", "content": self.system}], []
        for turn in self.turns:
            if turn["role"] == "user":
                turn["content"].sort(key=_is_not_result)
            turn["content"] = turn["content"] or [{"type": "text", "text": FILLER_TEXT}]

    def _add_message(self, message: Mapping[str, Any], path: str) -> None:
        role = message["role"]
        if role in ("system", "developer"):
            self._add_instructions(message)
        elif role == "assistant":
            blocks = replay_turn(message)
            if not all(block.get("type") in THINKING_TYPES for block in blocks):
                self._add_pending_instructions()
                self._add_turn("assistant", blocks)
        else:
            self._add_turn("user", self._build_user_blocks(message, path))
        if message.get("name") and role not in ("tool", "function"):
            self.omitted.add("messages.name")

    def _add_instructions(self, message: Mapping[str, Any]) -> None:
        blocks = [
            *(build_text_block(part) for part in read_parts(message)),
            *self._read_native_blocks(message),
        ]
        if self.turns and self._takes_system_turns:
            self._pending_instructions += blocks
        else:
            self.system += blocks

    def _add_pending_instructions(self) -> None:
        """Instructions must follow a user's turn. After an assistant's turn they can only go to the
        beginning."""
        if not self._pending_instructions:
            return
        if self.turns[-1]["role"] == "user":
            self._add_turn("system", self._pending_instructions)
        else:
            self.system += self._pending_instructions
        self._pending_instructions = []

    def _add_turn(self, role: str, blocks: list[Json]) -> None:
        if self.turns and self.turns[-1]["role"] == role:
            self.turns[-1]["content"] += blocks
        else:
            self.turns.append({"role": role, "content": blocks})

    def _build_user_blocks(self, message: Mapping[str, Any], path: str) -> list[Json]:
        """The blocks of a user's or a tool's message."""
        parts = read_parts(message)
        blocks = [build_block(part, f"{path}.content[{index}]") for index, part in enumerate(parts)]
        for part, block in zip(parts, blocks, strict=True):
            if part["type"] == "file":
                self._add_beta(block)
            elif part["type"] == "image_url" and part["image_url"].get("detail") in ("low", "high"):
                self.omitted.add("messages.image_url.detail")
        blocks += self._read_native_blocks(message)
        return blocks if message["role"] == "user" else [_build_result(message, blocks)]

    def _read_native_blocks(self, message: Mapping[str, Any]) -> list[Json]:
        """The blocks that the client wrote in Anthropic's own format."""
        if not message.get("provider_content"):
            return []
        blocks = read_own_blocks(message, WIRE)
        for block in blocks:
            self._add_beta(block)
        return blocks

    def _add_beta(self, block: Json) -> None:
        beta = beta_for_block(block)
        if beta:
            self.betas.append(beta)


def _is_not_result(block: Json) -> bool:
    return bool(block.get("type") != "tool_result")


def _build_result(message: Mapping[str, Any], blocks: list[Json]) -> Json:
    """The `tool_result` of a tool's message. The last `cache_control` of its blocks becomes its
    own."""
    result: Json = {
        "type": "tool_result",
        "tool_use_id": message["tool_call_id"],
    }
    cache_control = next(
        (block.pop("cache_control") for block in reversed(blocks) if "cache_control" in block),
        None,
    )
    if blocks:
        result["content"] = blocks
    if message.get("is_error"):
        result["is_error"] = True
    if cache_control:
        result["cache_control"] = cache_control
    return result


def find_container(messages: Sequence[Message]) -> str | None:
    """The id of the container whose code waits for the results of the last calls. Anthropic wants
    it named with those results."""
    last: Mapping[str, Any] = next(
        (message for message in reversed(messages) if message["role"] == "assistant"), {}
    )
    callers = [read_call_extras(call).get("caller") for call in last.get("tool_calls") or ()]
    if not any(isinstance(caller, dict) and caller.get("type") != "direct" for caller in callers):
        return None
    containers = [
        block["container"]
        for block in read_own_blocks(last, WIRE)
        if isinstance(block.get("container"), dict)
    ]
    return containers[-1].get("id") if containers else None


def has_lost_thinking(turns: list[Json]) -> bool:
    """Whether the calls answered by the last turn came back without the thinking that led to them,
    as from clients that do not know `reasoning_details`.

    For models that think by budget that is a 400, so that such a turn is continued without thinking
    (https://docs.anthropic.com/en/docs/build-with-claude/extended-thinking#extended-thinking-with-tool-use,
    read 2026-11).
    """
    if len(turns) < 2 or _first_type(turns[-1]) != "tool_result":
        return False
    return _first_type(turns[-2]) not in THINKING_TYPES


def _first_type(turn: Json) -> Any:
    """The type of the first block of a turn; None if it is a string."""
    content = turn["content"]
    return content[0].get("type") if content and isinstance(content, list) else None
