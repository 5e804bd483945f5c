"""The words of counting: what is asked of a store, and what it answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

LEASE: Final = 15.0
"""Seconds that a slot is held without being renewed."""

AFTERWARDS: Final = 60.0
"""Seconds that a counter outlives its window."""


class Count(NamedTuple):
    """`wanted` more in the counter `key`, which holds `most` at most, for `seconds` more."""

    key: str
    most: int
    wanted: int
    seconds: float


class Slot(NamedTuple):
    """One of `most` places in `key`."""

    key: str
    most: int


class Levels(NamedTuple):
    """What counters and slots held before, in the order of the question, and whether there was room
    in all of them.

    Where there was room, everything was taken.
    """

    counts: Sequence[int]
    slots: Sequence[int]
    taken: bool


class Store(Protocol):
    """Where counters are. Every method may raise whatever the cache raises."""

    shared: bool
    """Whether other processes see it, so that it may take a while and slots need renewing."""

    def take(self, member: str, counts: Sequence[Count], slots: Sequence[Slot]) -> Levels: ...
    def add(self, changes: Sequence[tuple[str, int]]) -> None:
        """Change counters that are still there."""

    def leave(self, member: str, slots: Sequence[str]) -> None: ...
    def renew(self, held: Sequence[tuple[str, str]]) -> None:
        """Hold these (slot, member) for `LEASE` more."""

    def levels(self, counts: Sequence[str], slots: Sequence[Slot]) -> Levels:
        """What is held now; nothing is taken."""


def has_room(counts: Sequence[Count], slots: Sequence[Slot], levels: Levels) -> bool:
    return all(
        held + count.wanted <= count.most for count, held in zip(counts, levels.counts, strict=True)
    ) and all(held < slot.most for slot, held in zip(slots, levels.slots, strict=True))
