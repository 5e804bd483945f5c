"""Function calls of a reply, whole or streamed, as unified tool calls.

Vertex AI streams arguments if it is asked to (`streamFunctionCallArguments`). Such a call begins
with its name and `willContinue`. Its values follow in `partialArgs`, each with its JSON path, and
texts in pieces. A part without `willContinue` ends the call
(https://cloud.google.com/vertex-ai/generative-ai/docs/multimodal/function-calling#streaming-fc,
read 2026-11).
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any, Final

from native_api.dialects.gemini.replay import WIRE
from native_api.dialects.shared.call_extras import add_extras
from native_api.dialects.shared.tools import format_arguments
from native_api.types import Json

PATH_STEP: Final = re.compile(r"""\.([^.\[\]]+)|\[(\d+)\]|\[(?:'([^']*)'|"([^"]*)")\]""")
CALL_MEMBERS: Final = frozenset({"id", "name", "args", "willContinue", "partialArgs"})
"""The members of a function call that are read."""
VALUE_FIELDS: Final = ("stringValue", "numberValue", "boolValue", "nullValue")


def build_tool_call(part: Json, index: int, arguments: str) -> Json:
    """The first piece of a call, with the signature that the provider wants back."""
    call = part["functionCall"]
    tool_call: Json = {
        "index": index,
        "id": str(call.get("id") or ""),
        "type": "function",
        "function": {"name": str(call.get("name") or ""), "arguments": arguments},
    }
    return attach_signature(add_extras(tool_call, WIRE, call, CALL_MEMBERS), part)


def attach_signature(item: Json, part: Json) -> Json:
    """The item with its part's thought signature, in the field that Google's OpenAI API uses."""
    signature = part.get("thoughtSignature")
    if not signature:
        return item
    extra = {**item.get("extra_content", {}), "google": {"thought_signature": signature}}
    return {**item, "extra_content": extra}


class StreamedArguments:
    """The arguments of one streamed call. `index` is the call's index in the reply."""

    def __init__(self, index: int) -> None:
        self.index = index
        self._arguments: Json = {}
        self._whole: Json = {}
        """Arguments that came whole. Those in pieces replace them, and are not added to them."""

    def add(self, call: Json) -> None:
        if isinstance(call.get("args"), dict):
            self._whole |= call["args"]
        for piece in call.get("partialArgs") or ():
            field = next((name for name in VALUE_FIELDS if name in piece), None)
            steps = [
                _parse_step(match) for match in PATH_STEP.finditer(str(piece.get("jsonPath") or ""))
            ]
            if field and steps:
                _set_value(self._arguments, steps, None if field == "nullValue" else piece[field])

    def build_delta(self) -> Json:
        """All arguments at once: a text that grows inside a value cannot be sent as JSON that grows
        only at its end."""
        arguments = format_arguments({**self._whole, **self._arguments})
        return {"index": self.index, "function": {"arguments": arguments}}


def _parse_step(match: re.Match[str]) -> str | int:
    name, index, single_quoted, double_quoted = match.groups()
    if index is not None:
        return int(index)
    return next(key for key in (name, single_quoted, double_quoted) if key is not None)


def _set_value(container: Any, steps: list[str | int], value: Any) -> None:
    """Put a value where the path leads. Text is appended to text that is there already; a list
    grows only by its next item."""
    for step, next_step in pairwise(steps):
        container = _get_or_add(container, step, [] if isinstance(next_step, int) else {})
    last_step = steps[-1]
    present = _get_or_add(container, last_step, value)
    if isinstance(present, str) and isinstance(value, str) and present is not value:
        container[last_step] = present + value


def _get_or_add(container: Any, step: str | int, default: Any) -> Any:
    if isinstance(container, dict):
        return container.setdefault(str(step), default)
    if not isinstance(container, list) or not isinstance(step, int) or step > len(container):
        raise ValueError("a path that leads nowhere")
    if step == len(container):
        container.append(default)
    return container[step]
