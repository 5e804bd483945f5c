"""Unified messages as the Responses API's `input`:
https://platform.openai.com/docs/api-reference/responses/create (read 2026-11).

Each message is one item; a model's message can be several (`replay`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from native_api.dialects.openai_responses.items import WIRE
from native_api.dialects.openai_responses.replay import replay_turn
from native_api.dialects.shared.call_arguments import complete_arguments
from native_api.dialects.shared.parts import correct_data_url, list_parts, read_breakpoint
from native_api.dialects.shared.provider_content import read_own_blocks
from native_api.exceptions import UnsupportedField
from native_api.types import Json

IMAGE_EXTENSIONS: Final = (".png", ".jpg", ".jpeg", ".webp", ".gif")


class MessageTranslator:
    """Collects the `items` of one request, and in `omitted` the paths of dropped hints.

    `stored` is whether OpenAI stores the conversation.
    """

    def __init__(self, roles: Mapping[str, str], stored: bool, breakpoints: bool) -> None:
        self.items: list[Json] = []
        self.omitted: set[str] = set()
        self._roles = roles
        self._stored = stored
        self._breakpoints = breakpoints
        self._custom_call_ids: set[str] = set()

    def add(self, messages: Sequence[Mapping[str, Any]]) -> None:
        for index, message in enumerate(messages):
            self._add_message(message, f"messages[{index}]")
        self.items = drop_cut_reasoning(self.items)

    def _add_message(self, message: Mapping[str, Any], path: str) -> None:
        role = message["role"]
        if role in ("tool", "function"):
            self.items.append(self._build_result(message, path))
        elif role == "assistant":
            self._add_assistant(message, path)
        else:
            content = self._build_content(message, path)
            self.items.append({"role": self._roles.get(role, role), "content": content})
            self.items += [block for block in read_own_blocks(message, WIRE) if not _is_part(block)]
        if message.get("name") and role not in ("tool", "function"):
            self.omitted.add("messages.name")

    def _build_content(self, message: Mapping[str, Any], path: str) -> Any:
        content = message.get("content")
        own_parts = [block for block in read_own_blocks(message, WIRE) if _is_part(block)]
        if isinstance(content, str) and not own_parts:
            return content
        parts = list_parts(message)
        return [
            *(self._build_part(part, f"{path}.content[{i}]") for i, part in enumerate(parts)),
            *own_parts,
        ]

    def _build_part(self, part: Mapping[str, Any], path: str) -> Json:
        kind = part["type"]
        if kind == "text":
            built: Json = {"type": "input_text", "text": part["text"]}
        elif kind == "image_url":
            image = part["image_url"]
            built = {
                "type": "input_image",
                "image_url": correct_data_url(image["url"]),
                "detail": image.get("detail") or "auto",
            }
        elif kind == "file":
            built = _build_file(part["file"])
        else:
            raise UnsupportedField(f"{path}.{kind}", "this provider takes text, images and files")
        if self._breakpoints and (mark := read_breakpoint(part)):
            built["prompt_cache_breakpoint"] = mark
        return built

    # --- the model's messages --------------------------------------------------------------------

    def _add_assistant(self, message: Mapping[str, Any], path: str) -> None:
        calls = [_build_call(call) for call in message.get("tool_calls") or ()]
        self._custom_call_ids |= {
            call["call_id"] for call in calls if call["type"] == "custom_tool_call"
        }
        if message.get("images") and not read_own_blocks(message, WIRE):
            self.omitted.add("messages.images")
        content = self._read_answer(message, path)
        self.items += replay_turn({**message, "content": content}, calls, self._stored)

    def _read_answer(self, message: Mapping[str, Any], path: str) -> Any:
        """The content, or the transcript of a spoken answer, since the wire takes no audio."""
        audio = message.get("audio")
        if not audio:
            return message.get("content")
        self.omitted.add("messages.audio")
        if not message.get("content") and not audio.get("transcript"):
            raise UnsupportedField(
                f"{path}.audio", "this provider takes no audio; send its transcript as content"
            )
        return message.get("content") or audio["transcript"]

    # --- tool results ----------------------------------------------------------------------------

    def _build_result(self, message: Mapping[str, Any], path: str) -> Json:
        call_id = message["tool_call_id"]
        is_custom = call_id in self._custom_call_ids
        kind = "custom_tool_call_output" if is_custom else "function_call_output"
        if message.get("is_error"):
            self.omitted.add("messages.is_error")
        return {"type": kind, "call_id": call_id, "output": self._build_content(message, path)}


def _is_part(block: Json) -> bool:
    """Whether a client's block is a part of a message's content, and not an item of its own."""
    return str(block.get("type")).startswith("input_")


def drop_cut_reasoning(items: list[Json]) -> list[Json]:
    """The items without reasoning that led to nothing, as in a turn that was cut: OpenAI answers
    400, "Item of type 'reasoning' was provided without its required following item"."""
    if not any([item.get("type") == "reasoning" for item in items]):  # noqa: C419 - faster
        return items
    kept: list[Json] = []
    leads_to_item = False
    for item in reversed(items):
        is_reasoning = item.get("type") == "reasoning"
        if not is_reasoning:
            leads_to_item = item.get("role", "assistant") == "assistant" and not str(
                item.get("type")
            ).endswith("_output")
        if leads_to_item or not is_reasoning:
            kept.append(item)
    return kept[::-1]


def _build_file(file: Mapping[str, Any]) -> Json:
    """A document, or an image if the file is one."""
    data = correct_data_url(file.get("file_data") or "")
    if data.startswith("data:image/"):
        return {"type": "input_image", "image_url": data, "detail": "auto"}
    if file.get("file_id") and (file.get("filename") or "").lower().endswith(IMAGE_EXTENSIONS):
        return {"type": "input_image", "file_id": file["file_id"], "detail": "auto"}
    return {"type": "input_file", **file}


def _build_call(call: Mapping[str, Any]) -> Json:
    """The item of a call, with the wire's other members of it (`namespace`, `caller`)."""
    extra = (call.get("extra_content") or {}).get(WIRE) or {}
    if "custom" in call:
        return {"type": "custom_tool_call", "call_id": call["id"], **call["custom"], **extra}
    function = call["function"]
    arguments = complete_arguments(function["arguments"])
    return {
        "type": "function_call",
        "call_id": call["id"],
        "name": function["name"],
        "arguments": arguments,
        **extra,
    }
