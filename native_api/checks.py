"""`manage.py check`: every misconfiguration that can be found without a call, each with an id and a hint."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register
from django.utils.module_loading import import_string

from native_api import catalog
from native_api.conf import CLASSES, DEFAULTS, MERGED, native_settings, user_settings
from native_api.definitions import is_positive, is_whole
from native_api.models.keys import RATE
from native_api.throttling import counts_in_memory

DOCS = "See docs/settings.md."
NOT_ATOMIC = frozenset({"django.core.cache.backends.db.DatabaseCache", "django.core.cache.backends.filebased.FileBasedCache"})


@register("native_api")
def check_setting_names(app_configs: Any, **kwargs: Any) -> Iterable[CheckMessage]:
    for name in sorted(user_settings().keys() - DEFAULTS.keys()):
        yield Error(f"NATIVE_API has no setting {name!r}.", hint=f"Known: {', '.join(sorted(DEFAULTS))}.", id="native_api.E001")


@register("native_api")
def check_values(app_configs: Any, **kwargs: Any) -> Iterable[CheckMessage]:
    own = user_settings()
    for name in sorted(MERGED & own.keys()):
        if not isinstance(own[name], dict):
            yield Error(f"NATIVE_API[{name!r}] must be a dictionary.", hint=DOCS, id="native_api.E002")
            return
        for member in sorted(own[name].keys() - DEFAULTS[name].keys()):
            known = ", ".join(DEFAULTS[name])
            yield Error(f"NATIVE_API[{name!r}] has no member {member!r}.", hint=f"Known: {known}.", id="native_api.E002")
    for name in ("MAX_BODY_BYTES", "KEEPALIVE_SECONDS"):
        if not isinstance(own.get(name, 1), int | float) or own.get(name, 1) <= 0:
            yield Error(f"NATIVE_API[{name!r}] must be a positive number.", hint=DOCS, id="native_api.E003")
    attempts = native_settings.ATTEMPTS
    for name, sound in (
        ("RETRIES", is_whole(attempts["RETRIES"], 0)),
        ("TOTAL", is_whole(attempts["TOTAL"], 1)),
        ("SECONDS", is_positive(attempts["SECONDS"])),
    ):
        if not sound:
            yield Error(f"NATIVE_API['ATTEMPTS'][{name!r}] is no sensible number.", hint=DOCS, id="native_api.E003")
    for name, rate in native_settings.THROTTLE_RATES.items():
        if rate and not (isinstance(rate, str) and RATE.fullmatch(rate)):
            yield Error(f"NATIVE_API['THROTTLE_RATES'][{name!r}] is no rate.", hint="Write it as '600/m'.", id="native_api.E004")


@register("native_api")
def check_classes(app_configs: Any, **kwargs: Any) -> Iterable[CheckMessage]:
    for name in sorted(CLASSES & user_settings().keys()):
        for path in user_settings()[name]:
            try:
                import_string(path) if isinstance(path, str) else path
            except ImportError as error:
                yield Error(f"NATIVE_API[{name!r}]: {error}.", hint="Give dotted paths to classes.", id="native_api.E005")


@register("native_api")
def check_catalog(app_configs: Any, **kwargs: Any) -> Iterable[CheckMessage]:
    """Providers and models of the settings; those of the database are checked where they are edited."""
    try:
        built = catalog.build(native_settings.PROVIDERS, native_settings.MODELS, native_settings.ALLOW_DIRECT_MODELS)
    except (AttributeError, TypeError):
        yield Error("NATIVE_API['PROVIDERS'] and ['MODELS'] must be dictionaries of dictionaries.", hint=DOCS, id="native_api.E006")
        return
    for problem in built.problems:
        told = f"NATIVE_API['{problem.place.partition('[')[0]}'][{problem.place.partition('[')[2]}: {problem.message}."
        if problem.kind == "circle":
            yield Error(told, hint=problem.hint, id="native_api.E021")
        elif problem.kind == "fallback":
            yield Warning(told, hint=f"{problem.hint} A model of the admin will do as well.", id="native_api.W021")
        else:
            yield Error(told, hint=problem.hint, id="native_api.E007")


@register("native_api")
def check_shared_limits(app_configs: Any, **kwargs: Any) -> Iterable[CheckMessage]:
    if not settings.DEBUG and counts_in_memory() and any(native_settings.THROTTLE_RATES.values()):
        yield Warning(
            "Rates are counted in a cache that each process has to itself, so the site admits them once per process.",
            hint="Use a shared cache, such as Redis, as the default one or as RATELIMIT_USE_CACHE.",
            id="native_api.W001",
        )


@register("native_api")
def check_ratelimit_cache(app_configs: Any, **kwargs: Any) -> Iterable[CheckMessage]:
    alias = getattr(settings, "RATELIMIT_USE_CACHE", "default")
    if alias not in settings.CACHES:
        yield Error(f"RATELIMIT_USE_CACHE names {alias!r}, which CACHES has not.", hint="Name one of CACHES.", id="native_api.E008")
    elif settings.CACHES[alias].get("BACKEND") in NOT_ATOMIC:
        yield Warning(
            f"The cache {alias!r} counts in two steps, so requests at the same time may be counted as one.",
            hint="Use Redis or Memcached, as the default cache or as RATELIMIT_USE_CACHE.",
            id="native_api.W002",
        )
