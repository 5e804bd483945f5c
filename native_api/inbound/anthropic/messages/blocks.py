"""Checks of `system`, `messages` and their blocks. What is known here must have the right type;
types and members that Anthropic adds later pass.

Source: https://platform.claude.com/docs/en/api/messages (read 2026-11) and anthropic-python 2.14,
`types/beta`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from native_api.inbound.anthropic.messages.tool_shapes import CACHE_CONTROL, TOOL
from native_api.inbound.checks import (
    Check,
    FieldError,
    any_list,
    any_object,
    anything,
    boolean,
    list_of,
    string,
    unknown_choice,
)
from native_api.inbound.shapes import Items, Kinds, Shape, TextOr

BLOCK: Final[Mapping[str, Check]] = {"type": string, "cache_control": CACHE_CONTROL}


def block(required: Mapping[str, Check], **optional: Check) -> Shape:
    """A block with these members, its type, and what every block may have."""
    return Shape({**BLOCK, **required, **optional}, required=tuple(required))


def text_or_blocks(shapes: Mapping[str, Shape]) -> TextOr:
    """A string, or a list of blocks of these types or of unknown ones. It may be empty."""
    return TextOr(Items(Kinds(shapes)), list, "a string or a list of blocks")


TEXT: Final = block({"text": string}, citations=list_of(any_object))
TEXT_ONLY: Final = {"text": TEXT}

DATA: Final = Shape({"type": string, "data": string, "media_type": string}, ("data", "media_type"))
SOURCES: Final = {
    "base64": DATA,
    "text": Shape({"type": string, "data": string, "media_type": string}, ("data",)),
    "url": Shape({"type": string, "url": string}, ("url",)),
    "file": Shape({"type": string, "file_id": string}, ("file_id",)),
}
IMAGE: Final = block({"source": Kinds(SOURCES)}, transformations=any_object)
CONTENT_SOURCE: Final = Shape(
    {"type": string, "content": text_or_blocks({"text": TEXT, "image": IMAGE})}, ("content",)
)
DOCUMENT: Final = block(
    {"source": Kinds({**SOURCES, "content": CONTENT_SOURCE})},
    title=string,
    context=string,
    citations=any_object,
)
SEARCH_RESULT: Final = block(
    {"content": Items(Kinds(TEXT_ONLY)), "source": string, "title": string}, citations=any_object
)

RESULT_BLOCKS: Final = {
    "text": TEXT,
    "image": IMAGE,
    "document": DOCUMENT,
    "search_result": SEARCH_RESULT,
    "tool_reference": block({"tool_name": string}),
}
RESULT: Final = block(
    {"tool_use_id": string},
    content=text_or_blocks(RESULT_BLOCKS),
    is_error=boolean,
    toolset_name=string,
)
SERVER_RESULT: Final = block(
    {"tool_use_id": string}, content=anything, is_error=boolean, caller=any_object
)
CALL: Final = block({"id": string, "name": string, "input": any_object}, caller=any_object)
CHANGED_TOOL: Final = Shape(
    {"type": string, "name": string, "server_name": string, "definition": TOOL}, ("type",)
)
TOOL_CHANGE: Final = block({"tool": CHANGED_TOOL})

BLOCKS: Final[Mapping[str, Shape]] = {
    "text": TEXT,
    "image": IMAGE,
    "document": DOCUMENT,
    "search_result": SEARCH_RESULT,
    "thinking": block({"thinking": string}, signature=string),
    "redacted_thinking": block({}, data=string),
    "tool_use": block(
        {"id": string, "name": string, "input": any_object}, caller=any_object, toolset_name=string
    ),
    "tool_result": RESULT,
    "server_tool_use": CALL,
    "web_search_tool_result": SERVER_RESULT,
    "web_fetch_tool_result": SERVER_RESULT,
    "code_execution_tool_result": SERVER_RESULT,
    "bash_code_execution_tool_result": SERVER_RESULT,
    "text_editor_code_execution_tool_result": SERVER_RESULT,
    "tool_search_tool_result": SERVER_RESULT,
    "advisor_tool_result": SERVER_RESULT,
    "mcp_tool_use": block({"id": string, "name": string, "input": any_object}, server_name=string),
    "mcp_tool_result": SERVER_RESULT,
    "container_upload": block({"file_id": string}),
    "compaction": block(
        {}, content=string, encrypted_content=string, signature=string, tool_changes=any_list
    ),
    "tool_addition": TOOL_CHANGE,
    "tool_removal": TOOL_CHANGE,
}
CONTENT: Final = text_or_blocks(BLOCKS)

TURN: Final = Shape({"role": string, "content": CONTENT}, required=("content",))
ROLES: Final = {
    "user": TURN,
    "assistant": TURN,
    "system": Shape(
        {
            "role": string,
            "content": CONTENT,
            "clear_at": string,
            "output_config": Shape({"effort": string}),
        }
    ),
}


class Turn(Kinds):
    """A message, whose role must be known."""

    def find_kind(self, value: Mapping[str, Any], path: str) -> str:
        role = value.get("role")
        if not isinstance(role, str) or role not in self.shapes:
            raise unknown_choice(role, self.shapes, f"{path}.role", "a role")
        return role


class Conversation(Items):
    """At least one message."""

    def __call__(self, value: Any, path: str) -> Any:
        if not any_list(value, path):
            raise FieldError(path, "expected at least one message")
        return super().__call__(value, path)


MESSAGES: Final = Conversation(Turn(ROLES, "role"))
SYSTEM: Final = CONTENT
