"""What the wires of Anthropic and Bedrock demand of the turns of a conversation alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.clients.model import Turn
from tests.clients.wires.base import check_members, require

ReadBlock = Callable[[dict[str, Any], int, Turn], None]
"""Adds a block, which has this index in its message, to the turn."""


def as_blocks(content: Any) -> list[dict[str, Any]]:
    """Content that is a text as one block, as Anthropic reads it."""
    return [{"type": "text", "text": content}] if isinstance(content, str) else list(content or ())


def read_turns(messages: list[dict[str, Any]], read_block: ReadBlock) -> list[Turn]:
    """Turns must alternate, and each call must have its result in the next turn."""
    turns: list[Turn] = []
    expected_ids: list[str] = []
    for index, message in enumerate(messages):
        check_members(message, "role", "content", path=f"messages.{index}")
        require(
            message["role"] == ("user", "assistant")[index % 2],
            "messages: roles must alternate, and begin with user",
        )
        require(message["content"], f"messages.{index}: content must be non-empty")
        turn = Turn("model" if message["role"] == "assistant" else "user")
        for block_index, block in enumerate(as_blocks(message["content"])):
            read_block(block, block_index, turn)
        result_ids = [result.call_id for result in turn.results]
        require(
            sorted(result_ids) == sorted(expected_ids),
            f"messages.{index}: expected results of the calls {expected_ids}, not of {result_ids}",
        )
        expected_ids = [call.id for call in turn.calls]
        turns.append(turn)
    require(not expected_ids, f"messages: no results of the calls {expected_ids}")
    return turns


def check_thinking(turns: list[Turn]) -> None:
    """Results of calls need the thinking that led to the calls, if thinking is enabled."""
    require(
        not turns[-1].results or turns[-2].thoughts,
        "Expected `thinking` or `redacted_thinking`, but found `tool_use`",
    )
