"""Counters in Redis: one script, one round trip for all counters of a call. All clocks are
Redis's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from native_api.limits.counters.base import AFTERWARDS, LEASE, Count, Levels, Slot

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
"""ARGV: the number of counters, the member, the lease; then for each key: most, wanted,
milliseconds to live. All clocks are Redis's."""

ADD: Final = """
for i, key in ipairs(KEYS) do
  if redis.call('EXISTS', key) == 1 then
    local level = redis.call('INCRBY', key, ARGV[i])
    if level < 0 then redis.call('INCRBY', key, -level) end
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
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local held = {}
for i, key in ipairs(KEYS) do
  if i <= tonumber(ARGV[1]) then
    held[i] = tonumber(redis.call('GET', key) or '0')
  else
    held[i] = redis.call('ZCOUNT', key, '(' .. string.format('%.6f', now), '+inf')
  end
end
return held
"""


class Redis:
    shared = True

    def __init__(self, cache: Any) -> None:
        self._cache = cache
        client = (
            cache._cache.get_client(None, write=True)
            if hasattr(cache, "_cache")
            else cache.client.get_client(write=True)
        )
        self._take, self._add, self._renew, self._levels = (
            client.register_script(script) for script in (TAKE, ADD, RENEW, LEVELS)
        )
        self._client = client

    def _key(self, key: str) -> str:
        return str(self._cache.make_key(key))

    def take(self, member: str, counts: Sequence[Count], slots: Sequence[Slot]) -> Levels:
        told: list[Any] = [len(counts), member, LEASE]
        for count in counts:
            told += [count.most, count.wanted, int((count.seconds + AFTERWARDS) * 1000)]
        for slot in slots:
            told += [slot.most, 1, int(LEASE * 2000)]
        held = self._take(
            keys=[
                *(self._key(count.key) for count in counts),
                *(self._key(slot.key) for slot in slots),
            ],
            args=told,
        )
        return Levels(held[: len(counts)], held[len(counts) : -1], bool(held[-1]))

    def add(self, changes: Sequence[tuple[str, int]]) -> None:
        self._add(
            keys=[self._key(key) for key, _ in changes], args=[change for _, change in changes]
        )

    def leave(self, member: str, slots: Sequence[str]) -> None:
        pipeline = self._client.pipeline(transaction=False)
        for key in slots:
            pipeline.zrem(self._key(key), member)
        pipeline.execute()

    def renew(self, held: Sequence[tuple[str, str]]) -> None:
        self._renew(
            keys=[self._key(key) for key, _ in held], args=[LEASE, *(member for _, member in held)]
        )

    def levels(self, counts: Sequence[str], slots: Sequence[Slot]) -> Levels:
        keys = [*counts, *(slot.key for slot in slots)]
        held = self._levels(keys=[self._key(key) for key in keys], args=[len(counts)])
        return Levels(held[: len(counts)], held[len(counts) :], False)
