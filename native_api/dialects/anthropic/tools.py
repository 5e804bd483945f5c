"""Tools, the tool choice and the response format on Anthropic's wire.

Sources: https://platform.claude.com/docs/en/agents-and-tools/tool-use/define-tools and
/build-with-claude/structured-outputs (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from native_api.dialects.anthropic.models import Abilities
from native_api.dialects.anthropic.schema import adapt_schema
from native_api.dialects.shared.tools import (
    ANSWER_TOOL,
    build_answer_function,
    read_functions,
    read_response_schema,
    read_tool_choice,
)
from native_api.exceptions import UnsupportedField
from native_api.types import ChatRequest, Json

CHOICE_TYPES: Final = {"required": "any", "function": "tool", "none": "none"}
"""Mode of the unified `tool_choice` -> Anthropic's type; any other mode is `auto`."""


def add_tools(chat: ChatRequest, abilities: Abilities, body: Json, omitted: list[str]) -> None:
    """Add `tools` and `tool_choice` to the body. Raises UnsupportedField."""
    tools = [
        _build_tool(tool, f"tools[{index}]", abilities, omitted)
        for index, tool in enumerate(read_functions(chat, "Anthropic"))
    ]
    if chat.get("web_search_options") is not None:
        tools.append(_build_web_search(chat["web_search_options"], omitted))
    if not tools:
        return
    body["tools"] = tools
    choice = _build_tool_choice(chat, abilities)
    if choice:
        body["tool_choice"] = choice


def _build_tool_choice(chat: ChatRequest, abilities: Abilities) -> Json | None:
    """None if the request asks for nothing but the default."""
    mode, name = read_tool_choice(chat)
    choice: Json = {"type": CHOICE_TYPES.get(mode, "auto")}
    if name:
        choice["name"] = name
    _check_choice(choice, abilities, "tool_choice")
    if chat.get("parallel_tool_calls") is False and choice["type"] != "none":
        choice["disable_parallel_tool_use"] = True
    return choice if mode or len(choice) > 1 else None


def _check_choice(choice: Json, abilities: Abilities, path: str) -> None:
    if is_forced(choice) and not abilities.takes_forced_tools:
        raise UnsupportedField(path, "this model cannot be forced to call a tool")


def is_forced(choice: Json) -> bool:
    """Whether the model must call a tool."""
    return choice.get("type") in ("any", "tool")


def _build_tool(tool: Json, path: str, abilities: Abilities, omitted: list[str]) -> Json:
    function = tool["function"]
    definition: Json = {
        "name": function["name"],
        "input_schema": {"type": "object", **(function.get("parameters") or {})},
    }
    if function.get("description"):
        definition["description"] = function["description"]
    if function.get("strict"):
        _make_strict(definition, f"{path}.function.parameters", abilities, omitted)
    if tool.get("cache_control"):
        definition["cache_control"] = tool["cache_control"]
    return definition


def _make_strict(definition: Json, path: str, abilities: Abilities, omitted: list[str]) -> None:
    schema = adapt_schema(definition["input_schema"], path) if abilities.has_schemas else None
    if schema is None:
        omitted.append("tools.function.strict")
    else:
        definition |= {"input_schema": schema, "strict": True}


def _build_web_search(options: Mapping[str, Any], omitted: list[str]) -> Json:
    tool: Json = {"type": "web_search_20250305", "name": "web_search"}
    location = (options.get("user_location") or {}).get("approximate")
    if location:
        tool["user_location"] = {"type": "approximate", **location}
    if options.get("search_context_size"):
        omitted.append("web_search_options.search_context_size")
    return tool


def merge_tools(tools: list[Json], added: list[Any]) -> list[Any]:
    """The request's tools and those of `provider_options`. An added tool with the name of one of
    the request's adds its members (`defer_loading`, …) to it."""
    merged: list[Any] = list(tools)
    index_by_name = {tool["name"]: index for index, tool in enumerate(merged)}
    for tool in added:
        index = index_by_name.get(str(tool.get("name"))) if isinstance(tool, dict) else None
        if index is None:
            merged.append(tool)
        else:
            merged[index] = {**merged[index], **tool}
    return merged


# --- the response format -------------------------------------------------------------------------


def add_response_format(chat: ChatRequest, abilities: Abilities, body: Json) -> None:
    """Ask for structured output: the model's own if it has one that can express the schema, else a
    forced call of the answer tool. Raises UnsupportedField."""
    schema = read_response_schema(chat)
    if schema is None:
        return
    adapted = (
        adapt_schema(schema, "response_format.json_schema.schema")
        if schema and abilities.has_schemas
        else None
    )
    if adapted is not None:
        body["output_config"] = {"format": {"type": "json_schema", "schema": adapted}}
    # If the client forces one of its own tools, the answer is that tool's call.
    elif not is_forced(body.get("tool_choice", {})):
        _force_answer_tool(schema, abilities, body)


def _force_answer_tool(schema: Json, abilities: Abilities, body: Json) -> None:
    tools, choice = body.get("tools", []), body.get("tool_choice", {})
    if any(tool["name"] == ANSWER_TOOL for tool in tools):
        raise UnsupportedField(
            "tools", f"the name {ANSWER_TOOL!r} is taken by response_format with this provider"
        )
    forced: Json = (
        {"type": "any"}
        if tools and choice.get("type") != "none"
        else {"type": "tool", "name": ANSWER_TOOL}
    )
    _check_choice(forced, abilities, "response_format")
    if choice.get("disable_parallel_tool_use"):
        forced["disable_parallel_tool_use"] = True
    answer_tool = build_answer_function(schema)
    answer_tool["input_schema"] = answer_tool.pop("parameters")
    body["tools"], body["tool_choice"] = [*tools, answer_tool], forced
