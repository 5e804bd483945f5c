"""Counters in any other cache of Django's, with what all of them can do. It adds first and takes back what was too much."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from native_api.limits.counters.vocabulary import AFTERWARDS, LEASE, Count, Levels, Slot, has_room


class AnyCache:
    """A counter is a number, a slot one of `most` keys that one call at a time can add."""

    shared = True

    def __init__(self, cache: Any) -> None:
        self._cache = cache

    def take(self, member: str, counts: Sequence[Count], slots: Sequence[Slot]) -> Levels:
        levels = [self._count(count) for count in counts]
        held = Levels([level - count.wanted for level, count in zip(levels, counts, strict=True)], [0] * len(slots), False)
        if has_room(counts, slots, held):
            places = [self._place(slot, member) for slot in slots]
            if None not in places:
                return held._replace(taken=True)
            held = held._replace(slots=[slot.most if place is None else 0 for slot, place in zip(slots, places, strict=True)])
            self.leave(member, [slot.key for slot, place in zip(slots, places, strict=True) if place is not None])
        self.add([(count.key, -count.wanted) for count in counts])
        return held

    def _count(self, count: Count) -> int:
        self._cache.add(count.key, 0, count.seconds + AFTERWARDS)
        return int(self._cache.incr(count.key, count.wanted))

    def _place(self, slot: Slot, member: str) -> int | None:
        taken = self._cache.get_many(_places(slot))
        free = [place for place, key in enumerate(_places(slot)) if key not in taken]
        random.shuffle(free)
        for place in free:
            if self._cache.add(f"{slot.key}.{place}", member, LEASE):
                self._cache.set(f"{slot.key}.of.{member}", place, LEASE * 2)
                return place
        return None

    def add(self, changes: Sequence[tuple[str, int]]) -> None:
        for key, change in changes:
            try:
                self._cache.incr(key, change) if change >= 0 else self._cache.decr(key, -change)
            except ValueError:
                continue  # the counter's time is over

    def leave(self, member: str, slots: Sequence[str]) -> None:
        for key in slots:
            place = self._cache.get(f"{key}.of.{member}")
            if place is not None and self._cache.get(f"{key}.{place}") == member:
                self._cache.delete_many([f"{key}.{place}", f"{key}.of.{member}"])

    def renew(self, held: Sequence[tuple[str, str]]) -> None:
        for key, member in held:
            place = self._cache.get(f"{key}.of.{member}")
            if place is not None:
                self._cache.touch(f"{key}.{place}", LEASE)
                self._cache.touch(f"{key}.of.{member}", LEASE * 2)

    def levels(self, counts: Sequence[str], slots: Sequence[Slot]) -> Levels:
        told = self._cache.get_many(counts)
        return Levels([int(told.get(key) or 0) for key in counts], [len(self._cache.get_many(_places(slot))) for slot in slots], False)


def _places(slot: Slot) -> list[str]:
    return [f"{slot.key}.{place}" for place in range(slot.most)]
