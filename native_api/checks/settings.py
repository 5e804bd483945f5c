"""Checks of `NATIVE_API`: its names and values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from django.core.checks import CheckMessage, Error, register

from native_api.catalog import plugins
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
from native_api.exceptions import SettingError
from native_api.gateway import hook_chain  # noqa: F401  it registers the check of a setting
from native_api.limits import estimates, rules  # noqa: F401  they register checks of settings

SETTING_IDS: Final[Mapping[str, str]] = {
    "PROVIDERS": "native_api.E006",
    "MODELS": "native_api.E006",
    "MODEL_RULES": "native_api.E006",
    "LIMITS": "native_api.E020",
    "LIMIT_THRESHOLD": "native_api.E020",
    "FALLBACK_PRICE": "native_api.E022",
    **dict.fromkeys(CLASSES | FUNCTIONS, "native_api.E005"),
    **dict.fromkeys(plugins.REGISTRIES, "native_api.E010"),
}
"""Ids of settings that have one of their own."""


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
