"""The features that Anthropic keeps behind the `anthropic-beta` header, found from the blocks,
tools and fields that need them.

Source: https://platform.claude.com/docs/en/api/beta-headers and the page of each feature (read
2026-11).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from native_api.exceptions import InvalidRequest
from native_api.types import Json

FILES_BETA: Final = "files-api-2025-04-14"
TOOL_CHANGES_BETA: Final = "mid-conversation-tool-changes-2026-07-01"
COMPACTION_BETA: Final = "compact-2026-01-12"

BETA_BY_TYPE: Final = {
    "code_execution_20250522": "code-execution-2025-05-22",
    "code_execution_20250825": "code-execution-2025-08-25",
    "web_fetch_20250910": "web-fetch-2025-09-10",
    "memory_20250818": "context-management-2025-06-27",
    "advisor_20260301": "advisor-tool-2026-03-01",
    "computer_20250124": "computer-use-2025-01-24",
    "computer_20251124": "computer-use-2025-11-24",
    "container_upload": FILES_BETA,
    "tool_addition": TOOL_CHANGES_BETA,
    "tool_removal": TOOL_CHANGES_BETA,
}
"""The `type` of a tool or block -> the beta that it needs."""

BETA_BY_FIELD: Final = {"context_management": "context-management-2025-06-27"}
"""A field of the body -> the beta that it needs."""

BETA_HEADER: Final = "anthropic-beta"
BETA_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
"""What may stand between the commas of a header. Anthropic's names consist of letters, digits and
dashes; a new name works on its first day."""

MAX_BETAS: Final = 50


def check_betas(betas: Any, path: str) -> None:
    """Raise InvalidRequest if the `betas` that the caller wrote cannot be sent as a header."""
    if betas is not None and (not isinstance(betas, list) or len(betas) > MAX_BETAS):
        raise InvalidRequest(f"{path}: expected a list of at most {MAX_BETAS} names", param=path)
    for index, beta in enumerate(betas or ()):
        if not isinstance(beta, str) or not BETA_NAME.fullmatch(beta):
            item_path = f"{path}[{index}]"
            raise InvalidRequest(
                f"{item_path}: expected a name of up to 100 letters, digits and dashes",
                param=item_path,
            )


def beta_header(betas: Iterable[str]) -> dict[str, str]:
    """The header that enables the betas; an empty dict if there are none."""
    value = ",".join(sorted(set(betas)))
    return {BETA_HEADER: value} if value else {}


def beta_for_block(block: Json) -> str | None:
    """The beta that a block or a tool needs, if any."""
    block_type, source = block.get("type"), block.get("source")
    if isinstance(source, dict) and source.get("type") == "file":
        return FILES_BETA
    return BETA_BY_TYPE.get(block_type) if isinstance(block_type, str) else None


def betas_for_options(body: Json) -> list[str]:
    """The betas that a body needs for members that only `provider_options` can add to it. The body
    may have any shape."""
    betas = [beta for field, beta in BETA_BY_FIELD.items() if body.get(field)]
    management = body.get("context_management")
    if isinstance(management, dict) and any(
        edit.get("type") == "compact_20260112" for edit in _objects(management.get("edits"))
    ):
        betas.append(COMPACTION_BETA)
    return betas + [beta for tool in _objects(body.get("tools")) if (beta := beta_for_block(tool))]


def _objects(items: Any) -> list[Json]:
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []
