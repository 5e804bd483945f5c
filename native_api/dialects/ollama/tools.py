"""Tools in Ollama's words.

Ollama's models choose for themselves: tools can be kept from them, but they cannot be made to call
one.
"""

from __future__ import annotations

from native_api.dialects.shared.tools import build_function_tool, read_functions, read_tool_choice
from native_api.exceptions import UnsupportedField
from native_api.types import ChatRequest, Json


def add_tools(chat: ChatRequest, body: Json, omitted: list[str]) -> None:
    tools = read_functions(chat, "Ollama")
    mode, _ = read_tool_choice(chat)
    if mode in ("required", "function"):
        raise UnsupportedField(
            "tool_choice", "Ollama's models cannot be made to call a tool; use auto or none"
        )
    if not tools or mode == "none":
        return
    body["tools"] = [build_function_tool(tool["function"]) for tool in tools]
    if any(tool["function"].get("strict") for tool in tools):
        omitted.append("tools.function.strict")
    if chat.get("parallel_tool_calls") is False:
        omitted.append("parallel_tool_calls")
