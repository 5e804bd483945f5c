"""The providers that the environment describes, by the variables that the vendors' own SDKs read:
the key, the OPTIONS, and the base URL.

A key goes to the host that its owner has named. So a base URL in the environment is honoured, or
shown as a problem, and never ignored. The names and what each SDK appends to them were read in the
SDKs' sources (2026-11); the rows of `presets` have them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from native_api.catalog.presets import PRESETS, BaseURLVariable, Preset
from native_api.types import Json

API_KEY_SUFFIX: Final = "_API_KEY"
USUAL_SUFFIXES: Final = ("_BASE_URL", "_API_BASE")
"""`ACME_BASE_URL` is what SDKs read beside `ACME_API_KEY`, and `ACME_API_BASE` what LiteLLM and
LangChain read."""

ANY_ADDRESS: Final = re.compile(r"^(https?://)?(0\.0\.0\.0|\[::\])?(?=[:/]|$)")
"""A server's own setting to listen on all addresses, or no host at all: this machine."""


def providers_from_environment(environment: Mapping[str, str]) -> dict[str, Json]:
    """The vendors whose variables are all set, in the form of `NATIVE_API["PROVIDERS"]`."""
    definitions = {name: _define(row, environment) for name, row in PRESETS.items()}
    return {name: definition for name, definition in definitions.items() if definition}


def base_urls_without_key(environment: Mapping[str, str]) -> dict[str, str]:
    """Variable of a base URL that is set -> the variable of its vendor's key, which is not. Such a
    vendor does not become a provider."""
    missing: dict[str, str] = {}
    for row in PRESETS.values():
        if row.key_variable and not row.options and not _read_key(row, environment):
            names = (variable.name for variable in base_url_variables(row))
            named = [name for name in names if environment.get(name, "").strip()]
            missing |= dict.fromkeys(named, row.key_variable)
    return missing


def base_url_variables(row: Preset) -> Iterator[BaseURLVariable]:
    """The row's own, then the usual names beside the key's, which mean the same."""
    yield from row.base_url_variables
    stem = row.key_variable.removesuffix(API_KEY_SUFFIX)
    if stem == row.key_variable or row.options:
        return
    meaning = next(iter(row.base_url_variables), BaseURLVariable(""))
    known = {variable.name for variable in row.base_url_variables}
    for suffix in USUAL_SUFFIXES:
        if stem + suffix not in known:
            yield meaning._replace(name=stem + suffix)


def read_base_url(row: Preset, environment: Mapping[str, str]) -> str:
    """The base URL that the environment names, as a BASE_URL of ours; "" if it names none."""
    for variable in base_url_variables(row):
        value = environment.get(variable.name, "").strip()
        if value:
            return _translate(value, variable)
    return ""


def _define(row: Preset, environment: Mapping[str, str]) -> Json:
    """The vendor's definition; empty if a variable is missing."""
    key = _read_key(row, environment)
    options = {name: _first_set(variables, environment) for name, variables in row.options.items()}
    if (row.key_variable and not key) or not all(options.values()):
        return {}
    definition: Json = {"API_KEY": key} if row.key_variable else {}
    if options:
        definition["OPTIONS"] = options
    base_url = read_base_url(row, environment) if definition else ""
    return {**definition, "BASE_URL": base_url} if base_url else definition


def _read_key(row: Preset, environment: Mapping[str, str]) -> str:
    return _first_set((row.key_variable, *row.other_variables), environment)


def _first_set(variables: tuple[str, ...], environment: Mapping[str, str]) -> str:
    values = (environment.get(name, "").strip() for name in variables)
    return next((value for value in values if value), "")


def _translate(value: str, variable: BaseURLVariable) -> str:
    """The SDK's base URL as ours: with the path that the SDK appends by itself."""
    url = value.rstrip("/")
    if variable.default_port:
        url = _complete_host(url, variable.default_port)
    if variable.appends and not url.endswith(variable.appends):
        url = url.removesuffix(variable.without) + variable.appends
    return url


def _complete_host(value: str, port: int) -> str:
    """`host`, `host:port` or a URL -> the URL. A client cannot call the address that a server
    listens on if that is all addresses."""
    value = ANY_ADDRESS.sub(r"\g<1>127.0.0.1", value) if value else "127.0.0.1"
    if "://" in value:
        return value
    host, slash, path = value.partition("/")
    has_port = re.search(r"(?<=[^:]):\d+$|\]:\d+$", host)
    return f"http://{host}{'' if has_port else f':{port}'}{slash}{path}"
