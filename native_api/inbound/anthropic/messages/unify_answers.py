"""A model's turn as one unified message, as `dialects.anthropic` writes it when it reads a reply,
so that each provider gets back what it made.

What another wire needs back is in the member RESTORED of blocks. Blocks of
Anthropic's own tools, and signatures without the mark of their issuer, go back to nobody.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from native_api.dialects.anthropic.replay import WIRE
from native_api.dialects.anthropic.reply_builder import ReplyBuilder
from native_api.dialects.shared.deltas import add_delta, complete_message
from native_api.dialects.shared.issuers import LISTS, MARK, RESTORED
from native_api.inbound.anthropic.messages.opened import SEALED_MEMBERS
from native_api.inbound.checks import MAX_SHOWN
from native_api.inbound.replayed import restore
from native_api.inbound.translation import Report
from native_api.types import Json

SILENT_TYPES: Final = frozenset({"text", "thinking", "redacted_thinking", "tool_use", "fallback"})
"""Blocks that other wires can express, or that say nothing to a model."""


def unify_answer(content: Any, report: Report) -> Json:
    """The message of an assistant's content, a string or blocks."""
    if isinstance(content, str):
        return {"role": "assistant", "content": content}
    blocks: list[Json] = [block for block in content if block["type"] != "fallback"]
    message = _build_message(blocks)
    issuers = {block[MARK] for block in blocks if MARK in block}
    _mark_reasoning(message, blocks)
    _mark_blocks(message, issuers)
    if "provider_content" not in message:
        report.omit_all(
            f"messages.{block['type'][:MAX_SHOWN]}" for block in _find_own_blocks(blocks)
        )
    _restore(message, blocks)
    _keep_cache_control(message, blocks)
    return message


def _build_message(blocks: Iterable[Json]) -> Json:
    builder = ReplyBuilder(answer_tool="")
    message: Json = {"role": "assistant", "content": None}
    for index, block in enumerate(blocks):
        members = {name: value for name, value in block.items() if name != "cache_control"}
        add_delta(message, builder.start(index, members))
        add_delta(message, builder.stop(index))
    add_delta(message, builder.finish({}))
    return complete_message(message)


def _mark_reasoning(message: Json, blocks: list[Json]) -> None:
    """Keep of the reasoning items those whose issuer is known, with its mark."""
    thoughts = [block for block in blocks if block["type"] in SEALED_MEMBERS]
    items = [
        {**item, MARK: block[MARK]}
        for item, block in zip(message.pop("reasoning_details", ()), thoughts, strict=True)
        if MARK in block
    ]
    if items:
        message["reasoning_details"] = items


def _mark_blocks(message: Json, issuers: set[Any]) -> None:
    """Mark the blocks of Anthropic's tools, and the callers of tools, with the issuer of the turn's
    thinking. Without one they are left out, and so are marks of where text begins."""
    items = message.pop("provider_content", ())
    marks = {MARK: next(iter(issuers))} if len(issuers) == 1 else {}
    if marks and items:
        message["provider_content"] = [{**item, **marks} for item in items]
    for call in message.get("tool_calls") or ():
        extra = call.pop("extra_content", None)
        if extra and marks:
            call["extra_content"] = {WIRE: {**extra[WIRE], **marks}}


def _find_own_blocks(blocks: Iterable[Json]) -> list[Json]:
    return [block for block in blocks if block["type"] not in SILENT_TYPES]


def _restore(message: Json, blocks: Iterable[Json]) -> None:
    """Add what was sealed for another wire."""
    restored = restore(block[RESTORED] for block in blocks if RESTORED in block)
    for name in LISTS:
        if restored.get(name):
            message[name] = [*message.get(name, ()), *restored[name]]
    extras = restored.get("calls") or {}
    for call in message.get("tool_calls") or ():
        if call["id"] in extras:
            call["extra_content"] = {**call.get("extra_content", {}), **extras[call["id"]]}


def _keep_cache_control(message: Json, blocks: list[Json]) -> None:
    """Make parts of the content if one of its texts ends a cached prefix. A mark of another block
    is that of the text before it."""
    parts: list[Json] = []
    for block in blocks:
        if block["type"] == "text" and block["text"]:
            parts.append({"type": "text", "text": block["text"]})
        if block.get("cache_control") and parts:
            parts[-1]["cache_control"] = block["cache_control"]
    if any("cache_control" in part for part in parts):
        message["content"] = parts
