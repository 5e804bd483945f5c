"""The counter store of each kind of cache, and values to call it with."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import redis
from django.core.cache import caches
from django.test import override_settings

from native_api.limits import counters
from native_api.limits.counters import GenericStore, Increment, Slot, generic, memory_store
from tests.clocks import clock_mover

REDIS = "redis://127.0.0.1:6379/9"
BACKENDS = "django.core.cache.backends"
ALL_STORES = ["memory", "redis", "locmem", "file"]
EXACT_STORES = ["memory", "redis", "locmem"]
"""Those that add atomically. `manage.py check` warns of the others (W002)."""

IN_MEMORY = import_module("native_api.limits.counters.memory")
"""The module."""

SHARED_STORES = ["redis", "locmem", "file"]


@dataclass
class Kind:
    """A kind of store. Each thread opens its own, as the threads of a site do."""

    name: str
    flush: Callable[[], None]
    pass_time: Callable[[float], None]
    """Make everything in the store so many seconds older."""

    def open(self) -> counters.CounterStore:
        # A site with this cache would count in memory. Here it stands for any cache that counts
        # atomically.
        return GenericStore(caches["default"]) if self.name == "locmem" else counters.store()


def make_cache_settings(name: str, path: Path) -> dict[str, Any]:
    unique = f"counters-{secrets.token_hex(4)}"
    return {
        "memory": {"BACKEND": f"{BACKENDS}.locmem.LocMemCache"},
        "redis": {
            "BACKEND": f"{BACKENDS}.redis.RedisCache",
            "LOCATION": REDIS,
            "KEY_PREFIX": unique,
        },
        "locmem": {
            "BACKEND": f"{BACKENDS}.locmem.LocMemCache",
            "LOCATION": unique,
            "OPTIONS": {"MAX_ENTRIES": 10_000},
        },
        "file": {"BACKEND": f"{BACKENDS}.filebased.FileBasedCache", "LOCATION": path, "TIMEOUT": 1},
    }[name]


def keys_in_redis(prefix: str) -> list[Any]:
    with redis.Redis.from_url(REDIS) as client:
        return list(client.scan_iter(f"{prefix}:*", 1000))


def delete_from_redis(prefix: str) -> None:
    """Flush only our keys: others use this Redis too."""
    with redis.Redis.from_url(REDIS) as client:
        for key in keys_in_redis(prefix):
            client.delete(key)


def age_redis(prefix: str, seconds: float) -> None:
    """Redis has a clock of its own: instead of moving it, let its keys expire earlier."""
    with redis.Redis.from_url(REDIS) as client:
        for key in keys_in_redis(prefix):
            if client.type(key) == b"zset":
                scores: Any = client.zrange(key, 0, -1, withscores=True)
                client.zadd(key, {member: score - seconds for member, score in scores})
            left: Any = client.pttl(key)
            client.pexpire(key, max(0, left - int(seconds * 1000)))


@pytest.fixture(params=ALL_STORES)
def kind(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Kind]:
    cache_settings = make_cache_settings(request.param, tmp_path)
    in_redis = request.param == "redis"
    prefix = cache_settings.get("KEY_PREFIX", "")
    if in_redis:
        try:
            delete_from_redis(prefix)
        except redis.ConnectionError:
            pytest.skip("Needs Redis on port 6379.")
    memory_store.reset()
    with override_settings(CACHES={"default": cache_settings}):
        flush = partial(delete_from_redis, prefix) if in_redis else caches["default"].clear
        pass_time = partial(age_redis, prefix) if in_redis else clock_mover(monkeypatch)
        yield Kind(request.param, flush, pass_time)
        flush()
    memory_store.reset()
    generic._occupied.clear()


@pytest.fixture
def store(kind: Kind) -> counters.CounterStore:
    return kind.open()


def increment(
    units: int = 1, maximum: int = 10, key: str = "count", seconds: float = 60.0
) -> Increment:
    return Increment(key, maximum, units, seconds)


SLOT, OTHER_SLOT = Slot("slots", 1), Slot("others", 3)


def counts(store: counters.CounterStore, *keys: str) -> list[int]:
    return list(store.levels(keys or ("count",), []).counts)


def running_slots(store: counters.CounterStore, *slots: Slot) -> list[int]:
    return list(store.levels([], slots or (SLOT,)).slots)
