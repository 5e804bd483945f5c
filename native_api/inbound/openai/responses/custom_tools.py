"""Custom tools, whose input is free text, as functions with one string: most APIs and servers have
functions only. `custom_calls` makes calls of the custom tool of their calls.

A grammar is given to the model in words, and reported, since nobody else constrains the output by
it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

from native_api.inbound.translation import Report
from native_api.types import Json

INPUT: Final = "input"
PARAMETERS: Final[Mapping[str, Any]] = {
    "type": "object",
    "properties": {INPUT: {"type": "string", "description": "The whole input, as free text."}},
    "required": [INPUT],
    "additionalProperties": False,
}


def build_function(name: str, tool: Json, report: Report) -> Json:
    """The function that stands for a custom tool."""
    written = tool.get("format") or {}
    texts = [tool.get("description")]
    if written.get("type") == "grammar":
        texts += [
            f"The input has to match this {written.get('syntax')} grammar:",
            str(written.get("definition")),
        ]
        report.omit("tools.format")
    function: Json = {"name": name, "parameters": dict(PARAMETERS)}
    description = "\n\n".join(filter(None, texts))
    if description:
        function["description"] = description
    return function


def write_call(call: Json) -> Json:
    """The call of the function that stands for the custom tool of this call."""
    custom = call["custom"]
    arguments = orjson.dumps({INPUT: custom["input"]}).decode()
    others = {name: value for name, value in call.items() if name != "custom"}
    function = {"name": custom["name"], "arguments": arguments}
    return {**others, "type": "function", "function": function}
