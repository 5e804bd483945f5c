"""Tools, tool choice, tool calls and response schemas of the unified request, as wires other than
OpenAI's read them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

from native_api.dialects.shared.call_arguments import complete_arguments
from native_api.dialects.shared.json_values import dump_json
from native_api.dialects.shared.schema_roots import fold_parameters
from native_api.exceptions import UnsupportedField
from native_api.types import ChatRequest, Json

ANSWER_TOOL: Final = "json_response"
"""The name of the answer tool, which replaces `response_format` if a wire has none: the model
answers by calling it. Clients never see it."""


def parse_arguments(text: str | None) -> Json:
    """A tool call's arguments as an object; text that is not a JSON object is put under `_raw`."""
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
    """The calls of an assistant message. The legacy `function_call` is among them already
    (`call_ids`)."""
    return list(message.get("tool_calls") or ())


def read_called_function(call: Mapping[str, Any]) -> Json:
    """The `name` and `arguments` of a call. The input of a custom tool's call is its arguments."""
    function: Json = call.get("function") or {
        "name": call["custom"]["name"],
        "arguments": call["custom"]["input"],
    }
    return function


def read_functions(chat: ChatRequest, wire: str) -> list[Json]:
    """The function tools that may be called, as `{"function": …, "cache_control"?}`.

    If `tool_choice` has the type `allowed_tools`, only those tools are returned. Raises
    UnsupportedField for tools of another type.
    """
    tools = chat.get("tools") or []
    for index, tool in enumerate(tools):
        if tool["type"] != "function":
            raise UnsupportedField(f"tools[{index}].type", f"{wire} takes function tools only")
    allowed = _allowed_names(chat.get("tool_choice"))
    return [tool for tool in tools if allowed is None or tool["function"]["name"] in allowed]


def build_function_tool(function: Mapping[str, Any]) -> Json:
    """A function tool in OpenAI's shape, with only the members that other servers know.

    `parameters` is always set.
    """
    definition: Json = {"name": function["name"]}
    if function.get("description"):
        definition["description"] = function["description"]
    definition["parameters"] = build_parameters(function)
    return {"type": "function", "function": definition}


def build_parameters(function: Mapping[str, Any]) -> Json:
    """The `parameters` of a function, which are always the schema of an object.

    OpenAI's clients may leave them out if there are none. Mistral requires them, and OpenAI and
    Moonshot a `type` in them.
    """
    return {"type": "object", **(function.get("parameters") or {"properties": {}})}


def _allowed_names(choice: Any) -> set[str] | None:
    if not isinstance(choice, dict) or choice["type"] != "allowed_tools":
        return None
    return {
        (tool.get("function") or tool).get("name", "") for tool in choice["allowed_tools"]["tools"]
    }


def read_tool_choice(chat: ChatRequest) -> tuple[str, str]:
    """`tool_choice` as a mode and the function's name.

    The mode is `auto`, `required`, `none`, `function`, or "" if there is no `tool_choice`.
    """
    choice = chat.get("tool_choice")
    if choice is None or isinstance(choice, str):
        return choice or "", ""
    if choice["type"] == "allowed_tools":
        return choice["allowed_tools"]["mode"], ""
    return "function", (choice.get("function") or choice.get("custom") or {}).get("name", "")


def read_response_schema(chat: ChatRequest) -> Json | None:
    """The JSON schema of `response_format`: `{}` for any JSON object, None for text."""
    response_format = chat.get("response_format") or {"type": "text"}
    if response_format["type"] == "json_schema":
        schema: Json = response_format["json_schema"].get("schema") or {}
        return schema
    return {} if response_format["type"] == "json_object" else None


def build_answer_function(schema: Json, description: str = "") -> Json:
    """The answer tool as a function: `name`, `description` and `parameters`, a plain object.

    Raises UnsupportedField for a schema that is too large.
    """
    parameters, note = fold_parameters(schema, "response_format.json_schema.schema")
    words = description or "Give the answer by calling this."
    return {
        "name": ANSWER_TOOL,
        "description": "\n\n".join(filter(None, (words, note))),
        "parameters": {"type": "object", **parameters},
    }


def format_arguments(value: Any) -> str:
    """A tool call's arguments as text.

    A string is returned as it is, unless it says nothing: the model wrote invalid JSON, or it would
    be a value.
    """
    return complete_arguments(value) if isinstance(value, str) else dump_json(value or {})
