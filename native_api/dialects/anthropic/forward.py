"""A client's own body for the Messages API, with the edits that a shared provider key, the host and
the model require. The rest goes on as it was written, with its betas. Rules:

1. Thinking goes back only to the issuer that marked it. Claude refuses thinking without a
   signature; other vendors send and take it.
2. The faster and dearer inference (`speed`) is left out with its beta.
3. What the model refuses of thinking, effort and sampling is in `model_edits`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from native_api.dialects.anthropic.messages import THINKING_TYPES
from native_api.dialects.anthropic.model_edits import fit_model
from native_api.dialects.anthropic.models import OTHER_VENDOR, read_abilities
from native_api.dialects.shared import client_bodies
from native_api.dialects.shared.call_ids import CLAUDE_IDS, CallIds
from native_api.dialects.shared.gateway_owned import REASONS
from native_api.dialects.shared.issuers import MARK, OWN_MEMBERS
from native_api.dialects.shared.json_values import replace_items, replace_members
from native_api.dialects.shared.parts import is_blank
from native_api.exceptions import UnsupportedField
from native_api.types import Json, Target

COMPACTION: Final = "compaction"
SIGNED_TYPES: Final = (*THINKING_TYPES, COMPACTION, "compaction_delta")
SIGNED_MEMBERS: Final = ("signature", "data", "encrypted_content")
"""Blocks and deltas, and their members that only the provider can read or check."""
COMPACTION_SECRETS: Final = frozenset({"signature", "encrypted_content", *OWN_MEMBERS})

FAST_MODE: Final = "fast-mode"
"""How the beta of `speed` begins."""


def edit_body(body: Json, target: Target, issuer: str, omitted: list[str]) -> Json:
    """The body for the target, with the names of the client's betas in `betas`. Adds to `omitted`
    the paths that are left out.

    Raises UnsupportedField.
    """
    _check_fallbacks(body.get("fallbacks"))
    fields = client_bodies.copy_fields(body, target.model)
    fields["betas"] = list(body.get("betas") or ())
    _drop_speed(fields, omitted)
    client_bodies.check_owned(fields, client_bodies.MESSAGES_CLIENTS, target.provider.own_account)
    is_claude = read_abilities(target.known_model).generation != OTHER_VENDOR
    fields["messages"] = _edit_turns(body["messages"], issuer, is_claude, omitted)
    fit_model(fields, target, omitted)
    return fields


def _check_fallbacks(fallbacks: Any) -> None:
    """Refuse Anthropic's own fallbacks. The gateway's are names of its models."""
    is_own = isinstance(fallbacks, list) and all(isinstance(each, str) for each in fallbacks)
    if fallbacks is not None and not is_own:
        raise UnsupportedField("fallbacks", REASONS["access"])


def _drop_speed(fields: Json, omitted: list[str]) -> None:
    if fields.pop("speed", None) not in (None, "standard"):
        omitted.append("speed")
    betas = [beta for beta in fields["betas"] if not beta.startswith(FAST_MODE)]
    if len(betas) < len(fields["betas"]):
        omitted.append("betas")
        fields["betas"] = betas


# --- turns ---------------------------------------------------------------------------------------


def _edit_turns(
    turns: Sequence[Json], issuer: str, is_claude: bool, omitted: list[str]
) -> list[Json]:
    """The turns as this provider takes them. A turn without any edit is the same object; one of
    which nothing is left is left out."""
    call_ids = CallIds(CLAUDE_IDS)
    edited = []
    for turn in turns:
        content = turn.get("content")
        if not isinstance(content, list):
            edited.append(turn)
            continue
        blocks = [
            block
            for each in _fit_call_ids(content, call_ids)
            if (block := _edit_block(each, issuer, is_claude, omitted)) is not None
        ]
        if blocks or not content:
            edited.append(replace_members(turn, {"content": replace_items(content, blocks)}))
    return edited


def _edit_block(block: Json, issuer: str, is_claude: bool, omitted: list[str]) -> Json | None:
    """The block as this provider takes it; None if it cannot read it."""
    if block.get("type") in THINKING_TYPES:
        return _edit_thinking(block, issuer, is_claude, omitted)
    if block.get("type") == COMPACTION:
        return _edit_compaction(block, issuer, omitted)
    return _edit_text(block) if block.get("type") == "text" else block


def _edit_text(block: Json) -> Json | None:
    """The text without what only another provider's reply can have: citations without the index
    that Anthropic needs back, or no words at all. It refuses both."""
    text, citations = block.get("text"), block.get("citations")
    if isinstance(text, str) and is_blank(text):
        return None
    if not isinstance(citations, list) or not any(map(_is_foreign, citations)):
        return block
    own = [citation for citation in citations if not _is_foreign(citation)]
    rest = {name: value for name, value in block.items() if name != "citations"}
    return {**rest, "citations": own} if own else rest


def _is_foreign(citation: Any) -> bool:
    return isinstance(citation, dict) and citation.get("encrypted_index") == ""


def _fit_call_ids(blocks: list[Json], call_ids: CallIds) -> list[Json]:
    """The blocks of a turn with ids of calls as Anthropic takes them, each once. Another provider
    may have given two calls the same."""
    calls = [block for block in blocks if block.get("type") == "tool_use"]
    fitted = iter(call_ids.edit_calls({"tool_calls": calls})["tool_calls"])
    return [_fit_block(block, fitted, call_ids) for block in blocks]


def _fit_block(block: Json, calls: Iterator[Json], call_ids: CallIds) -> Json:
    if block.get("type") == "tool_use":
        return next(calls)
    if block.get("type") != "tool_result":
        return block
    given = block.get("tool_use_id")
    call_id = call_ids.edit_result({"tool_call_id": given})["tool_call_id"]
    return block if call_id == given else {**block, "tool_use_id": call_id}


def _edit_thinking(block: Json, issuer: str, is_claude: bool, omitted: list[str]) -> Json | None:
    if block.get(MARK) == issuer:
        return {name: value for name, value in block.items() if name != MARK}
    is_signed = bool(block.get("signature") or block.get("data"))
    if not (is_claude or is_signed or OWN_MEMBERS & block.keys()):
        return block
    omitted.append("messages.thinking")
    return None


def _edit_compaction(block: Json, issuer: str, omitted: list[str]) -> Json | None:
    """The block; for another issuer than its own only its summary, which every model can read."""
    if block.get(MARK) == issuer:
        return {name: value for name, value in block.items() if name != MARK}
    if COMPACTION_SECRETS.isdisjoint(block):
        return block
    omitted.append("messages.compaction")
    summary = {name: value for name, value in block.items() if name not in COMPACTION_SECRETS}
    return summary if summary.get("content") else None


# --- replies -------------------------------------------------------------------------------------


def mark_message(message: Any, issuer: str) -> Any:
    """The reply with its issuer's mark on what is signed or encrypted; itself if nothing is."""
    content = message.get("content") if isinstance(message, dict) else None
    if not isinstance(content, list):
        return message
    marked = [mark_block(block, issuer) for block in content]
    return replace_members(message, {"content": replace_items(content, marked)})


def mark_block(block: Any, issuer: str) -> Any:
    """A block, or a delta of one, with the mark; itself if nothing of it is signed or encrypted."""
    if (
        isinstance(block, dict)
        and block.get("type") in SIGNED_TYPES
        and any(map(block.get, SIGNED_MEMBERS))
    ):
        return {**block, MARK: issuer}
    return block
