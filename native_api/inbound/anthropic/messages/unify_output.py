"""How much a Messages request lets the model think, and the format of its output, in the unified
request's words.

Sources: https://platform.claude.com/docs/en/build-with-claude/thinking, /effort and
/structured-outputs (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from native_api.dialects.shared.json_schema import walk_containers
from native_api.dialects.shared.reasoning_request import ADAPTIVE_EFFORT, find_nearest_effort
from native_api.inbound.translation import Report
from native_api.types import Json

EFFORTS: Final = frozenset({"low", "medium", "high", "xhigh", "max"})
FORMAT_NAME: Final = "answer"
"""The name that OpenAI requires of a schema. Anthropic's have none."""
OLD_FORMAT: Final = "output_format"
"""`output_config.format` before it left its beta."""


def unify_reasoning(body: Mapping[str, Any], effort: str | None, report: Report) -> Json:
    """`reasoning_effort`, and `reasoning` for a budget. `effort` is what a later instruction in the
    conversation asks for."""
    thinking = body.get("thinking") or {}
    wanted = effort or (body.get("output_config") or {}).get("effort")
    if wanted and wanted not in EFFORTS:
        report.omit("output_config.effort")
        wanted = None
    _report_display(thinking, report)
    kind = thinking.get("type")
    if kind in ("disabled", "between_tools"):
        if wanted:
            report.omit("output_config.effort")
        return {"reasoning_effort": "none"}
    if kind == "enabled":
        budget = thinking["budget_tokens"]
        nearest = wanted or find_nearest_effort(budget)
        return {"reasoning_effort": nearest, "reasoning": {"max_tokens": budget}}
    if kind == "adaptive":
        return {"reasoning_effort": wanted or ADAPTIVE_EFFORT}
    if kind is not None:
        report.omit("thinking")
    return {"reasoning_effort": wanted} if wanted else {}


def _report_display(thinking: Mapping[str, Any], report: Report) -> None:
    """Other providers give a summary of the thinking, if anything, and bind it to nothing."""
    if thinking.get("display") not in (None, "summarized"):
        report.omit("thinking.display")
    if thinking.get("block_binding"):
        report.omit("thinking.block_binding")


def unify_output(body: Mapping[str, Any], report: Report) -> Json:
    """`response_format`. A format that is not a schema is refused."""
    config = body.get("output_config") or {}
    if config.get("task_budget"):
        report.omit("output_config.task_budget")
    path, written = "output_config.format", config.get("format")
    if written is None and isinstance(body.get(OLD_FORMAT), dict):
        path, written = OLD_FORMAT, body[OLD_FORMAT]
    if written is None:
        return {}
    if written.get("type") != "json_schema" or not isinstance(written.get("schema"), dict):
        report.refuse(path, "other providers than Anthropic take a 'json_schema' only")
        return {}
    schema: Json = {"name": FORMAT_NAME, "schema": written["schema"]}
    if _may_be_strict(written["schema"]):
        schema["strict"] = True
    return {"response_format": {"type": "json_schema", "json_schema": schema}}


NOT_STRICT: Final = frozenset(
    {
        "allOf", "oneOf", "not", "if", "then", "else", "default", "patternProperties",
        "dependentRequired", "dependentSchemas",
    }
)  # fmt: skip


def _may_be_strict(schema: Json) -> bool:
    """Whether OpenAI guarantees this schema, as Anthropic does any. Of others it answers 400
    (https://platform.openai.com/docs/guides/structured-outputs#supported-schemas, read 2026-11):
    each object must require all of its properties, and have no others."""
    if schema.get("type") != "object":
        return False
    return all(_is_closed(part) for part in walk_containers(schema) if isinstance(part, dict))


def _is_closed(part: Json) -> bool:
    if not NOT_STRICT.isdisjoint(part):
        return False
    if part.get("type") != "object":
        return True
    properties, required = part.get("properties"), part.get("required")
    return (
        part.get("additionalProperties") is False
        and isinstance(properties, dict)
        and isinstance(required, list)
        and properties.keys() <= {name for name in required if isinstance(name, str)}
    )
