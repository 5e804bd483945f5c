"""What of a Messages request other wires than Anthropic's have no words for."""

from __future__ import annotations

from collections.abc import Iterable

from native_api.exceptions import UnsupportedField


class Report:
    """Of one request: `omitted` names what is left out, `refused` has an error for each thing on
    which the answer depends. `places` are those of unified messages and tools (`tools[0]`) in the
    request."""

    __slots__ = ("omitted", "places", "refused")

    def __init__(self, omitted: list[str]) -> None:
        self.omitted = omitted
        self.places: dict[str, str] = {}
        self.refused: list[UnsupportedField] = []

    def omit(self, *names: str) -> None:
        self.omitted += names

    def omit_all(self, names: Iterable[str]) -> None:
        self.omitted += names

    def locate(self, field: str, places: Iterable[str]) -> None:
        """Keep where the items of a unified list stand in the request."""
        self.places |= {f"{field}[{index}]": place for index, place in enumerate(places)}

    def refuse(self, path: str, reason: str) -> None:
        self.refused.append(UnsupportedField(path, reason))
