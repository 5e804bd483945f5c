"""Many requests at the same moment, in this process or, run as a program, in one of several."""

from __future__ import annotations

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest.mock import patch


def redis_cache(url: str, prefix: str) -> dict[str, Any]:
    return {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": url,
        "KEY_PREFIX": prefix,
    }


def ask_at_once(count: int, rate: str) -> int:
    """How many of `count` requests with one key are admitted, each in a thread of its own, however
    long they wait for the cache on a busy machine."""
    from django.core.cache import caches
    from django.test import RequestFactory

    from native_api import throttling
    from native_api.background import executors
    from native_api.models import ApiKey

    start = threading.Barrier(count)

    def ask() -> bool:
        request: Any = RequestFactory().get("/")
        request.auth = ApiKey(pk=7, name="k", prefix="nk_00000007", throttle_rate=rate)
        start.wait()
        try:
            return throttling.CallerThrottle().allow_request(request, None)
        finally:
            caches.close_all()

    with (
        patch.object(executors.cache, "patience", 60.0),
        patch.object(throttling, "CACHE_TIMEOUT_SECONDS", 60.0),
        ThreadPoolExecutor(count) as threads,
    ):
        return sum(asked.result() for asked in [threads.submit(ask) for _ in range(count)])


def main(url: str, prefix: str, count: str, rate: str) -> None:
    import django
    from django.conf import settings

    settings.configure(
        CACHES={"default": redis_cache(url, prefix)},
        INSTALLED_APPS=[
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "rest_framework",
            "native_api",
        ],
    )
    django.setup()
    print("ready", flush=True)
    sys.stdin.readline()
    print(ask_at_once(int(count), rate), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
