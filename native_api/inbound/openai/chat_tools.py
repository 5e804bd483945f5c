"""Tools, the choice of a tool, the response format, and options for web search and providers."""

from __future__ import annotations

from typing import Any, Final

from native_api.inbound.checks import (
    Check,
    FieldError,
    any_object,
    boolean,
    did_you_mean,
    kind_of,
    list_of,
    object_of,
    one_of,
    open_shape,
    shape,
    string,
    typed,
)
from native_api.inbound.openai.chat_messages import CACHE_CONTROL, check_unknown_kind

MAX_TOOLS: Final = 1024
"""Providers accept 128 to 512. Some need the schema of each tool to be adapted."""

FUNCTION = open_shape(
    {"name": string, "description": string, "parameters": any_object, "strict": boolean},
    required=("name",),
)
CUSTOM = open_shape(
    {"name": string, "description": string, "format": any_object}, required=("name",)
)


def tool(name: str, check: Check) -> Check:
    """A tool with a member of its type's name."""
    checked = open_shape({"type": string, name: check, "cache_control": CACHE_CONTROL})

    def check_tool(value: Any, path: str) -> dict[str, Any]:
        if isinstance(value.get("name"), str) and value.get(name) is None:
            raise FieldError(
                f"{path}.{name}",
                f"this field is required: name and description are members of `{name}`, beside "
                "the type",
            )
        kept: dict[str, Any] = checked(value, path)
        if name not in kept:
            raise FieldError(f"{path}.{name}", "this field is required")
        return kept

    return check_tool


TOOLS: Final = {"function": tool("function", FUNCTION), "custom": tool("custom", CUSTOM)}


def _unknown_tool(value: Any, path: str) -> dict[str, Any]:
    return check_unknown_kind(value, path, TOOLS, TOOLS, "a tool")


tools = list_of(typed(TOOLS, "a tool", unknown=_unknown_tool), MAX_TOOLS)

NAMED = shape({"name": string}, required=("name",))
NAMED_TOOLS = list_of(
    open_shape({"type": string, "function": NAMED, "custom": NAMED, "name": string}), MAX_TOOLS
)
ALLOWED = shape(
    {"mode": one_of("auto", "required"), "tools": NAMED_TOOLS}, required=("mode", "tools")
)
CHOICES: Final = {
    "function": shape({"type": string, "function": NAMED}, required=("function",)),
    "custom": shape({"type": string, "custom": NAMED}, required=("custom",)),
    "allowed_tools": shape({"type": string, "allowed_tools": ALLOWED}, required=("allowed_tools",)),
}
MODES: Final = ("none", "auto", "required")


def mode_or_object(words: tuple[str, ...], check: Check) -> Check:
    """One of these modes, or an object."""

    def checked(value: Any, path: str) -> Any:
        if isinstance(value, dict):
            return check(value, path)
        if not isinstance(value, str):
            raise FieldError(path, f"expected a string or an object, not {kind_of(value)}")
        if value not in words:
            raise FieldError(
                path,
                f"expected one of {', '.join(words)}, or an object{did_you_mean(value, words)}",
            )
        return value

    return checked


tool_choice = mode_or_object(MODES, typed(CHOICES, "a tool choice"))

SCHEMA = open_shape(
    {"name": string, "description": string, "schema": any_object, "strict": boolean},
    required=("name",),
)
response_format = typed(
    {
        "text": open_shape({"type": string}),
        "json_object": open_shape({"type": string}),
        "json_schema": open_shape(
            {"type": string, "json_schema": SCHEMA}, required=("json_schema",)
        ),
    },
    "a response format",
)

LOCATION = open_shape(
    {
        "type": one_of("approximate"),
        "approximate": open_shape(
            {"city": string, "country": string, "region": string, "timezone": string}
        ),
    },
    required=("type", "approximate"),
)
web_search_options = open_shape(
    {"search_context_size": one_of("low", "medium", "high"), "user_location": LOCATION}
)

provider_options = object_of(any_object)
