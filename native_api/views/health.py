"""`GET health/live` and `GET health/ready`. Everybody may call them, so they show states and
counts, never names or addresses of providers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

from django.db import connections
from django.http import HttpResponse
from rest_framework.request import Request

from native_api.background import ResourceUnavailable, executors, site_cache
from native_api.catalog import catalog
from native_api.conf import setting_errors
from native_api.exceptions import ConfigurationError, DatabaseUnavailable
from native_api.limits import rules
from native_api.routing.health_sync import arefresh_health, target_pool
from native_api.types import Json
from native_api.usage import recorder
from native_api.usage.journal import location
from native_api.views.base import NativeView

CHECK_TIMEOUT_SECONDS: Final = 2.0
"""In which a dependency has to answer."""

RESULT_SECONDS: Final = 1.0
"""For which one result serves all requests, since everybody may send them."""

_database_threads: Final = executors.database.lane(1)
_cache_threads: Final = executors.cache.lane(1)


class OpenView(NativeView):
    """For everybody: no authentication, no limit."""

    authentication_classes = []
    permission_classes = []
    throttle_classes = []
    needs_valid_settings = False


class LiveView(OpenView):
    """`GET health/live`: 200 while the process answers."""

    async def get(self, request: Request) -> HttpResponse:
        return self.json({"status": "ok"})


class ReadyView(OpenView):
    """`GET health/ready`: 503 if requests cannot be answered: a setting is invalid, there is no
    provider whose key can be read, or usage cannot be kept.

    A lost database or cache is reported, with status 200: calls continue with cached data, and
    records wait in the journal. So is a target that is out of order: it is the same for all
    machines, and taking all of them out of service would not help.
    """

    async def get(self, request: Request) -> HttpResponse:
        checks = await _readiness.checks()
        failing = any(check["status"] == "failing" for check in checks.values())
        degraded = any(check["status"] != "ok" for check in checks.values())
        status = "failing" if failing else "degraded" if degraded else "ok"
        return self.json({"status": status, "checks": checks}, 503 if failing else 200)


class _Readiness:
    """The last result, and when it was made."""

    def __init__(self) -> None:
        self._checks: Json = {}
        self._checked_at = float("-inf")

    async def checks(self) -> Json:
        if time.monotonic() - self._checked_at >= RESULT_SECONDS:
            database, cache, providers = await asyncio.gather(
                _run_check(_database_threads, _query_database),
                _run_check(_cache_threads, site_cache.probe),
                _providers(),
            )
            limits = await _limits(database, cache)
            self._checks = {
                "settings": _settings(),
                "database": database,
                "cache": cache,
                "providers": providers,
                "limits": limits,
                "journal": _journal(),
            }
            self._checked_at = time.monotonic()
        return self._checks


_readiness: Final = _Readiness()


async def _run_check(threads: executors.Lane, check: Callable[[], None]) -> Json:
    try:
        await threads.run(CHECK_TIMEOUT_SECONDS, check)
    except ResourceUnavailable as error:
        return {"status": "degraded", "error": error.evidence}
    except Exception as error:
        return {"status": "degraded", "error": type(error).__name__}
    return {"status": "ok"}


def _query_database() -> None:
    with connections[location.database_alias()].cursor() as cursor:
        cursor.execute("SELECT 1")


def _settings() -> Json:
    """The names of invalid settings, which are the site's own, without their values."""
    names = list(dict.fromkeys(error.path for error in setting_errors()))
    return {"status": "failing", "invalid": names} if names else {"status": "ok"}


async def _providers() -> Json:
    """The numbers of providers and targets, of targets that are out of order or rate limited, of
    providers that refuse their key, and of those whose stored key cannot be read."""
    await arefresh_health()
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
    counts = {
        "targets": len(targets),
        "circuit_open": sum(each.count("circuit_open") for each in kinds),
        "rate_limited": sum(each.count("rate_limited") for each in kinds),
        "auth_failed": sum("auth_failed" in each for each in kinds),
        "keys_unreadable": sum(bool(provider.unusable) for provider in snapshot.providers.values()),
    }
    is_degraded = counts["circuit_open"] or counts["auth_failed"] or counts["keys_unreadable"]
    status = (
        "failing" if counts["keys_unreadable"] == count else "degraded" if is_degraded else "ok"
    )
    return {"status": status, "count": count, **counts}


async def _limits(database: Json, cache: Json) -> Json:
    """How limits are enforced: without the cache, rates let all calls in; without the database,
    budgets refuse all calls that they apply to."""
    try:
        known = (await rules.acurrent()).rules
    except ConfigurationError:  # see "settings"
        return {"status": "failing"}
    except DatabaseUnavailable:
        return {"status": "degraded", "count": 0, "windows": "unknown", "budgets": "refuse"}
    windows = "enforced" if cache["status"] == "ok" else "not_enforced"
    budgets = "enforced" if database["status"] == "ok" else "refuse"
    is_degraded = any((windows if rule.is_short else budgets) != "enforced" for rule in known)
    return {
        "status": "degraded" if is_degraded else "ok",
        "count": len(known),
        "windows": windows,
        "budgets": budgets,
    }


def _journal() -> Json:
    health = recorder.health()
    return {"status": "ok" if health["writable"] else "failing", "backlog": health["backlog"]}
