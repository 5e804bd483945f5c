"""Counters in Redis: one script and one round trip for all counters of a call. Only the clock of
Redis is used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from native_api.limits.counters.base import (
    COUNTER_GRACE_SECONDS,
    SLOT_TTL_SECONDS,
    CounterLevels,
    Increment,
    Slot,
)

ACQUIRE_SCRIPT: Final = """
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local counts = tonumber(ARGV[1])
local levels, fits = {}, 1
for i, key in ipairs(KEYS) do
  if i <= counts then
    levels[i] = tonumber(redis.call('GET', key) or '0')
    if levels[i] + tonumber(ARGV[3 * i + 2]) > tonumber(ARGV[3 * i + 1]) then fits = 0 end
  else
    redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
    levels[i] = redis.call('ZCARD', key)
    if levels[i] >= tonumber(ARGV[3 * i + 1]) then fits = 0 end
  end
end
if fits == 1 then
  for i, key in ipairs(KEYS) do
    if i <= counts then
      redis.call('INCRBY', key, ARGV[3 * i + 2])
    else
      redis.call('ZADD', key, now + tonumber(ARGV[3]), ARGV[2])
    end
    redis.call('PEXPIRE', key, ARGV[3 * i + 3])
  end
end
levels[#KEYS + 1] = fits
return levels
"""
"""ARGV: the number of counters, the call id, the seconds that a slot is held; then for each key:
its maximum, the units to add, milliseconds to live."""

ADJUST_SCRIPT: Final = """
for i, key in ipairs(KEYS) do
  if redis.call('EXISTS', key) == 1 then
    local level = redis.call('INCRBY', key, ARGV[i])
    if level < 0 then redis.call('INCRBY', key, -level) end
  end
end
"""

RENEW_SCRIPT: Final = """
local time = redis.call('TIME')
local expires_at = tonumber(time[1]) + tonumber(ARGV[1])
for i, key in ipairs(KEYS) do
  redis.call('ZADD', key, expires_at, ARGV[i + 1])
  redis.call('PEXPIRE', key, ARGV[1] * 2000)
end
"""

LEVELS_SCRIPT: Final = """
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local levels = {}
for i, key in ipairs(KEYS) do
  if i <= tonumber(ARGV[1]) then
    levels[i] = tonumber(redis.call('GET', key) or '0')
  else
    levels[i] = redis.call('ZCOUNT', key, '(' .. string.format('%.6f', now), '+inf')
  end
end
return levels
"""


class RedisStore:
    """A counter is a number. The slots under a key are a sorted set: call id -> when it expires."""

    is_shared = True

    def __init__(self, cache: Any) -> None:
        self._cache = cache
        # Django's RedisCache has no public way to its client (5.2 to 6.1); django-redis has.
        client = (
            cache._cache.get_client(None, write=True)
            if hasattr(cache, "_cache")
            else cache.client.get_client(write=True)
        )
        self._acquire, self._adjust, self._renew, self._levels = (
            client.register_script(script)
            for script in (ACQUIRE_SCRIPT, ADJUST_SCRIPT, RENEW_SCRIPT, LEVELS_SCRIPT)
        )
        self._client = client

    def _redis_key(self, key: str) -> str:
        return str(self._cache.make_key(key))

    def acquire(
        self, call_id: str, increments: Sequence[Increment], slots: Sequence[Slot]
    ) -> CounterLevels:
        arguments: list[Any] = [len(increments), call_id, SLOT_TTL_SECONDS]
        for increment in increments:
            milliseconds = int((increment.seconds + COUNTER_GRACE_SECONDS) * 1000)
            arguments += [increment.maximum, increment.units, milliseconds]
        for slot in slots:
            arguments += [slot.maximum, 1, int(SLOT_TTL_SECONDS * 2000)]
        levels = self._acquire(
            keys=[
                *(self._redis_key(increment.key) for increment in increments),
                *(self._redis_key(slot.key) for slot in slots),
            ],
            args=arguments,
        )
        return CounterLevels(
            levels[: len(increments)], levels[len(increments) : -1], bool(levels[-1])
        )

    def adjust(self, changes: Sequence[tuple[str, int]]) -> None:
        self._adjust(
            keys=[self._redis_key(key) for key, _ in changes],
            args=[change for _, change in changes],
        )

    def release(self, call_id: str, slot_keys: Sequence[str]) -> None:
        pipeline = self._client.pipeline(transaction=False)
        for key in slot_keys:
            pipeline.zrem(self._redis_key(key), call_id)
        pipeline.execute()

    def renew(self, slots: Sequence[tuple[str, str]]) -> None:
        self._renew(
            keys=[self._redis_key(key) for key, _ in slots],
            args=[SLOT_TTL_SECONDS, *(call_id for _, call_id in slots)],
        )

    def levels(self, counter_keys: Sequence[str], slots: Sequence[Slot]) -> CounterLevels:
        keys = [*counter_keys, *(slot.key for slot in slots)]
        levels = self._levels(keys=[self._redis_key(key) for key in keys], args=[len(counter_keys)])
        return CounterLevels(levels[: len(counter_keys)], levels[len(counter_keys) :], False)
