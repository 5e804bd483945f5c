"""Tools, the choice among them and structured output, as the vendors of OpenAI's family take them.

A vendor without JSON schemas is given a tool that its model must call: the call is the answer, and
clients never see it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from native_api.dialects.shared.tools import ANSWER_TOOL, read_functions, read_response_schema
from native_api.exceptions import UnsupportedField
from native_api.types import ChatRequest, Json


def offer(
    said: Mapping[str, Any],
    extensions: frozenset[str],
    unsupported: frozenset[str],
    body: Json,
    omitted: list[str],
) -> None:
    """The body's `tools` and `tool_choice`. Raises UnsupportedField for kinds that the vendor does
    not have."""
    if not said.get("tools"):
        return
    choice: Any = said.get("tool_choice")
    kind = choice["type"] if isinstance(choice, dict) else choice
    tools = said["tools"]
    if kind == "allowed_tools" and "tool_choice.allowed_tools" in unsupported:
        # Offering just those is the same.
        tools, choice = (
            read_functions(_chat(said), "this provider"),
            choice["allowed_tools"]["mode"],
        )
        kind = choice
    body["tools"] = [
        _tool(tool, position, extensions, unsupported, omitted)
        for position, tool in enumerate(tools)
    ]
    if kind and f"tool_choice.{kind}" in unsupported:
        raise UnsupportedField("tool_choice", f"this provider has no {kind!r}")
    if choice is not None:
        body["tool_choice"] = choice


def _chat(said: Mapping[str, Any]) -> ChatRequest:
    chat: Any = said
    request: ChatRequest = chat
    return request


def _tool(
    tool: Json,
    position: int,
    extensions: frozenset[str],
    unsupported: frozenset[str],
    omitted: list[str],
) -> Json:
    if f"tools.{tool['type']}" in unsupported:
        raise UnsupportedField(
            f"tools[{position}].type", f"this provider takes no {tool['type']!r} tools"
        )
    told = dict(tool)
    if "cache_control" not in extensions:
        told.pop("cache_control", None)
    if "tools.strict" in unsupported and tool.get("function", {}).get("strict") is not None:
        told["function"] = {
            name: value for name, value in tool["function"].items() if name != "strict"
        }
        omitted += (
            ["tools.function.strict"]
            if tool["function"]["strict"] and "tools.function.strict" not in omitted
            else []
        )
    return told


def takes_schema(said: Mapping[str, Any], unsupported: frozenset[str]) -> bool:
    """Whether there is a `response_format` and the vendor has its kind."""
    wanted: Any = said.get("response_format")
    return bool(wanted) and f"response_format.{wanted['type']}" not in unsupported


def answer_by_tool(chat: ChatRequest, unsupported: frozenset[str], body: Json) -> None:
    """Have the model give its answer by calling a tool, unless the client has it call another one
    first."""
    schema = read_response_schema(chat)
    if schema is None or body.get("tool_choice", "auto") not in ("auto", "none"):
        return
    alone = not body.get("tools") or body.get("tool_choice") == "none"
    needed = "tool_choice.function" if alone else "tool_choice.required"
    if unsupported & {"tools", "tool_choice", needed}:
        raise UnsupportedField(
            "response_format",
            "this provider has neither JSON schemas nor a tool choice to stand for them",
        )
    if any(tool.get("function", {}).get("name") == ANSWER_TOOL for tool in body.get("tools", ())):
        raise UnsupportedField(
            "tools", f"the name {ANSWER_TOOL!r} is taken by response_format with this provider"
        )
    forced = {
        "name": ANSWER_TOOL,
        "description": "Give the answer by calling this.",
        "parameters": {"type": "object", **schema},
    }
    body["tools"] = [
        *([] if alone else body.get("tools", ())),
        {"type": "function", "function": forced},
    ]
    body["tool_choice"] = (
        {"type": "function", "function": {"name": ANSWER_TOOL}} if alone else "required"
    )
