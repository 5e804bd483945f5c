"""The blocks of a reply while they are written, each with what it needs to know of its end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from native_api.dialects.shared.call_arguments import is_object
from native_api.dialects.shared.json_values import dump_json
from native_api.dialects.shared.tools import parse_arguments
from native_api.inbound.base import Seal
from native_api.inbound.replayed import ReplayedMembers
from native_api.inbound.sealed import seal_replayed, seal_signed
from native_api.types import Json


class Block:
    """A block. `start` is how it begins, `index` its place once it has begun, `waiting` what came
    before that, and `takes_text` says whether more text may join it."""

    __slots__ = ("index", "start", "takes_text", "type", "waiting")

    def __init__(self, start: Json) -> None:
        self.start = start
        self.type = start["type"]
        self.takes_text = self.type == "text"
        self.index: int | None = None
        self.waiting: list[Json] = []

    def may_end(self) -> bool:
        """Whether nothing can follow once another block has begun."""
        return True

    def finish(self) -> Iterator[Json]:
        """The last pieces."""
        yield from ()


class OwnThinking(Block):
    """Thinking of Anthropic's, whose signature is sealed with the name of who issued it."""

    __slots__ = ("_issuer", "_seal", "signature")

    def __init__(self, seal: Seal, issuer: str | None) -> None:
        super().__init__({"type": "thinking", "thinking": "", "signature": ""})
        self._seal, self._issuer = seal, issuer
        self.signature = ""

    def finish(self) -> Iterator[Json]:
        if self.signature:
            sealed = seal_signed(self._seal, self._issuer, self.signature)
            yield {"type": "signature_delta", "signature": sealed}


class ReplayedThinking(Block):
    """Thinking of another wire. Its signature is what came with it and has to go back."""

    __slots__ = ("_replayed", "_seal")

    def __init__(self, seal: Seal, replayed: ReplayedMembers) -> None:
        super().__init__({"type": "thinking", "thinking": "", "signature": ""})
        self._seal, self._replayed = seal, replayed

    def finish(self) -> Iterator[Json]:
        members = self._replayed.take()
        if members is not None:
            sealed = seal_replayed(self._seal, members)
            yield {"type": "signature_delta", "signature": sealed}


class CallBlock(Block):
    """A call of the client's tools.

    The input of a call is an object. Arguments that are not come as `_raw` in one (see
    `parse_arguments`), and the text for a custom tool, which this API does not have, as `input`.
    """

    __slots__ = ("_held", "_is_custom", "_pieces")

    def __init__(self, call: Mapping[str, Any], members: Json) -> None:
        function = call.get("function") or call.get("custom") or {}
        super().__init__(
            {
                **members,
                "type": "tool_use",
                "id": call.get("id") or "",
                "name": function.get("name") or "",
                "input": {},
            }
        )
        self._is_custom = "custom" in call
        self._pieces: list[str] = []
        self._held = ""
        """Text that may not be an object."""

    def add(self, piece: Mapping[str, Any]) -> str:
        """The input that goes on of a piece of the call."""
        if self._is_custom:
            text = (piece.get("custom") or {}).get("input") or ""
            text = dump_json(text)[1:-1]
            text = text if self._pieces else f'{{"input":"{text}'
        else:
            text = self._held + ((piece.get("function") or {}).get("arguments") or "")
            if not self._pieces and text.lstrip()[:1] != "{":
                self._held, text = text, ""
        if text:
            self._pieces.append(text)
        return text

    def may_end(self) -> bool:
        has_end = bool(self._pieces) and self._pieces[-1].rstrip()[-1:] == "}"
        return has_end and not self._is_custom and is_object("".join(self._pieces))

    def finish(self) -> Iterator[Json]:
        text = '"}' if self._is_custom else ""
        if not self._pieces and self._held.strip():
            text = dump_json(parse_arguments(self._held))
        if text:
            yield {"type": "input_json_delta", "partial_json": text}
