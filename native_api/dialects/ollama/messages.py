"""Unified messages -> Ollama's. A message is one text with images beside it, so the place of an
image in a text is lost.

Tool results name the tool, which the call of the same id tells; newer versions read the id as well
(https://docs.ollama.com/capabilities/tool-calling, read 2026-11).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from native_api.dialects.shared.parts import parse_data_url, read_file_data
from native_api.dialects.shared.tools import parse_arguments, read_tool_calls
from native_api.exceptions import UnsupportedField
from native_api.types import Json

ROLES: Final = {"developer": "system", "function": "tool"}


class MessageTranslator:
    """Collects the messages of one request, and the hints in them that Ollama cannot be told."""

    def __init__(self) -> None:
        self.turns: list[Json] = []
        self.omitted: set[str] = set()
        self._names: dict[str, str] = {}

    def add(self, messages: Sequence[Mapping[str, Any]]) -> None:
        for position, message in enumerate(messages):
            turn = self._turn(message, f"messages[{position}]")
            if message["role"] == "assistant":
                self._assistant(message, turn)
            elif turn["role"] == "tool":
                self._result(message, turn)
            if message.get("name") and message["role"] not in ("tool", "function"):
                self.omitted.add("messages.name")
            self.turns.append(turn)

    def _turn(self, message: Mapping[str, Any], place: str) -> Json:
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
                images.append(self._image(part, f"{place}.content[{index}]"))
        turn["content"] = "\n".join(text for text in texts if text)
        return {**turn, "images": images} if images else turn

    def _image(self, part: Mapping[str, Any], place: str) -> str:
        """The image as bare base64."""
        kind = part["type"]
        if kind == "image_url":
            if part["image_url"].get("detail") in ("low", "high"):
                self.omitted.add("messages.image_url.detail")
            inline = parse_data_url(part["image_url"]["url"])
        elif kind == "file":
            inline = read_file_data(part["file"], f"{place}.file.file_data")
        else:
            raise UnsupportedField(f"{place}.{kind}", "Ollama takes text and images")
        if inline is None:
            raise UnsupportedField(
                f"{place}.{kind}", "Ollama fetches nothing: send the image as a data URL"
            )
        if not inline.media_type.startswith("image/"):
            raise UnsupportedField(
                f"{place}.{kind}", f"Ollama takes images, not {inline.media_type}"
            )
        return inline.data

    def _assistant(self, message: Mapping[str, Any], turn: Json) -> None:
        turn["content"] = turn["content"] or message.get("refusal") or ""
        if message.get("reasoning_content") and not message.get("reasoning_details"):
            # Reasoning with details belongs to another wire; this one has none.
            turn["thinking"] = message["reasoning_content"]
        made = [
            parse_data_url(image["image_url"]["url"])
            for image in message.get("images") or ()
            if image.get("image_url")
        ]
        if any(made):
            turn["images"] = [image.data for image in made if image]
        if message.get("audio"):
            self.omitted.add("messages.audio")
        calls = [self._call(call, index) for index, call in enumerate(read_tool_calls(message))]
        if calls:
            turn["tool_calls"] = calls

    def _call(self, call: Mapping[str, Any], index: int) -> Json:
        function = call.get("function") or {
            "name": call["custom"]["name"],
            "arguments": call["custom"]["input"],
        }
        self._names[call["id"]] = function["name"]
        told = {
            "index": index,
            "name": function["name"],
            "arguments": parse_arguments(function["arguments"]),
        }
        return {"id": call["id"], "type": "function", "function": told}

    def _result(self, message: Mapping[str, Any], turn: Json) -> None:
        call_id = message.get("tool_call_id")
        name = self._names.get(call_id or "") or message.get("name")
        if name:
            turn["tool_name"] = name
        if call_id:
            turn["tool_call_id"] = call_id
        if message.get("is_error"):
            self.omitted.add("messages.is_error")
