"""Features that Anthropic keeps behind the `anthropic-beta` header, found in what uses them.

Source: https://platform.claude.com/docs/en/api/beta-headers and the page of each feature (read
2026-11).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from native_api.exceptions import InvalidRequest
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

BY_FIELD: Final = {"context_management": "context-management-2025-06-27"}
COMPACTION: Final = "compact-2026-01-12"

HEADER: Final = "anthropic-beta"
NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
"""What may stand between the commas of a header. Anthropic's names have letters, digits and dashes;
new ones work on their first day."""

MOST: Final = 50


def check_named(betas: Any, place: str) -> None:
    """Raise InvalidRequest if what the caller names in `betas` cannot be sent as a header."""
    if betas is not None and (not isinstance(betas, list) or len(betas) > MOST):
        raise InvalidRequest(f"{place}: expected a list of at most {MOST} names", param=place)
    for position, beta in enumerate(betas or ()):
        if not isinstance(beta, str) or not NAME.fullmatch(beta):
            here = f"{place}[{position}]"
            raise InvalidRequest(
                f"{here}: expected a name of up to 100 letters, digits and dashes", param=here
            )


def header_of(features: Iterable[str]) -> dict[str, str]:
    """The header that asks for the features; none without any."""
    value = ",".join(sorted(set(features)))
    return {HEADER: value} if value else {}


def of_block(block: Json) -> str | None:
    """The feature that a block or a tool is part of."""
    kind, source = block.get("type"), block.get("source")
    if isinstance(source, dict) and source.get("type") == "file":
        return FILES
    return BY_TYPE.get(kind) if isinstance(kind, str) else None


def of_options(body: Json) -> list[str]:
    """The features of what only `provider_options` bring into a body; takes any body."""
    found = [feature for field, feature in BY_FIELD.items() if body.get(field)]
    management = body.get("context_management")
    if isinstance(management, dict) and any(
        edit.get("type") == "compact_20260112" for edit in _objects(management.get("edits"))
    ):
        found.append(COMPACTION)
    return found + [feature for tool in _objects(body.get("tools")) if (feature := of_block(tool))]


def _objects(items: Any) -> list[Json]:
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []
