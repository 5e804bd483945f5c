"""Checks of providers and models: those of the settings, among those of the database."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.core.checks import CheckMessage, Error, Warning, register

from native_api.catalog import catalog
from native_api.catalog.settings_schema import Problem
from native_api.checks.rows import read_or_none
from native_api.conf import setting_path, usable_settings
from native_api.exceptions import SettingError
from native_api.upstream.auth import methods


@register("native_api")
def check_catalog(app_configs: Any, **kwargs: Any) -> Iterable[CheckMessage]:
    """Rows are checked where they are edited. Only a key that cannot be read any more is reported
    here."""
    try:
        of_settings = _build({}, {})
        merged = _build(*_read_rows())
    except SettingError:  # reported by check_settings
        return
    paths = tuple(_paths_of_settings())
    for problem in merged.problems:
        if problem.path.startswith(paths):
            yield _settings_message(problem, problem in of_settings.problems)
        elif problem.kind == "key":
            yield _key_message(problem)
    for provider in of_settings.providers.values():
        if methods.is_extra_missing(provider.auth):
            yield Error(
                f"{setting_path('PROVIDERS', provider.name)}: a package is not installed.",
                hint=f"{methods.describe_missing_extra(provider.auth)}.",
                id="native_api.E009",
            )


def _read_rows() -> tuple[dict[str, Any], dict[str, Any]]:
    from native_api.models import Provider

    return read_or_none(Provider, catalog.read_rows) or ({}, {})


def _build(providers: dict[str, Any], models: dict[str, Any]) -> catalog.Catalog:
    """The catalog of these rows with the settings over them. Raises SettingError."""
    return catalog.build(
        {**providers, **usable_settings.PROVIDERS},
        {**models, **usable_settings.MODELS},
        usable_settings.ALLOW_DIRECT_MODELS,
    )


def _paths_of_settings() -> Iterable[str]:
    for setting in ("PROVIDERS", "MODELS"):
        yield from (f"{setting}[{name!r}]" for name in getattr(usable_settings, setting))


def _settings_message(problem: Problem, is_without_rows: bool) -> CheckMessage:
    """A warning if rows cause the problem or would solve it, or if a key is missing: the machine
    that runs the tests or the migrations has no keys."""
    setting, bracket, keys = problem.path.partition("[")
    message = f"{setting_path(setting)}{bracket}{keys}: {problem.message}."
    if problem.kind == "provider":
        return Warning(message, hint=problem.hint, id="native_api.W011")
    if problem.kind == "no_key":
        return Warning(message, hint=problem.hint, id="native_api.W012")
    if problem.kind == "fallback":
        hint = f"{problem.hint} A model of the admin will do as well."
        return Warning(message, hint=hint, id="native_api.W021")
    if problem.kind == "cycle":
        if is_without_rows:
            return Error(message, hint=problem.hint, id="native_api.E021")
        return Warning(message, hint=problem.hint, id="native_api.W022")
    return Error(message, hint=problem.hint, id="native_api.E007")


def _key_message(problem: Problem) -> CheckMessage:
    name = problem.path.removeprefix("PROVIDERS[").removesuffix("]")
    return Warning(
        f"The provider {name} of the database cannot be called: {problem.message}.",
        hint=problem.hint,
        id="native_api.W010",
    )
