"""Things of one kind by name: those that the gateway has, and those that a site plugs in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeVar

from native_api.types.config import EMPTY_MAPPING

T = TypeVar("T")


class Registry(Mapping[str, T]):
    """A mapping whose names are decided by the gateway and the site together.

    What a site plugs in is replaced as a whole, so readers need no lock. It has none of the
    gateway's own names: `catalog.plugins` refuses them.
    """

    def __init__(self, built_in: Mapping[str, T]) -> None:
        self.built_in = dict(built_in)
        self.site: Mapping[str, T] = EMPTY_MAPPING

    def __getitem__(self, name: str) -> T:
        if name in self.built_in:
            return self.built_in[name]
        return self.site[name]

    def __iter__(self) -> Iterator[str]:
        yield from self.built_in
        yield from self.site

    def __len__(self) -> int:
        return len(self.built_in) + len(self.site)
