"""The interface of a counter store, and the values that pass through it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

SLOT_TTL_SECONDS: Final = 15.0
"""How long a slot is held without being renewed."""

COUNTER_GRACE_SECONDS: Final = 60.0
"""How long a counter outlives its window."""


class Increment(NamedTuple):
    """Add `units` to the counter `key`, which may hold at most `maximum`. `seconds` are left of its
    window."""

    key: str
    maximum: int
    units: int
    seconds: float


class Slot(NamedTuple):
    """One of `maximum` slots under `key`."""

    key: str
    maximum: int


class CounterLevels(NamedTuple):
    """What counters and slots held before, in the order of the request.

    `accepted` says whether all increments and slots fitted. If so they were applied, else none of
    them.
    """

    counts: Sequence[int]
    slots: Sequence[int]
    accepted: bool


class CounterStore(Protocol):
    """Where counters are kept. Every method may raise any exception of the cache."""

    is_shared: bool
    """Whether other processes see it. Such a store may be slow, and its slots must be renewed."""

    def acquire(
        self, call_id: str, increments: Sequence[Increment], slots: Sequence[Slot]
    ) -> CounterLevels:
        """Apply all increments and occupy all slots, or change nothing."""

    def adjust(self, changes: Sequence[tuple[str, int]]) -> None:
        """Add to counters, given as (key, units). Counters that no longer exist are skipped."""

    def release(self, call_id: str, slot_keys: Sequence[str]) -> None:
        """Free the slots of this call."""

    def renew(self, slots: Sequence[tuple[str, str]]) -> None:
        """Hold these slots, given as (key, call id), for another `SLOT_TTL_SECONDS`."""

    def levels(self, counter_keys: Sequence[str], slots: Sequence[Slot]) -> CounterLevels:
        """Return what is held now, without changing anything."""


def is_within_limits(
    increments: Sequence[Increment], slots: Sequence[Slot], levels: CounterLevels
) -> bool:
    return all(
        level + increment.units <= increment.maximum
        for increment, level in zip(increments, levels.counts, strict=True)
    ) and all(level < slot.maximum for slot, level in zip(slots, levels.slots, strict=True))
