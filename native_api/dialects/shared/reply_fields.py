"""Members of a reply outside of its choices, in the shapes that OpenAI's models require.

Clients that validate every reply (pydantic-ai with openai-python's models, read 2026-11) fail at a
member of another shape. So a provider's own value goes on under a name of its own, `native_…`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from native_api.types import Json

TIERS: Final = {"on_demand": "default", "standard": "default", "on-demand": "default"}
"""A vendor's name of a service tier -> OpenAI's."""
KNOWN_TIERS: Final = frozenset({"auto", "default", "flex", "scale", "priority", "fast"})
CHECKED_FIELDS: Final = frozenset({"service_tier", "moderation", "metadata"})
"""The members that `read_checked_fields` reads."""


def read_checked_fields(body: Mapping[str, Any]) -> Json:
    """All members of a reply that this module knows."""
    return {**read_service_tier(body), **read_moderation(body), **read_metadata(body)}


def read_service_tier(body: Mapping[str, Any]) -> Json:
    """The tier in OpenAI's words, and the vendor's own if it has another name. {} without one."""
    tier = body.get("service_tier")
    if tier is None:
        return {}
    if isinstance(tier, str) and tier in KNOWN_TIERS:
        return {"service_tier": tier}
    return {"service_tier": TIERS.get(str(tier)), "native_service_tier": tier}


def read_moderation(body: Mapping[str, Any]) -> Json:
    """The moderation of a reply in Chat Completions' shape, {} without one.

    The Responses API has one result where Chat Completions have a list of them
    (openai-python 3.57, `types.responses.Response` and `types.chat.ChatCompletion`).
    """
    moderation = body.get("moderation")
    if not moderation:
        return {}
    members = moderation if isinstance(moderation, dict) else {}
    sides = {side: _build_results(members.get(side)) for side in ("input", "output")}
    if not all(sides.values()):
        return {"native_moderation": moderation}
    return {"moderation": {**members, **sides}}


def _build_results(result: Any) -> Json | None:
    """The results of one side, None if they have an unknown shape."""
    kind = result.get("type") if isinstance(result, dict) else None
    if kind == "moderation_result":
        return {
            "type": "moderation_results",
            "model": str(result.get("model") or ""),
            "results": [result],
        }
    if kind == "moderation_results" and isinstance(result.get("results"), list):
        return dict(result)
    if kind == "error":
        return {"code": "", "message": "", **result}
    return None


def read_metadata(body: Mapping[str, Any]) -> Json:
    """The metadata, which OpenAI has as texts only. {} without any."""
    metadata = body.get("metadata")
    if metadata is None:
        return {}
    is_plain = isinstance(metadata, dict) and all(
        isinstance(value, str) for value in metadata.values()
    )
    return {"metadata": metadata} if is_plain else {"native_metadata": metadata}
