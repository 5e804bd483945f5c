"""`manage.py check`: every misconfiguration that can be found without a call. Each has an id and a
hint.

The checks are independent: an error that one of them reports must not make another one fail.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any, Final

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register
from django.db import connections

from native_api.catalog import catalog, plugins
from native_api.catalog.settings_schema import Problem
from native_api.conf import (
    CLASSES,
    DEFAULTS,
    DOCS_HINT,
    FUNCTIONS,
    MERGED,
    errors_of,
    name_errors,
    setting_path,
    usable_settings,
)
from native_api.exceptions import SettingError, UnreadableSecret
from native_api.gateway import hook_chain  # noqa: F401  it registers the check of a setting
from native_api.limits import estimates, rules  # noqa: F401  they register checks of settings
from native_api.throttling import counts_in_memory
from native_api.upstream.auth import methods

SETTING_IDS: Final[Mapping[str, str]] = {
    "PROVIDERS": "native_api.E006",
    "MODELS": "native_api.E006",
    "LIMITS": "native_api.E020",
    "LIMIT_THRESHOLD": "native_api.E020",
    "FALLBACK_PRICE": "native_api.E022",
    **dict.fromkeys(CLASSES | FUNCTIONS, "native_api.E005"),
    **dict.fromkeys(plugins.REGISTRIES, "native_api.E010"),
}
"""Ids of settings that have one of their own."""

NOT_ATOMIC: Final = frozenset(
    {
        "django.core.cache.backends.db.DatabaseCache",
        "django.core.cache.backends.filebased.FileBasedCache",
    }
)
"""Cache backends whose `incr` reads and writes in two steps."""


@register("native_api")
def check_setting_names(app_configs: Any, **kwargs: Any) -> Iterable[CheckMessage]:
    try:
        errors = list(name_errors())
    except SettingError as no_dictionary:
        errors = [no_dictionary]
    for error in errors:
        yield Error(f"{error.path}: {error.message}.", hint=error.hint, id="native_api.E001")


@register("native_api")
def check_settings(app_configs: Any, **kwargs: Any) -> Iterable[CheckMessage]:
    for name in DEFAULTS:
        for error in _errors_of(name):
            yield Error(
                f"{error.path}: {error.message}.", hint=error.hint, id=_setting_id(name, error)
            )
    if usable_settings.MAX_BODIES_BYTES < usable_settings.MAX_BODY_BYTES:
        yield Error(
            f"{setting_path('MAX_BODIES_BYTES')}: must be at least MAX_BODY_BYTES; otherwise "
            "bodies of that size are always refused.",
            hint=DOCS_HINT,
            id="native_api.E003",
        )


def _errors_of(name: str) -> Iterable[SettingError]:
    try:
        return list(errors_of(name))
    except SettingError:  # NATIVE_API is not a dictionary, which is an error of its own
        return ()


def _setting_id(name: str, error: SettingError) -> str:
    if name in SETTING_IDS:
        return SETTING_IDS[name]
    if name in MERGED and error.path == setting_path(name):
        return "native_api.E002"
    return "native_api.E004" if name == "THROTTLE_RATES" else "native_api.E003"


@register("native_api")
def check_catalog(app_configs: Any, **kwargs: Any) -> Iterable[CheckMessage]:
    """Providers and models of the settings. Those of the database are checked where they are
    edited."""
    try:
        built = catalog.build(
            usable_settings.PROVIDERS, usable_settings.MODELS, usable_settings.ALLOW_DIRECT_MODELS
        )
    except SettingError:  # reported by check_settings
        return
    for problem in built.problems:
        yield _catalog_message(problem)
    for provider in built.providers.values():
        if methods.is_extra_missing(provider.auth):
            yield Error(
                f"{setting_path('PROVIDERS', provider.name)}: a package is not installed.",
                hint=f"{methods.describe_missing_extra(provider.auth)}.",
                id="native_api.E009",
            )


def _catalog_message(problem: Problem) -> CheckMessage:
    setting, bracket, keys = problem.path.partition("[")
    message = f"{setting_path(setting)}{bracket}{keys}: {problem.message}."
    if problem.kind == "cycle":
        return Error(message, hint=problem.hint, id="native_api.E021")
    if problem.kind == "fallback":
        hint = f"{problem.hint} A model of the admin will do as well."
        return Warning(message, hint=hint, id="native_api.W021")
    return Error(message, hint=problem.hint, id="native_api.E007")


@register("native_api")
def check_stored_keys(app_configs: Any, **kwargs: Any) -> Iterable[CheckMessage]:
    """Providers of the database whose key cannot be read.

    These are only warnings: neither a row nor an unreachable database may stop `migrate`.
    """
    from native_api.models import Provider

    if not _has_database(connections[Provider.objects.db]):
        return
    try:
        keys = {row.name: row.api_key_or_error() for row in Provider.objects.filter(enabled=True)}
    except Exception:  # no database, no table yet, or a test that may not use the database
        return
    for name, key in keys.items():
        if isinstance(key, UnreadableSecret) and name not in usable_settings.PROVIDERS:
            yield Warning(
                f"The provider {name!r} of the database cannot be called: {key.message}.",
                hint=key.hint,
                id="native_api.W010",
            )


def _has_database(connection: Any) -> bool:
    """Whether there is a database to query. Querying a SQLite file that does not exist would create
    it, before `migrate` decides who may read it."""
    return (
        connection.vendor != "sqlite"
        or connection.is_in_memory_db()
        or os.path.exists(connection.settings_dict["NAME"])
    )


@register("native_api")
def check_shared_limits(app_configs: Any, **kwargs: Any) -> Iterable[CheckMessage]:
    has_limits = any(usable_settings.THROTTLE_RATES.values()) or usable_settings.LIMITS
    if not settings.DEBUG and counts_in_memory() and has_limits:
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
