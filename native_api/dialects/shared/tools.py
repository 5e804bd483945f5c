"""Unified tools, tool calls and the choice among tools, for wires other than OpenAI's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

from native_api.dialects.shared.json_values import dump_json
from native_api.exceptions import UnsupportedField
from native_api.types import ChatRequest, Json

ANSWER_TOOL: Final = "json_response"
"""The name of the tool that stands for `response_format` where a wire has no such thing. Clients
never see it."""


def parse_arguments(text: str | None) -> Json:
    """A tool call's arguments as an object. Text that is no JSON object stays visible under
    `_raw`."""
    if not text or not text.strip():
        return {}
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return {"_raw": text}
    if value is None:
        return {}
    return value if isinstance(value, dict) else {"_raw": text}


def read_tool_calls(message: Mapping[str, Any]) -> list[Json]:
    """The function calls of an assistant message, the legacy `function_call` among them."""
    calls = list(message.get("tool_calls") or ())
    if message.get("function_call"):
        calls.append(
            {
                "id": message["function_call"]["name"],
                "type": "function",
                "function": message["function_call"],
            }
        )
    return calls


def read_functions(chat: ChatRequest, wire: str) -> list[Json]:
    """The function tools that may be called, as `{"function": …, "cache_control"?}`. Raises for
    tools of another kind.

    `tool_choice` of the kind `allowed_tools` is answered by offering just those.
    """
    tools = chat.get("tools") or []
    for position, tool in enumerate(tools):
        if tool["type"] != "function":
            raise UnsupportedField(f"tools[{position}].type", f"{wire} takes function tools only")
    allowed = _allowed_names(chat.get("tool_choice"))
    return [tool for tool in tools if allowed is None or tool["function"]["name"] in allowed]


def build_function_tool(function: Mapping[str, Any]) -> Json:
    """A function tool in OpenAI's shape, with what other servers know of it; one without parameters
    says so."""
    told: Json = {"name": function["name"]}
    if function.get("description"):
        told["description"] = function["description"]
    told["parameters"] = function.get("parameters") or {"type": "object", "properties": {}}
    return {"type": "function", "function": told}


def _allowed_names(choice: Any) -> set[str] | None:
    if not isinstance(choice, dict) or choice["type"] != "allowed_tools":
        return None
    return {
        (tool.get("function") or tool).get("name", "") for tool in choice["allowed_tools"]["tools"]
    }


def read_tool_choice(chat: ChatRequest) -> tuple[str, str]:
    """`tool_choice` as a mode (`auto`, `required`, `none`, `function` or "" for none given) and the
    function's name."""
    choice = chat.get("tool_choice")
    if choice is None or isinstance(choice, str):
        return choice or "", ""
    if choice["type"] == "allowed_tools":
        return choice["allowed_tools"]["mode"], ""
    return "function", (choice.get("function") or choice.get("custom") or {}).get("name", "")


def read_response_schema(chat: ChatRequest) -> Json | None:
    """The JSON schema that the answer must have: `{}` for any JSON object, None where text is
    wanted."""
    wanted = chat.get("response_format") or {"type": "text"}
    if wanted["type"] == "json_schema":
        schema: Json = wanted["json_schema"].get("schema") or {}
        return schema
    return {} if wanted["type"] == "json_object" else None


def format_arguments(value: Any) -> str:
    """A tool call's arguments as text. What is text already is not valid JSON, or the wire would
    have told a value."""
    return value if isinstance(value, str) and value else dump_json(value or {})
