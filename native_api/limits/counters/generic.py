"""Counters in any other Django cache, with the methods that all of them have.

It adds first and subtracts again if that was too much. Some caches reset a key's time to live when
they increment it. There a counter is kept as long as the longest window, which does no harm because
counters are named after their windows.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from django.core.cache.backends.base import BaseCache

from native_api.limits.counters.base import (
    COUNTER_GRACE_SECONDS,
    SLOT_TTL_SECONDS,
    CounterLevels,
    Increment,
    Slot,
    is_within_limits,
)

MAX_TTL_SECONDS: Final = 3600 + COUNTER_GRACE_SECONDS
"""The time to live of a counter in the longest window."""

MAX_KEYS_PER_QUERY: Final = 500
"""Keys in one `get_many`: databases limit the parameters of a query."""

_occupied: Final[dict[tuple[str, str], str]] = {}
"""(slot key, call id) -> the cache key that the call of this process occupies. After the cache was
flushed, the next renewal occupies it again."""


class GenericStore:
    """A counter is a number. A slot is one of `maximum` cache keys, which only one call can add."""

    is_shared = True

    def __init__(self, cache: Any) -> None:
        self._cache = cache
        self._incr_resets_ttl = getattr(type(cache), "incr", None) is BaseCache.incr

    def acquire(
        self, call_id: str, increments: Sequence[Increment], slots: Sequence[Slot]
    ) -> CounterLevels:
        # Adding more than the whole limit would get in the way of all other calls.
        if any(increment.units > increment.maximum for increment in increments):
            levels = self.levels([increment.key for increment in increments], ())
            return levels._replace(slots=[0] * len(slots))
        levels = CounterLevels(
            [self._increment(increment) - increment.units for increment in increments],
            [0] * len(slots),
            False,
        )
        if is_within_limits(increments, slots, levels):
            levels = self._occupy_all(call_id, slots, levels)
        if not levels.accepted:
            self.adjust([(increment.key, -increment.units) for increment in increments])
        return levels

    def _occupy_all(
        self, call_id: str, slots: Sequence[Slot], levels: CounterLevels
    ) -> CounterLevels:
        occupied = {slot.key: self._occupy(slot, call_id) for slot in slots}
        if all(occupied.values()):
            return levels._replace(accepted=True)
        self.release(call_id, [key for key, is_occupied in occupied.items() if is_occupied])
        return levels._replace(slots=[0 if occupied[slot.key] else slot.maximum for slot in slots])

    def _increment(self, increment: Increment) -> int:
        self._cache.add(increment.key, 0, increment.seconds + COUNTER_GRACE_SECONDS)
        return self._add_to_counter(increment.key, increment.units)

    def _add_to_counter(self, key: str, change: int) -> int:
        """Return the new count. Raises ValueError if there is no such counter."""
        if not self._incr_resets_ttl:
            return int(
                self._cache.incr(key, change) if change >= 0 else self._cache.decr(key, -change)
            )
        count = self._cache.get(key)
        if count is None:
            raise ValueError(key)
        self._cache.set(key, int(count) + change, MAX_TTL_SECONDS)
        return int(count) + change

    def _occupy(self, slot: Slot, call_id: str) -> bool:
        for key in self._candidate_keys(slot):
            if self._cache.add(key, call_id, SLOT_TTL_SECONDS):
                _occupied[slot.key, call_id] = key
                return True
        return False

    def _candidate_keys(self, slot: Slot) -> Iterator[str]:
        """Yield keys that may be free: a random one, then all that look free."""
        if slot.maximum:
            yield f"{slot.key}.{random.randrange(slot.maximum)}"  # noqa: S311  no secret
        occupied = self._occupied_keys(slot)
        free = [key for key in _cache_keys(slot) if key not in occupied]
        random.shuffle(free)
        yield from free

    def _occupied_keys(self, slot: Slot) -> Mapping[str, Any]:
        keys = _cache_keys(slot)
        batches = (
            keys[start : start + MAX_KEYS_PER_QUERY]
            for start in range(0, len(keys), MAX_KEYS_PER_QUERY)
        )
        return {
            key: call_id
            for batch in batches
            for key, call_id in self._cache.get_many(batch).items()
        }

    def adjust(self, changes: Sequence[tuple[str, int]]) -> None:
        for key, change in changes:
            try:
                count = self._add_to_counter(key, change)
                if count < 0:  # the cache was flushed in the meantime
                    self._add_to_counter(key, -count)
            except ValueError:
                continue  # the counter has expired

    def release(self, call_id: str, slot_keys: Sequence[str]) -> None:
        for slot_key in slot_keys:
            key = _occupied.pop((slot_key, call_id), None)
            if key is not None and self._cache.get(key) == call_id:
                self._cache.delete(key)

    def renew(self, slots: Sequence[tuple[str, str]]) -> None:
        for slot in slots:
            key, call_id = _occupied.get(slot), slot[1]
            if key is None:
                continue
            if self._cache.get(key) == call_id:
                self._cache.touch(key, SLOT_TTL_SECONDS)
            else:
                self._cache.add(key, call_id, SLOT_TTL_SECONDS)
            if slot not in _occupied:  # released in the meantime
                self._cache.delete(key)

    def levels(self, counter_keys: Sequence[str], slots: Sequence[Slot]) -> CounterLevels:
        counts = self._cache.get_many(counter_keys)
        return CounterLevels(
            [int(counts.get(key) or 0) for key in counter_keys],
            [len(self._occupied_keys(slot)) for slot in slots],
            False,
        )


def _cache_keys(slot: Slot) -> list[str]:
    return [f"{slot.key}.{number}" for number in range(slot.maximum)]
