"""Function calls of a reply, whole or in pieces, as unified ones.

Vertex AI streams arguments where it is asked to (`streamFunctionCallArguments`): a call then begins
with its name and `willContinue`, its values come in `partialArgs`, each with the path of its place,
text in pieces, and a part without `willContinue` ends it
(https://cloud.google.com/vertex-ai/generative-ai/docs/multimodal/function-calling#streaming-fc,
read 2026-11).
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any, Final

from native_api.dialects.shared.tools import format_arguments
from native_api.types import Json

STEP: Final = re.compile(r"""\.([^.\[\]]+)|\[(\d+)\]|\[(?:'([^']*)'|"([^"]*)")\]""")
VALUES: Final = ("stringValue", "numberValue", "boolValue", "nullValue")


class Pieces:
    """The arguments of one call that is being streamed."""

    def __init__(self, number: int) -> None:
        self.number = number
        self._arguments: Json = {}

    def take(self, call: Json) -> None:
        if isinstance(call.get("args"), dict):
            self._arguments |= call["args"]
        for piece in call.get("partialArgs") or ():
            name = next((name for name in VALUES if name in piece), None)
            steps = [_step(found) for found in STEP.finditer(str(piece.get("jsonPath") or ""))]
            if name and steps:
                _put(self._arguments, steps, None if name == "nullValue" else piece[name])

    def delta(self) -> Json:
        """All arguments in one piece: text that grows inside a value cannot be told as JSON that
        only grows at its end."""
        return {"index": self.number, "function": {"arguments": format_arguments(self._arguments)}}


def _step(found: re.Match[str]) -> str | int:
    name, index, quoted, double = found.groups()
    return (
        int(index)
        if index is not None
        else next(word for word in (name, quoted, double) if word is not None)
    )


def _put(holder: Any, steps: list[str | int], value: Any) -> None:
    """Put a value where the path leads. Text is added to text that is there; lists only grow by the
    next item."""
    for step, following in pairwise(steps):
        holder = _at(holder, step, [] if isinstance(following, int) else {})
    last = steps[-1]
    present = _at(holder, last, value)
    if isinstance(present, str) and isinstance(value, str) and present is not value:
        holder[last] = present + value


def _at(holder: Any, step: str | int, default: Any) -> Any:
    if isinstance(holder, dict):
        return holder.setdefault(str(step), default)
    if not isinstance(holder, list) or not isinstance(step, int) or step > len(holder):
        raise ValueError("a path that leads nowhere")
    if step == len(holder):
        holder.append(default)
    return holder[step]


def begun(part: Json, number: int, call_id: str, arguments: str) -> Json:
    """A call's first piece, with the signature that the provider wants back."""
    call = part["functionCall"]
    told: Json = {
        "index": number,
        "id": str(call.get("id") or call_id),
        "type": "function",
        "function": {"name": str(call.get("name") or ""), "arguments": arguments},
    }
    return signed(told, part)


def signed(told: Json, part: Json) -> Json:
    signature = part.get("thoughtSignature")
    return (
        {**told, "extra_content": {"google": {"thought_signature": signature}}}
        if signature
        else told
    )
