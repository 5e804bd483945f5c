"""Counters of short windows and slots of running calls, in Django's cache.

Rules:
1. All counters and slots of a call are acquired together, or none of them.
2. A counter never exceeds its limit. Checking and adding are one atomic step, so no number of
   concurrent calls, from any number of processes, can exceed it.
3. Redis does this in one script: one round trip for all counters. In process memory it happens
   under a lock. Any other cache adds first and subtracts again if that was too much: two calls may
   then refuse each other, but the limit is never exceeded.
4. A slot belongs to the call that runs. In a cache that processes share it is held for
   `SLOT_TTL_SECONDS` and renewed (`slot_renewal`), so the slots of a killed process soon expire.
5. A counter outlives its window by `COUNTER_GRACE_SECONDS`. What is settled later changes nothing.
"""

from __future__ import annotations

from typing import Final

from native_api.background import site_cache
from native_api.background.test_environment import forget_between_tests
from native_api.limits.counters.base import (
    COUNTER_GRACE_SECONDS,
    SLOT_TTL_SECONDS,
    CounterLevels,
    CounterStore,
    Increment,
    Slot,
    is_within_limits,
)
from native_api.limits.counters.generic import GenericStore
from native_api.limits.counters.memory import MemoryStore
from native_api.limits.counters.redis import RedisStore

__all__ = [
    "COUNTER_GRACE_SECONDS",
    "SLOT_TTL_SECONDS",
    "CounterLevels",
    "CounterStore",
    "GenericStore",
    "Increment",
    "MemoryStore",
    "RedisStore",
    "Slot",
    "is_shared",
    "is_within_limits",
    "memory_store",
    "store",
]

memory_store: Final = MemoryStore()
forget_between_tests(memory_store.reset)

STORE_ATTRIBUTE: Final = "_native_api_counters"
"""The attribute of Django's cache object that keeps our store. Each thread has its own object."""

REDIS_BACKENDS: Final = frozenset(
    {"django.core.cache.backends.redis.RedisCache", "django_redis.cache.RedisCache"}
)


def store() -> CounterStore:
    """Return the store for the cache in which requests are counted."""
    if not site_cache.is_shared():
        return memory_store
    cache_object = site_cache.current()
    if site_cache.backend() not in REDIS_BACKENDS:
        return GenericStore(cache_object)
    redis_store: RedisStore | None = getattr(cache_object, STORE_ATTRIBUTE, None)
    if redis_store is None:
        redis_store = RedisStore(cache_object)
        setattr(cache_object, STORE_ATTRIBUTE, redis_store)
    return redis_store


def is_shared() -> bool:
    """Return the store's `is_shared` without creating a store: each task of an event loop would get
    one of its own."""
    return site_cache.is_shared()
