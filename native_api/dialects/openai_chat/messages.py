"""The messages of a request, as one vendor of OpenAI's family takes them. They stay as they are,
members that nobody here knows included, but for these edits:

1. The unified format's own members go only to vendors that take them (`Quirks.extensions`,
   `Quirks.reasoning_field`); OpenAI answers 400 to them. Of reasoning that another provider made
   only the text is sent.
2. A tool's result is text. Its images and files follow in a user message, after the last result of
   the step.
3. A model's message that would be empty for this vendor is left out, even if the model had thought
   before it was cut, and so is an empty list of calls (OpenAI answers 400: "[] is too short").
4. What SDKs leave in a message that they have parsed is not sent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from native_api.dialects.openai_chat.parts import PartTranslator
from native_api.dialects.shared.annotations import restore_annotation
from native_api.dialects.shared.call_arguments import complete_arguments
from native_api.dialects.shared.json_values import read_objects
from native_api.dialects.shared.parts import read_text
from native_api.dialects.shared.provider_content import read_own_blocks, read_vendor_reasoning
from native_api.types import Json, Quirks

EXTENSIONS: Final[Mapping[str, Callable[[Mapping[str, Any]], Any]]] = {
    "annotations": lambda message: [
        restore_annotation(item) for item in read_objects(message.get("annotations"))
    ],
    "images": lambda message: message.get("images"),
    "reasoning_details": read_vendor_reasoning,
}
"""The unified format's own member of a model's message -> its value as the vendor sent it."""

OWN_MEMBERS: Final = frozenset(
    {"reasoning_content", "reasoning_details", "annotations", "images", "provider_content",
     "is_error"}
)  # fmt: skip
"""Members that the unified format adds to OpenAI's messages."""

LEFT_BY_SDKS: Final = frozenset({"parsed"})
"""What the openai SDK's parser makes of a message's content."""

EDITED_MEMBERS: Final = OWN_MEMBERS | LEFT_BY_SDKS | {"name"}
LEFT_IN_CALLS: Final = frozenset({"index", "extra_content"})
"""`index` is what SDKs leave in a call that they have put together from a stream."""
INSTRUCTION_ROLES: Final = ("system", "developer")
LEFT_IN_FUNCTIONS: Final = frozenset({"parsed_arguments"})


class MessageTranslator:
    """Collects the `messages` of one request, and in `omitted` the paths of dropped hints."""

    def __init__(
        self,
        quirks: Quirks,
        roles: Mapping[str, str],
        unsupported: frozenset[str],
        breakpoints: bool,
        reasoning_field: str = "",
        placeholder: str | None = None,
    ) -> None:
        self.messages: list[Json] = []
        self.omitted: set[str] = set()
        self._quirks = quirks
        self._roles = roles
        self._unsupported = unsupported
        self._parts = PartTranslator(quirks, breakpoints)
        self._result_files: list[Json] = []
        self._reasoning_field = reasoning_field
        self._placeholder = placeholder
        self._instructions: Json | None = None
        """The last message, if it is one of instructions that is sent as the user's."""

    def add(self, messages: Sequence[Mapping[str, Any]]) -> None:
        for index, message in enumerate(messages):
            self._add_message(message, f"messages[{index}]")
        self._flush_result_files()
        self.omitted |= self._parts.omitted

    def _add_message(self, message: Mapping[str, Any], path: str) -> None:
        role = message["role"]
        if role in ("tool", "function"):
            self.messages.append(self._build_result(message, path))
            return
        self._flush_result_files()
        built = _copy_members(message, EDITED_MEMBERS)
        if role != "assistant":
            built["content"] = self._parts.build_content(message, path)
        elif not self._edit_answer(message, built):
            return
        if role in self._roles:
            built["role"] = self._roles[role]
        self._add_name(message, built)
        if role == "user":
            self._end_tool_step()
        self._append(built, role)

    def _append(self, built: Json, role: str) -> None:
        """Add a message. Instructions that the model takes only from the user are joined with the
        user's next message: the templates of such models refuse two in a row."""
        last = self.messages[-1] if self.messages else None
        if last is not None and last is self._instructions and built["role"] == last["role"]:
            _join_content(last, built)
        else:
            self.messages.append(built)
        if built["role"] == "user" and role in INSTRUCTION_ROLES:
            self._instructions = self.messages[-1]

    def _add_name(self, message: Mapping[str, Any], built: Json) -> None:
        if "name" not in message:
            return
        if "messages.name" not in self._unsupported:
            built["name"] = message["name"]
        elif message["name"]:
            self.omitted.add("messages.name")

    # --- the model's messages --------------------------------------------------------------------

    def _edit_answer(self, message: Mapping[str, Any], built: Json) -> bool:
        """Edit a copy of the model's message. False if nothing is left of it."""
        if isinstance(message.get("content"), list):
            built["content"] = self._parts.build_answer(message)
        calls = self._build_calls(message)
        if calls:
            built["tool_calls"] = calls
        else:
            built.pop("tool_calls", None)
        if "refusal" in built and "messages.refusal" in self._unsupported:
            refusal = built.pop("refusal")
            built["content"] = built.get("content") or refusal
        if "audio" in built:
            self._edit_audio(message["audio"], built)
        says_something = bool(built.get("content")) or not built.keys() <= {"role", "content"}
        if not OWN_MEMBERS.isdisjoint(message):
            self._add_extensions(message, built)
        self._add_reasoning(message, built)
        return says_something or "images" in built

    def _edit_audio(self, audio: Any, built: Json) -> None:
        """Send audio back by its id, or its transcript if another provider made it."""
        is_supported = "audio" not in self._unsupported
        if not audio and is_supported:
            return
        if audio and is_supported and audio.get("id") and "mime_type" not in audio:
            built["audio"] = {"id": audio["id"]}
            return
        del built["audio"]
        if audio:
            built["content"] = built.get("content") or audio.get("transcript") or None
            self.omitted.add("messages.audio")

    def _add_extensions(self, message: Mapping[str, Any], built: Json) -> None:
        for name, read in EXTENSIONS.items():
            value = read(message)
            if value and name in self._quirks.extensions:
                built[name] = value
            elif value and name == "images":
                self.omitted.add("messages.images")
        if "extra_content" in self._quirks.extensions:
            for block in read_own_blocks(message, "openai"):
                built |= {name: value for name, value in block.items() if name == "extra_content"}

    def _add_reasoning(self, message: Mapping[str, Any], built: Json) -> None:
        """Add the reasoning text in the vendor's form, unless `reasoning_details` has it."""
        field = self._reasoning_field
        if "reasoning_details" in built or not field:
            return
        text = self._read_reasoning(message, built)
        if field in ("reasoning_content", "reasoning") and text is not None:
            built[field] = text
        elif field == "think_tags" and text:
            built["content"] = f"<think>{text}</think>\n\n{read_text(built)}"
        elif field == "thinking" and text:
            content = built.get("content") or []
            built["content"] = [
                {"type": "thinking", "thinking": [{"type": "text", "text": text}]},
                *([{"type": "text", "text": content}] if isinstance(content, str) else content),
            ]

    def _read_reasoning(self, message: Mapping[str, Any], built: Json) -> str | None:
        """The reasoning text to send back; None for none."""
        text: str | None = message.get("reasoning_content")
        if text or not built.get("tool_calls"):
            return text or None
        return self._placeholder if self._placeholder or text == "" else None

    def _build_calls(self, message: Mapping[str, Any]) -> list[Json]:
        return [self._build_call(call) for call in message.get("tool_calls") or ()]

    def _build_call(self, call: Mapping[str, Any]) -> Json:
        built = _copy_members(call, LEFT_IN_CALLS)
        if call.get("type") != "custom":
            built.setdefault("type", "function")
            built["function"] = _build_function(call["function"])
        if call.get("extra_content") and "extra_content" in self._quirks.extensions:
            built["extra_content"] = call["extra_content"]
        return built

    # --- tool results ----------------------------------------------------------------------------

    def _build_result(self, message: Mapping[str, Any], path: str) -> Json:
        call_id = message["tool_call_id"]
        content, files = self._parts.build_result(message, path)
        if files:
            self._result_files += [
                {"type": "text", "text": f"From the result of the tool call {call_id}:"},
                *files,
            ]
        if message.get("is_error"):
            self.omitted.add("messages.is_error")
        built = _copy_members(message, EDITED_MEMBERS)
        built |= {"role": "tool", "tool_call_id": call_id, "content": content}
        if message["role"] == "tool":
            self._add_name(message, built)
        return built

    def _flush_result_files(self) -> None:
        """Send the files of the results, once the last result of the step is there."""
        if self._result_files:
            self._end_tool_step()
            self.messages.append({"role": "user", "content": self._result_files})
            self._result_files = []

    def _end_tool_step(self) -> None:
        """Put a message of the model between results and a user message, for Mistral.

        It answers 400 otherwise: "Unexpected role 'user' after role 'tool'".
        """
        if (
            not self._quirks.user_after_tools
            and self.messages
            and self.messages[-1]["role"] == "tool"
        ):
            self.messages.append({"role": "assistant", "content": "OK"})


def _join_content(message: Json, following: Json) -> None:
    """Add the content of the following message to a message that was made for this request."""
    first, second = message["content"], following["content"]
    if isinstance(first, str) and isinstance(second, str):
        message["content"] = f"{first}\n\n{second}"
        return
    parts = [
        [{"type": "text", "text": each}] if isinstance(each, str) else each
        for each in (first, second)
    ]
    message["content"] = [*parts[0], *parts[1]]


def _build_function(function: Json) -> Json:
    built = _copy_members(function, LEFT_IN_FUNCTIONS)
    built["arguments"] = complete_arguments(built["arguments"])
    return built


def _copy_members(value: Mapping[str, Any], left_out: frozenset[str]) -> Json:
    if left_out.isdisjoint(value):
        return dict(value)
    return {name: member for name, member in value.items() if name not in left_out}
