"""A model's turn sent back to the Responses API in the order it came in: reasoning, server tools'
items, messages and calls.

OpenAI answers 400 where a reasoning item does not stand before what it led to. `responses_items`
says what the numbers `at`, `calls` and `reasoning` count. Where a client lost the items, the text
and the calls remain.

A reasoning item can be sent only with its encrypted content, or by its id where OpenAI keeps the
conversation; else it is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from native_api.dialects.openai_responses.items import WIRE
from native_api.dialects.shared.provider_content import read_own_reasoning
from native_api.types import Json

NAMES = {
    "reasoning.summary": ("summary", "summary_text"),
    "reasoning.text": ("content", "reasoning_text"),
}


def replay_turn(message: Mapping[str, Any], calls: list[Json], stored: bool) -> list[Json]:
    """The items of one assistant message; `calls` are items already."""
    text, refusal = _text(message), message.get("refusal")
    items: list[Json] = []
    head: Json = {}
    at = called = 0
    for item in _kept(message, stored):
        start = max(at, min(item["at"], len(text)))
        items += _said(text[at:start], head)
        head = {} if start > at else head
        items += calls[called : item["calls"]]
        at, called = start, max(called, item["calls"])
        if item["item"].get("type") == "message":
            head = item["item"]
        else:
            items.append(item["item"])
    items += _said(text[at:], head)
    if refusal:
        items.append({"role": "assistant", "content": [{"type": "refusal", "refusal": refusal}]})
    return items + calls[called:]


def _said(text: str, head: Json) -> list[Json]:
    """A message of the model's, with the phase that it said it in: models since GPT-5.3 want it
    back."""
    if not text:
        return []
    told = {"role": "assistant", "content": text}
    return [{**told, "phase": head["phase"]} if head.get("phase") else told]


def _text(message: Mapping[str, Any]) -> str:
    content = message.get("content") or ""
    return (
        content
        if isinstance(content, str)
        else "".join(part.get("text") or part.get("refusal") or "" for part in content)
    )


def _kept(message: Mapping[str, Any], stored: bool) -> Iterator[Json]:
    """Reasoning items and blocks of this wire's, in the order they came in, as `{"item", "at",
    "calls"}`."""
    details = read_own_reasoning(message, WIRE)
    blocks = [
        item
        for item in message.get("provider_content") or ()
        if item.get("format") == WIRE and isinstance(item.get("block"), dict)
    ]
    groups = _groups(details)
    for block in blocks:
        while groups and groups[0][0] < block.get("reasoning", 0):
            yield from _reasoning(groups.pop(0)[1], stored)
        yield {"item": block["block"], "at": block.get("at", 0), "calls": block.get("calls", 0)}
    for _, group in groups:
        yield from _reasoning(group, stored)


def _groups(details: list[Json]) -> list[tuple[int, list[Json]]]:
    """The details of each reasoning item together, with the number of the first of them."""
    groups: list[tuple[int, list[Json]]] = []
    for position, detail in enumerate(details):
        same = groups and detail.get("id") and detail["id"] == groups[-1][1][0].get("id")
        if same:
            groups[-1][1].append(detail)
        else:
            groups.append((position, [detail]))
    return groups


def _reasoning(group: list[Json], stored: bool) -> Iterator[Json]:
    item: Json = {"type": "reasoning", "summary": []}
    if group[0].get("id"):
        item["id"] = group[0]["id"]
    for detail in group:
        if detail.get("type") == "reasoning.encrypted":
            item["encrypted_content"] = detail.get("data")
        elif detail.get("type") in NAMES:
            name, kind = NAMES[detail["type"]]
            text = detail.get("summary") or detail.get("text") or ""
            item.setdefault(name, []).extend([{"type": kind, "text": text}] if text else [])
    if item.get("encrypted_content") or item.get("content") or (stored and "id" in item):
        yield {"item": item, "at": group[0].get("at", 0), "calls": group[0].get("calls", 0)}
