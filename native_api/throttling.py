"""DRF throttles that count with django-ratelimit. It increments its counters atomically, so never
one request too many is admitted.

A cache that is down admits requests (see `background.outages`): a rate limit is not worth an
outage. Without a cache that processes share, this process counts in memory of its own.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, lru_cache
from typing import Any, Final

from django.conf import settings
from django.core.cache import caches
from django.core.cache.backends.locmem import LocMemCache
from django.core.exceptions import ImproperlyConfigured
from django_ratelimit.core import get_usage
from rest_framework.throttling import BaseThrottle

from native_api.background import ResourceUnavailable, executors, site_cache
from native_api.background.test_environment import forget_between_tests
from native_api.conf import native_settings
from native_api.forks import reset_after_fork
from native_api.limits.headers import format_duration
from native_api.logs import LogInterval, get_logger
from native_api.models import ApiKey
from native_api.types.rates import parse_rate

__all__ = ["CallerThrottle"]

logger = get_logger("native_api.throttling")

CACHE_TIMEOUT_SECONDS: Final = 1.0

MAX_COUNTERS_IN_MEMORY: Final = 100_000

UNKNOWN_ADDRESS: Final = "no address"
"""All requests whose address is unknown are counted under this key."""

ADDRESS_ERRORS: Final = (
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    ImproperlyConfigured,
)
"""What django-ratelimit raises if a request has no valid address, for example behind a Unix socket
without a proxy's header."""

_threads: Final = executors.cache.lane()
_log_interval: Final = LogInterval()
_parse_rate = lru_cache(maxsize=1024)(parse_rate)

Rate = tuple[int, int]
Usage = dict[str, Any]


class CallerThrottle(BaseThrottle):
    """Limits the requests of a key; of a user if no key was used; of an address if the user is
    unknown."""

    _usage: Usage | None = None
    _limit_text = ""

    def allow_request(self, request: Any, view: Any) -> bool:
        self._usage = _count(self._count_request, request)
        return self._usage is None or not self._usage["should_limit"]

    async def aallow_request(self, request: Any, view: Any) -> bool:
        self._usage = await _acount(self._count_request, request)
        return self._usage is None or not self._usage["should_limit"]

    def _count_request(self, request: Any) -> Usage | None:
        rate = _caller_rate(request)
        if rate is not None:
            self._limit_text = f"{_format_rate(rate)} for {_counted_as(request)}"
        return _increment(request, "native_api.caller", _caller_key(request), rate)

    def describe_limit(self) -> str:
        """Return the limit as messages name it: `600 requests per minute for this key`."""
        return self._limit_text

    def wait(self) -> int | None:
        """Return the seconds until the window ends, at least 1; None if nothing was counted."""
        return None if self._usage is None else _seconds_left(self._usage)

    def headers(self) -> dict[str, str]:
        """Return the rate-limit headers, named as OpenAI names them; none if there is no limit.

        Source: https://platform.openai.com/docs/guides/rate-limits#rate-limits-in-headers (read
        2026-11).
        """
        if self._usage is None:
            return {}
        limit, count = self._usage["limit"], self._usage["count"]
        return {
            "x-ratelimit-limit-requests": str(limit),
            "x-ratelimit-remaining-requests": str(max(0, limit - count)),
            "x-ratelimit-reset-requests": format_duration(_seconds_left(self._usage)),
        }


class FailedAuthThrottle:
    """Limits failed authentications by address, as django-ratelimit reads it
    (RATELIMIT_IP_META_KEY and its masks)."""

    def count_failure(self, request: Any) -> int | None:
        """Count a failure. Return the seconds to wait if there were too many, else None."""
        return self._wait(_count(self._count_request, request))

    async def acount_failure(self, request: Any) -> int | None:
        return self._wait(await _acount(self._count_request, request))

    def _count_request(self, request: Any) -> Usage | None:
        return _increment(request, "native_api.failed_auth", "ip", _site_rate("failed_auth"))

    def _wait(self, usage: Usage | None) -> int | None:
        return _seconds_left(usage) if usage is not None and usage["should_limit"] else None


def _seconds_left(usage: Usage) -> int:
    """django-ratelimit's window lasts to the end of the second at which `time_left` is 0."""
    return max(1, int(usage["time_left"]) + 1)


# --- callers and rates ---------------------------------------------------------------------------


def _caller_key(request: Any) -> str | Callable[[str, Any], str]:
    """Return the `key` argument for django-ratelimit."""
    if isinstance(request.auth, ApiKey):
        name = f"key:{request.auth.pk}"
    elif request.user is not None and request.user.is_authenticated:
        name = f"user:{request.user.pk}"
    else:
        return "ip"
    return lambda group, request: name


def _counted_as(request: Any) -> str:
    if isinstance(request.auth, ApiKey):
        return "this key"
    is_known = request.user is not None and request.user.is_authenticated
    return "this user" if is_known else "this address"


PERIODS: Final = {1: "second", 60: "minute", 3600: "hour", 86400: "day"}


@lru_cache(maxsize=1024)
def _format_rate(rate: Rate) -> str:
    count, seconds = rate
    noun = "request" if count == 1 else "requests"
    return f"{count} {noun} per {PERIODS.get(seconds, f'{seconds} s')}"


def _caller_rate(request: Any) -> Rate | None:
    key = request.auth
    if isinstance(key, ApiKey) and key.throttle_rate:
        try:
            return _parse_rate(key.throttle_rate)
        except ValueError as error:
            _warn_of_invalid_rate(key.prefix, str(error))
    return _site_rate("caller")


@lru_cache(maxsize=1024)
def _warn_of_invalid_rate(prefix: str, problem: str) -> None:
    """Log each problem once."""
    logger.warning(
        "The throttle rate of the key %s is invalid, so the site's rate applies: %s",
        prefix,
        problem,
    )


def _site_rate(name: str) -> Rate | None:
    """A rate of the settings; None if it is empty, which means no limit."""
    rate = native_settings.THROTTLE_RATES[name]
    return _parse_rate(rate) if rate else None


# --- counting ------------------------------------------------------------------------------------


CountRequest = Callable[[Any], Usage | None]


class CacheUnavailable(Exception):
    """The cache returned no count."""


def _count(count_request: CountRequest, request: Any) -> Usage | None:
    """Return the result of `count_request`; None if the cache is down."""
    if not site_cache.is_shared():
        return _count_in_memory(count_request, request)
    try:
        return _threads.run_sync(CACHE_TIMEOUT_SECONDS, count_request, request)
    except (CacheUnavailable, ResourceUnavailable):
        return None


async def _acount(count_request: CountRequest, request: Any) -> Usage | None:
    """`_count` for an event loop."""
    if not site_cache.is_shared():
        return _count_in_memory(count_request, request)
    try:
        return await _threads.run(CACHE_TIMEOUT_SECONDS, count_request, request)
    except (CacheUnavailable, ResourceUnavailable):
        return None


def _count_in_memory(count_request: CountRequest, request: Any) -> Usage | None:
    try:
        with _own_cache_in_place():
            return count_request(request)
    except CacheUnavailable as error:
        if _log_interval.is_due():
            logger.warning("A request cannot be counted (%s), so it is admitted.", error)
        return None


@contextmanager
def _own_cache_in_place() -> Iterator[None]:
    """Let django-ratelimit count in the gateway's memory. It knows the site's caches only, where a
    LocMemCache drops the site's entries to make room for counters, and DummyCache counts nothing.

    Holds for this thread, or this task of an event loop.
    """
    alias = site_cache.alias()
    sites_cache = caches[alias]
    caches[alias] = own_cache()
    try:
        yield
    finally:
        caches[alias] = sites_cache


@cache
def own_cache() -> LocMemCache:
    name = f"native_api.throttles.{os.getpid()}"  # a lock of another process may never be released
    return LocMemCache(name, {"max_entries": MAX_COUNTERS_IN_MEMORY})


reset_after_fork(own_cache.cache_clear)
forget_between_tests(lambda: own_cache().clear())


def _increment(request: Any, group: str, key: Any, rate: Rate | None) -> Usage | None:
    """Count the request in the caller's window; None if there is no limit. Raises
    CacheUnavailable."""
    if rate is None or not getattr(settings, "RATELIMIT_ENABLE", True):
        return None
    # Tried twice, because the counter may be evicted between django-ratelimit's two steps.
    usage = _get_usage(request, group, key, rate) or _get_usage(request, group, key, rate)
    if usage is None:
        raise CacheUnavailable("the cache returned no count")
    return usage


def _get_usage(request: Any, group: str, key: Any, rate: Rate) -> Usage | None:
    """Return django-ratelimit's usage; None if the cache returned no count, for which
    django-ratelimit returns either None or a count of 0."""
    try:
        usage = get_usage(request, group=group, key=key, rate=rate, increment=True)
    except ADDRESS_ERRORS as error:
        if key != "ip":
            raise CacheUnavailable(_describe(error)) from error
        return _get_usage(request, group, lambda group, request: UNKNOWN_ADDRESS, rate)
    except Exception as error:  # each cache backend has its own exceptions
        raise CacheUnavailable(_describe(error)) from error
    return usage if usage is not None and usage["count"] else None


def _describe(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:200]
