"""Reads members of a definition: a provider, target or route as `NATIVE_API` or a row has it.

Every function raises ConfigurationError for a value that cannot be used. No message contains a
secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, NamedTuple

from native_api.conf import is_integer, is_positive, native_settings
from native_api.exceptions import ConfigurationError
from native_api.types import Timeouts

TIMEOUT_MEMBERS: Final = ("CONNECT", "FIRST_TOKEN", "BETWEEN_TOKENS", "TOTAL")


class Problem(NamedTuple):
    """An entry of the catalog that cannot be used. `path` reads like `PROVIDERS['eu']`.

    `kind` is `definition`, `provider` (a target's, which is not defined), `fallback` (unknown
    model), `cycle` (of fallbacks), `no_key`, or `key` if a stored key cannot be read.
    """

    path: str
    message: str
    hint: str
    kind: str = "definition"

    @classmethod
    def from_error(cls, path: str, error: ConfigurationError, kind: str = "definition") -> Problem:
        return cls(path, error.message, error.hint, kind)


def check_keys(definition: Mapping[str, Any], known: frozenset[str]) -> None:
    unknown = sorted(map(str, definition.keys() - known))
    if unknown:
        raise ConfigurationError(
            f"unknown key {unknown[0]!r}", f"Known: {', '.join(sorted(known))}."
        )


def read_integer(definition: Mapping[str, Any], name: str, minimum: int, default: Any) -> Any:
    value = definition.get(name)
    if value is None:
        return default
    if not is_integer(value, minimum):
        raise ConfigurationError(f"{name} must be an integer >= {minimum}", f"It is {value!r}.")
    return value


def read_boolean(definition: Mapping[str, Any], name: str) -> bool:
    """The member; False if there is none."""
    value = definition.get(name, False)
    if not isinstance(value, bool):
        raise ConfigurationError(f"{name} must be True or False", f"It is {value!r}.")
    return value


def read_string(definition: Mapping[str, Any], name: str) -> str:
    """The member; "" if there is none."""
    value = definition.get(name) or ""
    if not isinstance(value, str):
        raise ConfigurationError(f"{name} must be a string", f"It is a {type(value).__name__}.")
    return value


def read_mapping(definition: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The member; empty if there is none."""
    value = definition.get(name) or {}
    if not isinstance(value, Mapping):
        raise ConfigurationError(f"{name} must be a dictionary", f"It is a {type(value).__name__}.")
    return value


def read_strings(
    definition: Mapping[str, Any], name: str, content: str, example: str
) -> tuple[str, ...]:
    """The member, a list of strings that are not empty; empty if there is none. `content` says in
    the message what the strings are."""
    value = definition.get(name) or ()
    if not isinstance(value, list | tuple | set | frozenset) or not all(
        isinstance(text, str) and text for text in value
    ):
        raise ConfigurationError(f"{name} must be a list of {content}", f"Such as [{example}].")
    return tuple(value)


# --- timeouts ------------------------------------------------------------------------------------


def site_timeouts() -> Timeouts:
    """The site's TIMEOUTS for calls to providers. Raises SettingError."""
    seconds = native_settings.TIMEOUTS
    return Timeouts(**{name.lower(): float(seconds[name]) for name in TIMEOUT_MEMBERS})


def read_timeouts(definition: Mapping[str, Any], defaults: Timeouts) -> Timeouts:
    """`defaults` with the definition's TIMEOUT and TIMEOUTS over them, in seconds."""
    members = dict(read_mapping(definition, "TIMEOUTS"))
    unknown = sorted(map(str, members.keys() - set(TIMEOUT_MEMBERS)))
    if unknown:
        hint = f"Members: {', '.join(TIMEOUT_MEMBERS)}."
        raise ConfigurationError(f"unknown member {unknown[0]!r} of TIMEOUTS", hint)
    total = definition.get("TIMEOUT")
    if total is not None and "TOTAL" in members:
        raise ConfigurationError(
            "TIMEOUT and TIMEOUTS['TOTAL'] mean the same", "Give only one of them."
        )
    for path, seconds in (("TIMEOUT", total), *_named(members)):
        if seconds is not None and not is_positive(seconds):
            hint = "The times of a call's parts are TIMEOUTS, such as {'FIRST_TOKEN': 10}."
            raise ConfigurationError(f"{path} must be a positive number of seconds", hint)
    if total is not None:
        members["TOTAL"] = total
    overrides = {name.lower(): float(value) for name, value in members.items() if value is not None}
    return replace(defaults, **overrides)


def _named(members: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return [(f"TIMEOUTS[{name!r}]", seconds) for name, seconds in members.items()]
