"""Tools of Responses as unified tools, and the names of those that are in a namespace."""

from __future__ import annotations

from typing import NamedTuple

from native_api.types import Json


class ToolName(NamedTuple):
    """What a client calls its tool. `namespace` is "" for a tool without one."""

    name: str
    namespace: str = ""


def split_name(name: str, body: Json) -> ToolName:
    """The client's name of the tool that unified calls name so. `body` is the client's request."""
    return ToolName(name)
