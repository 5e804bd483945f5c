"""What a site plugs in by name: DIALECTS, PRESETS and AUTH_METHODS.

A setting maps names to dotted paths, or to the things themselves. It is checked as a whole, so that
what is read from it can be used. `load` makes the names known to the rooms that use them, which
know no settings.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Final

from native_api.catalog import preset_checks
from native_api.catalog.presets import PRESETS, Preset
from native_api.conf import (
    import_value,
    native_settings,
    setting_check,
    setting_path,
    setting_reader,
    site_settings,
    takes_arguments,
)
from native_api.dialects import DIALECTS, declaration
from native_api.exceptions import ConfigurationError, SettingError
from native_api.types.config import EMPTY_MAPPING
from native_api.types.registry import Registry
from native_api.upstream.auth import site_methods
from native_api.upstream.auth.methods import AUTHORIZERS

REGISTRIES: Final[Mapping[str, Registry[Any]]] = {
    "DIALECTS": DIALECTS,
    "PRESETS": PRESETS,
    "AUTH_METHODS": AUTHORIZERS,
}
"""Setting -> what it adds to."""

NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,49}")
"""Rows keep such a name in 50 characters."""

DOCS_HINT: Final = "See docs/extending.md."


def load() -> None:
    """Make all names known. Cheap, unless the settings have changed. Raises SettingError."""
    for setting, registry in REGISTRIES.items():
        registry.site = getattr(native_settings, setting)


def forget() -> None:
    """Load the names again when they are needed: the settings have changed."""
    for registry in REGISTRIES.values():
        registry.site = EMPTY_MAPPING


# --- reading -------------------------------------------------------------------------------------


@setting_reader("DIALECTS")
def read_dialects(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """One instance of each dialect serves all requests."""
    return {name: import_value(dialect)() for name, dialect in value.items()}


@setting_reader("PRESETS")
def read_presets(value: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: import_value(preset) for name, preset in value.items()}


@setting_reader("AUTH_METHODS")
def read_auth_methods(value: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: site_methods.guard(import_value(method)) for name, method in value.items()}


# --- checks --------------------------------------------------------------------------------------

EntryCheck = Callable[[str, Any], Iterator[ConfigurationError]]
"""Yields what is wrong with what a setting has for this name, after it was imported."""


def entry_check(setting: str, kind: str) -> Callable[[EntryCheck], EntryCheck]:
    """Register the check of a setting by that of its entries, which are of this kind."""

    def register(check: EntryCheck) -> EntryCheck:
        @setting_check(setting)
        def find_errors(setting: str, value: Any) -> Iterator[SettingError]:
            if not isinstance(value, Mapping):
                hint = f"Give a dictionary: name -> dotted path to {kind}."
                yield SettingError(setting_path(setting), "must be a dictionary", hint)
                return
            for name, entry in value.items():
                for error in _entry_errors(setting, name, entry, check):
                    yield SettingError(setting_path(setting, name), error.message, error.hint)

        return check

    return register


def _entry_errors(
    setting: str, name: Any, entry: Any, check: EntryCheck
) -> Iterator[ConfigurationError]:
    if not (isinstance(name, str) and NAME.fullmatch(name)):
        hint = "Up to 50 lower-case letters, digits, '-' and '_', the first a letter or digit."
        yield ConfigurationError(f"{name!r} is not a valid name", hint)
    elif name in REGISTRIES[setting].built_in:
        yield ConfigurationError(f"the gateway itself has {name!r}", "Choose another name.")
    else:
        try:
            yield from check(name, import_value(entry))
        except Exception as error:  # a module may fail in any way while it is imported
            hint = "The path or the module that it names is wrong."
            yield ConfigurationError(str(error) or type(error).__name__, hint)


@entry_check("DIALECTS", "a subclass of native_api.dialects.Dialect")
def _dialect_errors(name: str, dialect: Any) -> Iterator[ConfigurationError]:
    errors = list(declaration.find_errors(dialect))
    yield from errors
    if errors:
        return
    if dialect.name != name:
        hint = f"Set `name = {name!r}`."
        yield ConfigurationError(f"{dialect.__name__} has the name {dialect.name!r}", hint)
    try:
        dialect()
    except Exception as error:
        hint = "One instance serves all requests. It is created without arguments."
        message = f"{dialect.__name__} cannot be created: {type(error).__name__}"
        yield ConfigurationError(message, hint)


@entry_check("AUTH_METHODS", "an async function")
def _auth_errors(name: str, method: Any) -> Iterator[ConfigurationError]:
    if isinstance(method, type) or not _is_async(method):
        hint = f"Write it with async def: (request, method, content, provider). {DOCS_HINT}"
        yield ConfigurationError("is not an async function", hint)
    elif not takes_arguments(method, 4):
        hint = f"Its arguments are request, method, content and provider. {DOCS_HINT}"
        yield ConfigurationError("does not take four arguments", hint)


def _is_async(method: Any) -> bool:
    """Whether it is an async function, or an object that is called like one."""
    call = getattr(method, "__call__", None)  # noqa: B004
    return inspect.iscoroutinefunction(method) or inspect.iscoroutinefunction(call)


@entry_check("PRESETS", "a native_api.catalog.Preset")
def _preset_errors(name: str, preset: Any) -> Iterator[ConfigurationError]:
    if not isinstance(preset, Preset):
        hint = "Give a native_api.catalog.Preset, or the dotted path to one."
        yield ConfigurationError(f"must be a Preset, not {type(preset).__name__}", hint)
        return
    if preset.name != name:
        hint = f"Begin it with Preset({name!r}, …)."
        yield ConfigurationError(f"the preset has the name {preset.name!r}", hint)
    yield from preset_checks.find_errors(
        preset, _known_names("DIALECTS"), _known_names("AUTH_METHODS")
    )


def _known_names(setting: str) -> Collection[str]:
    """The names that the gateway and the site have, although what the site has may be invalid: that
    is an error of its own."""
    site = site_settings().get(setting) or ()
    return [*REGISTRIES[setting].built_in, *(site if isinstance(site, Mapping) else ())]
