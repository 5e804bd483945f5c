"""The turns of a Messages request as unified messages. Rules:

1. The results of tools, which are blocks of the user's turn, are messages of their own, before what
   else the user says.
2. Instructions in the middle of the conversation stay there. They may also set the effort, change
   the tools, or be out of date (`clear_at`).
3. A compaction stands for all turns before it.
4. The line of Claude Code's instructions that changes with each request is left out: after it, no
   provider could cache anything.
"""

from __future__ import annotations

import re
from typing import Any, Final

from native_api.inbound.anthropic.messages.unify_answers import unify_answer
from native_api.inbound.anthropic.messages.unify_parts import read_content, read_parts
from native_api.inbound.translation import Report, simplify_content
from native_api.types import Json

BILLING_LINE: Final = re.compile(r"x-anthropic-billing-header:[^\n]*\n*")
TOOL_CHANGES: Final = ("tool_addition", "tool_removal")


class Conversation:
    """Builds the messages of one request."""

    def __init__(self, report: Report) -> None:
        self.messages: list[Json] = []
        self.places: list[str] = []
        """Where each message stands in the client's request."""
        self.tool_changes: list[Json] = []
        self.effort: str | None = None
        """What the last instruction that says it asks for."""
        self._report = report
        self._instructions = 0
        """How many messages are instructions at the beginning."""

    def add_system(self, system: Any) -> None:
        """Add the instructions at the beginning."""
        if isinstance(system, str):
            system = BILLING_LINE.sub("", system, count=1) if _is_billing(system) else system
        elif system:
            system = _drop_billing_line(system)
        if system:
            self._add_instructions(system, "system", "system")
        self._instructions = len(self.messages)

    def add_turns(self, turns: list[Json]) -> None:
        """Add all turns. If nothing is left of them, that is refused."""
        last_user = max(
            (index for index, turn in enumerate(turns) if turn["role"] == "user"), default=-1
        )
        for index, turn in enumerate(turns):
            path = f"messages[{index}]"
            if turn["role"] == "system":
                is_cleared = turn.get("clear_at") == "next_user_message" and index < last_user
                self._add_system_turn(turn, path, is_cleared)
            elif turn["role"] == "assistant":
                content = self._drop_compacted(turn["content"], path)
                self._add(unify_answer(content, self._report), path)
            else:
                self._add_user_turn(self._drop_compacted(turn["content"], path), path)
        if not self.messages:
            self._report.refuse("messages", "there is nothing that the model could answer")
            self._add({"role": "user", "content": ""}, "messages")

    def _add(self, message: Json, place: str) -> None:
        self.messages.append(message)
        self.places.append(place)

    def _add_instructions(self, content: Any, place: str, path: str) -> None:
        parts = read_content(content, path, self._report)
        if any(part["type"] != "text" for part in parts):
            self._report.refuse(path, "other providers than Anthropic take only text here")
            parts = [part for part in parts if part["type"] == "text"]
        if parts:
            self._add({"role": "system", "content": simplify_content(parts)}, place)

    def _add_system_turn(self, turn: Json, path: str, is_cleared: bool) -> None:
        self.effort = (turn.get("output_config") or {}).get("effort") or self.effort
        content = turn.get("content")
        if isinstance(content, list):
            changes = [block for block in content if block["type"] in TOOL_CHANGES]
            self.tool_changes += changes
            content = [block for block in content if block["type"] not in TOOL_CHANGES]
        if content and not is_cleared:
            self._add_instructions(content, path, f"{path}.content")

    def _add_user_turn(self, content: Any, path: str) -> None:
        if isinstance(content, str):
            self._add({"role": "user", "content": content}, path)
            return
        parts: list[Json] = []
        before = len(self.messages)
        for index, block in enumerate(content):
            block_path = f"{path}.content[{index}]"
            if block["type"] == "tool_result":
                self._add(self._build_result(block, f"{block_path}.content"), block_path)
            else:
                parts += read_parts(block, block_path, self._report)
        if parts or len(self.messages) == before:
            self._add({"role": "user", "content": simplify_content(parts)}, path)

    def _build_result(self, block: Json, path: str) -> Json:
        parts = read_content(block.get("content"), path, self._report)
        if block.get("cache_control"):
            parts = parts or [{"type": "text", "text": ""}]
            parts[-1]["cache_control"] = block["cache_control"]
        result: Json = {
            "role": "tool",
            "tool_call_id": block["tool_use_id"],
            "content": simplify_content(parts),
        }
        if block.get("is_error"):
            result["is_error"] = True
        return result

    def _drop_compacted(self, content: Any, path: str) -> Any:
        """The content without compactions. The summary of one replaces what was said before; one
        that has none has failed, or only Anthropic can read it."""
        if isinstance(content, str):
            return content
        kept: list[Json] = []
        for block in content:
            if block["type"] != "compaction":
                kept.append(block)
                continue
            if block.get("tool_changes"):
                self._report.omit("messages.compaction.tool_changes")
            if block.get("content"):
                kept = []
                del self.messages[self._instructions :], self.places[self._instructions :]
                self._add({"role": "user", "content": block["content"]}, path)
            elif block.get("encrypted_content"):
                self._report.omit("messages.compaction")
        return kept


def _is_billing(text: str) -> bool:
    return BILLING_LINE.match(text) is not None


def _drop_billing_line(blocks: list[Json]) -> list[Json]:
    """The blocks without Claude Code's changing line, which is the first one's text or its
    beginning."""
    first, *rest = blocks
    if first["type"] != "text" or not _is_billing(first["text"]):
        return blocks
    text = BILLING_LINE.sub("", first["text"], count=1)
    return [{**first, "text": text}, *rest] if text else rest


def mark_last_part(messages: list[Json], cache_control: Json) -> None:
    """Let the last message end a cached prefix, as the top-level `cache_control` asks."""
    last = messages[-1]
    content = last.get("content")
    if last["role"] not in ("user", "tool") or not content:
        return
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
    last["content"] = [*parts[:-1], {"cache_control": cache_control, **parts[-1]}]
