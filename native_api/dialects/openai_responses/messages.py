"""Unified messages as the Responses API's `input`:
https://platform.openai.com/docs/api-reference/responses/create (read 2026-11).

Each message is one item, or several where the model's turn was: see `responses_replay`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from native_api.dialects.openai_responses.items import WIRE
from native_api.dialects.openai_responses.replay import replay_turn
from native_api.dialects.shared.provider_content import read_own_blocks
from native_api.exceptions import UnsupportedField
from native_api.types import Json

PICTURES: Final = (".png", ".jpg", ".jpeg", ".webp", ".gif")


class MessageTranslator:
    """Collects the items of one request, and the hints that could not be said. `stored`: whether
    OpenAI keeps the conversation."""

    def __init__(self, roles: Mapping[str, str], stored: bool, breakpoints: bool) -> None:
        self.items: list[Json] = []
        self.omitted: set[str] = set()
        self._roles = roles
        self._stored = stored
        self._breakpoints = breakpoints
        self._custom: set[str] = set()

    def add(self, messages: Sequence[Mapping[str, Any]]) -> None:
        for position, message in enumerate(messages):
            self._add(message, f"messages[{position}]")

    def _add(self, message: Mapping[str, Any], place: str) -> None:
        role = message["role"]
        if role in ("tool", "function"):
            self.items.append(self._result(message, place))
        elif role == "assistant":
            self._assistant(message, place)
        else:
            self.items.append(
                {"role": self._roles.get(role, role), "content": self._content(message, place)}
            )
        if message.get("name") and role not in ("tool", "function"):
            self.omitted.add("messages.name")

    def _content(self, message: Mapping[str, Any], place: str) -> Any:
        content = message.get("content")
        if not isinstance(content, list):
            return content
        return [
            self._part(part, f"{place}.content[{position}]")
            for position, part in enumerate(content)
        ]

    def _part(self, part: Mapping[str, Any], place: str) -> Json:
        kind = part["type"]
        if kind == "text":
            told: Json = {"type": "input_text", "text": part["text"]}
        elif kind == "image_url":
            image = part["image_url"]
            told = {
                "type": "input_image",
                "image_url": image["url"],
                "detail": image.get("detail") or "auto",
            }
        elif kind == "file":
            told = _file(part["file"])
        else:
            raise UnsupportedField(f"{place}.{kind}", "this provider takes text, images and files")
        if part.get("cache_control") and self._breakpoints:
            told["prompt_cache_breakpoint"] = {"mode": "explicit"}
        return told

    # --- the model's turns ------------------------------------------------------------------------

    def _assistant(self, message: Mapping[str, Any], place: str) -> None:
        calls = [_call(call) for call in message.get("tool_calls") or ()]
        self._custom |= {call["call_id"] for call in calls if call["type"] == "custom_tool_call"}
        legacy = message.get("function_call")
        if legacy:
            calls.append(_call({"id": legacy["name"], "function": legacy}))
        if message.get("images") and not read_own_blocks(message, WIRE):
            self.omitted.add("messages.images")
        self.items += replay_turn(
            {**message, "content": self._said(message, place)}, calls, self._stored
        )

    def _said(self, message: Mapping[str, Any], place: str) -> Any:
        """The content, or the words of an answer that was spoken: the wire takes no sound."""
        audio = message.get("audio")
        if not audio:
            return message.get("content")
        self.omitted.add("messages.audio")
        if not message.get("content") and not audio.get("transcript"):
            raise UnsupportedField(
                f"{place}.audio", "this provider takes no sound; send its transcript as content"
            )
        return message.get("content") or audio["transcript"]

    # --- tool results -----------------------------------------------------------------------------

    def _result(self, message: Mapping[str, Any], place: str) -> Json:
        call_id = message.get("tool_call_id") or message["name"]
        kind = "custom_tool_call_output" if call_id in self._custom else "function_call_output"
        if message.get("is_error"):
            self.omitted.add("messages.is_error")
        return {"type": kind, "call_id": call_id, "output": self._content(message, place)}


def _file(file: Mapping[str, Any]) -> Json:
    """A document, or the picture that it is."""
    if (file.get("file_data") or "").startswith("data:image/"):
        return {"type": "input_image", "image_url": file["file_data"], "detail": "auto"}
    if file.get("file_id") and (file.get("filename") or "").lower().endswith(PICTURES):
        return {"type": "input_image", "file_id": file["file_id"], "detail": "auto"}
    return {"type": "input_file", **file}


def _call(call: Mapping[str, Any]) -> Json:
    """A call as its item. Whatever else the wire told of it (`namespace`, `caller`) goes back with
    it."""
    extra = (call.get("extra_content") or {}).get(WIRE) or {}
    if "custom" in call:
        return {"type": "custom_tool_call", "call_id": call["id"], **call["custom"], **extra}
    function = call["function"]
    arguments = function["arguments"] if function["arguments"].strip() else "{}"
    return {
        "type": "function_call",
        "call_id": call["id"],
        "name": function["name"],
        "arguments": arguments,
        **extra,
    }
