"""Tools, the choice among them, and the shape that an answer must have."""

from __future__ import annotations

from typing import Any, Final

from native_api.inbound.checks import (
    Check,
    Misplaced,
    any_object,
    boolean,
    kind_of,
    list_of,
    nearest,
    object_of,
    one_of,
    open_shape,
    shape,
    string,
    typed,
)
from native_api.inbound.openai.chat_messages import CACHE_CONTROL

MOST_TOOLS: Final = 1024
"""Providers take 128 to 512. Each tool's schema is adapted for some of them."""

FUNCTION = shape(
    {"name": string, "description": string, "parameters": any_object, "strict": boolean},
    required=("name",),
)
CUSTOM = shape({"name": string, "description": string, "format": any_object}, required=("name",))

tools = list_of(
    typed(
        {
            "function": shape(
                {"type": string, "function": FUNCTION, "cache_control": CACHE_CONTROL},
                required=("function",),
            ),
            "custom": shape(
                {"type": string, "custom": CUSTOM, "cache_control": CACHE_CONTROL},
                required=("custom",),
            ),
        },
        "a tool",
    ),
    MOST_TOOLS,
)

NAMED = shape({"name": string}, required=("name",))
NAMED_TOOLS = list_of(
    open_shape({"type": string, "function": NAMED, "custom": NAMED, "name": string}), MOST_TOOLS
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


def word_or(words: tuple[str, ...], check: Check) -> Check:
    """One of these words, or an object."""

    def checked(value: Any, place: str) -> Any:
        if isinstance(value, dict):
            return check(value, place)
        if not isinstance(value, str):
            raise Misplaced(place, f"expected a string or an object, not {kind_of(value)}")
        if value not in words:
            raise Misplaced(
                place, f"expected one of {', '.join(words)}, or an object{nearest(value, words)}"
            )
        return value

    return checked


tool_choice = word_or(MODES, typed(CHOICES, "a tool choice"))

SCHEMA = shape(
    {"name": string, "description": string, "schema": any_object, "strict": boolean},
    required=("name",),
)
response_format = typed(
    {
        "text": shape({"type": string}),
        "json_object": shape({"type": string}),
        "json_schema": shape({"type": string, "json_schema": SCHEMA}, required=("json_schema",)),
    },
    "a response format",
)

LOCATION = shape(
    {
        "type": one_of("approximate"),
        "approximate": shape(
            {"city": string, "country": string, "region": string, "timezone": string}
        ),
    },
    required=("type", "approximate"),
)
web_search_options = shape(
    {"search_context_size": one_of("low", "medium", "high"), "user_location": LOCATION}
)

provider_options = object_of(any_object)
