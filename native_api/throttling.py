"""DRF throttles that count through django-ratelimit, whose counters are incremented atomically:
never one too many.

A cache that fails, or hangs for `PATIENCE`, lets requests in: a rate limit is not worth an outage
(`outages`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django_ratelimit.core import get_usage
from rest_framework.throttling import BaseThrottle

from native_api import background
from native_api.background.backoff import Backoff
from native_api.conf import native_settings
from native_api.limits.headers import duration
from native_api.logs import get_logger
from native_api.models import ApiKey
from native_api.routing.health_sync import IN_PROCESS
from native_api.types.rates import parse_rate

logger = get_logger("native_api.throttling")

PATIENCE: Final = 1.0
NO_ADDRESS: Final = "no address"

_threads: Final = background.Threads("native-api-throttles", 8)
_outage: Final = Backoff(
    logger, "The cache cannot count requests (%s); rate limits are not enforced until it can."
)
_parsed = lru_cache(maxsize=1024)(parse_rate)

Rate = tuple[int, int]
Usage = dict[str, Any]


class CallerThrottle(BaseThrottle):
    """Requests of one key, or of one user where no key was used, or of one address where no user is
    known."""

    _usage: Usage | None = None

    def allow_request(self, request: Any, view: Any) -> bool:
        self._usage = _count(self._counted, request)
        return self._usage is None or not self._usage["should_limit"]

    async def aallow_request(self, request: Any, view: Any) -> bool:
        self._usage = await _acount(self._counted, request)
        return self._usage is None or not self._usage["should_limit"]

    def _counted(self, request: Any) -> Usage | None:
        return _used(request, "native_api.caller", _caller_key(request), _caller_rate(request))

    def wait(self) -> int | None:
        """Seconds after which the window has room again, at least 1; None where nothing was
        counted."""
        return None if self._usage is None else _seconds(self._usage)

    def headers(self) -> dict[str, str]:
        """The rate-limit headers, named as OpenAI names them; none where there is no limit.

        Source: https://platform.openai.com/docs/guides/rate-limits#rate-limits-in-headers (read
        2026-11).
        """
        if self._usage is None:
            return {}
        return {
            "x-ratelimit-limit-requests": str(self._usage["limit"]),
            "x-ratelimit-remaining-requests": str(
                max(0, self._usage["limit"] - self._usage["count"])
            ),
            "x-ratelimit-reset-requests": duration(_seconds(self._usage)),
        }


class FailedAuthThrottle:
    """Failed attempts to authenticate, by address as django-ratelimit reads it
    (RATELIMIT_IP_META_KEY, masks)."""

    def refuse_or_count(self, request: Any) -> int | None:
        """Count a failure. The seconds to wait where there were too many, else None."""
        return self._refused(_count(self._counted, request))

    async def arefuse_or_count(self, request: Any) -> int | None:
        return self._refused(await _acount(self._counted, request))

    def _counted(self, request: Any) -> Usage | None:
        return _used(request, "native_api.failed_auth", "ip", _site_rate("failed_auth"))

    def _refused(self, usage: Usage | None) -> int | None:
        return _seconds(usage) if usage is not None and usage["should_limit"] else None


def _seconds(usage: Usage) -> int:
    """django-ratelimit's window lasts to the end of the second that `time_left` counts to."""
    return max(1, int(usage["time_left"]) + 1)


# --- who, and how often ------------------------------------------------------------------------------------


def _caller_key(request: Any) -> str | Callable[[str, Any], str]:
    """What django-ratelimit takes as `key`."""
    if isinstance(request.auth, ApiKey):
        name = f"key:{request.auth.pk}"
    elif request.user is not None and request.user.is_authenticated:
        name = f"user:{request.user.pk}"
    else:
        return "ip"
    return lambda group, request: name


def _caller_rate(request: Any) -> Rate | None:
    key = request.auth
    if isinstance(key, ApiKey) and key.rate:
        try:
            return _parsed(key.rate)
        except ValueError as error:
            _warn_of_rate(key.prefix, str(error))
    return _site_rate("caller")


@lru_cache(maxsize=1024)
def _warn_of_rate(prefix: str, problem: str) -> None:
    """Once."""
    logger.warning("The rate of the key %s is not used, but the site's: %s", prefix, problem)


def _site_rate(name: str) -> Rate | None:
    """A rate of the settings; None if it is empty, which means no limit."""
    rate = native_settings.THROTTLE_RATES[name]
    return _parsed(rate) if rate else None


# --- counting ----------------------------------------------------------------------------------------------


class CacheUnavailable(Exception):
    """The cache gave no count."""


def _count(counted: Callable[[Any], Usage | None], request: Any) -> Usage | None:
    """What `counted` says; None where the cache cannot say."""
    if _outage.is_on:
        return None
    try:
        return counted(request)
    except CacheUnavailable as error:
        _outage.begin(error)
        return None


async def _acount(counted: Callable[[Any], Usage | None], request: Any) -> Usage | None:
    """`_count` for an event loop: a thread is used only for a cache that is not a matter of
    memory."""
    if counts_in_memory():
        return _count(counted, request)
    try:
        return await _threads.run(PATIENCE, _count, counted, request)
    except background.HangingCall as error:
        _outage.begin(error)
        return None


def _used(request: Any, group: str, key: Any, rate: Rate | None) -> Usage | None:
    """One more use of the caller's window. None where there is no limit. Raises
    CacheUnavailable."""
    if rate is None or not getattr(settings, "RATELIMIT_ENABLE", True):
        return None
    # Asked again once: the counter may have been evicted between the two steps that
    # django-ratelimit takes.
    usage = _asked(request, group, key, rate) or _asked(request, group, key, rate)
    if usage is None:
        raise CacheUnavailable("it gave no count")
    return usage


def _asked(request: Any, group: str, key: Any, rate: Rate) -> Usage | None:
    """django-ratelimit's answer; None where the cache gave no count, for which it has two answers
    of its own."""
    try:
        usage = get_usage(request, group=group, key=key, rate=rate, increment=True)
    except NO_ADDRESS_ERRORS as error:
        if key != "ip":
            raise CacheUnavailable(_described(error)) from error
        return _asked(request, group, lambda group, request: NO_ADDRESS, rate)
    except Exception as error:  # each cache backend has exceptions of its own
        raise CacheUnavailable(_described(error)) from error
    return usage if usage is not None and usage["count"] else None


NO_ADDRESS_ERRORS: Final = (
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    ImproperlyConfigured,
)
"""What reading an address raises where there is none (a Unix socket without a proxy's header), or
it is not one."""


def _described(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:200]


def counts_in_memory() -> bool:
    """Whether counting may happen on an event loop."""
    alias = getattr(settings, "RATELIMIT_USE_CACHE", "default")
    return settings.CACHES.get(alias, {}).get("BACKEND") in IN_PROCESS
