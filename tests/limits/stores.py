"""The stores of counters as each kind of cache has them, and questions to them."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import redis
from django.core.cache import caches
from django.test import override_settings

from native_api.limits import counters
from native_api.limits.counters import GenericStore, Increment, Slot, generic, memory_store

REDIS = "redis://127.0.0.1:6379/9"
BACKENDS = "django.core.cache.backends"
ALL = ["memory", "redis", "locmem", "file"]
EXACT = ["memory", "redis", "locmem"]
"""Those that add in one step. `manage.py check` warns of the others (W002)."""

IN_MEMORY = import_module("native_api.limits.counters.memory")
"""The module; the package's `memory` is the site's store."""

SHARED = ["redis", "locmem", "file"]


@dataclass
class Kind:
    """A store of which each thread opens its own, as threads of a site do."""

    name: str
    flush: Callable[[], None]

    def open(self) -> counters.CounterStore:
        # Sites with this cache count in memory; here it stands for any cache that counts in one
        # step.
        return GenericStore(caches["default"]) if self.name == "locmem" else counters.store()


def settings_of(name: str, path: Path) -> dict[str, Any]:
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


def forget_in_redis(prefix: str) -> None:
    """As a flush does, but others use this Redis too."""
    with redis.Redis.from_url(REDIS) as client:
        for key in keys_in_redis(prefix):
            client.delete(key)


@pytest.fixture(params=ALL)
def kind(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Kind]:
    told = settings_of(request.param, tmp_path)
    if request.param == "redis":
        try:
            forget_in_redis(told["KEY_PREFIX"])
        except redis.ConnectionError:
            pytest.skip("Needs Redis on port 6379.")
    memory_store.reset()
    with override_settings(CACHES={"default": told}):
        flush = (
            (lambda: forget_in_redis(told["KEY_PREFIX"]))
            if request.param == "redis"
            else caches["default"].clear
        )
        yield Kind(request.param, flush)
        flush()
    memory_store.reset()
    generic._occupied.clear()


@pytest.fixture
def store(kind: Kind) -> counters.CounterStore:
    return kind.open()


def count(wanted: int = 1, most: int = 10, key: str = "count", seconds: float = 60.0) -> Increment:
    return Increment(key, most, wanted, seconds)


SLOT, OTHER = Slot("slots", 1), Slot("others", 3)


def held(store: counters.CounterStore, *keys: str) -> list[int]:
    return list(store.levels(keys or ("count",), []).counts)


def running(store: counters.CounterStore, *slots: Slot) -> list[int]:
    return list(store.levels([], slots or (SLOT,)).slots)
