"""Calls of the provider's own tools among the tool calls of a reply.

The provider runs them itself, so a client must not: xAI types them as `web_search_tool`,
`x_search_tool` … (https://docs.x.ai/docs/guides/tools/overview), GLM as `web_browser`,
`code_interpreter` … (https://docs.bigmodel.cn/cn/guide/models/text/glm-4; both read 2026-11). They
are kept in `provider_content`, and are not sent back: they have no results that the client knows.
"""

from __future__ import annotations

import re
from typing import Any, Final

from native_api.dialects.shared.call_arguments import CallArguments
from native_api.types import Json

SERVER_TYPE: Final = re.compile(
    r"(?:tool_call_type_)?"
    r"(?:web_search|x_search|web_browser|code_interpreter|code_execution|drawing_tool|retrieval"
    r"|(?:file|collections|document|attachment|locations)_search|connector|mcp|view_image"
    r"|view_x_video)"
    r"(?:_preview)?(?:_call|_tool)?",
    re.IGNORECASE,
)


class ServerCalls:
    """The server's calls of one choice. `take` each piece of a call, then `build` once."""

    __slots__ = ("_calls",)

    def __init__(self) -> None:
        self._calls: dict[Any, tuple[Json, CallArguments]] = {}

    def __bool__(self) -> bool:
        return bool(self._calls)

    def take(self, piece: Json) -> bool:
        """Keep a piece of a call that the provider runs. False for a call of the client's."""
        kind, key = piece.get("type"), str(piece.get("id") or piece.get("index"))
        is_first = isinstance(kind, str) and SERVER_TYPE.fullmatch(kind) is not None
        if not is_first and (piece.get("id") or kind or key not in self._calls):
            return False
        call, arguments = self._calls.setdefault(key, ({}, CallArguments()))
        if piece.get("index") is not None:
            self._calls[str(piece["index"])] = call, arguments
        function = piece.get("function")
        call |= {name: value for name, value in piece.items() if name != "index"}
        if isinstance(function, dict):
            text = function.get("arguments")
            arguments.add(text if isinstance(text, str) else "")
            call["function"] = {**call.get("function", {}), **function}
        return True

    def build(self) -> list[Json]:
        """The calls as the provider sent them, each once."""
        calls: list[Json] = []
        for call, arguments in self._calls.values():
            if "function" in call:
                call["function"]["arguments"] = arguments.text or arguments.finish()
            if call not in calls:
                calls.append(call)
        return calls
