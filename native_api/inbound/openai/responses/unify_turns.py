"""Consecutive items of the model as one unified message.

The items are those of a reply, so `ReplyBuilder` puts them together as it does with a provider's.
What belongs to a provider comes from what was sealed: the marked details of this wire's own
reasoning, or the members of another wire's message (`opened`).
"""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

from native_api.dialects.openai_responses.items import WIRE
from native_api.dialects.openai_responses.reply import build_reply
from native_api.dialects.shared.issuers import MARK, RESTORED
from native_api.inbound.openai.responses.custom_tools import write_call
from native_api.inbound.openai.responses.unify_calls import (
    FUNCTION_NAMES,
    is_hosted,
    write_as_function,
)
from native_api.inbound.openai.responses.unify_parts import TEXTS
from native_api.inbound.openai.responses.unify_tools import ToolName, UnifiedTools, join_name
from native_api.inbound.replayed import restore
from native_api.inbound.translation import Report
from native_api.types import Json

IMAGE: Final = "image_generation_call"
"""The only item of OpenAI's own tools that has a unified form."""

NAMESPACE: Final = "namespace"


ITEM_ID: Final = re.compile(r"[a-z]+_([0-9a-f]{40})([0-9a-f]{4})")
"""Ids that the gateway gives to items (`output_items`): those of one reply have the same key, and
their positions rise."""


class Origin(NamedTuple):
    """Where an item was in a reply. `reply` is the key of that; "" if it is not known."""

    reply: str = ""
    position: int = -1


def find_origin(item: Json) -> Origin:
    found = ITEM_ID.fullmatch(str(item.get("id") or ""))
    return Origin(found[1], int(found[2], 16)) if found is not None else Origin()


class Turn:
    """Collects the items of one message of the model."""

    def __init__(self, tools: Any, names: UnifiedTools) -> None:
        self._tools, self._names = tools, names
        self._items: list[Json] = []
        self._last = Origin()

    def is_over(self, origin: Origin, has_results: bool) -> bool:
        """Whether an item of this origin begins another turn. If the reply is not known, a result
        ends the turn.

        Some servers give one id to many replies; then the position says that another one begins.
        """
        is_known = bool(origin.reply and self._last.reply)
        if is_known and origin.reply != self._last.reply:
            return True
        return has_results and (not is_known or origin.position <= self._last.position)

    def add(self, item: Json, origin: Origin) -> None:
        self._items.append(item)
        self._last = origin if origin.reply else self._last

    def build(self, report: Report) -> Json | None:
        """The message; None if there is nothing in it."""
        restored = restore([item[RESTORED] for item in self._items if RESTORED in item])
        extras = restored.pop("calls", {})
        message = self._fold_items()
        self._keep_marked(message)
        if any(RESTORED in item for item in self._items):
            message["content"] = _join_texts(self._items)
        if message.get("tool_calls"):
            message["tool_calls"] = [
                self._edit_call(call, extras) for call in message["tool_calls"]
            ]
        images = message.get("images") or []
        for index, extra in restored.pop("image_extras", {}).items():
            if int(index) < len(images):
                images[int(index)]["extra_content"] = extra
        self._report_items(message | restored, report)
        message |= restored
        return message if len(message) > 2 or message["content"] is not None else None

    def _fold_items(self) -> Json:
        items = [_write_item(item, index) for index, item in enumerate(self._items)]
        reply: Any = build_reply({"output": items, "tools": self._tools})
        message: Json = reply["choices"][0]["message"]
        message.pop("annotations", None)
        return message

    def _keep_marked(self, message: Json) -> None:
        """Keep the reasoning of which the issuer is known, with its mark; and blocks, if all such
        reasoning is of one issuer. Nobody takes any other."""
        details = message.pop("reasoning_details", ())
        blocks = message.pop("provider_content", ())
        issuers = {item[MARK] for item in self._items if MARK in item}
        kept = [self._mark(detail, detail["id"]) for detail in details]
        if any(kept):
            message["reasoning_details"] = [detail for detail in kept if detail]
        if blocks and len(issuers) == 1:
            issuer = issuers.pop()
            message["provider_content"] = [
                {**block, "block": self._restore_id(block["block"]), MARK: issuer}
                for block in blocks
            ]

    def _mark(self, detail: Json, index: str) -> Json:
        """The detail with its issuer; empty if that is not known."""
        issuer = self._items[int(index)].get(MARK)
        return {**self._restore_id(detail), MARK: issuer} if issuer else {}

    def _restore_id(self, member: Json) -> Json:
        """A detail or a block with the id that the client sent, if any."""
        item_id = self._items[int(member["id"])].get("id")
        others = {name: value for name, value in member.items() if name != "id"}
        return {**others, "id": item_id} if item_id else others

    def _edit_call(self, call: Json, extras: Json) -> Json:
        """The call by its unified name, with what its provider needs back."""
        extra = dict(call.pop("extra_content", {}).get(WIRE) or {})
        namespace = extra.pop(NAMESPACE, None)
        called = call[call["type"]]
        tool = ToolName(called["name"], str(namespace or ""))
        called["name"] = self._names.names.get(tool) or join_name(tool)
        content = {**({WIRE: extra} if extra else {}), **extras.get(call["id"], {})}
        if content:
            call["extra_content"] = content
        is_custom = call["type"] == "custom" and called["name"] in self._names.custom_names
        return write_call(call) if is_custom else call

    def _report_items(self, message: Json, report: Report) -> None:
        """Report what the message does not have of the items."""
        kept = {(item.get("block") or {}).get("id") for item in message.get("provider_content", ())}
        for item in self._items:
            kind = item["type"]
            if is_hosted(item) and kind != IMAGE and item.get("id") not in kept:
                report.omit(f"input.{kind}")
            if kind == "message" and item.get("phase") and item.get("id") not in kept:
                report.omit("input.phase")


def _write_item(item: Json, index: int) -> Json:
    """The item as a reply of this wire has it. Its index is its id, which clients may repeat."""
    kind = item["type"]
    if kind in FUNCTION_NAMES and not is_hosted(item):
        item = write_as_function(item)
    elif kind == "message":
        item = {**item, "content": _write_content(item)}
    elif kind == "reasoning":
        item = {"summary": [], **item}
    return {**item, "id": str(index)}


def _write_content(message: Json) -> list[Json]:
    content = message["content"]
    if isinstance(content, str):
        return [{"type": "output_text", "text": content}]
    return [
        {"type": "output_text", "text": part["text"]} if part["type"] in TEXTS else part
        for part in content
    ]


def _join_texts(items: list[Json]) -> str | None:
    """The content as the provider's offsets count it: without paragraphs between messages."""
    texts = [
        part["text"]
        for item in items
        if item["type"] == "message"
        for part in _write_content(item)
        if part["type"] == "output_text"
    ]
    return "".join(texts) if texts else None
