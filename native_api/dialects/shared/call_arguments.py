"""The arguments of a function call in a reply: JSON that clients can parse, and once only.

Rules:
1. No arguments are `{}`. Servers send "", white space, `null` (Cohere, recorded 2026-08) or
   nothing.
2. `{}` or `null` may only hold the place of arguments that follow (Gemini's compatible endpoint and
   vLLM: https://github.com/microsoft/autogen/pull/7549,
   https://github.com/ogx-ai/ogx/pull/5462, 2026-04).
3. Whole arguments may come a second time, at once or in pieces
   (https://github.com/lidge-jun/opencodex/issues/361, 2026-07). Nothing can follow a whole object.
"""

from __future__ import annotations

from typing import Final

import orjson

NO_ARGUMENTS: Final = "{}"
PLACEHOLDERS: Final = ("null", NO_ARGUMENTS)


def complete_arguments(text: str) -> str:
    """Whole arguments as clients expect them: `{}` if there are none."""
    return NO_ARGUMENTS if text.strip() in ("", *PLACEHOLDERS) else text


class CallArguments:
    """The arguments of one call as they come in: `add` each piece, then `finish` once.

    Both return the text that is sent on, often "".
    """

    __slots__ = ("_held", "_is_whole", "_pieces", "holds_empty_object")

    def __init__(self) -> None:
        self.holds_empty_object = True
        """Whether `{}` may only hold the place of arguments that follow."""
        self._held = ""
        self._pieces: list[str] = []
        self._is_whole = False

    def add(self, piece: str) -> str:
        if not self._pieces:
            return self._begin(piece)
        if piece[:1] == "{" and self.is_whole():
            self._is_whole = True
        if self._is_whole or not piece:
            return ""
        self._pieces.append(piece)
        return piece

    def _begin(self, piece: str) -> str:
        self._held += piece
        text = self._held.strip()
        if "null".startswith(text) or (text == NO_ARGUMENTS and self.holds_empty_object):
            return ""
        text = self._held
        for placeholder in PLACEHOLDERS:
            rest = text.lstrip().removeprefix(placeholder).lstrip()
            text = rest if rest[:1] == "{" else text
        self._held = ""
        self._pieces.append(text)
        return text

    def is_whole(self) -> bool:
        """Whether what was sent is a whole JSON object."""
        return self._is_whole or (
            bool(self._pieces) and self._pieces[-1].rstrip()[-1:] == "}" and is_object(self.text)
        )

    @property
    def text(self) -> str:
        """All that was sent."""
        return "".join(self._pieces)

    def finish(self) -> str:
        if self._pieces:
            return ""
        held, self._held = self._held, ""
        self._pieces.append(complete_arguments(held))
        return self._pieces[0]


def is_object(text: str) -> bool:
    """Whether the text is a JSON object."""
    try:
        return isinstance(orjson.loads(text), dict)
    except orjson.JSONDecodeError:
        return False
