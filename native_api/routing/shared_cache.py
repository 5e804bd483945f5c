"""Django's default cache, for sharing between processes, without ever failing a call.

Rules:
1. A cache in this process's memory, or the dummy cache, is not used: it shares nothing.
2. A cache that fails or hangs is left alone for `RETRY_SECONDS`, with one warning a minute.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from hashlib import blake2b
from typing import Final, TypeVar

from django.conf import settings

from native_api import background
from native_api.background.backoff import Backoff
from native_api.logs import get_logger

T = TypeVar("T")

logger = get_logger("native_api.routing")

IN_PROCESS_CACHES: Final = frozenset(
    {"django.core.cache.backends.locmem.LocMemCache", "django.core.cache.backends.dummy.DummyCache"}
)
ALIAS: Final = "default"
CACHE_TIMEOUT_SECONDS: Final = 1.0
RETRY_SECONDS: Final = 2.0

threads: Final = background.WorkerThreads("native-api-shared", 2)


class SharedCache:
    """Whether the cache can be used now, and calls that fall back to a default if it cannot."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._backoff = Backoff(
            logger,
            "The cache cannot be used (%s); processes do not share the health of targets.",
            RETRY_SECONDS,
            clock,
        )
        self.reset()

    def reset(self) -> None:
        """Start again, in a new process or with other settings."""
        self._backoff.reset()
        self._is_unshared: bool | None = None

    def is_unshared(self) -> bool:
        """Whether the site has no cache that processes share."""
        if self._is_unshared is None:
            self._is_unshared = settings.CACHES.get(ALIAS, {}).get("BACKEND") in IN_PROCESS_CACHES
        return self._is_unshared

    def is_usable(self) -> bool:
        return not self.is_unshared() and not self._backoff.is_active

    async def ask(self, default: T, function: Callable[..., T], *args: object) -> T:
        """The function's result, from a worker thread; `default` if the cache does not answer."""
        if not self.is_usable():
            return default
        try:
            return await threads.run(CACHE_TIMEOUT_SECONDS, function, *args)
        except background.CallTimeout:
            self.on_timeout(replace_threads=False)
        except Exception as error:  # each cache backend has exceptions of its own
            self.on_error(error)
        return default

    def on_timeout(self, replace_threads: bool = True) -> None:
        if replace_threads:
            threads.replace_threads()
        self.on_error(background.CallTimeout(f"no answer in {CACHE_TIMEOUT_SECONDS:g} s"))

    def on_error(self, error: Exception) -> None:
        self._backoff.start(error)


def digest(name: str) -> str:
    """For cache keys, which cannot hold every character that a name can."""
    return blake2b(name.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


process_cache: Final = SharedCache()
"""The one that this process uses."""
