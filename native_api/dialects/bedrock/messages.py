"""Unified messages as Converse's `system` and `messages`. Rules:

1. System and developer messages, wherever they stand, become `system` in their order; it takes text
   only.
2. Turns alternate; consecutive turns of a role are merged. See `turns` for what else models refuse.
3. A `cache_control` becomes a cache point after its block; in a tool's result, after the whole
   result. After a document or a video Bedrock takes one only if a text stands between them.
4. No text is blank, but for that one, which Bedrock takes (recorded 2025-11). A turn that holds
   only reasoning is left out: models from Claude 5 on take it for a prefill and refuse it.

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Message.html (read
2026-11).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from native_api.dialects.bedrock.models import (
    CACHING_MAKERS,
    UNSIGNED_REASONING_MAKERS,
    read_maker,
)
from native_api.dialects.bedrock.parts import PartTranslator
from native_api.dialects.bedrock.replay import WIRE, replay_turn
from native_api.dialects.bedrock.turns import SEPARATOR, arrange_turns
from native_api.dialects.shared.call_extras import read_extras
from native_api.dialects.shared.parts import parse_data_url, read_cache_control, read_parts
from native_api.dialects.shared.provider_content import read_own_blocks
from native_api.dialects.shared.tools import parse_arguments, read_called_function, read_tool_calls
from native_api.exceptions import UnsupportedField
from native_api.types import Json

EMPTY_RESULT: Final = "(empty)"
"""The text of a tool's result that says nothing: Bedrock refuses a blank one
(https://github.com/NousResearch/hermes-agent/issues/55092, 2026-06)."""
LONG_NUMBER: Final = re.compile(r"\d{16}")
"""Numbers in a `json` block are doubles, so results with longer numbers stay text."""


class MessageTranslator:
    """Translates the messages of one request: into `system`, `turns` and the names of `omitted`
    fields."""

    def __init__(self, model: str) -> None:
        self.system: list[Json] = []
        self.turns: list[Json] = []
        self.omitted: set[str] = set()
        self.tool_names: dict[str, str] = {}
        """The id of each call -> the name of its tool."""
        self._maker = read_maker(model)
        self._parts = PartTranslator()

    def translate(self, messages: Sequence[Mapping[str, Any]]) -> None:
        for index, message in enumerate(messages):
            self._add_message(message, f"messages[{index}]")
        if not self.turns:
            # The wire needs a turn: instructions alone become the user's turn.
            self.turns, self.system = [{"role": "user", "content": self.system}], []
        self.turns = arrange_turns(self.turns, self._maker)

    def _add_message(self, message: Mapping[str, Any], path: str) -> None:
        role = message["role"]
        if message.get("name") and role != "function":
            self.omitted.add("messages.name")
        if role in ("system", "developer"):
            self.system += self._build_blocks(message, path)
        elif role in ("tool", "function"):
            self._add_turn("user", self._build_result(message, path))
        elif role == "user":
            self._add_turn("user", self._build_blocks(message, path))
        else:
            self._add_turn("assistant", self._build_assistant_blocks(message, path))

    def _add_turn(self, role: str, blocks: list[Json]) -> None:
        if role == "assistant" and all("reasoningContent" in block for block in blocks):
            return
        if self.turns and self.turns[-1]["role"] == role:
            self.turns[-1]["content"] += blocks
        else:
            self.turns.append({"role": role, "content": blocks})

    # --- parts -----------------------------------------------------------------------------------

    def _build_blocks(self, message: Mapping[str, Any], path: str) -> list[Json]:
        blocks: list[Json] = []
        for index, part in enumerate(read_parts(message)):
            block = self._build_block(part, f"{path}.content[{index}]")
            cache_point = self.build_cache_point(part)
            needs_text = cache_point and ("document" in block or "video" in block)
            blocks += [block, SEPARATOR, *cache_point] if needs_text else [block, *cache_point]
        if message["role"] != "assistant":
            blocks += read_own_blocks(message, WIRE)
        return blocks

    def _build_block(self, part: Mapping[str, Any], path: str) -> Json:
        if part["type"] == "text":
            return {"text": part["text"]}
        if (part.get("image_url") or {}).get("detail") in ("low", "high"):
            self.omitted.add("messages.image_url.detail")
        return self._parts.build_block(part, path)

    def build_cache_point(self, marked: Mapping[str, Any], field: str = "messages") -> list[Json]:
        """The cache point for the `cache_control` of a part or a tool. Empty if there is none, or
        if the model takes none in this field, which is reported."""
        control = read_cache_control(marked)
        if not control:
            return []
        is_nova = self._maker == "amazon"
        if self._maker not in CACHING_MAKERS or (is_nova and field == "tools"):
            self.omitted.add(f"{field}.cache_control")
            return []
        point: Json = {"type": "default"}
        if control.get("ttl") and not is_nova:
            point["ttl"] = control["ttl"]
        elif control.get("ttl", "5m") != "5m":
            self.omitted.add(f"{field}.cache_control.ttl")
        return [{"cachePoint": point}]

    # --- the assistant's turns and the results of tools ------------------------------------------

    def _build_assistant_blocks(self, message: Mapping[str, Any], path: str) -> list[Json]:
        if message.get("audio"):
            raise UnsupportedField(
                f"{path}.audio",
                "this provider takes no sound of the assistant; send the transcript as content",
            )
        calls = [self._build_call(call) for call in read_tool_calls(message)]
        takes_reasoning = self._maker not in UNSIGNED_REASONING_MAKERS
        return replay_turn(
            message, _build_images(message), calls, takes_reasoning, self.build_cache_point
        )

    def _build_call(self, call: Mapping[str, Any]) -> Json:
        function = read_called_function(call)
        self.tool_names[call["id"]] = function["name"]
        return {
            "toolUse": {
                **read_extras(call, WIRE),
                "toolUseId": call["id"],
                "name": function["name"],
                "input": parse_arguments(function["arguments"]),
            }
        }

    def _build_result(self, message: Mapping[str, Any], path: str) -> list[Json]:
        blocks = self._build_blocks(message, path)
        cache_points = [block for block in blocks if "cachePoint" in block]
        content = [self._build_result_item(block) for block in blocks if "cachePoint" not in block]
        result: Json = {
            "toolUseId": message["tool_call_id"],
            "content": content or [{"text": EMPTY_RESULT}],
        }
        if message.get("is_error") and self._maker == "writer":
            self.omitted.add("messages.is_error")
        elif message.get("is_error"):
            result["status"] = "error"
        return [{"toolResult": result}, *cache_points[-1:]]

    def _build_result_item(self, block: Json) -> Json:
        """Mistral's models expect a result that is an object as `json`; all others take text."""
        text = block.get("text") or ""
        if self._maker == "mistral" and text.startswith("{") and not LONG_NUMBER.search(text):
            try:
                return {"json": orjson.loads(text)}
            except orjson.JSONDecodeError:
                return block
        return block


def _build_images(message: Mapping[str, Any]) -> list[Json]:
    """The images that the model made in an earlier turn."""
    inline_images = (
        parse_data_url((image.get("image_url") or {}).get("url") or "")
        for image in message.get("images") or ()
    )
    return [
        {"image": {"format": image.media_type.partition("/")[2], "source": {"bytes": image.data}}}
        for image in inline_images
        if image
    ]
