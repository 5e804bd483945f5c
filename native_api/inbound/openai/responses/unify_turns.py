"""Consecutive items of the model as one unified message.

The items are those of a reply, so `ReplyBuilder` puts them together as it does with a provider's.
What belongs to a provider comes from what was sealed: the marked details of this wire's own
reasoning, or the members of another wire's message (`sealed`).
"""

from __future__ import annotations

from typing import Any, Final

from native_api.dialects.openai_responses.items import WIRE
from native_api.dialects.openai_responses.reply import build_reply
from native_api.dialects.shared.issuers import MARK
from native_api.inbound.openai.responses.custom_tools import write_call
from native_api.inbound.openai.responses.sealed import ENCRYPTED, RESTORED
from native_api.inbound.openai.responses.tools import ToolName, UnifiedTools, join_name
from native_api.inbound.openai.responses.unify_calls import (
    FUNCTION_NAMES,
    is_hosted,
    write_as_function,
)
from native_api.inbound.openai.responses.unify_parts import TEXTS
from native_api.inbound.replayed import restore
from native_api.types import Json

NO_ID: Final = "no id "
"""How the names begin by which reasoning without an id is known here."""

IMAGE: Final = "image_generation_call"
"""The only item of OpenAI's own tools that has a unified form."""

DROPPED_MEMBERS: Final = ("annotations", "provider_content")
NAMESPACE: Final = "namespace"


class Turn:
    """Collects the items of one message of the model."""

    def __init__(self, tools: Any, names: UnifiedTools) -> None:
        self._tools, self._names = tools, names
        self._items: list[Json] = []

    def add(self, item: Json) -> None:
        self._items.append(item)

    def build(self, omitted: list[str]) -> Json | None:
        """The message; None if there is nothing in it."""
        items = [_write_item(item, index) for index, item in enumerate(self._items)]
        reply: Any = build_reply({"output": items, "tools": self._tools})
        message: Json = reply["choices"][0]["message"]
        for name in DROPPED_MEMBERS:
            message.pop(name, None)
        _keep_marked(message, items)
        restored = restore([item[RESTORED] for item in self._items if RESTORED in item])
        extras = restored.pop("calls", {})
        if any(RESTORED in item for item in items):
            message["content"] = _join_texts(items)
        if message.get("tool_calls"):
            message["tool_calls"] = [
                self._edit_call(call, extras) for call in message["tool_calls"]
            ]
        self._report_items(restored, omitted)
        message |= restored
        return message if len(message) > 2 or message["content"] is not None else None

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

    def _report_items(self, restored: Json, omitted: list[str]) -> None:
        kept = {
            (item.get("block") or {}).get("id") for item in restored.get("provider_content") or ()
        }
        for item in self._items:
            kind = item["type"]
            if kind == "message" and item.get("phase"):
                omitted.append("input.phase")
            if is_hosted(item) and kind != IMAGE and item.get("id") not in kept:
                omitted.append(f"input.{kind}")


def _write_item(item: Json, index: int) -> Json:
    """The item as a reply of this wire has it."""
    if item["type"] in FUNCTION_NAMES and not is_hosted(item):
        return write_as_function(item)
    if item["type"] == "message":
        return {"type": "message", "id": item.get("id"), "content": _write_content(item)}
    if item["type"] == "reasoning":
        return {"summary": [], **item, "id": item.get("id") or f"{NO_ID}{index}"}
    return item


def _write_content(message: Json) -> list[Json]:
    content = message["content"]
    if isinstance(content, str):
        return [{"type": "output_text", "text": content}]
    return [
        {"type": "output_text", "text": part["text"]} if part["type"] in TEXTS else part
        for part in content
    ]


def _keep_marked(message: Json, items: list[Json]) -> None:
    """Keep the reasoning of which the issuer is known, with its mark. Nobody takes any other."""
    issuers = {item["id"]: item[MARK] for item in items if item.get(MARK) and ENCRYPTED in item}
    details = [
        {**detail, MARK: issuers[detail["id"]]}
        for detail in message.pop("reasoning_details", ())
        if detail.get("id") in issuers
    ]
    for detail in details:
        if detail["id"].startswith(NO_ID):
            del detail["id"]
    if details:
        message["reasoning_details"] = details


def _join_texts(items: list[Json]) -> str | None:
    """The content as the provider's offsets count it: without paragraphs between messages."""
    texts = [
        part["text"]
        for item in items
        if item["type"] == "message"
        for part in item["content"]
        if part["type"] == "output_text"
    ]
    return "".join(texts) if texts else None
