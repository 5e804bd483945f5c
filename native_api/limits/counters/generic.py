"""Counters in any other cache of Django's, with what all of them can do. It adds first and takes
back what was too much.

Some caches forget a key's time to live when they count. There a counter is kept as long as the
longest window, which does no harm: counters are named after their windows.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from django.core.cache.backends.base import BaseCache

from native_api.limits.counters.base import AFTERWARDS, LEASE, Count, Levels, Slot, has_room

LONGEST: Final = 3600 + AFTERWARDS
"""Seconds."""

MOST_AT_ONCE: Final = 500
"""Keys that one question names: databases have a limit of their own."""

_places: Final[dict[tuple[str, str], str]] = {}
"""The keys of the places that calls of this process hold, by slot and member. The cache may be
flushed; then they are held anew."""


class AnyCache:
    """A counter is a number, a slot one of `most` keys that one call at a time can add."""

    shared = True

    def __init__(self, cache: Any) -> None:
        self._cache = cache
        self._forgets_time = getattr(type(cache), "incr", None) is BaseCache.incr

    def take(self, member: str, counts: Sequence[Count], slots: Sequence[Slot]) -> Levels:
        if any(
            count.wanted > count.most for count in counts
        ):  # adding it would be in everybody's way
            return self.levels([count.key for count in counts], ())._replace(slots=[0] * len(slots))
        levels = [self._count(count) for count in counts]
        held = Levels(
            [level - count.wanted for level, count in zip(levels, counts, strict=True)],
            [0] * len(slots),
            False,
        )
        if has_room(counts, slots, held):
            places = {slot.key: self._place(slot, member) for slot in slots}
            if None not in places.values():
                return held._replace(taken=True)
            held = held._replace(
                slots=[slot.most if places[slot.key] is None else 0 for slot in slots]
            )
            self.leave(member, [key for key, place in places.items() if place is not None])
        self.add([(count.key, -count.wanted) for count in counts])
        return held

    def _count(self, count: Count) -> int:
        self._cache.add(count.key, 0, count.seconds + AFTERWARDS)
        return self._changed(count.key, count.wanted)

    def _changed(self, key: str, change: int) -> int:
        """Raises ValueError where there is no such counter."""
        if not self._forgets_time:
            return int(
                self._cache.incr(key, change) if change >= 0 else self._cache.decr(key, -change)
            )
        held = self._cache.get(key)
        if held is None:
            raise ValueError(key)
        self._cache.set(key, int(held) + change, LONGEST)
        return int(held) + change

    def _place(self, slot: Slot, member: str) -> str | None:
        for key in self._free(slot):
            if self._cache.add(key, member, LEASE):
                _places[slot.key, member] = key
                return key
        return None

    def _free(self, slot: Slot) -> Iterator[str]:
        """Keys that may be free: any one, then all that seem to be."""
        if slot.most:
            yield f"{slot.key}.{random.randrange(slot.most)}"  # noqa: S311  no secret
        taken = self._taken(slot)
        free = [key for key in _keys(slot) if key not in taken]
        random.shuffle(free)
        yield from free

    def _taken(self, slot: Slot) -> Mapping[str, Any]:
        keys = _keys(slot)
        batches = (
            keys[start : start + MOST_AT_ONCE] for start in range(0, len(keys), MOST_AT_ONCE)
        )
        return {
            key: member for batch in batches for key, member in self._cache.get_many(batch).items()
        }

    def add(self, changes: Sequence[tuple[str, int]]) -> None:
        for key, change in changes:
            try:
                level = self._changed(key, change)
                if level < 0:  # the cache was flushed since
                    self._changed(key, -level)
            except ValueError:
                continue  # the counter's time is over

    def leave(self, member: str, slots: Sequence[str]) -> None:
        for slot in slots:
            place = _places.pop((slot, member), None)
            if place is not None and self._cache.get(place) == member:
                self._cache.delete(place)

    def renew(self, held: Sequence[tuple[str, str]]) -> None:
        for name in held:
            place, member = _places.get(name), name[1]
            if place is None:
                continue
            if self._cache.get(place) == member:
                self._cache.touch(place, LEASE)
            else:
                self._cache.add(place, member, LEASE)
            if name not in _places:  # left meanwhile
                self._cache.delete(place)

    def levels(self, counts: Sequence[str], slots: Sequence[Slot]) -> Levels:
        told = self._cache.get_many(counts)
        return Levels(
            [int(told.get(key) or 0) for key in counts],
            [len(self._taken(slot)) for slot in slots],
            False,
        )


def _keys(slot: Slot) -> list[str]:
    return [f"{slot.key}.{place}" for place in range(slot.most)]
