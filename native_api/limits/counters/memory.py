"""Counters in process memory, under a lock."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Final

from native_api.limits.counters.base import (
    COUNTER_GRACE_SECONDS,
    CounterLevels,
    Increment,
    Slot,
    is_within_limits,
)

MAX_COUNTERS: Final = 10_000
"""Counters in memory before expired ones are dropped."""


class MemoryStore:
    """Slots in memory never expire: they are held until they are released."""

    is_shared = False

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget all counters and slots."""
        self._lock = threading.Lock()
        self._counts: dict[str, tuple[int, float]] = {}
        self._slots: dict[str, set[str]] = {}

    def acquire(
        self, call_id: str, increments: Sequence[Increment], slots: Sequence[Slot]
    ) -> CounterLevels:
        now = time.monotonic()
        with self._lock:
            levels = self._levels([increment.key for increment in increments], slots, now)
            if not is_within_limits(increments, slots, levels):
                return levels
            for increment, level in zip(increments, levels.counts, strict=True):
                expires_at = now + increment.seconds + COUNTER_GRACE_SECONDS
                self._counts[increment.key] = (level + increment.units, expires_at)
            for slot in slots:
                self._slots.setdefault(slot.key, set()).add(call_id)
            if len(self._counts) > MAX_COUNTERS:
                self._drop_expired(now)
        return levels._replace(accepted=True)

    def _levels(
        self, counter_keys: Sequence[str], slots: Sequence[Slot], now: float
    ) -> CounterLevels:
        return CounterLevels(
            [self._count(key, now) for key in counter_keys],
            [len(self._slots.get(slot.key, ())) for slot in slots],
            False,
        )

    def _count(self, key: str, now: float) -> int:
        count, expires_at = self._counts.get(key, (0, 0.0))
        return count if now < expires_at else 0

    def _drop_expired(self, now: float) -> None:
        self._counts = {key: entry for key, entry in self._counts.items() if now < entry[1]}

    def adjust(self, changes: Sequence[tuple[str, int]]) -> None:
        with self._lock:
            for key, change in changes:
                if key in self._counts:
                    count, expires_at = self._counts[key]
                    self._counts[key] = (max(0, count + change), expires_at)

    def release(self, call_id: str, slot_keys: Sequence[str]) -> None:
        with self._lock:
            for key in slot_keys:
                call_ids = self._slots.get(key, set())
                call_ids.discard(call_id)
                if not call_ids:
                    self._slots.pop(key, None)

    def renew(self, slots: Sequence[tuple[str, str]]) -> None:
        """Nothing to do."""

    def levels(self, counter_keys: Sequence[str], slots: Sequence[Slot]) -> CounterLevels:
        now = time.monotonic()
        with self._lock:
            return self._levels(counter_keys, slots, now)
