"""Tools, the choice among them and the shape of the answer, as Anthropic says them.

Sources: https://platform.claude.com/docs/en/agents-and-tools/tool-use/define-tools and
/build-with-claude/structured-outputs (read 2026-11).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from native_api.dialects.anthropic.models import Abilities
from native_api.dialects.anthropic.schema import enforceable
from native_api.dialects.shared.tools import (
    ANSWER_TOOL,
    read_functions,
    read_response_schema,
    read_tool_choice,
)
from native_api.exceptions import UnsupportedField
from native_api.types import ChatRequest, Json

NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,128}")
CHOICES: Final = {"required": "any", "function": "tool", "none": "none"}


def add_tools(chat: ChatRequest, can: Abilities, body: Json, omitted: list[str]) -> None:
    """`tools` and `tool_choice`. Raises UnsupportedField."""
    tools = [
        _tool(tool, f"tools[{position}]", can, omitted)
        for position, tool in enumerate(read_functions(chat, "Anthropic"))
    ]
    if chat.get("web_search_options") is not None:
        tools.append(_web_search(chat["web_search_options"], omitted))
    if not tools:
        return
    body["tools"] = tools
    mode, name = read_tool_choice(chat)
    choice: Json = {"type": CHOICES.get(mode, "auto")}
    if name:
        choice["name"] = name
    _check_choice(choice, can, "tool_choice")
    if chat.get("parallel_tool_calls") is False and choice["type"] != "none":
        choice["disable_parallel_tool_use"] = True
    if mode or len(choice) > 1:
        body["tool_choice"] = choice


def _check_choice(choice: Json, can: Abilities, place: str) -> None:
    if is_forced(choice) and not can.takes_forced_tools:
        raise UnsupportedField(place, "this model cannot be made to call a tool")


def is_forced(choice: Json) -> bool:
    return choice.get("type") in ("any", "tool")


def _tool(tool: Json, place: str, can: Abilities, omitted: list[str]) -> Json:
    function = tool["function"]
    if not NAME.fullmatch(function["name"]):
        raise UnsupportedField(
            f"{place}.function.name",
            "this provider takes letters, digits, '_' and '-', at most 128",
        )
    told: Json = {
        "name": function["name"],
        "input_schema": {"type": "object", **(function.get("parameters") or {})},
    }
    if function.get("description"):
        told["description"] = function["description"]
    if function.get("strict"):
        _be_strict(told, f"{place}.function.parameters", can, omitted)
    if tool.get("cache_control"):
        told["cache_control"] = tool["cache_control"]
    return told


def _be_strict(told: Json, place: str, can: Abilities, omitted: list[str]) -> None:
    schema = enforceable(told["input_schema"], place) if can.has_schemas else None
    if schema is None:
        omitted.append("tools.function.strict")
    else:
        told |= {"input_schema": schema, "strict": True}


def _web_search(options: Mapping[str, Any], omitted: list[str]) -> Json:
    tool: Json = {"type": "web_search_20250305", "name": "web_search"}
    location = (options.get("user_location") or {}).get("approximate")
    if location:
        tool["user_location"] = {"type": "approximate", **location}
    if options.get("search_context_size"):
        omitted.append("web_search_options.search_context_size")
    return tool


def joined(tools: list[Json], added: list[Any]) -> list[Any]:
    """The request's tools and those of `provider_options`; one of the same name adds its members
    (`defer_loading`, …) to it."""
    told: list[Any] = list(tools)
    places = {tool["name"]: position for position, tool in enumerate(told)}
    for tool in added:
        position = places.get(str(tool.get("name"))) if isinstance(tool, dict) else None
        if position is None:
            told.append(tool)
        else:
            told[position] = {**told[position], **tool}
    return told


# --- the shape of the answer -------------------------------------------------------------------------------


def shape_answer(chat: ChatRequest, can: Abilities, body: Json) -> None:
    """Structured output: the model's own where it has one, else a tool that it is made to call.
    Raises UnsupportedField."""
    schema = read_response_schema(chat)
    if schema is None:
        return
    enforced = (
        enforceable(schema, "response_format.json_schema.schema")
        if schema and can.has_schemas
        else None
    )
    if enforced is not None:
        body["output_config"] = {"format": {"type": "json_schema", "schema": enforced}}
    elif not is_forced(
        body.get("tool_choice", {})
    ):  # else the answer is a call of the client's own tools
        _answer_by_tool(schema, can, body)


def _answer_by_tool(schema: Json, can: Abilities, body: Json) -> None:
    tools, choice = body.get("tools", []), body.get("tool_choice", {})
    if any(tool["name"] == ANSWER_TOOL for tool in tools):
        raise UnsupportedField(
            "tools", f"the name {ANSWER_TOOL!r} is taken by response_format with this provider"
        )
    told: Json = (
        {"type": "any"}
        if tools and choice.get("type") != "none"
        else {"type": "tool", "name": ANSWER_TOOL}
    )
    _check_choice(told, can, "response_format")
    if choice.get("disable_parallel_tool_use"):
        told["disable_parallel_tool_use"] = True
    forced = {
        "name": ANSWER_TOOL,
        "description": "Give the answer by calling this.",
        "input_schema": {"type": "object", **schema},
    }
    body["tools"], body["tool_choice"] = [*tools, forced], told
