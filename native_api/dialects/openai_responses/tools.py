"""Tools, tool choice and text format for the Responses API.

Source: https://platform.openai.com/docs/guides/migrate-to-responses (read 2026-11). They are those
of Chat Completions without the inner object; functions are strict by default.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from native_api.dialects.shared.tools import build_parameters
from native_api.types import Json


def build_tools(fields: Mapping[str, Any]) -> list[Json]:
    """The body's `tools`, including web search."""
    tools = [
        _build_custom(tool["custom"])
        if tool["type"] == "custom"
        else _build_function(tool["function"])
        for tool in fields.get("tools") or ()
    ]
    if fields.get("web_search_options") is not None:
        tools.append(_build_web_search(fields["web_search_options"]))
    return tools


def _build_function(function: Mapping[str, Any]) -> Json:
    tool: Json = {"type": "function", "name": function["name"]}
    if function.get("description"):
        tool["description"] = function["description"]
    tool["parameters"] = build_parameters(function)
    tool["strict"] = bool(function.get("strict"))
    return tool


def _build_custom(custom: Mapping[str, Any]) -> Json:
    tool = {"type": "custom", **custom}
    grammar = (custom.get("format") or {}).get("grammar")
    if isinstance(grammar, dict):
        tool["format"] = {"type": "grammar", **grammar}
    return tool


def _build_web_search(options: Mapping[str, Any]) -> Json:
    tool: Json = {"type": "web_search"}
    if options.get("search_context_size"):
        tool["search_context_size"] = options["search_context_size"]
    location = (options.get("user_location") or {}).get("approximate")
    if location:
        tool["user_location"] = {"type": "approximate", **location}
    return tool


def build_tool_choice(choice: Any) -> Any:
    """The body's `tool_choice`, whose objects are flat."""
    if not isinstance(choice, dict):
        return choice
    if choice["type"] == "allowed_tools":
        allowed = choice["allowed_tools"]
        return {
            "type": "allowed_tools",
            "mode": allowed["mode"],
            "tools": [_flatten(tool) for tool in allowed["tools"]],
        }
    return _flatten(choice)


def _flatten(choice: Mapping[str, Any]) -> Json:
    """`{"type": "function", "function": {"name": …}}` as `{"type": "function", "name": …}`."""
    kind = choice.get("type", "function")
    inner = choice.get(kind)
    return {"type": kind, **inner} if isinstance(inner, dict) else dict(choice)


def build_text_options(fields: Mapping[str, Any]) -> Json:
    """The body's `text`: format and verbosity."""
    text: Json = {}
    response_format = fields.get("response_format")
    if response_format and response_format["type"] == "json_schema":
        text["format"] = {"type": "json_schema", "schema": {}, **response_format["json_schema"]}
    elif response_format and response_format["type"] != "text":
        text["format"] = {"type": response_format["type"]}
    if fields.get("verbosity"):
        text["verbosity"] = fields["verbosity"]
    return text
