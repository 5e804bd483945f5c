"""What of a Messages request other wires than Anthropic's have no words for."""

from __future__ import annotations

from collections.abc import Iterable

from native_api.exceptions import UnsupportedField


class Report:
    """Of one request: `omitted` names what is left out, `refused` has an error for each thing on
    which the answer depends."""

    __slots__ = ("omitted", "refused")

    def __init__(self, omitted: list[str]) -> None:
        self.omitted = omitted
        self.refused: list[UnsupportedField] = []

    def omit(self, *names: str) -> None:
        self.omitted += names

    def omit_all(self, names: Iterable[str]) -> None:
        self.omitted += names

    def refuse(self, path: str, reason: str) -> None:
        self.refused.append(UnsupportedField(path, reason))
