"""A client's own body for the Responses API, with the edits that a shared provider key and the
model require. The rest goes on as it was written. Rules:

1. Nothing is stored at the provider, and nothing there is referred to, unless it has OWN_ACCOUNT.
2. Encrypted reasoning and compaction go back only to the issuer that marked them. Reasoning that
   OpenAI could not resolve is left out: without content it is known by its id alone.
3. The model's own refusals are those of `shared.model_rules`.

Replies say what is done of 1, and have the issuer's mark on what is encrypted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from native_api.dialects.openai_responses.messages import drop_cut_reasoning
from native_api.dialects.openai_responses.reasoning import ENCRYPTED_REASONING, may_reason
from native_api.dialects.openai_responses.state import STATE_WAY_ROUND
from native_api.dialects.shared import client_bodies
from native_api.dialects.shared.call_ids import OPENAI_IDS, fit_id
from native_api.dialects.shared.client_bodies import Path, find_member
from native_api.dialects.shared.issuers import MARK, RESTORED
from native_api.dialects.shared.json_values import replace_items, replace_members
from native_api.dialects.shared.model_rules import find_rule
from native_api.exceptions import UnsupportedField
from native_api.types import Json, Target
from native_api.types.model_rules import ModelRule

FIELD_PATHS: Final[Mapping[str, Path]] = {
    **{
        name: (name,)
        for name in (
            "temperature", "top_p", "top_logprobs", "parallel_tool_calls", "service_tier",
            "prompt_cache_key", "prompt_cache_retention", "prompt_cache_options",
            "safety_identifier", "metadata", "user", "moderation", "tools", "tool_choice",
        )
    },
    "max_completion_tokens": ("max_output_tokens",),
    "response_format": ("text", "format"),
    "verbosity": ("text", "verbosity"),
    "reasoning_effort": ("reasoning", "effort"),
}  # fmt: skip
"""Unified field -> where this wire has it."""

EFFORT: Final = FIELD_PATHS["reasoning_effort"]
STATE_FIELDS: Final = ("previous_response_id", "conversation")
ENCRYPTED_ITEMS: Final = ("reasoning", "compaction")
"""Types of items with `encrypted_content`."""


def edit_body(body: Json, target: Target, issuer: str, omitted: list[str]) -> Json:
    """The body for the target. Adds to `omitted` the paths that are left out.

    Raises UnsupportedField.
    """
    own_account = target.provider.own_account
    fields = client_bodies.copy_fields(body, target.model)
    if not own_account:
        _refuse_state(fields)
        _disable_storing(fields, omitted)
    client_bodies.check_owned(fields, client_bodies.RESPONSES_CLIENTS, own_account)
    rule = find_rule(target)
    stored = fields.get("store") is not False
    if isinstance(fields.get("input"), list):
        fields["input"] = _edit_items(fields["input"], issuer, stored, omitted)
        roles = {**target.provider.quirks.roles, **rule.roles}
        client_bodies.rename_roles(fields, "input", roles)
    _edit_effort(fields, rule, omitted)
    refused = target.provider.quirks.unsupported | rule.refused_fields(find_member(fields, EFFORT))
    client_bodies.leave_out_unsupported(fields, refused, FIELD_PATHS, omitted)
    _edit_include(fields, rule, stored, omitted)
    return fields


# --- state at the provider -----------------------------------------------------------------------


def _refuse_state(fields: Json) -> None:
    for name in STATE_FIELDS:
        if fields.get(name):
            raise UnsupportedField(name, STATE_WAY_ROUND)
    items = fields.get("input")
    for index, item in enumerate(items if isinstance(items, list) else ()):
        if item.get("type") in (None, "item_reference") and "role" not in item:
            raise UnsupportedField(f"input[{index}]", STATE_WAY_ROUND)


def _disable_storing(fields: Json, omitted: list[str]) -> None:
    """Ask the provider not to store, which it would do by default."""
    if fields.get("store"):
        omitted.append("store")
    fields["store"] = False


# --- items ---------------------------------------------------------------------------------------


def _edit_items(items: list[Json], issuer: str, stored: bool, omitted: list[str]) -> list[Json]:
    kept = []
    for index, item in enumerate(items):
        kind = item.get("type")
        if kind in ENCRYPTED_ITEMS:
            item = _edit_encrypted(item, issuer, stored, f"input[{index}]") or {}
            if not item:
                omitted.append(f"input.{kind}")
                continue
        elif MARK in item:
            item = _edit_other(item, issuer, omitted)
        call_id = item.get("call_id")
        if isinstance(call_id, str) and len(call_id) > 64:
            item = {**item, "call_id": fit_id(OPENAI_IDS, call_id)}
        kept.append(item)
    whole = drop_cut_reasoning(kept)
    if len(whole) < len(kept):
        omitted.append("input.reasoning")
    return whole


def _edit_encrypted(item: Json, issuer: str, stored: bool, path: str) -> Json | None:
    """The item without its mark; None if this provider cannot read it.

    Raises UnsupportedField for the compacted conversation of another provider, which is all that is
    left of it.
    """
    if RESTORED in item:
        return None
    maker = item.get(MARK)
    if maker == issuer:
        return {name: value for name, value in item.items() if name != MARK}
    if item.get("type") == "compaction" and maker is not None:
        raise UnsupportedField(
            f"{path}.encrypted_content", "the conversation was compacted by another provider"
        )
    if stored and maker is None and item.get("id"):
        return item
    if item.get("content") and not item.get("encrypted_content"):
        return item
    return None


def _edit_other(item: Json, issuer: str, omitted: list[str]) -> Json:
    """An item that says something besides, without its mark, and without what another provider has
    encrypted."""
    own = {name: value for name, value in item.items() if name != MARK}
    if item[MARK] != issuer:
        del own["encrypted_content"]
        omitted.append("input.encrypted_content")
    return own


# --- reasoning -----------------------------------------------------------------------------------


def _edit_effort(fields: Json, rule: ModelRule, omitted: list[str]) -> None:
    """The effort as the model takes it; for a model that never reasons, none of `reasoning`."""
    wanted = find_member(fields, EFFORT)
    if rule.reasoning == "never":
        asked = fields.pop("reasoning", None) or {}
        if any(value not in (None, "none") for value in asked.values()):
            omitted.append("reasoning")
    elif isinstance(wanted, str) and (nearest := rule.nearest_effort(wanted)) != wanted:
        client_bodies.replace_member(fields, EFFORT, nearest, omitted)


def _edit_include(fields: Json, rule: ModelRule, stored: bool, omitted: list[str]) -> None:
    """Have the reasoning encrypted if it is not stored, so that the client can send it back."""
    include = fields.get("include") or []
    effort = find_member(fields, EFFORT)
    if ENCRYPTED_REASONING in include:
        if rule.reasoning == "never":
            fields["include"] = [each for each in include if each != ENCRYPTED_REASONING]
            omitted.append("include")
    elif not stored and may_reason(rule, effort, _has_reasoned(fields.get("input"))):
        fields["include"] = [*include, ENCRYPTED_REASONING]


def _has_reasoned(items: Any) -> bool:
    return isinstance(items, list) and any(item.get("type") == "reasoning" for item in items)


# --- replies -------------------------------------------------------------------------------------


def edit_response(response: Any, issuer: str, own_account: bool) -> Any:
    """The response with its issuer's mark on what is encrypted, and saying that the provider has
    not stored it, as it was asked to; itself if nothing changes.

    Some servers do not say so, or repeat their default.
    """
    output = response.get("output") if isinstance(response, dict) else None
    if not isinstance(output, list):
        return response
    edited: Json = {"output": replace_items(output, [mark_item(item, issuer) for item in output])}
    if not own_account:
        edited["store"] = False
    return replace_members(response, edited)


def mark_item(item: Any, issuer: str) -> Any:
    """The item with the mark; itself if nothing of it is encrypted."""
    if isinstance(item, dict) and isinstance(item.get("encrypted_content"), str):
        return {**item, MARK: issuer}
    return item
