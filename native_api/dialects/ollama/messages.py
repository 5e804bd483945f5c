"""Unified messages as Ollama's. Rules:

1. A message is one text with a list of images, so the position of an image in the text is lost.
2. Ollama fetches nothing: images must be sent inline, and go on as bare base64.
3. A tool result names its tool, which is found by the call's id. Newer versions read the id as well
   (https://docs.ollama.com/capabilities/tool-calling, read 2026-11).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from native_api.dialects.shared.call_extras import read_extras
from native_api.dialects.shared.parts import parse_data_url, read_file_data
from native_api.dialects.shared.tools import parse_arguments, read_called_function, read_tool_calls
from native_api.exceptions import UnsupportedField
from native_api.types import Json

ROLES: Final = {"developer": "system", "function": "tool"}
"""Unified role -> Ollama's, if it is another one."""


class MessageTranslator:
    """Collects the messages of one request, and the hints in them that Ollama cannot express."""

    def __init__(self) -> None:
        self.turns: list[Json] = []
        self.omitted: set[str] = set()
        self._function_names: dict[str, str] = {}
        """Tool call id -> the function's name."""

    def translate(self, messages: Sequence[Mapping[str, Any]]) -> None:
        for index, message in enumerate(messages):
            turn = self._build_turn(message, f"messages[{index}]")
            if message["role"] == "assistant":
                self._add_reply_fields(message, turn)
            elif turn["role"] == "tool":
                self._add_result_fields(message, turn)
            if message.get("name") and message["role"] not in ("tool", "function"):
                self.omitted.add("messages.name")
            self.turns.append(turn)

    def _build_turn(self, message: Mapping[str, Any], path: str) -> Json:
        turn: Json = {"role": ROLES.get(message["role"], message["role"])}
        content = message.get("content")
        if isinstance(content, str):
            return {**turn, "content": content}
        texts: list[str] = []
        images: list[str] = []
        for index, part in enumerate(content or ()):
            if part["type"] in ("text", "refusal"):
                texts.append(part[part["type"]])
            else:
                images.append(self._read_image(part, f"{path}.content[{index}]"))
        turn["content"] = "\n".join(text for text in texts if text)
        return {**turn, "images": images} if images else turn

    def _read_image(self, part: Mapping[str, Any], path: str) -> str:
        """The image as bare base64."""
        kind = part["type"]
        if kind == "image_url":
            if part["image_url"].get("detail") in ("low", "high"):
                self.omitted.add("messages.image_url.detail")
            inline = parse_data_url(part["image_url"]["url"])
        elif kind == "file":
            inline = read_file_data(part["file"], f"{path}.file.file_data")
        else:
            raise UnsupportedField(f"{path}.{kind}", "Ollama takes text and images")
        if inline is None:
            raise UnsupportedField(
                f"{path}.{kind}", "Ollama fetches nothing: send the image as a data URL"
            )
        if not inline.media_type.startswith("image/"):
            raise UnsupportedField(
                f"{path}.{kind}", f"Ollama takes images, not {inline.media_type}"
            )
        return inline.data

    def _add_reply_fields(self, message: Mapping[str, Any], turn: Json) -> None:
        """Add what only an assistant message has."""
        turn["content"] = turn["content"] or message.get("refusal") or ""
        if message.get("reasoning_content") and not message.get("reasoning_details"):
            # Ollama's reasoning has no details. Of another provider's only the text is left.
            turn["thinking"] = message["reasoning_content"]
        images = [
            parse_data_url(image["image_url"]["url"])
            for image in message.get("images") or ()
            if image.get("image_url")
        ]
        if any(images):
            turn["images"] = [image.data for image in images if image]
        if message.get("audio"):
            self.omitted.add("messages.audio")
        calls = [
            self._build_call(call, index) for index, call in enumerate(read_tool_calls(message))
        ]
        if calls:
            turn["tool_calls"] = calls

    def _build_call(self, call: Mapping[str, Any], index: int) -> Json:
        function = read_called_function(call)
        self._function_names[call["id"]] = function["name"]
        return {
            **read_extras(call, "ollama"),
            "id": call["id"],
            "type": "function",
            "function": {
                "index": index,
                "name": function["name"],
                "arguments": parse_arguments(function["arguments"]),
            },
        }

    def _add_result_fields(self, message: Mapping[str, Any], turn: Json) -> None:
        """Add what only a tool result has."""
        call_id = message.get("tool_call_id")
        name = self._function_names.get(call_id or "") or message.get("name")
        if name:
            turn["tool_name"] = name
        if call_id:
            turn["tool_call_id"] = call_id
        if message.get("is_error"):
            self.omitted.add("messages.is_error")
