"""Unified messages as Cohere's `messages`, and text files as its `documents`. Rules:

1. Turns keep their order, system ones too, which may stand anywhere. Developer messages are system
   messages.
2. What the model planned or thought is sent back as it came: `tool_plan` with its calls, thinking
   as the first blocks. If a client kept only `reasoning_content`, the turn decides: with calls it
   is a plan, otherwise it is thinking.
3. A text file is a document, which the model may cite: a document of the request if a user sent it,
   of the result if a tool returned it.
4. Only users may show images: those in a tool's result follow in a user's turn, after the last
   result of the step.
5. Empty turns are left out, because Cohere answers 400 to them, and so are turns of the model that
   hold only what it thought. If no turn is left, the user says a full stop.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from native_api.dialects.shared.call_arguments import complete_arguments
from native_api.dialects.shared.call_extras import read_extras
from native_api.dialects.shared.parts import (
    FILLER_TEXT,
    SEE_NEXT_MESSAGE,
    correct_image,
    decode_text,
    read_file_data,
)
from native_api.dialects.shared.provider_content import read_own_blocks, read_own_reasoning
from native_api.dialects.shared.tools import read_called_function, read_tool_calls
from native_api.exceptions import UnsupportedField
from native_api.types import Json

WIRE: Final = "cohere"
ROLES: Final = {"developer": "system", "function": "tool"}
"""Unified role -> Cohere's, if it is another one."""

TEXT_MEDIA_TYPES: Final = ("text/", "application/json")
"""How the media types of files begin that can be documents."""


class MessageTranslator:
    """Collects the turns and documents of one request, and the hints in its messages that Cohere
    cannot express."""

    def __init__(self) -> None:
        self.turns: list[Json] = []
        self.documents: list[Json] = []
        self.omitted: set[str] = set()
        self._result_images: list[Json] = []

    def translate(self, messages: Sequence[Mapping[str, Any]]) -> None:
        for index, message in enumerate(messages):
            role = ROLES.get(message["role"], message["role"])
            if role != "tool":
                self._flush_result_images()
            if message.get("name") and message["role"] != "function":
                self.omitted.add("messages.name")
            turn = (
                self._build_assistant_turn(message)
                if role == "assistant"
                else self._build_turn(message, role, f"messages[{index}]")
            )
            if role == "tool" or any(turn.values()):
                self.turns.append({"role": role, **turn})
        self._flush_result_images()
        if not self.turns:
            self.turns = [{"role": "user", "content": FILLER_TEXT}]

    def _flush_result_images(self) -> None:
        if self._result_images:
            self.turns.append({"role": "user", "content": self._result_images})
            self._result_images = []

    # --- turns of users, the system and tools ----------------------------------------------------

    def _build_turn(self, message: Mapping[str, Any], role: str, path: str) -> Json:
        content = message.get("content")
        if not isinstance(content, str):
            parts = [
                self._build_part(part, role, f"{path}.content[{index}]")
                for index, part in enumerate(content or ())
            ]
            content = [part for part in parts if part]
        blocks = read_own_blocks(message, WIRE)
        if blocks:
            texts = [{"type": "text", "text": content}] if isinstance(content, str) else content
            content = [*texts, *blocks]
        if role != "tool":
            return {"content": content}
        if message.get("is_error"):
            self.omitted.add("messages.is_error")
        return {
            "tool_call_id": message["tool_call_id"],
            "content": self._move_images(content, message["tool_call_id"]),
        }

    def _move_images(self, content: Any, call_id: str) -> Any:
        """The content of a result without its images, which are kept for the user's turn."""
        if isinstance(content, str):
            return content
        images = [part for part in content if "image_url" in part]
        if not images:
            return content
        origin = {"type": "text", "text": f"From the result of the tool call {call_id}:"}
        self._result_images += [origin, *images]
        return [part for part in content if part not in images] or SEE_NEXT_MESSAGE

    def _build_part(self, part: Mapping[str, Any], role: str, path: str) -> Json | None:
        """The content block of a part, None for an empty text and for a document of the request."""
        kind = part["type"]
        if kind == "text":
            return {"type": "text", "text": part["text"]} if part["text"] else None
        if kind == "file":
            return self._build_file(part["file"], role, f"{path}.file")
        if kind == "image_url" and role in ("user", "tool"):
            return {"type": "image_url", "image_url": correct_image(dict(part))["image_url"]}
        raise UnsupportedField(f"{path}.{kind}", "Cohere takes text, documents and images")

    def _build_file(self, file: Mapping[str, Any], role: str, path: str) -> Json | None:
        inline = read_file_data(file, f"{path}.file_data")
        if inline is None:
            raise UnsupportedField(path, "Cohere takes no uploaded or remote files, only file_data")
        if inline.media_type.startswith("image/") and role in ("user", "tool"):
            url = f"data:{inline.media_type};base64,{inline.data}"
            return {"type": "image_url", "image_url": {"url": url}}
        if not inline.media_type.startswith(TEXT_MEDIA_TYPES):
            raise UnsupportedField(path, f"Cohere takes text files, not {inline.media_type}")
        data = {"title": file["filename"]} if file.get("filename") else {}
        document = {"data": {**data, "text": decode_text(inline.data, f"{path}.file_data")}}
        if role == "tool":
            return {"type": "document", "document": document}
        self.documents.append(document)
        return None

    # --- the model's turns -----------------------------------------------------------------------

    def _build_assistant_turn(self, message: Mapping[str, Any]) -> Json:
        self.omitted.update(f"messages.{name}" for name in ("audio", "images") if message.get(name))
        calls = [_build_call(call) for call in read_tool_calls(message)]
        thoughts, plan = _read_reasoning(message, bool(calls))
        turn: Json = {}
        content = _build_content(message)
        if not content and not calls:
            return turn
        if thoughts:
            if isinstance(content, str):
                content = [{"type": "text", "text": content}] if content else []
            blocks = [{"type": "thinking", "thinking": thought} for thought in thoughts]
            turn["content"] = blocks + (content or [])
        elif content:
            turn["content"] = content
        if calls:
            turn["tool_calls"] = calls
        if plan:
            turn["tool_plan"] = plan
        return turn


def _read_reasoning(message: Mapping[str, Any], has_calls: bool) -> tuple[list[str], str]:
    """The thoughts and the tool plan. Of another provider's reasoning only its text is left."""
    details = read_own_reasoning(message, WIRE)
    thoughts = [item["text"] for item in details if item.get("text")]
    plan = "".join(item.get("summary") or "" for item in details)
    text = message.get("reasoning_content")
    if text and not message.get("reasoning_details"):
        return ([], text) if has_calls else ([text], "")
    return thoughts, plan


def _build_content(message: Mapping[str, Any]) -> Any:
    """The text as the client wrote it: a string or blocks. A refusal counts as text."""
    content = message.get("content")
    if isinstance(content, list):
        texts = [part.get("text") or part.get("refusal") or "" for part in content]
        content = [{"type": "text", "text": text} for text in texts if text]
    return content or message.get("refusal")


def _build_call(call: Mapping[str, Any]) -> Json:
    function = read_called_function(call)
    arguments = complete_arguments(function["arguments"] or "")
    return {
        **read_extras(call, WIRE),
        "id": call["id"],
        "type": "function",
        "function": {"name": function["name"], "arguments": arguments},
    }
