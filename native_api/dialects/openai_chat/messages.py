"""Unified messages -> the messages of one vendor of OpenAI's family. One `MessageTranslator` per
request; rules first:

1. What is ours goes only where the vendor takes it (`Quirks.extensions`, `Quirks.reasoning_field`);
   OpenAI answers 400 to unknown fields. Reasoning that another dialect made stays here.
2. A tool's result is text. Its images and files follow in a user's message, after the last result
   of the step.
3. The legacy `function_call` and its result are sent as the tool call and result that they are.
4. A message that says nothing to this vendor is left out.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from native_api.dialects.openai_chat.parts import Parts
from native_api.dialects.shared.annotations import restore_annotation
from native_api.dialects.shared.parts import read_text
from native_api.dialects.shared.provider_content import read_own_blocks, read_vendor_reasoning
from native_api.types import Json, Quirks

LETTERS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
ALPHANUMERIC: Final = re.compile(r"[a-zA-Z0-9]*")
OWN: Final[Mapping[str, Callable[[Mapping[str, Any]], Any]]] = {
    "annotations": lambda message: [
        restore_annotation(item) for item in message.get("annotations") or ()
    ],
    "images": lambda message: message.get("images"),
    "reasoning_details": read_vendor_reasoning,
}
"""Fields of ours that a vendor may take back, and what it told them as."""


class MessageTranslator:
    """Collects the messages of one request, and the hints that could not be said."""

    def __init__(
        self,
        quirks: Quirks,
        roles: Mapping[str, str],
        unsupported: frozenset[str],
        breakpoints: bool,
    ) -> None:
        self.messages: list[Json] = []
        self.omitted: set[str] = set()
        self._quirks = quirks
        self._roles = roles
        self._unsupported = unsupported
        self._parts = Parts(quirks, breakpoints)
        self._attached: list[Json] = []

    def add(self, messages: Sequence[Mapping[str, Any]]) -> None:
        for position, message in enumerate(messages):
            self._add(message, f"messages[{position}]")
        self._attach()

    def _add(self, message: Mapping[str, Any], place: str) -> None:
        role = message["role"]
        if role in ("tool", "function"):
            self.messages.append(self._result(message, place))
            return
        self._attach()
        told = (
            self._assistant(message)
            if role == "assistant"
            else {"content": self._parts.content(message, place)}
        )
        if told is None:
            return
        told = {"role": self._roles.get(role, role), **told}
        if message.get("name"):
            self._name(message["name"], told)
        if role == "user":
            self._close_tools()
        self.messages.append(told)

    def _name(self, name: str, told: Json) -> None:
        if "messages.name" in self._unsupported:
            self.omitted.add("messages.name")
        else:
            told["name"] = name

    # --- the model's turns ------------------------------------------------------------------------

    def _assistant(self, message: Mapping[str, Any]) -> Json | None:
        told: Json = {"content": self._parts.answer(message)}
        calls = self._calls(message)
        if calls:
            told["tool_calls"] = calls
        self._refusal(message, told)
        self._audio(message, told)
        self._kept(message, told)
        self._reasoning(message, told)
        says_nothing = not told["content"] and told.keys() <= {"content"}
        return None if says_nothing else told

    def _refusal(self, message: Mapping[str, Any], told: Json) -> None:
        refusal = message.get("refusal")
        if refusal and "messages.refusal" in self._unsupported:
            told["content"] = told["content"] or refusal
        elif refusal:
            told["refusal"] = refusal

    def _audio(self, message: Mapping[str, Any], told: Json) -> None:
        """Sound is sent back by its id; what another provider made is told by its words."""
        audio = message.get("audio")
        if not audio:
            return
        if audio.get("id") and "mime_type" not in audio and "audio" not in self._unsupported:
            told["audio"] = {"id": audio["id"]}
        else:
            told["content"] = told["content"] or audio.get("transcript") or None
            self.omitted.add("messages.audio")

    def _kept(self, message: Mapping[str, Any], told: Json) -> None:
        for name in OWN:
            value = OWN[name](message)
            if value and name in self._quirks.extensions:
                told[name] = value
            elif value and name == "images":
                self.omitted.add("messages.images")
        if "extra_content" in self._quirks.extensions:
            for block in read_own_blocks(message, "openai"):
                told |= {name: value for name, value in block.items() if name == "extra_content"}

    def _reasoning(self, message: Mapping[str, Any], told: Json) -> None:
        """The reasoning text where the vendor wants it, unless it goes back as
        `reasoning_details`."""
        text = message.get("reasoning_content") or ""
        field = self._quirks.reasoning_field
        if "reasoning_details" in told or not field:
            return
        if field == "reasoning_content" and (text or told.get("tool_calls")):
            # DeepSeek and Moonshot answer 400 to a step of tool calls without the field, even where
            # nothing was thought.
            told[field] = text
        elif field == "reasoning" and text:
            told[field] = text
        elif field == "think_tags" and text:
            told["content"] = f"<think>{text}</think>\n\n{read_text(told)}"
        elif field == "thinking" and text:
            rest = told["content"] or []
            thought = {"type": "thinking", "thinking": [{"type": "text", "text": text}]}
            told["content"] = [
                thought,
                *([{"type": "text", "text": rest}] if isinstance(rest, str) else rest),
            ]

    def _calls(self, message: Mapping[str, Any]) -> list[Json]:
        calls = [self._call(call) for call in message.get("tool_calls") or ()]
        legacy = message.get("function_call")
        if legacy:
            calls.append(self._call({"id": legacy["name"], "type": "function", "function": legacy}))
        return calls

    def _call(self, call: Mapping[str, Any]) -> Json:
        kind = "custom" if "custom" in call else "function"
        told: Json = {"id": self._id(call["id"]), "type": kind}
        if kind == "custom":
            told["custom"] = call["custom"]
        else:
            arguments = call["function"]["arguments"]
            told["function"] = {
                **call["function"],
                "arguments": arguments if arguments.strip() else "{}",
            }
        if call.get("extra_content") and "extra_content" in self._quirks.extensions:
            told["extra_content"] = call["extra_content"]
        return told

    def _id(self, call_id: str) -> str:
        """The id that the vendor takes: its own, or one made of it."""
        length = self._quirks.call_id_length
        if not length or (len(call_id) == length and ALPHANUMERIC.fullmatch(call_id)):
            return call_id
        digest = hashlib.sha256(call_id.encode("utf-8", "replace")).digest()
        return "".join(LETTERS[byte % len(LETTERS)] for byte in digest[:length])

    # --- tool results -----------------------------------------------------------------------------

    def _result(self, message: Mapping[str, Any], place: str) -> Json:
        call_id = self._id(message.get("tool_call_id") or message["name"])
        content, files = self._parts.result(message, place)
        if files:
            self._attached += [
                {"type": "text", "text": f"From the result of the tool call {call_id}:"},
                *files,
            ]
        if message.get("is_error"):
            self.omitted.add("messages.is_error")
        told = {"role": "tool", "tool_call_id": call_id, "content": content}
        if message.get("name") and message["role"] == "tool":
            self._name(message["name"], told)
        return told

    def _attach(self) -> None:
        """The files of the results before, once no more results come."""
        if self._attached:
            self._close_tools()
            self.messages.append({"role": "user", "content": self._attached})
            self._attached = []

    def _close_tools(self) -> None:
        """Mistral answers 400, "Unexpected role 'user' after role 'tool'": the model's turn has to
        end first."""
        if (
            not self._quirks.user_after_tools
            and self.messages
            and self.messages[-1]["role"] == "tool"
        ):
            self.messages.append({"role": "assistant", "content": "OK"})
