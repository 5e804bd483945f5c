"""Unified messages -> Cohere's `messages`, and text files -> its `documents`. Rules first:

1. Turns stay where they are, system ones too, which may stand anywhere; developers speak as the
   system.
2. What the model planned or thought goes back as it came: `tool_plan` beside its calls, thinking as
   the first blocks. A client that kept nothing but `reasoning_content` gets the same by what the
   turn is: a plan where there are calls.
3. A text file is a document, which the model may cite: one of the request where a user sent it, one
   of its result where a tool gave it.
4. Turns that say nothing are left out: Cohere answers 400 to an empty one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from native_api.dialects.shared.parts import decode_text, read_file_data
from native_api.dialects.shared.provider_content import read_own_reasoning
from native_api.dialects.shared.tools import read_tool_calls
from native_api.exceptions import UnsupportedField
from native_api.types import Json

WIRE: Final = "cohere"
ROLES: Final = {"developer": "system", "function": "tool"}
TEXTS: Final = ("text/", "application/json")


class MessageTranslator:
    """Collects the turns and documents of one request, and the hints in messages that Cohere cannot
    be told."""

    def __init__(self) -> None:
        self.turns: list[Json] = []
        self.documents: list[Json] = []
        self.omitted: set[str] = set()

    def add(self, messages: Sequence[Mapping[str, Any]]) -> None:
        for position, message in enumerate(messages):
            role = ROLES.get(message["role"], message["role"])
            if message.get("name") and message["role"] != "function":
                self.omitted.add("messages.name")
            turn = (
                self._assistant(message)
                if role == "assistant"
                else self._other(message, role, f"messages[{position}]")
            )
            if role == "tool" or any(turn.values()):
                self.turns.append({"role": role, **turn})

    def _other(self, message: Mapping[str, Any], role: str, place: str) -> Json:
        content = message.get("content")
        if not isinstance(content, str):
            parts = [
                self._part(part, role, f"{place}.content[{index}]")
                for index, part in enumerate(content or ())
            ]
            content = [part for part in parts if part]
        if role != "tool":
            return {"content": content}
        if message.get("is_error"):
            self.omitted.add("messages.is_error")
        return {
            "tool_call_id": message.get("tool_call_id") or message.get("name"),
            "content": content,
        }

    # --- parts of users', the system's and tools' turns --------------------------------------------------------

    def _part(self, part: Mapping[str, Any], role: str, place: str) -> Json | None:
        """The content block, None where there is none in its place."""
        kind = part["type"]
        if kind == "text":
            return {"type": "text", "text": part["text"]} if part["text"] else None
        if kind == "file":
            return self._file(part["file"], role, f"{place}.file")
        if kind == "image_url" and role == "user":
            return {"type": "image_url", "image_url": part["image_url"]}
        raise UnsupportedField(
            f"{place}.{kind}", "Cohere takes text and documents, and images from users"
        )

    def _file(self, file: Mapping[str, Any], role: str, place: str) -> Json | None:
        inline = read_file_data(file, f"{place}.file_data")
        if inline is None:
            raise UnsupportedField(
                place, "Cohere takes no uploaded or remote files, only file_data"
            )
        if inline.media_type.startswith("image/") and role == "user":
            return {
                "type": "image_url",
                "image_url": {"url": f"data:{inline.media_type};base64,{inline.data}"},
            }
        if not inline.media_type.startswith(TEXTS):
            raise UnsupportedField(place, f"Cohere takes text files, not {inline.media_type}")
        data = {"title": file["filename"]} if file.get("filename") else {}
        document = {"data": {**data, "text": decode_text(inline.data, f"{place}.file_data")}}
        if role == "tool":
            return {"type": "document", "document": document}
        self.documents.append(document)
        return None

    # --- the model's turns ---------------------------------------------------------------------------------

    def _assistant(self, message: Mapping[str, Any]) -> Json:
        self.omitted.update(f"messages.{name}" for name in ("audio", "images") if message.get(name))
        calls = [_call(call) for call in read_tool_calls(message)]
        thoughts, plan = _reasoning(message, bool(calls))
        turn: Json = {}
        content = _spoken(message)
        if thoughts:
            blocks = [{"type": "thinking", "thinking": thought} for thought in thoughts]
            turn["content"] = blocks + (
                [{"type": "text", "text": content}]
                if isinstance(content, str) and content
                else content or []
            )
        elif content:
            turn["content"] = content
        if calls:
            turn["tool_calls"] = calls
        if plan:
            turn["tool_plan"] = plan
        return turn


def _reasoning(message: Mapping[str, Any], has_calls: bool) -> tuple[list[str], str]:
    """Thinking blocks and the tool plan. Another wire's reasoning stays away."""
    details = read_own_reasoning(message, WIRE)
    thoughts = [item["text"] for item in details if item.get("text")]
    plan = "".join(item.get("summary") or "" for item in details)
    text = message.get("reasoning_content")
    if text and not message.get("reasoning_details"):
        return ([], text) if has_calls else ([text], "")
    return thoughts, plan


def _spoken(message: Mapping[str, Any]) -> Any:
    """The text as it was written, a string or blocks; a refusal is what was said too."""
    content = message.get("content")
    if isinstance(content, list):
        texts = [part.get("text") or part.get("refusal") or "" for part in content]
        content = [{"type": "text", "text": text} for text in texts if text]
    return content or message.get("refusal")


def _call(call: Mapping[str, Any]) -> Json:
    function = call.get("function") or {
        "name": call["custom"]["name"],
        "arguments": call["custom"]["input"],
    }
    arguments = function["arguments"] if (function["arguments"] or "").strip() else "{}"
    return {
        "id": call["id"],
        "type": "function",
        "function": {"name": function["name"], "arguments": arguments},
    }
