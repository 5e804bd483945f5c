"""The messages of a request as one target may get them, before its dialect translates them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from native_api.dialects.shared.call_ids import CallIds
from native_api.dialects.shared.issuers import MARKED_MEMBERS, IssuerFilter, has_extra
from native_api.types import ChatRequest, Target

if TYPE_CHECKING:
    from native_api.dialects.base import Dialect

SIGNED_MEMBERS: Final = MARKED_MEMBERS - {"tool_calls"}


def prepare_messages(
    dialect: Dialect, chat: ChatRequest, target: Target, omitted: list[str]
) -> ChatRequest:
    """The chat with those messages that a target may get; `omitted` gets what is left out."""
    issuers = IssuerFilter(
        dialect.issuer(target),
        dialect.native_format or dialect.name,
        dialect.wire == "openai_chat",
        omitted,
    )
    call_ids = CallIds(dialect.call_id_rule(target))
    return {**chat, "messages": _edit_messages(chat["messages"], issuers, call_ids)}


def _edit_messages(messages: Sequence[Any], issuers: IssuerFilter, call_ids: CallIds) -> list[Any]:
    """The messages without what another provider issued, and with ids of tool calls that the wire
    takes. A message without any edit is the same object."""
    edited = []
    for message in messages:
        role = message["role"]
        if role == "assistant":
            calls = message.get("tool_calls")
            if not SIGNED_MEMBERS.isdisjoint(message) or (calls and has_extra(calls)):
                message = issuers.filter_message(message)
            if calls or "function_call" in message:
                message = call_ids.edit_calls(message)
        elif role in ("tool", "function"):
            message = call_ids.edit_result(message)
        edited.append(message)
    return edited
