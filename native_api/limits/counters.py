"""Counting short windows and running requests in Django's cache: all of a call's counters are taken at once, or none.

Rules:
1. A counter never holds more than its limit admits. What is taken is looked at and added in one step, so of any number of calls at
   once, from any number of processes, never one too many is let in.
2. Redis does it in one script, one round trip for all counters. In the memory of the process it is done under a lock. Any other
   cache adds first and takes back what was too much; then two calls may refuse each other, but never overshoot.
3. A slot, for a request that runs, belongs to its call. Where processes share the cache it is held for `LEASE` and renewed
   (`leases`), so that the slots of a process that was killed are free again soon.
4. A counter outlives its window a little. What is settled after that changes nothing.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Sequence
from typing import Any, Final, NamedTuple, Protocol

from django.conf import settings
from django.core.cache import caches

from native_api.shared import IN_PROCESS

LEASE: Final = 15.0
"""Seconds that a slot is held without being renewed."""

AFTERWARDS: Final = 60.0
"""Seconds that a counter outlives its window."""

MOST_KEPT: Final = 10_000
"""Counters in memory before the old ones are looked for."""


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
    """What counters and slots held before, in the order of the question, and whether there was room in all of them.

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
    return all(held + count.wanted <= count.most for count, held in zip(counts, levels.counts, strict=True)) and all(
        held < slot.most for slot, held in zip(slots, levels.slots, strict=True)
    )


# --- in the memory of the process --------------------------------------------------------------------------------


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
        return Levels([self._level(count.key, now) for count in counts], [len(self._slots.get(slot.key, ())) for slot in slots], False)

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


# --- in Redis ------------------------------------------------------------------------------------------------------

TAKE: Final = """
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local counts = tonumber(ARGV[1])
local held, room = {}, 1
for i, key in ipairs(KEYS) do
  if i <= counts then
    held[i] = tonumber(redis.call('GET', key) or '0')
    if held[i] + tonumber(ARGV[3 * i + 2]) > tonumber(ARGV[3 * i + 1]) then room = 0 end
  else
    redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
    held[i] = redis.call('ZCARD', key)
    if held[i] >= tonumber(ARGV[3 * i + 1]) then room = 0 end
  end
end
if room == 1 then
  for i, key in ipairs(KEYS) do
    if i <= counts then
      redis.call('INCRBY', key, ARGV[3 * i + 2])
    else
      redis.call('ZADD', key, now + tonumber(ARGV[3]), ARGV[2])
    end
    redis.call('PEXPIRE', key, ARGV[3 * i + 3])
  end
end
held[#KEYS + 1] = room
return held
"""
"""ARGV: the number of counters, the member, the lease; then for each key: most, wanted, milliseconds to live. All clocks are Redis's."""

ADD: Final = """
for i, key in ipairs(KEYS) do
  if redis.call('EXISTS', key) == 1 then
    if redis.call('INCRBY', key, ARGV[i]) < 0 then redis.call('SET', key, 0, 'KEEPTTL') end
  end
end
"""

RENEW: Final = """
local time = redis.call('TIME')
local until_ = tonumber(time[1]) + tonumber(ARGV[1])
for i, key in ipairs(KEYS) do
  redis.call('ZADD', key, until_, ARGV[i + 1])
  redis.call('PEXPIRE', key, ARGV[1] * 2000)
end
"""

LEVELS: Final = """
local time = redis.call('TIME')
local held = {}
for i, key in ipairs(KEYS) do
  if i <= tonumber(ARGV[1]) then
    held[i] = tonumber(redis.call('GET', key) or '0')
  else
    held[i] = redis.call('ZCOUNT', key, '(' .. time[1], '+inf')
  end
end
return held
"""


class Redis:
    shared = True

    def __init__(self, cache: Any) -> None:
        self._cache = cache
        client = cache._cache.get_client(None, write=True) if hasattr(cache, "_cache") else cache.client.get_client(write=True)
        self._take, self._add, self._renew, self._levels = (client.register_script(script) for script in (TAKE, ADD, RENEW, LEVELS))
        self._client = client

    def _key(self, key: str) -> str:
        return str(self._cache.make_key(key))

    def take(self, member: str, counts: Sequence[Count], slots: Sequence[Slot]) -> Levels:
        told: list[Any] = [len(counts), member, LEASE]
        for count in counts:
            told += [count.most, count.wanted, int((count.seconds + AFTERWARDS) * 1000)]
        for slot in slots:
            told += [slot.most, 1, int(LEASE * 2000)]
        held = self._take(keys=[*(self._key(count.key) for count in counts), *(self._key(slot.key) for slot in slots)], args=told)
        return Levels(held[: len(counts)], held[len(counts) : -1], bool(held[-1]))

    def add(self, changes: Sequence[tuple[str, int]]) -> None:
        self._add(keys=[self._key(key) for key, _ in changes], args=[change for _, change in changes])

    def leave(self, member: str, slots: Sequence[str]) -> None:
        pipeline = self._client.pipeline(transaction=False)
        for key in slots:
            pipeline.zrem(self._key(key), member)
        pipeline.execute()

    def renew(self, held: Sequence[tuple[str, str]]) -> None:
        self._renew(keys=[self._key(key) for key, _ in held], args=[LEASE, *(member for _, member in held)])

    def levels(self, counts: Sequence[str], slots: Sequence[Slot]) -> Levels:
        keys = [*counts, *(slot.key for slot in slots)]
        held = self._levels(keys=[self._key(key) for key in keys], args=[len(counts)])
        return Levels(held[: len(counts)], held[len(counts) :], False)


# --- in any other cache --------------------------------------------------------------------------------------------


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


# --- the site's ----------------------------------------------------------------------------------------------------

memory: Final = Memory()
KEPT: Final = "_native_api_counters"
"""The attribute of Django's cache object that holds ours; there is one object for each thread."""

REDIS: Final = frozenset({"django.core.cache.backends.redis.RedisCache", "django_redis.cache.RedisCache"})


def store() -> Store:
    """Of the cache that requests are counted in: RATELIMIT_USE_CACHE, else the default one."""
    alias = getattr(settings, "RATELIMIT_USE_CACHE", "default")
    backend = settings.CACHES.get(alias, {}).get("BACKEND")
    if backend in IN_PROCESS:
        return memory
    cache = caches[alias]
    if backend not in REDIS:
        return AnyCache(cache)
    found: Redis | None = getattr(cache, KEPT, None)
    if found is None:
        found = Redis(cache)
        setattr(cache, KEPT, found)
    return found
