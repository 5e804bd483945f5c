"""The site's cache, for sharing between processes, without ever failing a call: see
`background.site_cache` for which one it is, and `background.outages` for one that is down."""

from __future__ import annotations

import time
from collections.abc import Callable
from hashlib import blake2b
from typing import Final, TypeVar

from native_api.background import executors, site_cache

T = TypeVar("T")

CACHE_TIMEOUT_SECONDS: Final = 1.0

threads: Final = executors.cache.lane(2)


class SharedCache:
    """Whether the cache can be used now, and calls that fall back to a default if it cannot."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock

    def is_usable(self) -> bool:
        return site_cache.is_shared() and not threads.is_down

    async def ask(self, default: T, function: Callable[..., T], *args: object) -> T:
        """The function's result, from a worker thread; `default` if the cache does not answer."""
        if not self.is_usable():
            return default
        try:
            return await threads.run(CACHE_TIMEOUT_SECONDS, function, *args)
        except Exception:  # each cache backend has its own exceptions; the outage has been logged
            return default


def digest(name: str) -> str:
    """For cache keys, which cannot hold every character that a name can."""
    return blake2b(name.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


process_cache: Final = SharedCache()
"""The one that this process uses."""
