"""Features that Anthropic keeps behind the `anthropic-beta` header, found in a body that uses them.

Source: https://platform.claude.com/docs/en/api/beta-headers and the page of each feature (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from native_api.types import Json

FILES: Final = "files-api-2025-04-14"
TOOL_CHANGES: Final = "mid-conversation-tool-changes-2026-07-01"

BY_TYPE: Final = {
    "code_execution_20250522": "code-execution-2025-05-22",
    "code_execution_20250825": "code-execution-2025-08-25",
    "web_fetch_20250910": "web-fetch-2025-09-10",
    "memory_20250818": "context-management-2025-06-27",
    "advisor_20260301": "advisor-tool-2026-03-01",
    "computer_20250124": "computer-use-2025-01-24",
    "computer_20251124": "computer-use-2025-11-24",
    "container_upload": FILES,
    "tool_addition": TOOL_CHANGES,
    "tool_removal": TOOL_CHANGES,
}
"""By the type of a tool or of a block."""

BY_FIELD: Final = {"mcp_servers": "mcp-client-2025-11-20", "context_management": "context-management-2025-06-27"}
COMPACTION: Final = "compact-2026-01-12"


def needed(body: Json) -> list[str]:
    """The features that the body uses. Takes any body: a client's own additions are in it."""
    found = [feature for field, feature in BY_FIELD.items() if body.get(field)]
    if any(edit.get("type") == "compact_20260112" for edit in _objects((body.get("context_management") or {}), "edits")):
        found.append(COMPACTION)
    for item in (*_objects(body, "tools"), *_objects(body, "messages")):
        kind, source = item.get("type"), item.get("source")
        if isinstance(kind, str) and kind in BY_TYPE:
            found.append(BY_TYPE[kind])
        elif isinstance(source, dict) and source.get("type") == "file":
            found.append(FILES)
    return found


def _objects(holder: Any, name: str) -> Iterator[Json]:
    """The objects in a list, and those in the `content` of each."""
    items = holder.get(name) if isinstance(holder, dict) else None
    for item in items if isinstance(items, list) else ():
        if isinstance(item, dict):
            yield item
            yield from _objects(item, "content")
