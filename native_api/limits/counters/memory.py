"""Counters in the memory of the process, under a lock."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Final

from native_api.limits.counters.base import AFTERWARDS, Count, Levels, Slot, has_room

MOST_KEPT: Final = 10_000
"""Counters in memory before the old ones are looked for."""


class Memory:
    shared = False

    def __init__(self) -> None:
        self.start_anew()

    def start_anew(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[str, tuple[int, float]] = {}
        self._slots: dict[str, set[str]] = {}

    def take(self, member: str, counts: Sequence[Count], slots: Sequence[Slot]) -> Levels:
        now = time.monotonic()
        with self._lock:
            held = self._held(counts, slots, now)
            if not has_room(counts, slots, held):
                return held
            for count, level in zip(counts, held.counts, strict=True):
                self._counts[count.key] = (level + count.wanted, now + count.seconds + AFTERWARDS)
            for slot in slots:
                self._slots.setdefault(slot.key, set()).add(member)
            if len(self._counts) > MOST_KEPT:
                self._forget(now)
        return held._replace(taken=True)

    def _held(self, counts: Sequence[Count], slots: Sequence[Slot], now: float) -> Levels:
        return Levels(
            [self._level(count.key, now) for count in counts],
            [len(self._slots.get(slot.key, ())) for slot in slots],
            False,
        )

    def _level(self, key: str, now: float) -> int:
        level, until = self._counts.get(key, (0, 0.0))
        return level if now < until else 0

    def _forget(self, now: float) -> None:
        self._counts = {key: kept for key, kept in self._counts.items() if now < kept[1]}

    def add(self, changes: Sequence[tuple[str, int]]) -> None:
        with self._lock:
            for key, change in changes:
                if key in self._counts:
                    level, until = self._counts[key]
                    self._counts[key] = (max(0, level + change), until)

    def leave(self, member: str, slots: Sequence[str]) -> None:
        with self._lock:
            for key in slots:
                members = self._slots.get(key, set())
                members.discard(member)
                if not members:
                    self._slots.pop(key, None)

    def renew(self, held: Sequence[tuple[str, str]]) -> None:
        """They are held until they are left."""

    def levels(self, counts: Sequence[str], slots: Sequence[Slot]) -> Levels:
        now = time.monotonic()
        with self._lock:
            return self._held([Count(key, 0, 0, 0) for key in counts], slots, now)
