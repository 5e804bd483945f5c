"""Tools, the choice among them and the response format, in Cohere's words."""

from __future__ import annotations

from native_api.dialects.shared.tools import (
    ANSWER_TOOL,
    build_answer_function,
    build_function_tool,
    read_functions,
    read_response_schema,
    read_tool_choice,
)
from native_api.exceptions import UnsupportedField
from native_api.types import ChatRequest, Json


def add_tools(chat: ChatRequest, body: Json, omitted: list[str]) -> None:
    tools = read_functions(chat, "Cohere")
    mode, name = read_tool_choice(chat)
    if mode == "function":
        # Cohere can only demand a call of any tool, so the chosen one is the only one it gets.
        tools = [tool for tool in tools if tool["function"]["name"] == name]
        if not tools:
            raise UnsupportedField("tool_choice", f"there is no function {name!r} among the tools")
    if not tools:
        return
    body["tools"] = [build_function_tool(tool["function"]) for tool in tools]
    if any(tool["function"].get("strict") for tool in tools):
        # One switch for all tools: the others become stricter, none becomes laxer.
        body["strict_tools"] = True
    if mode in ("required", "function"):
        body["tool_choice"] = "REQUIRED"
    elif mode == "none":
        body["tool_choice"] = "NONE"
    if chat.get("parallel_tool_calls") is False:
        omitted.append("parallel_tool_calls")


def add_response_format(chat: ChatRequest, body: Json, has_documents: bool) -> None:
    """Add structured output. Cohere does not allow it together with tools or documents: then the
    answer is the call of an answer tool. `has_documents` tells of documents that the caller's
    options will add."""
    schema = read_response_schema(chat)
    choice = body.get("tool_choice")
    if schema is None or choice == "REQUIRED":
        return
    if choice == "NONE":
        # Tools that must not be called are left out, so that the format is allowed.
        for name in ("tools", "strict_tools", "tool_choice"):
            body.pop(name, None)
    if "tools" in body or "documents" in body or has_documents:
        _force_answer_tool(chat, schema, body)
        return
    body["response_format"] = (
        {"type": "json_object", "json_schema": schema} if schema else {"type": "json_object"}
    )


def _force_answer_tool(chat: ChatRequest, schema: Json, body: Json) -> None:
    tools = body.get("tools", [])
    if any(tool["function"]["name"] == ANSWER_TOOL for tool in tools):
        raise UnsupportedField(
            "tools", f"the name {ANSWER_TOOL!r} is taken by response_format with this provider"
        )
    body["tools"] = [*tools, {"type": "function", "function": build_answer_function(schema)}]
    body["tool_choice"] = "REQUIRED"
    if ((chat.get("response_format") or {}).get("json_schema") or {}).get("strict"):
        body["strict_tools"] = True
