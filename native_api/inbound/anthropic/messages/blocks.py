"""Checks of `system`, `messages` and their blocks. What is known here must have the right type;
types and members that Anthropic adds later pass.

Source: https://platform.claude.com/docs/en/api/messages (read 2026-11) and anthropic-python 2.14,
`types/beta`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from native_api.inbound.anthropic.messages.tools import ANY_MEMBERS, CACHE_CONTROL, tool
from native_api.inbound.checks import (
    Check,
    FieldError,
    any_list,
    any_object,
    anything,
    boolean,
    bounded_list,
    check_items,
    kind_of,
    list_of,
    open_shape,
    string,
    typed,
)

BLOCK: Final[Mapping[str, Check]] = {"type": string, "cache_control": CACHE_CONTROL}


def block(required: Mapping[str, Check], **optional: Check) -> Check:
    """A block with these members beside its type."""
    return open_shape({**BLOCK, **required, **optional}, required=tuple(required))


def text_or_blocks(check_block: Check) -> Check:
    """A string, or a list of blocks, which may be empty."""

    def check(value: Any, path: str) -> Any:
        if isinstance(value, str):
            return value
        if not isinstance(value, list):
            raise FieldError(path, f"expected a string or a list of blocks, not {kind_of(value)}")
        return check_items(check_block, bounded_list(value, path), path)

    return check


TEXT: Final = block({"text": string}, citations=list_of(any_object))
TEXT_BLOCK: Final = typed({"text": TEXT}, "a block of text", unknown=ANY_MEMBERS)

DATA: Final = open_shape({"data": string, "media_type": string}, required=("data", "media_type"))
SOURCES: Final = {
    "base64": DATA,
    "text": open_shape({"data": string, "media_type": string}, required=("data",)),
    "url": open_shape({"url": string}, required=("url",)),
    "file": open_shape({"file_id": string}, required=("file_id",)),
}
IMAGE: Final = block({"source": typed(SOURCES, "a source of data", unknown=ANY_MEMBERS)})
CONTENT_BLOCK: Final = typed({"text": TEXT, "image": IMAGE}, "a block", unknown=ANY_MEMBERS)
CONTENT_SOURCE: Final = open_shape({"content": text_or_blocks(CONTENT_BLOCK)}, ("content",))
DOCUMENT: Final = block(
    {"source": typed({**SOURCES, "content": CONTENT_SOURCE}, "a source", unknown=ANY_MEMBERS)},
    title=string,
    context=string,
    citations=any_object,
)
SEARCH_RESULT: Final = block(
    {"content": list_of(TEXT_BLOCK), "source": string, "title": string}, citations=any_object
)

RESULT_BLOCK: Final = typed(
    {
        "text": TEXT,
        "image": IMAGE,
        "document": DOCUMENT,
        "search_result": SEARCH_RESULT,
        "tool_reference": block({"tool_name": string}),
    },
    "a block of a tool's result",
    unknown=ANY_MEMBERS,
)
RESULT: Final = block(
    {"tool_use_id": string}, content=text_or_blocks(RESULT_BLOCK), is_error=boolean
)
SERVER_RESULT: Final = block({"tool_use_id": string}, content=anything)
CALL: Final = block({"id": string, "name": string, "input": any_object})
CHANGED_TOOL: Final = open_shape(
    {"type": string, "name": string, "definition": tool}, required=("type",)
)
TOOL_CHANGE: Final = block({"tool": CHANGED_TOOL})

BLOCKS: Final[Mapping[str, Check]] = {
    "text": TEXT,
    "image": IMAGE,
    "document": DOCUMENT,
    "search_result": SEARCH_RESULT,
    "thinking": block({"thinking": string}, signature=string),
    "redacted_thinking": block({}, data=string),
    "tool_use": CALL,
    "tool_result": RESULT,
    "server_tool_use": CALL,
    "web_search_tool_result": SERVER_RESULT,
    "web_fetch_tool_result": SERVER_RESULT,
    "code_execution_tool_result": SERVER_RESULT,
    "bash_code_execution_tool_result": SERVER_RESULT,
    "text_editor_code_execution_tool_result": SERVER_RESULT,
    "tool_search_tool_result": SERVER_RESULT,
    "advisor_tool_result": SERVER_RESULT,
    "mcp_tool_use": CALL,
    "mcp_tool_result": SERVER_RESULT,
    "container_upload": block({"file_id": string}),
    "compaction": block({}, content=string),
    "tool_addition": TOOL_CHANGE,
    "tool_removal": TOOL_CHANGE,
}
CONTENT: Final = text_or_blocks(typed(BLOCKS, "a content block", unknown=ANY_MEMBERS))

EFFORT: Final = open_shape({"effort": string})
TURN: Final = open_shape({"role": string, "content": CONTENT}, required=("content",))
ROLES: Final = {
    "user": TURN,
    "assistant": TURN,
    "system": open_shape(
        {"role": string, "content": CONTENT, "clear_at": string, "output_config": EFFORT}
    ),
}
MESSAGE: Final = typed(ROLES, "a role", key="role")

system: Final = text_or_blocks(TEXT_BLOCK)


def messages(value: Any, path: str) -> list[Any]:
    """The conversation: at least one message, each checked by its role."""
    if not any_list(value, path):
        raise FieldError(path, "expected at least one message")
    return check_items(MESSAGE, bounded_list(value, path), path)
