"""A Messages request as the unified chat request: its frame, and the fields that are not part of
the conversation. Pure.

`omitted` gets what other wires than Anthropic's have no words for; what would change the meaning of
the answer is refused. Fields are never missing only because they are null.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final

from native_api.inbound import translation
from native_api.inbound.anthropic.messages.serializer import MessagesSerializer
from native_api.inbound.anthropic.messages.unify_messages import Conversation, mark_last_part
from native_api.inbound.anthropic.messages.unify_output import (
    OLD_FORMAT,
    unify_output,
    unify_reasoning,
)
from native_api.inbound.anthropic.messages.unify_tools import unify_tools
from native_api.inbound.request_serializer import (
    MAX_METADATA_KEY_LENGTH,
    MAX_METADATA_PAIRS,
    MAX_METADATA_VALUE_LENGTH,
)
from native_api.inbound.translation import Report
from native_api.types import Json

ROUTED_FIELDS: Final = ("model", "tier", "stream", "conversation_id", "provider_options")
RENAMED_FIELDS: Final = {
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "stop_sequences": "stop",
}
"""Anthropic's field -> the unified one with the same values."""

SERVICE_TIERS: Final = {"auto": "auto", "standard_only": "default"}

LEFT_OUT: Final = (
    "betas", "context_management", "diagnostics", "speed", "fallback_credit_token",
    "billing_policy", "user_profile_id", "workspace_id",
)  # fmt: skip
"""Fields that change where, how fast or at whose cost an answer is made, but not its meaning."""
NEEDED: Final[Mapping[str, str]] = {
    "mcp_servers": "only Anthropic connects to MCP servers itself",
    "container": "only Anthropic has these containers",
    "inference_geo": "other providers do not say where they compute",
    "compaction": "only Anthropic makes a compaction instead of an answer",
}
"""Fields without which the answer would be another -> why a provider that is not Anthropic does not
take them."""

SERIALIZER: Final = MessagesSerializer()
KNOWN_FIELDS: Final = SERIALIZER.fields.keys() | {OLD_FORMAT}

USER_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""What every provider takes as a user's id: at most 64 characters at OpenAI (maximhq/bifrost#1000,
2025-12), and only these at others (anthropics/claude-code#56643, 2026-05). Coding agents send a
JSON text."""


def unify(body: Json, report: Report) -> Any:
    """The unified request of a checked body whose seals are opened."""
    _refuse_needed(body, report)
    chat = read_head(body)
    chat.pop("metadata", None)
    conversation = Conversation(report)
    conversation.add_system(body.get("system"))
    conversation.add_turns(body["messages"])
    chat["messages"] = conversation.messages
    report.locate("messages", conversation.places)
    if body.get("cache_control"):
        mark_last_part(chat["messages"], body["cache_control"])
    chat |= _rename_fields(body)
    chat |= unify_tools(body, conversation.tool_changes, report)
    chat |= unify_reasoning(body, conversation.effort, report)
    chat |= unify_output(body, report)
    report.omit_all(_find_left_out(body))
    report.omit_unknown(SERIALIZER.list_unknown_members(body))
    return chat


def _rename_fields(body: Mapping[str, Any]) -> Json:
    fields = {
        unified: body[name]
        for name, unified in RENAMED_FIELDS.items()
        if body.get(name) is not None
    }
    user_id = (body.get("metadata") or {}).get("user_id")
    return {**fields, "user": shorten_user_id(user_id)} if user_id else fields


def read_head(body: Mapping[str, Any]) -> Json:
    """What routing, limits and records read of a request, in the unified request's words."""
    head = translation.read_head(body, ROUTED_FIELDS, "max_tokens")
    if _has_own_fallbacks(body):
        head["fallbacks"] = body["fallbacks"]
    if body.get("service_tier") in SERVICE_TIERS:
        head["service_tier"] = SERVICE_TIERS[body["service_tier"]]
    metadata = _read_metadata(body.get("metadata") or {})
    if metadata:
        head["metadata"] = metadata
    return head


def _has_own_fallbacks(body: Mapping[str, Any]) -> bool:
    """Whether `fallbacks` are names of models, as ours, and not Anthropic's objects."""
    fallbacks = body.get("fallbacks")
    return isinstance(fallbacks, list) and all(isinstance(item, str) for item in fallbacks)


def _read_metadata(metadata: Mapping[str, Any]) -> dict[str, str]:
    """What of the metadata a usage record can keep."""
    kept = {
        name: value
        for name, value in metadata.items()
        if isinstance(value, str)
        and len(name) <= MAX_METADATA_KEY_LENGTH
        and len(value) <= MAX_METADATA_VALUE_LENGTH
        and "\0" not in name + value
    }
    return dict(list(kept.items())[:MAX_METADATA_PAIRS])


def shorten_user_id(user_id: str) -> str:
    """The id of a user as every provider takes it: itself, or always the same one in its place."""
    if USER_ID.fullmatch(user_id):
        return user_id
    return sha256(user_id.encode("utf-8", "surrogatepass")).hexdigest()


def _refuse_needed(body: Mapping[str, Any], report: Report) -> None:
    for name, reason in NEEDED.items():
        if body.get(name):
            report.refuse(name, reason)
    if body.get("max_tokens") == 0:
        report.refuse("max_tokens", "0, which only fills a cache, is for Anthropic")
    if (body.get("thread") or {}).get("type", "create") != "create":
        report.refuse("thread", "only Anthropic keeps it; send the whole conversation")


def _find_left_out(body: Mapping[str, Any]) -> list[str]:
    names = [name for name in LEFT_OUT if body.get(name)]
    if body.get("thread"):
        names.append("thread")
    if body.get("fallbacks") and not _has_own_fallbacks(body):
        names.append("fallbacks")
    if body.get("service_tier") and body["service_tier"] not in SERVICE_TIERS:
        names.append("service_tier")
    return names + [
        name for name, value in body.items() if name not in KNOWN_FIELDS and value is not None
    ]
