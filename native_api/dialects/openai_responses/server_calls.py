"""Calls of a provider's own tools that look like calls of the client's tools.

xAI reports those of `x_search` as `custom_tool_call` items, with names that no request has:
`x_keyword_search`, `view_x_video` (https://docs.x.ai/docs/guides/tools/overview, and recorded by
https://github.com/vercel/ai in packages/xai, read 2026-11). It runs them itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from native_api.dialects.shared.json_values import read_objects
from native_api.types import Json

SERVER_TOOLS: Final = frozenset(
    {
        "x_search", "web_search", "web_search_preview", "code_interpreter", "code_execution",
        "file_search", "collections_search", "mcp",
    }
)  # fmt: skip
"""Types of tools that a provider runs itself."""
SERVER_FUNCTIONS: Final = frozenset(
    {
        "x_user_search", "x_keyword_search", "x_semantic_search", "x_thread_fetch", "view_x_video",
        "view_image", "web_search", "web_search_with_snippets", "browse_page", "code_execution",
        "collections_search",
    }
)  # fmt: skip
"""The names that xAI gives the functions of its tools."""


def is_server_call(call: Json, tools: Any) -> bool:
    """Whether the provider runs this call itself. `tools` are those that the response names.

    A name that the request declares is the client's.
    """
    if call.get("type") != "custom_tool_call":
        return False
    declared = list(_walk_tools(tools))
    name = str(call.get("name"))
    if any(tool.get("name") == name for tool in declared):
        return False
    kinds = {str(tool.get("type")) for tool in declared}
    # A `tool_search` may have found tools that the request does not name.
    return name in SERVER_FUNCTIONS or (
        not kinds.isdisjoint(SERVER_TOOLS) and "tool_search" not in kinds
    )


def _walk_tools(tools: Any) -> Iterator[Json]:
    """The tools, with those in namespaces."""
    for tool in read_objects(tools):
        yield tool
        yield from read_objects(tool.get("tools"))
