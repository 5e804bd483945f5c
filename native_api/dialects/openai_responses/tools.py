"""Tools, the choice among them and the shape of the answer, as the Responses API says them.

Source: https://platform.openai.com/docs/guides/migrate-to-responses (read 2026-11): the same things
without their inner object; functions are strict unless told otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from native_api.types import Json


def tools_of(said: Mapping[str, Any]) -> list[Json]:
    """The body's `tools`, the web search among them."""
    tools = [
        _custom(tool["custom"]) if tool["type"] == "custom" else _function(tool["function"])
        for tool in said.get("tools") or ()
    ]
    if said.get("web_search_options") is not None:
        tools.append(_web_search(said["web_search_options"]))
    return tools


def _function(function: Mapping[str, Any]) -> Json:
    told: Json = {"type": "function", "name": function["name"]}
    if function.get("description"):
        told["description"] = function["description"]
    told["parameters"] = function.get("parameters") or {"type": "object", "properties": {}}
    told["strict"] = bool(function.get("strict"))
    return told


def _custom(custom: Mapping[str, Any]) -> Json:
    told = {"type": "custom", **custom}
    grammar = (custom.get("format") or {}).get("grammar")
    if isinstance(grammar, dict):
        told["format"] = {"type": "grammar", **grammar}
    return told


def _web_search(options: Mapping[str, Any]) -> Json:
    tool: Json = {"type": "web_search"}
    if options.get("search_context_size"):
        tool["search_context_size"] = options["search_context_size"]
    location = (options.get("user_location") or {}).get("approximate")
    if location:
        tool["user_location"] = {"type": "approximate", **location}
    return tool


def choice_of(choice: Any) -> Any:
    """`tool_choice`, whose objects are flat here."""
    if not isinstance(choice, dict):
        return choice
    if choice["type"] == "allowed_tools":
        allowed = choice["allowed_tools"]
        return {
            "type": "allowed_tools",
            "mode": allowed["mode"],
            "tools": [_flat(tool) for tool in allowed["tools"]],
        }
    return _flat(choice)


def _flat(choice: Mapping[str, Any]) -> Json:
    """`{"type": "function", "function": {"name": …}}` as `{"type": "function", "name": …}`."""
    kind = choice.get("type", "function")
    inner = choice.get(kind)
    return {"type": kind, **inner} if isinstance(inner, dict) else dict(choice)


def text_of(said: Mapping[str, Any]) -> Json:
    """The body's `text`: format and verbosity."""
    text: Json = {}
    wanted = said.get("response_format")
    if wanted and wanted["type"] == "json_schema":
        text["format"] = {"type": "json_schema", "schema": {}, **wanted["json_schema"]}
    elif wanted and wanted["type"] != "text":
        text["format"] = {"type": wanted["type"]}
    if said.get("verbosity"):
        text["verbosity"] = said["verbosity"]
    return text
