"""Members of a wire's tool calls that have no unified form, and may be younger than the gateway.

A call keeps them in `extra_content`, under the wire's name, so that they go back to the provider
that sent them and to no other.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from native_api.types import Json


def add_extras(call: Json, wire: str, members: Mapping[str, Any], known: Collection[str]) -> Json:
    """The call with the members that are not `known`; itself if there are none."""
    if members.keys() <= set(known):
        return call
    extras = {
        name: value for name, value in members.items() if name not in known and value is not None
    }
    if not extras:
        return call
    return {**call, "extra_content": {**call.get("extra_content", {}), wire: extras}}


def read_extras(call: Mapping[str, Any], wire: str) -> Json:
    """The members that `add_extras` kept."""
    extras = (call.get("extra_content") or {}).get(wire)
    return dict(extras) if isinstance(extras, dict) else {}
