"""Checks of `tools` and `tool_choice`.

Source: https://platform.claude.com/docs/en/agents-and-tools/tool-use/define-tools (read 2026-11).
"""

from __future__ import annotations

from typing import Any, Final

from native_api.inbound.checks import (
    Check,
    any_object,
    boolean,
    integer,
    list_of,
    open_shape,
    string,
    typed,
)

MAX_TOOLS: Final = 1024
"""Providers accept 128 to 512. Some need the schema of each tool to be adapted."""

ANY_MEMBERS: Final = open_shape({})
CACHE_CONTROL: Final = open_shape({"type": string, "ttl": string}, required=("type",))

CUSTOM: Final = open_shape(
    {
        "type": string,
        "name": string,
        "description": string,
        "input_schema": any_object,
        "strict": boolean,
        "cache_control": CACHE_CONTROL,
        "defer_loading": boolean,
        "eager_input_streaming": boolean,
        "allowed_callers": list_of(string),
        "input_examples": list_of(any_object),
    },
    required=("name", "input_schema"),
)
LOCATION: Final = open_shape(
    dict.fromkeys(("type", "city", "country", "region", "timezone"), string)
)
WEB_SEARCH: Final = open_shape(
    {
        "name": string,
        "user_location": LOCATION,
        "max_uses": integer,
        "allowed_domains": list_of(string),
        "blocked_domains": list_of(string),
    }
)
OTHER: Final = open_shape(
    {"type": string, "name": string, "cache_control": CACHE_CONTROL}, required=("type",)
)


def tool(value: Any, path: str) -> Any:
    """A tool of the client, which may have no type, or one that Anthropic has defined."""
    kind = any_object(value, path).get("type")
    check: Check = CUSTOM if kind in (None, "custom") else OTHER
    if isinstance(kind, str) and kind.startswith("web_search_"):
        check = WEB_SEARCH
    return check(value, path)


tools: Final = list_of(tool, MAX_TOOLS)

PARALLEL: Final = {"type": string, "disable_parallel_tool_use": boolean}
tool_choice: Final = typed(
    {
        "auto": open_shape(PARALLEL),
        "any": open_shape(PARALLEL),
        "tool": open_shape({**PARALLEL, "name": string}, required=("name",)),
        "none": open_shape(PARALLEL),
    },
    "a tool choice",
    unknown=ANY_MEMBERS,
)
