"""The features that Anthropic keeps behind the `anthropic-beta` header, found from the blocks,
tools and fields that need them.

Source: https://platform.claude.com/docs/en/api/beta-headers and the page of each feature (read
2026-11).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from native_api.dialects.shared.client_bodies import find_member
from native_api.dialects.shared.json_values import read_objects, replace_items, replace_members
from native_api.exceptions import InvalidRequest, UnsupportedField
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

BETA_BY_FIELD: Final[Mapping[tuple[str, ...], str]] = {
    ("context_management",): "context-management-2025-06-27",
    ("compaction",): "compact-2026-09-04",
    ("diagnostics",): "cache-diagnosis-2026-04-07",
    ("thread",): "message-threads-2026-08-12",
    ("fallbacks",): "server-side-fallback-2026-07-01",
    ("fallback_credit_token",): "fallback-credit-2026-07-01",
    ("output_config", "task_budget"): "task-budgets-2026-03-13",
    ("mcp_servers",): "mcp-client-2025-11-20",
    ("container", "skills"): "skills-2025-10-02",
}
"""The path of a field in the body -> the beta that it needs (also anthropic-python 2.14,
`types/beta/message_create_params.py`)."""

REFUSED_BY_CLOUDS: Final = (
    "advisor-tool", "code-execution", "fast-mode", "files-api", "mcp-client", "oauth",
    "prompt-caching-scope", "skills", "structured-outputs", "web-fetch",
)  # fmt: skip
"""How the betas begin that neither Vertex AI nor Bedrock has. They answer 400 to one that they do
not know, and to a field whose beta is missing: both go together. Source of all these lists:
litellm/anthropic_beta_headers_config.json of https://github.com/BerriAI/litellm (2026-11)."""

REFUSED_BY_VERTEX: Final = (*REFUSED_BY_CLOUDS, "effort", "fine-grained-tool-streaming")
"""The same of Claude on Vertex AI, whose features these are without a beta."""

REFUSED_BY_CONVERSE: Final = (*REFUSED_BY_CLOUDS, "compact", "context-management")
"""The same of Bedrock's Converse, "invalid beta flag"
(https://github.com/anthropics/claude-code/issues/49370, 2026-04)."""

TAKEN_BY_INVOKE: Final = (
    "compact-2026-01", "computer-use", "context-1m", "context-management", "dangerous-tool-use",
    "dev-full-thinking", "effort", "fine-grained-tool-streaming", "interleaved-thinking",
    "mid-conversation-output-config", "mid-conversation-tool-changes", "output-128k",
    "thinking-binding-controls", "thinking-display-updates", "token-efficient-tools",
    "tool-examples", "tool-search-tool",
)  # fmt: skip
"""How the betas begin that Bedrock's InvokeModel has. Any other in a request is a 400, so that what
clients send to Anthropic breaks at every release (https://github.com/BerriAI/litellm/pull/19877,
2026-01; https://github.com/anthropics/claude-code/issues/56595, 2026-05)."""

RENAMED_BY_CLOUDS: Final = {"advanced-tool-use-2025-11-20": "tool-search-tool-2025-10-19"}
"""Anthropic's name of a beta -> the one of Vertex AI and Bedrock."""

HINTS: Final = frozenset(
    {"context_management", "compaction", "diagnostics", "fallback_credit_token", "output_config"}
)
"""Fields whose loss does not change what the answer means."""

BETA_HEADER: Final = "anthropic-beta"
BETA_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
"""What may stand between the commas of a header. Anthropic's names consist of letters, digits and
dashes; a new name works on its first day."""

CACHE_SCOPE_BETA: Final = "prompt-caching-scope"
CACHED_FIELDS: Final = frozenset({"cache_control", "system", "messages", "tools"})
"""Fields with a `cache_control`, or with blocks that have one."""

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


def betas_for_options(body: Mapping[str, Any]) -> list[str]:
    """The betas that a body needs for members that only `provider_options` can add to it. The body
    may have any shape."""
    betas = [beta for path, beta in BETA_BY_FIELD.items() if find_member(body, path)]
    management = body.get("context_management")
    if isinstance(management, dict) and any(
        edit.get("type") == "compact_20260112" for edit in read_objects(management.get("edits"))
    ):
        betas.append(COMPACTION_BETA)
    return betas + [
        beta for tool in read_objects(body.get("tools")) if (beta := beta_for_block(tool))
    ]


def drop_refused_betas(body: Json, refused: tuple[str, ...]) -> list[str]:
    """Remove the betas in `body["betas"]` that a host does not have, together with the fields that
    need them. Returns the names of both.

    Raises UnsupportedField for a field, block or tool without which the answer would be another.
    """
    if not any(beta.startswith(refused) for beta in body["betas"]):
        return []
    dropped = [
        _drop_field(body, path)
        for path, beta in BETA_BY_FIELD.items()
        if beta.startswith(refused) and find_member(body, path)
    ]
    _refuse_items(body, refused)
    if CACHE_SCOPE_BETA in refused and _drop_cache_scopes(body):
        dropped.append("cache_control.scope")
    body["betas"] = [beta for beta in body["betas"] if not beta.startswith(refused)]
    return [*dropped, "betas"]


def rename_betas(body: Json) -> None:
    """Give the betas in `body["betas"]` the names that Vertex AI and Bedrock have for them."""
    body["betas"] = [RENAMED_BY_CLOUDS.get(beta, beta) for beta in body["betas"]]


def _drop_cache_scopes(body: Json) -> bool:
    """Remove the scope of every `cache_control`, which only a beta has. Returns whether there are
    any.

    Objects around one are copied, because they are the client's.
    """
    edited = {name: _without_scope(body[name]) for name in CACHED_FIELDS & body.keys()}
    changed = {name: value for name, value in edited.items() if value is not body[name]}
    body.update(changed)
    return bool(changed)


def _without_scope(value: Any) -> Any:
    """The value without scopes; itself if it has none."""
    if isinstance(value, list):
        return replace_items(value, [_without_scope(item) for item in value])
    if not isinstance(value, dict):
        return value
    if "scope" in value:
        return {name: member for name, member in value.items() if name != "scope"}
    edited = {
        name: _without_scope(value[name]) for name in ("cache_control", "content") if name in value
    }
    return replace_members(value, edited)


def _refuse_items(body: Json, refused: tuple[str, ...]) -> None:
    """Raise UnsupportedField for a tool or block that needs a refused beta."""
    blocks = [
        block
        for turn in read_objects(body.get("messages"))
        for block in read_objects(turn.get("content"))
    ]
    for member, items in (("tools", read_objects(body.get("tools"))), ("messages", blocks)):
        for item in items:
            if (beta_for_block(item) or "").startswith(refused):
                raise UnsupportedField(
                    member, f"this provider does not have {str(item.get('type'))[:50]!r}"
                )


def _drop_field(body: Json, path: tuple[str, ...]) -> str:
    name = ".".join(path)
    if path[0] not in HINTS:
        raise UnsupportedField(name, "this provider does not have this beta feature")
    value = body.pop(path[0])
    rest = {key: item for key, item in value.items() if key != path[1]} if len(path) > 1 else {}
    if rest:
        body[path[0]] = rest
    return name
