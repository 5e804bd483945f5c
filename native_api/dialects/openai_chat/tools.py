"""Tools, tool choice and structured output, as the vendors of OpenAI's family take them.

For a vendor without JSON schemas the answer tool replaces `response_format`: the model answers by
calling it, and clients never see it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from native_api.dialects.shared.tools import (
    ANSWER_TOOL,
    build_answer_function,
    read_functions,
    read_response_schema,
)
from native_api.exceptions import UnsupportedField
from native_api.types import ChatRequest, Json


def add_tools(
    fields: Mapping[str, Any],
    extensions: frozenset[str],
    unsupported: frozenset[str],
    body: Json,
    omitted: list[str],
) -> None:
    """Set the body's `tools` and `tool_choice`.

    Raises UnsupportedField for kinds that the vendor does not have.
    """
    if not fields.get("tools"):
        return
    choice: Any = fields.get("tool_choice")
    kind = choice["type"] if isinstance(choice, dict) else choice
    tools = fields["tools"]
    if kind == "allowed_tools" and "tool_choice.allowed_tools" in unsupported:
        # To offer only these tools has the same effect.
        tools = read_functions(_as_chat(fields), "this provider")
        kind = choice = choice["allowed_tools"]["mode"]
    body["tools"] = [
        _build_tool(tool, index, extensions, unsupported, omitted)
        for index, tool in enumerate(tools)
    ]
    if kind and f"tool_choice.{kind}" in unsupported:
        raise UnsupportedField("tool_choice", f"this provider does not support {kind!r}")
    if choice is not None:
        body["tool_choice"] = choice


def _as_chat(fields: Mapping[str, Any]) -> ChatRequest:
    chat: Any = fields
    request: ChatRequest = chat
    return request


def _build_tool(
    tool: Json,
    index: int,
    extensions: frozenset[str],
    unsupported: frozenset[str],
    omitted: list[str],
) -> Json:
    if f"tools.{tool['type']}" in unsupported:
        raise UnsupportedField(
            f"tools[{index}].type", f"this provider does not support {tool['type']!r} tools"
        )
    built = dict(tool)
    if "cache_control" not in extensions:
        built.pop("cache_control", None)
    function = tool.get("function", {})
    if "tools.strict" in unsupported and function.get("strict") is not None:
        built["function"] = {name: value for name, value in function.items() if name != "strict"}
        if function["strict"] and "tools.function.strict" not in omitted:
            omitted.append("tools.function.strict")
    return built


def supports_response_format(fields: Mapping[str, Any], unsupported: frozenset[str]) -> bool:
    """Whether there is a `response_format` and the vendor supports its type."""
    response_format: Any = fields.get("response_format")
    return bool(response_format) and f"response_format.{response_format['type']}" not in unsupported


def force_answer_tool(chat: ChatRequest, unsupported: frozenset[str], body: Json) -> None:
    """Make the model answer by calling the answer tool.

    Does nothing if the client makes it call another tool first.
    """
    schema = read_response_schema(chat)
    if schema is None or body.get("tool_choice", "auto") not in ("auto", "none"):
        return
    is_only_tool = not body.get("tools") or body.get("tool_choice") == "none"
    _check_answer_tool(is_only_tool, unsupported, body)
    tool = {"type": "function", "function": build_answer_function(schema)}
    if is_only_tool:
        body["tools"] = [tool]
        body["tool_choice"] = {"type": "function", "function": {"name": ANSWER_TOOL}}
    else:
        body["tools"] = [*body.get("tools", ()), tool]
        body["tool_choice"] = "required"


def _check_answer_tool(is_only_tool: bool, unsupported: frozenset[str], body: Json) -> None:
    """Raise UnsupportedField if the vendor, or another tool, does not allow the answer tool."""
    choice = "tool_choice.function" if is_only_tool else "tool_choice.required"
    if unsupported & {"tools", "tool_choice", choice}:
        raise UnsupportedField(
            "response_format",
            "this provider supports neither JSON schemas nor a tool choice to replace them",
        )
    if any(tool.get("function", {}).get("name") == ANSWER_TOOL for tool in body.get("tools", ())):
        raise UnsupportedField(
            "tools", f"the name {ANSWER_TOOL!r} is reserved for response_format with this provider"
        )
