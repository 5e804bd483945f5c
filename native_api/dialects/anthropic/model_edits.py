"""What a client's own body asks of a Claude that is not the one it was written for, as the route's
model takes it: thinking, effort, sampling, and instructions among the turns.

Sources: those of `models`, and `shared.model_rules`. Other vendors' models are left as they are,
but for the table of rules.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from native_api.dialects.anthropic.messages import has_lost_thinking
from native_api.dialects.anthropic.models import (
    MIN_THINKING_BUDGET,
    OTHER_VENDOR,
    THINKING_BUDGETS,
    Abilities,
    read_abilities,
)
from native_api.dialects.shared import client_bodies
from native_api.dialects.shared.client_bodies import Path, find_member
from native_api.dialects.shared.json_values import read_object
from native_api.dialects.shared.model_rules import find_rule
from native_api.dialects.shared.provider_options import merge_options
from native_api.types import Json, Target

FIELD_PATHS: Final[Mapping[str, Path]] = {
    **{
        name: (name,)
        for name in ("temperature", "top_p", "top_k", "service_tier", "tools", "tool_choice")
    },
    "stop": ("stop_sequences",),
    "user": ("metadata", "user_id"),
    "parallel_tool_calls": ("tool_choice", "disable_parallel_tool_use"),
    "response_format": ("output_config", "format"),
    "reasoning_effort": ("output_config", "effort"),
}
"""Unified field -> where this wire has it."""

EFFORT: Final = FIELD_PATHS["reasoning_effort"]
CONTEXT_EDITS: Final = ("context_management", "edits")
CLEARING: Final = "clear_thinking"
"""How the types of edits begin that clear earlier thinking."""


def fit_model(fields: Json, target: Target, omitted: list[str]) -> None:
    """Edit the body for the target's model. Objects in it are replaced, not changed.

    Raises UnsupportedField.
    """
    abilities, rule = read_abilities(target.known_model), find_rule(target)
    if abilities.generation != OTHER_VENDOR:
        if not abilities.takes_system_turns:
            _move_instructions(fields, omitted)
        _fit_effort(fields, abilities, omitted)
        _fit_thinking(fields, abilities, omitted)
    refused = target.provider.quirks.unsupported | rule.refused_fields(find_member(fields, EFFORT))
    excess = frozenset(rule.excess_fields(fields))
    client_bodies.leave_out_unsupported(fields, refused | excess, FIELD_PATHS, omitted)


def _move_instructions(fields: Json, omitted: list[str]) -> None:
    """Move instructions from among the turns to `system`, for models that take them only there."""
    moved = [turn for turn in fields["messages"] if turn.get("role") == "system"]
    if not moved:
        return
    fields["messages"] = [turn for turn in fields["messages"] if turn.get("role") != "system"]
    system = _list_blocks(fields.get("system"))
    for turn in moved:
        system = [*system, *_list_blocks(turn.get("content"))]
        if turn.get("output_config"):
            omitted.append("messages.output_config")
    fields["system"] = system


def _list_blocks(content: Any) -> list[Json]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    return list(content or ())


def _fit_effort(fields: Json, abilities: Abilities, omitted: list[str]) -> None:
    wanted = find_member(fields, EFFORT)
    if not isinstance(wanted, str):
        return
    nearest = abilities.nearest_effort(wanted) if abilities.takes_effort else None
    if nearest != wanted:
        client_bodies.replace_member(fields, EFFORT, nearest, omitted)


# --- thinking ------------------------------------------------------------------------------------


def _fit_thinking(fields: Json, abilities: Abilities, omitted: list[str]) -> None:
    """Have the model think in the way that it can, or not at all."""
    thinking: Json = read_object(fields.get("thinking"))
    kind = thinking.get("type")
    if kind == "disabled":
        _disable_thinking(fields, abilities, omitted)
    elif kind == "enabled" and abilities.generation >= (4, 7):
        shown = {name: value for name, value in thinking.items() if name == "display"}
        fields["thinking"] = {**abilities.adaptive_thinking(), **shown}
        omitted.append("thinking.budget_tokens")
    elif kind == "adaptive" and abilities.thinking == "by budget":
        _set_budget(fields)
        omitted.append("thinking")
    elif kind in ("enabled", "adaptive", "between_tools") and abilities.thinking == "never":
        del fields["thinking"]
        omitted.append("thinking")
    if _cannot_think(fields, abilities, omitted):
        del fields["thinking"]
        omitted.append("thinking")
    if "thinking" in omitted and "thinking" not in fields:
        _keep_thinking_uncleared(fields, omitted)


def _keep_thinking_uncleared(fields: Json, omitted: list[str]) -> None:
    """Leave out the edits of the context that clear thinking: "`clear_thinking_20251015` strategy
    requires `thinking` to be enabled" (https://github.com/anthropics/claude-code/issues/11971,
    2025-11)."""
    edits = find_member(fields, CONTEXT_EDITS)
    if not isinstance(edits, list):
        return
    kept = [edit for edit in edits if not str(read_object(edit).get("type")).startswith(CLEARING)]
    if len(kept) < len(edits):
        client_bodies.replace_member(fields, CONTEXT_EDITS, kept, omitted)


def _disable_thinking(fields: Json, abilities: Abilities, omitted: list[str]) -> None:
    members, is_off = abilities.without_thinking()
    if members and members.get("thinking") != fields["thinking"]:
        del fields["thinking"]
        merge_options(fields, members)
        if not is_off:
            omitted.append("thinking")


def _set_budget(fields: Json) -> None:
    wanted = THINKING_BUDGETS.get(str(find_member(fields, EFFORT)), THINKING_BUDGETS["high"])
    budget = min(wanted, (fields.get("max_tokens") or 0) * 4 // 5)
    if budget < MIN_THINKING_BUDGET:
        del fields["thinking"]
    else:
        fields["thinking"] = {"type": "enabled", "budget_tokens": budget}


def _cannot_think(fields: Json, abilities: Abilities, omitted: list[str]) -> bool:
    """Whether the thinking that led to the last calls was another provider's and is left out."""
    return (
        "messages.thinking" in omitted
        and abilities.thinking == "by budget"
        and find_member(fields, ("thinking", "type")) == "enabled"
        and has_lost_thinking(fields["messages"])
    )
