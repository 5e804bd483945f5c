"""Checks of the cache in which limits are counted."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register

from native_api.background import site_cache, test_environment
from native_api.conf import usable_settings

NOT_ATOMIC: Final = frozenset(
    {
        "django.core.cache.backends.db.DatabaseCache",
        "django.core.cache.backends.filebased.FileBasedCache",
    }
)
"""Cache backends whose `incr` reads and writes in two steps."""


@register("native_api")
def check_shared_limits(app_configs: Any, **kwargs: Any) -> Iterable[CheckMessage]:
    is_tested = test_environment.is_active()  # whose limits are counted in memory
    has_limits = any(usable_settings.THROTTLE_RATES.values()) or usable_settings.LIMITS
    if not settings.DEBUG and not site_cache.is_shared() and has_limits and not is_tested:
        yield Warning(
            "Requests are counted in a cache that every process has to itself, so each process "
            "admits the full rate.",
            hint="Use a shared cache, such as Redis, as the default cache or as "
            "RATELIMIT_USE_CACHE.",
            id="native_api.W001",
        )


@register("native_api")
def check_ratelimit_cache(app_configs: Any, **kwargs: Any) -> Iterable[CheckMessage]:
    alias = getattr(settings, "RATELIMIT_USE_CACHE", "default")
    if alias not in settings.CACHES:
        yield Error(
            f"RATELIMIT_USE_CACHE is {alias!r}, but CACHES has no such alias.",
            hint="Set it to an alias of CACHES.",
            id="native_api.E008",
        )
    elif settings.CACHES[alias].get("BACKEND") in NOT_ATOMIC:
        yield Warning(
            f"The cache {alias!r} increments in two steps, so concurrent requests may be counted "
            "as one.",
            hint="Use Redis or Memcached as the default cache or as RATELIMIT_USE_CACHE.",
            id="native_api.W002",
        )
