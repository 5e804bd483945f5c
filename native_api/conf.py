"""The `NATIVE_API` setting: every key with its default, and a check of its value.

`native_settings.KEEPALIVE_SECONDS` reads a setting as DRF's `api_settings` does. A setting that is
invalid raises SettingError wherever it is read: it is never ignored or replaced by its default.
`manage.py check` and `health/ready` report the same errors.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from ipaddress import ip_network
from typing import Any, Final, NamedTuple

from django.conf import settings
from django.utils.module_loading import import_string

from native_api.exceptions import SettingError
from native_api.types.rates import RATE

DEFAULTS: dict[str, Any] = {
    "PROVIDERS": {},
    "MODELS": {},
    "MODEL_RULES": {},
    "ALLOW_DIRECT_MODELS": True,
    "DEFAULT_MODEL_ACCESS": ("*",),
    "LIMITS": (),
    "LIMIT_THRESHOLD": 80,
    "FALLBACK_PRICE": None,
    "THROTTLE_RATES": {"caller": "600/m", "failed_auth": "20/m"},
    "TIMEOUTS": {"CONNECT": 5, "FIRST_TOKEN": 60, "BETWEEN_TOKENS": 30, "TOTAL": 600, "BODY": 60},
    "ATTEMPTS": {"RETRIES": 1, "MAX": 6, "START_WITHIN": 120},
    "MAX_BODY_BYTES": 20 * 1024 * 1024,
    "MAX_BODIES_BYTES": 256 * 1024 * 1024,
    "MAX_JSON_VALUES": 100_000,
    "KEEPALIVE_SECONDS": 15,
    "GC_FREEZE": True,
    "REMOTE_FILES": None,
    "JOURNAL_DIR": None,
    "MAINTENANCE": {
        "AUTOMATIC": True,
        "USAGE_RECORD_DAYS": None,
        "BUDGET_DAYS": None,
        "UPDATE_PRICES": False,
    },
    "RESPONSES": {"STORE": False, "DAYS": 30, "MAX_BYTES": 256 * 1024 * 1024},
    "UNKNOWN_FIELDS": "pass",
    "CONVERSATION_ID_FROM": (),
    "SECRET_KEYS": (),
    "DEFAULT_AUTHENTICATION_CLASSES": ("native_api.authentication.ApiKeyAuthentication",),
    "DEFAULT_PERMISSION_CLASSES": ("rest_framework.permissions.IsAuthenticated",),
    "DEFAULT_THROTTLE_CLASSES": ("native_api.throttling.CallerThrottle",),
    "CALLER": None,
    "HOOKS": (),
    "DIALECTS": {},
    "PRESETS": {},
    "AUTH_METHODS": {},
}

MERGED: Final = frozenset({"ATTEMPTS", "MAINTENANCE", "RESPONSES", "THROTTLE_RATES", "TIMEOUTS"})
"""Settings whose members have defaults of their own."""

CLASSES: Final = frozenset(
    {
        "DEFAULT_AUTHENTICATION_CLASSES",
        "DEFAULT_PERMISSION_CLASSES",
        "DEFAULT_THROTTLE_CLASSES",
        "HOOKS",
    }
)
"""Settings that hold dotted paths to classes."""

FUNCTIONS: Final = frozenset({"CALLER"})
"""Settings that hold a dotted path to a function of one argument, or None."""

REPLACED: Final[Mapping[str, str]] = {
    "STRICT": "UNKNOWN_FIELDS replaces it: 'refuse' for True, 'drop' for False. The default, "
    "'pass', sends unknown fields on to providers of OpenAI's format."
}
"""Settings of earlier versions -> what a site does instead."""

DOCS_HINT: Final = "See docs/settings.md."
MAX_NUMBER: Final = 1_000_000
"""A larger count or number of seconds is taken for a mistake."""


# --- checks --------------------------------------------------------------------------------------


def is_integer(value: Any, minimum: int, maximum: float = MAX_NUMBER) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and minimum <= value <= maximum


def is_positive(value: Any) -> bool:
    return (
        isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= MAX_NUMBER
    )


class ValueCheck(NamedTuple):
    """Whether a value is valid, and how a valid one is described after "must be"."""

    is_valid: Callable[[Any], bool]
    description: str
    hint: str = DOCS_HINT


BOOLEAN: Final = ValueCheck(lambda value: isinstance(value, bool), "True or False")
BYTES: Final = ValueCheck(lambda value: is_integer(value, 1, float("inf")), "an integer >= 1")
COUNT: Final = ValueCheck(lambda value: is_integer(value, 1), "an integer >= 1")
COUNT_OR_ZERO: Final = ValueCheck(lambda value: is_integer(value, 0), "an integer >= 0")
SECONDS: Final = ValueCheck(is_positive, "a positive number of seconds")
DAYS: Final = ValueCheck(lambda value: is_integer(value, 1, 10_000), "a number of days")
DAYS_OR_NONE: Final = ValueCheck(
    lambda value: value is None or DAYS.is_valid(value), "a number of days or None"
)
PERCENTAGE: Final = ValueCheck(
    lambda value: is_integer(value, 1, 100), "a percentage", "Give an integer from 1 to 100."
)
PATH: Final = ValueCheck(
    lambda value: value is None or isinstance(value, str | os.PathLike), "a path or None"
)
STRINGS: Final = ValueCheck(
    lambda value: (
        isinstance(value, list | tuple) and all(isinstance(text, str) and text for text in value)
    ),
    "a list of strings that are not empty",
)
POLICY: Final = ValueCheck(
    lambda value: value in ("pass", "drop", "refuse"), "'pass', 'drop' or 'refuse'"
)
DEFINITIONS: Final = ValueCheck(
    lambda value: (
        isinstance(value, Mapping)
        and all(isinstance(name, str) for name in value)
        and all(isinstance(definition, Mapping) for definition in value.values())
    ),
    "a dictionary of dictionaries",
)
THROTTLE_RATE: Final = ValueCheck(
    lambda value: not value or (isinstance(value, str) and RATE.fullmatch(value) is not None),
    "a valid rate",
    "Write it as '600/m', or as None for no limit.",
)


def _are_networks(value: Any) -> bool:
    try:
        return isinstance(value, list | tuple) and all(map(ip_network, value))
    except ValueError:
        return False


NETWORKS: Final = ValueCheck(_are_networks, "a list of networks", "Such as ['10.1.0.0/16'].")

MEMBER_CHECKS: Final[Mapping[str, Mapping[str, ValueCheck]]] = {
    "ATTEMPTS": {"RETRIES": COUNT_OR_ZERO, "MAX": COUNT, "START_WITHIN": SECONDS},
    "MAINTENANCE": {
        "AUTOMATIC": BOOLEAN,
        "USAGE_RECORD_DAYS": DAYS_OR_NONE,
        "BUDGET_DAYS": DAYS_OR_NONE,
        "UPDATE_PRICES": BOOLEAN,
    },
    "REMOTE_FILES": {
        "MAX_BYTES": BYTES,
        "MAX_FILES": COUNT,
        "SECONDS": SECONDS,
        "PRIVATE_NETWORKS": NETWORKS,
    },
    "RESPONSES": {"STORE": BOOLEAN, "DAYS": DAYS, "MAX_BYTES": BYTES},
    "THROTTLE_RATES": dict.fromkeys(DEFAULTS["THROTTLE_RATES"], THROTTLE_RATE),
    "TIMEOUTS": dict.fromkeys(DEFAULTS["TIMEOUTS"], SECONDS),
}
"""Settings that are dictionaries with these members, all of them optional."""


def setting_path(name: str, *keys: str | int) -> str:
    """How an error names a setting or a part of it: `NATIVE_API['TIMEOUTS']['TOTAL']`."""
    return "NATIVE_API" + "".join(f"[{key!r}]" for key in (name, *keys))


def _value_errors(path: str, value: Any, check: ValueCheck) -> Iterator[SettingError]:
    if not check.is_valid(value):
        yield SettingError(path, f"must be {check.description}", check.hint)


def _member_errors(name: str, value: Any) -> Iterator[SettingError]:
    if value is None and DEFAULTS[name] is None:
        return
    if not isinstance(value, Mapping):
        yield SettingError(setting_path(name), "must be a dictionary", DOCS_HINT)
        return
    checks = MEMBER_CHECKS[name]
    for member in sorted(map(str, value.keys() - checks.keys())):
        hint = f"Members: {', '.join(checks)}."
        yield SettingError(setting_path(name), f"unknown member {member!r}", hint)
    for member in checks.keys() & value.keys():
        yield from _value_errors(setting_path(name, member), value[member], checks[member])


def class_errors(name: str, value: Any) -> Iterator[SettingError]:
    hint = "Give a list of dotted paths to classes."
    if not isinstance(value, list | tuple):
        yield SettingError(setting_path(name), "must be a list", hint)
        return
    for path in value:
        try:
            imported = import_value(path)
        except Exception as error:  # a module may fail in any way while it is imported
            yield SettingError(setting_path(name), str(error) or type(error).__name__, hint)
        else:
            if not isinstance(imported, type):
                yield SettingError(setting_path(name), f"{path!r} is not a class", hint)


def _function_errors(name: str, value: Any) -> Iterator[SettingError]:
    hint = "Give the dotted path to a function that takes one argument, or None."
    try:
        imported = import_value(value)
    except Exception as error:  # a module may fail in any way while it is imported
        yield SettingError(setting_path(name), str(error) or type(error).__name__, hint)
        return
    if imported is not None and (not callable(imported) or isinstance(imported, type)):
        yield SettingError(setting_path(name), f"{value!r} is not a function", hint)
    elif imported is not None and not takes_arguments(imported, 1):
        yield SettingError(setting_path(name), f"{value!r} does not take one argument", hint)


def takes_arguments(function: Callable[..., Any], count: int) -> bool:
    """Whether the function can be called with so many positional arguments."""
    try:
        inspect.signature(function).bind(*range(count))
    except TypeError:
        return False
    except ValueError:  # it is written in C, and does not say
        return True
    return True


def import_value(value: Any) -> Any:
    """What a dotted path leads to. Anything but text is the thing itself."""
    return import_string(value) if isinstance(value, str) else value


Check = Callable[[str, Any], Iterable[SettingError]]
"""Yields the errors of the setting of this name."""


def _check_of(check: ValueCheck) -> Check:
    return lambda name, value: _value_errors(setting_path(name), value, check)


CHECKS: Final[dict[str, Check]] = {
    "PROVIDERS": _check_of(DEFINITIONS),
    "MODELS": _check_of(DEFINITIONS),
    "ALLOW_DIRECT_MODELS": _check_of(BOOLEAN),
    "DEFAULT_MODEL_ACCESS": _check_of(STRINGS),
    "LIMIT_THRESHOLD": _check_of(PERCENTAGE),
    "MAX_BODY_BYTES": _check_of(BYTES),
    "MAX_BODIES_BYTES": _check_of(BYTES),
    "MAX_JSON_VALUES": _check_of(BYTES),
    "KEEPALIVE_SECONDS": _check_of(SECONDS),
    "GC_FREEZE": _check_of(BOOLEAN),
    "JOURNAL_DIR": _check_of(PATH),
    "UNKNOWN_FIELDS": _check_of(POLICY),
    "SECRET_KEYS": _check_of(STRINGS),
    **dict.fromkeys(MEMBER_CHECKS, _member_errors),
    **dict.fromkeys(CLASSES, class_errors),
    **dict.fromkeys(FUNCTIONS, _function_errors),
}
"""Setting -> its check. Those of other rooms are added where the setting is read."""

Reader = Callable[[Any], Any]

READERS: Final[dict[str, Reader]] = {
    **dict.fromkeys(CLASSES, lambda paths: [import_value(path) for path in paths]),
    **dict.fromkeys(FUNCTIONS, import_value),
}
"""Setting -> what makes its value from what the site has written. More are added likewise."""


def setting_check(name: str) -> Callable[[Check], Check]:
    """Register the check of a setting."""

    def register(check: Check) -> Check:
        CHECKS[name] = check
        return check

    return register


def setting_reader(name: str) -> Callable[[Reader], Reader]:
    """Register what makes the value of a setting. It gets what its check has found valid."""

    def register(reader: Reader) -> Reader:
        READERS[name] = reader
        return reader

    return register


def errors_of(name: str) -> Iterable[SettingError]:
    """What is wrong with one setting of the site. A default is never wrong."""
    site = site_settings()
    return CHECKS[name](name, site[name]) if name in site and name in CHECKS else ()


def name_errors() -> Iterator[SettingError]:
    """Keys of the site's `NATIVE_API` that are no settings. Nothing reads them, so what they were
    meant for, such as a limit, would not happen."""
    for name in sorted(map(str, site_settings().keys() - DEFAULTS.keys())):
        nearest = get_close_matches(name.upper(), DEFAULTS, 1)
        hint = f"Did you mean {nearest[0]!r}?" if nearest else f"Known: {', '.join(DEFAULTS)}."
        yield SettingError(
            setting_path(name), "there is no such setting", REPLACED.get(name) or hint
        )


def setting_errors() -> Iterator[SettingError]:
    """What is wrong with any setting."""
    try:
        yield from name_errors()
    except SettingError as error:
        yield error
        return
    for name in DEFAULTS:
        yield from errors_of(name)


# --- reading -------------------------------------------------------------------------------------


class NativeSettings:
    """Reads `settings.NATIVE_API` over `DEFAULTS`. A value is kept until Django says that the
    setting has changed."""

    def __getattr__(self, name: str) -> Any:
        if name not in DEFAULTS:
            raise AttributeError(f"NATIVE_API has no setting {name!r}.")
        for error in errors_of(name):
            raise error
        value = self.__dict__[name] = _read(name, site_settings())
        return value

    def require_valid(self) -> None:
        """Raise SettingError if any setting is invalid."""
        if "all_valid" not in self.__dict__:
            for error in setting_errors():
                raise error
            self.__dict__["all_valid"] = True

    def reload(self) -> None:
        self.__dict__.clear()


class UsableSettings(NativeSettings):
    """Settings for code that must work although one is invalid, such as what surrounds the views:
    the invalid one has its default. The views answer nothing before it is mended."""

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except SettingError:
            return _read(name, {})


def _read(name: str, site: Mapping[str, Any]) -> Any:
    value = site.get(name, DEFAULTS[name])
    if name in MERGED:
        return {**DEFAULTS[name], **value}
    return READERS[name](value) if name in READERS else value


def site_settings() -> Mapping[str, Any]:
    """The site's own `NATIVE_API`, as written. Raises SettingError if it is not a dictionary."""
    site = getattr(settings, "NATIVE_API", None) or {}
    if not isinstance(site, Mapping):
        raise SettingError("NATIVE_API", "must be a dictionary", DOCS_HINT)
    return site


native_settings: Final = NativeSettings()
usable_settings: Final = UsableSettings()
