"""`manage.py check`: every misconfiguration that can be found without a call, each with an id and a
hint.

Each check stands by itself: what another one reports must not make it fail.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register
from django.db import connections
from django.utils.module_loading import import_string

from native_api.catalog import catalog
from native_api.catalog.settings_schema import is_positive, is_whole, problem_of
from native_api.conf import CLASSES, DEFAULTS, MERGED, native_settings, user_settings
from native_api.exceptions import ConfigurationError, UnreadableSecret
from native_api.limits import rules
from native_api.models.keys import RATE
from native_api.pricing import tables
from native_api.throttling import counts_in_memory
from native_api.upstream.auth import methods

DOCS = "See docs/settings.md."
NOT_ATOMIC = frozenset(
    {
        "django.core.cache.backends.db.DatabaseCache",
        "django.core.cache.backends.filebased.FileBasedCache",
    }
)


def _is_positive(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


def _is_boolean(value: Any) -> bool:
    return isinstance(value, bool)


def _is_path(value: Any) -> bool:
    return value is None or isinstance(value, str | os.PathLike)


def _are_texts(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(item, str) and item for item in value)


VALUES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "MAX_BODY_BYTES": (_is_positive, "a positive number"),
    "MAX_BODIES_BYTES": (_is_positive, "a positive number"),
    "MAX_JSON_VALUES": (_is_positive, "a positive number"),
    "KEEPALIVE_SECONDS": (_is_positive, "a positive number"),
    "ALLOW_DIRECT_MODELS": (_is_boolean, "True or False"),
    "STRICT": (_is_boolean, "True or False"),
    "JOURNAL_DIR": (_is_path, "a path or None"),
    "DEFAULT_MODEL_ACCESS": (_are_texts, "a list of patterns that are not empty"),
    "SECRET_KEYS": (_are_texts, "a list of strings that are not empty"),
}


ATTEMPTS: dict[str, Callable[[Any], bool]] = {
    "RETRIES": lambda value: is_whole(value, 0),
    "TOTAL": lambda value: is_whole(value, 1),
    "SECONDS": is_positive,
}


def _own() -> dict[str, Any]:
    """The site's NATIVE_API, empty where it is none."""
    own = user_settings()
    return own if isinstance(own, dict) else {}


def _members(name: str) -> dict[str, Any]:
    """A merged setting, its defaults alone where the site's own is none."""
    own = _own().get(name)
    return {**DEFAULTS[name], **(own if isinstance(own, dict) else {})}


@register("native_api")
def check_setting_names(app_configs: Any, **kwargs: Any) -> Iterable[CheckMessage]:
    if not isinstance(user_settings(), dict):
        yield Error("NATIVE_API must be a dictionary.", hint=DOCS, id="native_api.E001")
    for name in sorted(map(str, _own().keys() - DEFAULTS.keys())):
        yield Error(
            f"NATIVE_API has no setting {name!r}.",
            hint=f"Known: {', '.join(sorted(DEFAULTS))}.",
            id="native_api.E001",
        )


@register("native_api")
def check_members(app_configs: Any, **kwargs: Any) -> Iterable[CheckMessage]:
    own = _own()
    for name in sorted(MERGED & own.keys()):
        if not isinstance(own[name], dict):
            yield Error(
                f"NATIVE_API[{name!r}] must be a dictionary.", hint=DOCS, id="native_api.E002"
            )
            continue
        for member in sorted(map(str, own[name].keys() - DEFAULTS[name].keys())):
            known = ", ".join(DEFAULTS[name])
            yield Error(
                f"NATIVE_API[{name!r}] has no member {member!r}.",
                hint=f"Known: {known}.",
                id="native_api.E002",
            )


@register("native_api")
def check_values(app_configs: Any, **kwargs: Any) -> Iterable[CheckMessage]:
    for name in sorted(VALUES.keys() & _own().keys()):
        is_right, described = VALUES[name]
        if not is_right(_own()[name]):
            yield Error(
                f"NATIVE_API[{name!r}] must be {described}.", hint=DOCS, id="native_api.E003"
            )
    one, together = (
        _own().get(name, DEFAULTS[name]) for name in ("MAX_BODY_BYTES", "MAX_BODIES_BYTES")
    )
    if _is_positive(one) and _is_positive(together) and together < one:
        message = "NATIVE_API['MAX_BODIES_BYTES'] must be at least MAX_BODY_BYTES: a body of that size would always be refused."
        yield Error(message, hint=DOCS, id="native_api.E003")
    for name, seconds in _members("TIMEOUTS").items():
        if not _is_positive(seconds):
            yield Error(
                f"NATIVE_API['TIMEOUTS'][{name!r}] must be a positive number.",
                hint=DOCS,
                id="native_api.E003",
            )
    for name, is_sound in ATTEMPTS.items():
        if not is_sound(_members("ATTEMPTS")[name]):
            yield Error(
                f"NATIVE_API['ATTEMPTS'][{name!r}] is no sensible number.",
                hint=DOCS,
                id="native_api.E003",
            )
    for name, rate in _members("THROTTLE_RATES").items():
        if rate and not (isinstance(rate, str) and RATE.fullmatch(rate)):
            yield Error(
                f"NATIVE_API['THROTTLE_RATES'][{name!r}] is no rate.",
                hint="Write it as '600/m'.",
                id="native_api.E004",
            )


@register("native_api")
def check_classes(app_configs: Any, **kwargs: Any) -> Iterable[CheckMessage]:
    for name in sorted(CLASSES & _own().keys()):
        paths = _own()[name]
        if not isinstance(paths, list | tuple):
            yield Error(
                f"NATIVE_API[{name!r}] must be a list.",
                hint="Give a list of dotted paths to classes.",
                id="native_api.E005",
            )
            continue
        for path in paths:
            problem = _problem_of_class(path)
            if problem:
                yield Error(
                    f"NATIVE_API[{name!r}]: {problem}.",
                    hint="Give dotted paths to classes.",
                    id="native_api.E005",
                )


def _problem_of_class(path: Any) -> str:
    try:
        found = import_string(path) if isinstance(path, str) else path
    except (ImportError, ValueError) as error:
        return str(error)
    return "" if isinstance(found, type) else f"{path!r} is not a class"


@register("native_api")
def check_catalog(app_configs: Any, **kwargs: Any) -> Iterable[CheckMessage]:
    """Providers and models of the settings; those of the database are checked where they are
    edited."""
    try:
        built = catalog.build(
            native_settings.PROVIDERS, native_settings.MODELS, native_settings.ALLOW_DIRECT_MODELS
        )
    except (AttributeError, TypeError):
        yield Error(
            "NATIVE_API['PROVIDERS'] and ['MODELS'] must be dictionaries of dictionaries.",
            hint=DOCS,
            id="native_api.E006",
        )
        return
    for problem in built.problems:
        told = f"NATIVE_API['{problem.place.partition('[')[0]}'][{problem.place.partition('[')[2]}: {problem.message}."
        if problem.kind == "circle":
            yield Error(told, hint=problem.hint, id="native_api.E021")
        elif problem.kind == "fallback":
            yield Warning(
                told,
                hint=f"{problem.hint} A model of the admin will do as well.",
                id="native_api.W021",
            )
        else:
            yield Error(told, hint=problem.hint, id="native_api.E007")
    for provider in built.providers.values():
        if methods.is_missing(provider.auth):
            place = f"NATIVE_API['PROVIDERS'][{provider.name!r}]"
            yield Error(
                f"{place}: a package is not installed.",
                hint=f"{methods.needs(provider.auth)}.",
                id="native_api.E009",
            )


@register("native_api")
def check_stored_keys(app_configs: Any, **kwargs: Any) -> Iterable[CheckMessage]:
    """Providers of the database whose key cannot be read. Only a warning: neither rows nor a
    database that is away must stop `migrate`."""
    from native_api.models import Provider

    if not _is_there(connections[Provider.objects.db]):
        return
    try:
        rows = [(row.name, row.known_api_key()) for row in Provider.objects.filter(enabled=True)]
    except Exception:  # the database is away, the table is not there yet, or a test may not ask: this check is not the one to say so
        return
    for name, key in rows:
        if isinstance(key, UnreadableSecret) and name not in native_settings.PROVIDERS:
            problem = problem_of(f"The provider {name!r} of the database is not called", key)
            yield Warning(
                f"{problem.place}: {problem.message}.", hint=problem.hint, id="native_api.W010"
            )


def _is_there(connection: Any) -> bool:
    """False for a file of SQLite's that is not there: a query would create it, before whoever
    migrates decides who may read it."""
    return (
        connection.vendor != "sqlite"
        or connection.is_in_memory_db()
        or os.path.exists(connection.settings_dict["NAME"])
    )


@register("native_api")
def check_limits(app_configs: Any, **kwargs: Any) -> Iterable[CheckMessage]:
    for place, error in rules.problems_of(_own().get("LIMITS", ())):
        yield _error_of(f"NATIVE_API['LIMITS']{place}", error, id="native_api.E020")
    try:
        rules.threshold_of(_own().get("LIMIT_THRESHOLD", DEFAULTS["LIMIT_THRESHOLD"]))
    except ConfigurationError as error:
        yield _error_of("NATIVE_API['LIMIT_THRESHOLD']", error, id="native_api.E020")
    try:
        tables.parse(_own().get("FALLBACK_PRICE"))
    except ConfigurationError as error:
        yield _error_of("NATIVE_API['FALLBACK_PRICE']", error, id="native_api.E022")


def _error_of(place: str, error: ConfigurationError, id: str) -> Error:
    problem = problem_of(place, error)
    return Error(f"{problem.place}: {problem.message}.", hint=problem.hint, id=id)


@register("native_api")
def check_shared_limits(app_configs: Any, **kwargs: Any) -> Iterable[CheckMessage]:
    if (
        not settings.DEBUG
        and counts_in_memory()
        and (any(_members("THROTTLE_RATES").values()) or _own().get("LIMITS"))
    ):
        yield Warning(
            "Rates are counted in a cache that each process has to itself, so the site admits them once per process.",
            hint="Use a shared cache, such as Redis, as the default one or as RATELIMIT_USE_CACHE.",
            id="native_api.W001",
        )


@register("native_api")
def check_ratelimit_cache(app_configs: Any, **kwargs: Any) -> Iterable[CheckMessage]:
    alias = getattr(settings, "RATELIMIT_USE_CACHE", "default")
    if alias not in settings.CACHES:
        yield Error(
            f"RATELIMIT_USE_CACHE names {alias!r}, which CACHES has not.",
            hint="Name one of CACHES.",
            id="native_api.E008",
        )
    elif settings.CACHES[alias].get("BACKEND") in NOT_ATOMIC:
        yield Warning(
            f"The cache {alias!r} counts in two steps, so requests at the same time may be counted as one.",
            hint="Use Redis or Memcached, as the default cache or as RATELIMIT_USE_CACHE.",
            id="native_api.W002",
        )
