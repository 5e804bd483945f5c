"""The cache of Django that the gateway uses: the one that django-ratelimit counts in.

A cache in this process's memory, or the dummy cache, shares nothing between processes and may drop
what others put into it, so the gateway does not use it. It has memory of its own.
"""

from __future__ import annotations

import uuid
from typing import Any, Final

from django.conf import settings
from django.core.cache import caches

from native_api.background import test_environment

IN_PROCESS_BACKENDS: Final = frozenset(
    {"django.core.cache.backends.locmem.LocMemCache", "django.core.cache.backends.dummy.DummyCache"}
)

PROBE_SECONDS: Final = 5
"""How long the cache keeps what a probe writes."""


def alias() -> str:
    return str(getattr(settings, "RATELIMIT_USE_CACHE", "default"))


def backend() -> Any:
    """The dotted path of its class; None if CACHES has no such alias."""
    return settings.CACHES.get(alias(), {}).get("BACKEND")


def is_shared() -> bool:
    """Whether the processes of the site share it. Tests share nothing."""
    return not test_environment.is_active() and backend() not in IN_PROCESS_BACKENDS


def current() -> Any:
    """The cache object of this thread, or of this task of an event loop."""
    return caches[alias()]


def probe() -> None:
    """Raise an exception if the cache does not keep what is written: some backends raise none when
    their server is gone."""
    if not is_shared():
        return
    name = f"native_api.probe.{uuid.uuid4().hex}"
    cache = current()
    cache.set(name, 1, PROBE_SECONDS)
    if cache.get(name) != 1:
        raise LookupError("it does not keep what is written")
    cache.delete(name)
