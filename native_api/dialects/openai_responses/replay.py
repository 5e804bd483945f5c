"""Sends a model's turn back to the Responses API in its original order: reasoning, items of server
tools, messages and calls.

OpenAI answers 400 if a reasoning item does not come before the item it led to. `reply_builder`
explains the offsets `at`, `calls` and `reasoning`. If a client lost the items, the text and the
calls are sent.

A reasoning item is sent only if it has encrypted content, or by its id if OpenAI stores the
conversation; otherwise it is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from native_api.dialects.openai_responses.items import CALLS, PARAGRAPH, WIRE
from native_api.dialects.shared.provider_content import read_own_reasoning
from native_api.types import Json

REASONING_PARTS = {
    "reasoning.summary": ("summary", "summary_text"),
    "reasoning.text": ("content", "reasoning_text"),
}
"""Type of a reasoning detail -> member of the wire's item, and the type of its parts."""


def replay_turn(message: Mapping[str, Any], calls: list[Json], stored: bool) -> list[Json]:
    """The items of one assistant message. `calls` are items already."""
    text, refusal = _join_text(message), message.get("refusal")
    items: list[Json] = []
    head: Json = {}
    text_end = calls_end = 0
    for item in _read_items(message, stored):
        start = max(text_end, min(item["at"], len(text)))
        is_message = item["item"].get("type") == "message"
        before = text[text_end:start]
        items += _build_message(before.removesuffix(PARAGRAPH) if is_message else before, head)
        head = {} if start > text_end else head
        items += calls[calls_end : item["calls"]]
        text_end, calls_end = start, max(calls_end, item["calls"])
        if is_message:
            head = item["item"]
        else:
            items.append(item["item"])
    items += _build_message(text[text_end:], head)
    if refusal:
        # As text: a part of the type `refusal` needs the id of a message, which nobody has stored.
        items.append({"role": "assistant", "content": refusal})
    return items + calls[calls_end:]


def _build_message(text: str, head: Json) -> list[Json]:
    """A message of the model, with its phase: models since GPT-5.3 need it back."""
    if not text:
        return []
    message = {"role": "assistant", "content": text}
    return [{**message, "phase": head["phase"]} if head.get("phase") else message]


def _join_text(message: Mapping[str, Any]) -> str:
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return "".join(part.get("text") or part.get("refusal") or "" for part in content)


def _read_items(message: Mapping[str, Any], stored: bool) -> Iterator[Json]:
    """This wire's reasoning items and blocks in reply order, as `{"item", "at", "calls"}`.

    Calls of xAI's own tools are left out: the wire takes no call without a result.
    """
    blocks = [
        item
        for item in message.get("provider_content") or ()
        if item.get("format") == WIRE and isinstance(item.get("block"), dict)
    ]
    groups = _group_details(read_own_reasoning(message, WIRE))
    for number, block in sorted(enumerate(blocks), key=lambda numbered: _read_offsets(numbered[1])):
        while groups and _comes_before(groups[0], block, number):
            yield from _build_reasoning(groups.pop(0)[1], stored)
        if str(block["block"].get("type")) not in CALLS:
            at, calls = _read_offsets(block)
            yield {"item": block["block"], "at": at, "calls": calls}
    for _, details in groups:
        yield from _build_reasoning(details, stored)


def _read_offsets(item: Json) -> tuple[int, int]:
    """Where an item stood: the characters and the calls before it."""
    return item.get("at") or 0, item.get("calls") or 0


def _comes_before(group: tuple[int, list[Json]], block: Json, number: int) -> bool:
    index, details = group
    return bool(index < block.get("reasoning", 0) or details[0].get("blocks", number + 1) <= number)


def _group_details(details: list[Json]) -> list[tuple[int, list[Json]]]:
    """The details of each reasoning item, with the index of the first of them."""
    groups: dict[Any, tuple[int, list[Json]]] = {}
    for index, detail in enumerate(details):
        key = str(detail["id"]) if detail.get("id") else index
        groups.setdefault(key, (index, []))[1].append(detail)
    return sorted(groups.values(), key=lambda group: _read_offsets(group[1][0]))


def _build_reasoning(details: list[Json], stored: bool) -> Iterator[Json]:
    first = details[0]
    item: Json = {"type": "reasoning", "summary": []}
    if first.get("id"):
        item["id"] = first["id"]
    for detail in details:
        if detail.get("type") == "reasoning.encrypted":
            item["encrypted_content"] = detail.get("data")
        elif detail.get("type") in REASONING_PARTS:
            name, kind = REASONING_PARTS[detail["type"]]
            text = detail.get("summary") or detail.get("text") or ""
            item.setdefault(name, []).extend([{"type": kind, "text": text}] if text else [])
    if item.get("encrypted_content") or item.get("content") or (stored and "id" in item):
        at, calls = _read_offsets(first)
        yield {"item": item, "at": at, "calls": calls}
