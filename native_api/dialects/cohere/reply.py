"""Cohere's complete replies as unified ones, and what streams share with them.

Source: https://docs.cohere.com/reference/chat (read 2026-11).

Thinking and the tool plan appear twice: as text for people (`reasoning_content`), and as what
Cohere wants back on the next turn (`reasoning_details`; a plan is a `reasoning.summary`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from native_api.dialects.cohere.annotations import CitationBuilder, build_provider_item
from native_api.dialects.cohere.errors import read_reply_error
from native_api.dialects.cohere.logprobs import build_logprobs
from native_api.dialects.cohere.messages import WIRE
from native_api.dialects.cohere.usage import read_usage
from native_api.dialects.shared.call_extras import add_extras
from native_api.dialects.shared.deltas import complete_message
from native_api.dialects.shared.failure_reasons import is_failure
from native_api.dialects.shared.frames import build_completion
from native_api.dialects.shared.json_values import join_text
from native_api.dialects.shared.tools import ANSWER_TOOL, format_arguments
from native_api.exceptions import UpstreamError
from native_api.types import ChatCompletion, Json

FINISH_REASONS: Final = {
    "COMPLETE": "stop",
    "STOP_SEQUENCE": "stop",
    "MAX_TOKENS": "length",
    "TIMEOUT": "length",
    "TOOL_CALL": "tool_calls",
}
"""Cohere's finish reason -> OpenAI's; an unknown one is `stop`. `TIMEOUT` means that the answer was
cut because it took longer than Cohere allows. `ERROR` means that there is no answer."""


def build_reply(body: Any) -> ChatCompletion:
    """The unified reply. Raises UpstreamError if the body is an error or has no answer."""
    message = body.get("message") if isinstance(body, dict) else None
    if not isinstance(message, dict):
        raise read_reply_error(body)
    builder = ReplyBuilder()
    for block in _read_blocks(message.get("content")):
        builder.add_block(block)
    builder.add_rest(message)
    reason = map_finish_reason(
        body.get("finish_reason"),
        builder.has_calls,
        builder.used_answer_tool,
        builder.has_answer,
    )
    choice: Any = {"index": 0, "message": builder.build_message(), "finish_reason": reason}
    if body.get("logprobs"):
        choice["logprobs"] = build_logprobs(body["logprobs"])
    return build_completion([choice], read_usage(body.get("usage")), reply_id=body.get("id") or "")


def _read_blocks(content: Any) -> list[Json]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [block for block in content or () if isinstance(block, dict)]


class ReplyBuilder:
    """Collects the message of a complete reply: `add_block` for each content block, `add_rest`
    once, then `build_message`."""

    def __init__(self) -> None:
        self.used_answer_tool = False
        self._texts: list[str] = []
        self._thoughts: list[str] = []
        self._lists: dict[str, list[Json]] = {}
        """The message's fields that are lists."""
        self._citations = CitationBuilder()

    @property
    def has_calls(self) -> bool:
        return "tool_calls" in self._lists

    @property
    def has_answer(self) -> bool:
        return self.has_calls or any(self._texts)

    def add_block(self, block: Json) -> None:
        kind = read_block_type(block)
        self._citations.begin_block(kind)
        if kind == "text":
            self._texts.append(block.get("text") or "")
            self._citations.length += len(self._texts[-1])
        elif kind == "thinking":
            self._add_reasoning("reasoning.text", "text", block.get("thinking") or "")
        else:
            index = self._count("provider_content")
            self._append("provider_content", build_provider_item(index, block))

    def add_rest(self, message: Json) -> None:
        """Add the plan, the calls and the citations."""
        if message.get("tool_plan"):
            self._add_reasoning("reasoning.summary", "summary", message["tool_plan"])
        for call in message.get("tool_calls") or ():
            arguments = _read_arguments(call)
            if call.get("function", {}).get("name") == ANSWER_TOOL:
                self.used_answer_tool = True
                self._texts.append(arguments)
            else:
                self._append("tool_calls", build_tool_call(call, arguments))
        for citation in message.get("citations") or ():
            index = self._count("provider_content")
            for name, item in self._citations.build_items(citation, index):
                self._append(name, item)

    def _add_reasoning(self, kind: str, field: str, text: str) -> None:
        self._thoughts.append(text)
        index = self._count("reasoning_details")
        self._append(
            "reasoning_details", {"type": kind, field: text, "format": WIRE, "index": index}
        )

    def _append(self, name: str, item: Json) -> None:
        self._lists.setdefault(name, []).append(item)

    def _count(self, name: str) -> int:
        return len(self._lists.get(name, ()))

    def build_message(self) -> Json:
        message: Json = {"role": "assistant", "content": join_text(self._texts), **self._lists}
        if any(self._thoughts):
            message["reasoning_content"] = "".join(self._thoughts)
        return complete_message(message)


def _read_arguments(call: Mapping[str, Any]) -> str:
    return format_arguments((call.get("function") or {}).get("arguments"))


# --- shared with streams -------------------------------------------------------------------------


def read_block_type(block: Json) -> str:
    """A content block's type, which earlier versions left out."""
    kind = block.get("type")
    if not kind:
        kind = "thinking" if "thinking" in block else "text" if "text" in block else ""
    return str(kind)


def build_tool_call(call: Mapping[str, Any], arguments: str) -> Json:
    name = (call.get("function") or {}).get("name") or ""
    built: Json = {
        "id": call.get("id") or "",
        "type": "function",
        "function": {"name": name, "arguments": arguments},
    }
    return add_extras(built, WIRE, call, built.keys())


def map_finish_reason(
    reason: Any, has_calls: bool, used_answer_tool: bool, has_answer: bool
) -> str:
    """OpenAI's finish reason. The call of the answer tool is the answer itself, not a call. Raises
    UpstreamError if there is no answer."""
    if is_failure(reason) or (reason == "TIMEOUT" and not has_answer):
        raise UpstreamError(f"The provider failed to write an answer: {reason}.")
    mapped = FINISH_REASONS.get(reason or "", "stop")
    if mapped in ("stop", "tool_calls"):
        is_call = has_calls or (mapped == "tool_calls" and not used_answer_tool)
        return "tool_calls" if is_call else "stop"
    return mapped
