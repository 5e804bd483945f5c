"""`provider_options`: the caller's own additions to the body for one provider."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from native_api.types import ChatRequest, Json, Target


def find_provider_options(chat: ChatRequest, target: Target) -> tuple[str, Json]:
    """The name and the members of the options for this target.

    They are looked up by the provider's name, then by its dialect's.
    """
    options = chat.get("provider_options") or {}
    name = target.provider.name if target.provider.name in options else target.provider.dialect
    return name, options.get(name) or {}


def merge_options(body: Json, options: Mapping[str, Any]) -> None:
    """Merge `options` into `body`: objects member by member, all other values are replaced.

    Changes `body` itself, but none of the values in it.
    """
    for name, value in options.items():
        body[name] = _merge_value(body.get(name), value)


def merge_options_and_tools(body: Json, options: Mapping[str, Any]) -> None:
    """The same, but a list of tools is appended to the body's.

    It replaces functions of the same name.
    """
    tools, added = body.get("tools"), options.get("tools")
    merge_options(body, options)
    if tools and isinstance(added, list):
        body["tools"] = _append_tools(tools, added)


def _append_tools(tools: list[Any], added: list[Any]) -> list[Any]:
    names = {_read_name(tool) for tool in added} - {""}
    return [*(tool for tool in tools if _read_name(tool) not in names), *added]


def _read_name(tool: Any) -> str:
    """The name of a function in OpenAI's shape, "" for any other tool."""
    function = tool.get("function") if isinstance(tool, Mapping) else None
    return str(function.get("name") or "") if isinstance(function, Mapping) else ""


def _merge_value(present: Any, value: Any) -> Any:
    """`value`, merged into `present` if both are objects.

    Objects are copied, because they may be the client's, or cached.
    """
    if not isinstance(value, Mapping):
        return value
    members = dict(present) if isinstance(present, Mapping) else {}
    for name, member in value.items():
        members[name] = _merge_value(members.get(name), member)
    return members
