"""Counting short windows and running requests in Django's cache: all of a call's counters are taken
at once, or none.

Rules:
1. A counter never holds more than its limit admits. What is taken is looked at and added in one
   step, so of any number of calls at once, from any number of processes, never one too many is let
   in.
2. Redis does it in one script, one round trip for all counters. In the memory of the process it is
   done under a lock. Any other cache adds first and takes back what was too much; then two calls
   may refuse each other, but never overshoot.
3. A slot, for a request that runs, belongs to its call. Where processes share the cache it is held
   for `LEASE` and renewed (`leases`), so that the slots of a process that was killed are free again
   soon.
4. A counter outlives its window a little. What is settled after that changes nothing.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from django.conf import settings
from django.core.cache import caches
from django.core.signals import setting_changed

from native_api.limits.counters.base import AFTERWARDS, LEASE, Count, Levels, Slot, Store, has_room
from native_api.limits.counters.generic import AnyCache
from native_api.limits.counters.memory import Memory
from native_api.limits.counters.redis import Redis
from native_api.routing.health_sync import IN_PROCESS

__all__ = [
    "AFTERWARDS",
    "LEASE",
    "AnyCache",
    "Count",
    "Levels",
    "Memory",
    "Redis",
    "Slot",
    "Store",
    "are_shared",
    "has_room",
    "memory",
    "store",
]

memory: Final = Memory()
KEPT: Final = "_native_api_counters"
"""The attribute of Django's cache object that holds ours; there is one object for each thread."""

REDIS: Final = frozenset(
    {"django.core.cache.backends.redis.RedisCache", "django_redis.cache.RedisCache"}
)


def store() -> Store:
    """Of the cache that requests are counted in."""
    alias, backend = _cache()
    if backend in IN_PROCESS:
        return memory
    of_django = caches[alias]
    if backend not in REDIS:
        return AnyCache(of_django)
    found: Redis | None = getattr(of_django, KEPT, None)
    if found is None:
        found = Redis(of_django)
        setattr(of_django, KEPT, found)
    return found


def are_shared() -> bool:
    """Whether the site's store is `shared`, without making one: each task of an event loop would
    get its own."""
    return _cache()[1] not in IN_PROCESS


@cache
def _cache() -> tuple[str, Any]:
    """Alias and backend: RATELIMIT_USE_CACHE, else the default one."""
    alias = getattr(settings, "RATELIMIT_USE_CACHE", "default")
    return alias, settings.CACHES.get(alias, {}).get("BACKEND")


def _look_again(*, setting: str, **kwargs: Any) -> None:
    if setting in ("CACHES", "RATELIMIT_USE_CACHE"):
        _cache.cache_clear()


setting_changed.connect(_look_again)
