"""Checks of `tools` and `tool_choice`.

Source: https://platform.claude.com/docs/en/agents-and-tools/tool-use/define-tools (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from native_api.inbound.checks import any_object, boolean, integer, list_of, string
from native_api.inbound.shapes import Items, Kinds, Shape

MAX_TOOLS: Final = 1024
"""Providers accept 128 to 512. Some need the schema of each tool to be adapted."""

CACHE_CONTROL: Final = Shape({"type": string, "ttl": string}, required=("type",))

CUSTOM: Final = Shape(
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
WEB_SEARCH: Final = Shape(
    {
        "type": string,
        "name": string,
        "user_location": Shape(
            dict.fromkeys(("type", "city", "country", "region", "timezone"), string)
        ),
        "max_uses": integer,
        "allowed_domains": list_of(string),
        "blocked_domains": list_of(string),
        "response_inclusion": string,
        "strict": boolean,
        "cache_control": CACHE_CONTROL,
        "defer_loading": boolean,
        "allowed_callers": list_of(string),
    }
)
SEARCH_TYPE: Final = "web_search_"
"""How the types of the web search begin. They end with a date."""


class Tool(Kinds):
    """A tool of the client, which may have no type, or one that Anthropic has defined."""

    def find_kind(self, value: Mapping[str, Any], path: str) -> str:
        if value.get("type") is None:
            return "custom"
        kind = super().find_kind(value, path)
        return SEARCH_TYPE if kind.startswith(SEARCH_TYPE) else kind


TOOL: Final = Tool({"custom": CUSTOM, SEARCH_TYPE: WEB_SEARCH})
TOOLS: Final = Items(TOOL, MAX_TOOLS)

PARALLEL: Final = {"type": string, "disable_parallel_tool_use": boolean}
TOOL_CHOICE: Final = Kinds(
    {
        "auto": Shape(PARALLEL),
        "any": Shape(PARALLEL),
        "tool": Shape({**PARALLEL, "name": string}, required=("name",)),
        "none": Shape(PARALLEL),
    }
)
