"""`GET health/live` and `GET health/ready`. Open to all, so they tell states and counts, never
names or addresses."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from django.conf import settings
from django.core.cache import caches
from django.db import connections
from django.http import HttpResponse
from rest_framework.request import Request

from native_api import background
from native_api.catalog import catalog
from native_api.conf import setting_errors
from native_api.exceptions import ConfigurationError, DatabaseUnavailable
from native_api.limits import rules
from native_api.routing.health_sync import refresh_health, target_pool
from native_api.types import Json
from native_api.usage import recorder
from native_api.usage.journal import location
from native_api.views.base import NativeView

PATIENCE: Final = 2.0
"""Seconds that a dependency has to answer."""

REMEMBERED: Final = 1.0
"""Seconds for which an answer serves all who ask: anybody may."""

_threads: Final = background.WorkerThreads("native-api-health", 4)


class OpenView(NativeView):
    """For everybody: no authentication, no limit."""

    authentication_classes = []
    permission_classes = []
    throttle_classes = []
    needs_valid_settings = False


class LiveView(OpenView):
    async def get(self, request: Request) -> HttpResponse:
        return self.json({"status": "ok"})


class ReadyView(OpenView):
    """503 if requests cannot be answered: a setting is invalid, there is no provider whose key can
    be read, or usage cannot be kept.

    A lost database or cache is reported but answered 200: calls go on with what is known, records
    wait in the journal. So is a target that is out of order: all machines see it alike, and taking
    them all away would help nobody.
    """

    async def get(self, request: Request) -> HttpResponse:
        checks = await _readiness.checks()
        failing = any(check["status"] == "failing" for check in checks.values())
        degraded = any(check["status"] != "ok" for check in checks.values())
        status = "failing" if failing else "degraded" if degraded else "ok"
        return self.json({"status": status, "checks": checks}, 503 if failing else 200)


class _Readiness:
    """What was found last, and when."""

    def __init__(self) -> None:
        self._found: Json = {}
        self._found_at = float("-inf")

    async def checks(self) -> Json:
        if time.monotonic() - self._found_at >= REMEMBERED:
            database, cache, providers = await asyncio.gather(
                _tried(_database), _tried(_cache), _providers()
            )
            limits = await _limits(database, cache)
            self._found = {
                "settings": _settings(),
                "database": database,
                "cache": cache,
                "providers": providers,
                "limits": limits,
                "journal": _journal(),
            }
            self._found_at = time.monotonic()
        return self._found


_readiness: Final = _Readiness()


async def _tried(check: Callable[[], None]) -> Json:
    try:
        await _threads.run(PATIENCE, check)
    except Exception as error:
        return {"status": "degraded", "error": type(error).__name__}
    return {"status": "ok"}


def _database() -> None:
    with connections[location.database_alias()].cursor() as cursor:
        cursor.execute("SELECT 1")


def _cache() -> None:
    """The cache that counts requests."""
    name = f"native_api.ready.{uuid.uuid4().hex}"
    cache = caches[getattr(settings, "RATELIMIT_USE_CACHE", "default")]
    cache.set(name, 1, 5)
    if cache.get(name) != 1:
        raise LookupError
    cache.delete(name)


def _settings() -> Json:
    """The names of invalid settings, which are the site's own, without their values."""
    names = [error.path for error in setting_errors()]
    return {"status": "failing", "invalid": names} if names else {"status": "ok"}


async def _providers() -> Json:
    """How many providers and targets there are, how many targets are out of order or limited, how
    many providers refuse their key, and of how many the stored key cannot be read."""
    with suppress(background.CallTimeout):
        await _threads.run(PATIENCE, refresh_health)
    try:
        snapshot = await catalog.acurrent()
    except ConfigurationError:  # see "settings"
        return {"status": "failing"}
    count = len(snapshot.providers)
    targets = {target.key for route in snapshot.routes.values() for target in route.targets}
    kinds = [
        [incident.kind for incident in target_pool.health.incidents_for(provider).values()]
        for provider in snapshot.providers.values()
    ]
    told = {
        "targets": len(targets),
        "out_of_order": sum(each.count("circuit_open") for each in kinds),
        "limited": sum(each.count("rate_limited") for each in kinds),
        "keys_refused": sum("auth_failed" in each for each in kinds),
        "keys_unreadable": sum(bool(provider.unusable) for provider in snapshot.providers.values()),
    }
    suffers = told["out_of_order"] or told["keys_refused"] or told["keys_unreadable"]
    status = "failing" if told["keys_unreadable"] == count else "degraded" if suffers else "ok"
    return {"status": status, "count": count, **told}


async def _limits(database: Json, cache: Json) -> Json:
    """What becomes of limits while something is away: rates let calls in, budgets let none in that
    they bind."""
    try:
        known = (await rules.acurrent()).rules
    except ConfigurationError:  # see "settings"
        return {"status": "failing"}
    except DatabaseUnavailable:
        return {"status": "degraded", "count": 0, "windows": "unknown", "budgets": "refuse"}
    windows = "enforced" if cache["status"] == "ok" else "not_enforced"
    budgets = "enforced" if database["status"] == "ok" else "refuse"
    suffers = any((windows if rule.is_short else budgets) != "enforced" for rule in known)
    return {
        "status": "degraded" if suffers else "ok",
        "count": len(known),
        "windows": windows,
        "budgets": budgets,
    }


def _journal() -> Json:
    health = recorder.health()
    return {"status": "ok" if health["writable"] else "failing", "backlog": health["backlog"]}
