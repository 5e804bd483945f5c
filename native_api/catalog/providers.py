"""Builds a provider from its definition: the preset, the definition over it, and the checks of
both."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from typing import Any, Final

from native_api.catalog import plugins
from native_api.catalog.model_rules import join_rules
from native_api.catalog.presets import PRESETS, Preset, placeholders
from native_api.catalog.settings_schema import (
    Problem,
    check_keys,
    read_boolean,
    read_integer,
    read_mapping,
    read_string,
    read_strings,
    read_timeouts,
    site_timeouts,
)
from native_api.conf import native_settings
from native_api.dialects import DIALECTS
from native_api.exceptions import ConfigurationError, UnreadableSecret
from native_api.pricing import tables
from native_api.types import Provider, Quirks, RemoteFiles, Secret
from native_api.upstream.auth import methods
from native_api.upstream.redaction import describe_secret_in, redact_url

PROVIDER_KEYS: Final = frozenset(
    {
        "PRESET", "DIALECT", "BASE_URL", "API_KEY", "AUTH", "HEADERS", "OPTIONS", "TIMEOUT",
        "TIMEOUTS", "RETRIES", "MAX_CONCURRENCY", "PRICE", "OWN_ACCOUNT", "IDENTITY_HOSTS",
        "MODEL_RULES",
    }
)  # fmt: skip

SECRET_NAMES: Final = re.compile("secret|password|private_?key|api_?key|credential", re.IGNORECASE)
"""Names of OPTIONS whose values are taken for secrets."""

CUSTOM: Final = Preset("", "", "", "")
"""Stands in for the preset of a provider that has none."""


class MissingKey(ConfigurationError):
    """The provider needs a key and has none."""


def build_usable_provider(
    name: str, definition: Mapping[str, Any], problems: list[Problem]
) -> Provider | None:
    """The provider, or None if it cannot be built. What is wrong is added to `problems`."""
    path, key = f"PROVIDERS[{name!r}]", definition.get("API_KEY")
    try:
        provider = build_provider(name, definition)
    except ConfigurationError as error:
        kind = "no_key" if isinstance(error, MissingKey) else "definition"
        problems.append(Problem.from_error(path, error, kind))
        return None
    if isinstance(key, UnreadableSecret):
        problems.append(Problem.from_error(path, key, "key"))
    return provider


def build_provider(name: str, definition: Mapping[str, Any]) -> Provider:
    """The provider that `definition` describes. Raises ConfigurationError.

    A provider whose stored key cannot be read is built as `unusable`: the site has it, but does not
    call it.
    """
    plugins.load()
    check_keys(definition, PROVIDER_KEYS)
    preset = _find_preset(name, definition)
    options = dict(read_mapping(definition, "OPTIONS"))
    own_base_url = read_string(definition, "BASE_URL")
    dialect = _read_dialect(definition, preset)
    base_url = _fill_base_url(own_base_url or preset.base_url, options)
    _check_options(options, preset, own_base_url)
    auth = read_string(definition, "AUTH") or preset.auth
    key, unusable = _read_key(definition, preset, auth)
    headers = {**preset.headers, **_read_headers(definition)}
    provider = Provider(
        name,
        dialect,
        base_url.rstrip("/"),
        key,
        auth,
        headers,
        read_timeouts(definition, site_timeouts()),
        preset.quirks if preset.name else Quirks(),
        options,
        site_remote_files(),
        retries=read_integer(definition, "RETRIES", 0, native_settings.ATTEMPTS["RETRIES"]),
        max_concurrency=read_integer(definition, "MAX_CONCURRENCY", 1, None),
        price=tables.parse(definition.get("PRICE")),
        vendor=preset.name,
        own_account=read_boolean(definition, "OWN_ACCOUNT"),
        model_overrides=join_rules(definition.get("MODEL_RULES"), preset.model_rules),
        identity_hosts=frozenset(
            read_strings(definition, "IDENTITY_HOSTS", "hosts", "'proxy.example.com'")
        ),
        unusable=unusable,
        identity=f"{name}@{_digest(base_url, key, auth, headers, options)}",
    )
    if not unusable:
        methods.check(provider)
    return provider


def _find_preset(name: str, definition: Mapping[str, Any]) -> Preset:
    """The preset that the definition names, else the one of the provider's name, else CUSTOM."""
    chosen = read_string(definition, "PRESET")
    if chosen and chosen not in PRESETS:
        raise ConfigurationError(
            f"unknown preset {chosen!r}", f"Known: {', '.join(sorted(PRESETS))}."
        )
    return PRESETS.get(chosen or name, CUSTOM)


def _read_dialect(definition: Mapping[str, Any], preset: Preset) -> str:
    dialect = read_string(definition, "DIALECT") or preset.dialect
    if dialect not in DIALECTS:
        hint = f"Give DIALECT, one of {', '.join(sorted(DIALECTS))}, or a PRESET."
        raise ConfigurationError(f"unknown dialect {dialect!r}", hint)
    return dialect


def _read_key(definition: Mapping[str, Any], preset: Preset, auth: str) -> tuple[Secret, str]:
    """The key, and why it cannot be used.

    A whole JSON document, such as a service account's, may be given as a dictionary.
    """
    value = definition.get("API_KEY")
    if isinstance(value, UnreadableSecret):
        return Secret(""), str(value)
    key = Secret(json.dumps(value) if isinstance(value, Mapping) else str(value or "").strip())
    if auth in methods.KEY_METHODS and not key and preset.name:
        hint = "Give API_KEY, or set AUTH to 'none' for a server without keys."
        raise MissingKey("no API_KEY", hint)
    return key, ""


def _read_headers(definition: Mapping[str, Any]) -> dict[str, Secret]:
    headers = read_mapping(definition, "HEADERS")
    for name, value in headers.items():
        if not isinstance(name, str) or not isinstance(value, str | int | float):
            raise ConfigurationError(f"HEADERS[{name!r}] must be a string", "Give its text.")
    return {name: Secret(value) for name, value in headers.items()}


def _check_options(options: Mapping[str, Any], preset: Preset, own_base_url: str) -> None:
    """OPTIONS are shown in the admin, so they must not contain secrets. They must contain what the
    preset requires."""
    secret = next((name for name in _member_names(options) if SECRET_NAMES.search(name)), None)
    if secret:
        raise ConfigurationError(
            f"OPTIONS[{secret!r}] is a secret",
            "The admin would show it. Secrets go into API_KEY.",
        )
    unneeded = placeholders(preset.base_url) if own_base_url else []
    for name in preset.options:
        if not options.get(name) and name not in unneeded:
            raise ConfigurationError(
                f"no OPTIONS[{name!r}]", "The preset requires it; see docs/providers.md."
            )


def _member_names(value: Any) -> Iterator[str]:
    """The names of an object's members, and of those within them."""
    if isinstance(value, Mapping):
        for name, member in value.items():
            yield str(name)
            yield from _member_names(member)
    elif isinstance(value, list | tuple):
        for member in value:
            yield from _member_names(member)


def _digest(*parts: Any) -> str:
    """Changes with the address or the key, and reveals nothing of them."""
    return blake2b(
        json.dumps(parts, sort_keys=True, default=str).encode(), digest_size=6
    ).hexdigest()


def _fill_base_url(template: str, options: Mapping[str, Any]) -> str:
    """The base URL with `{name}` filled from OPTIONS; `{model}` is left to the dialect."""
    url = template
    for name in placeholders(template):
        if not options.get(name):
            hint = f"The base URL is {redact_url(template)}."
            raise ConfigurationError(f"no OPTIONS[{name!r}]", hint)
        url = url.replace(f"{{{name}}}", str(options[name]).rstrip("/"))
    _check_base_url(url)
    return url


def _check_base_url(url: str) -> None:
    if not url:
        hint = "Give BASE_URL, such as 'http://127.0.0.1:8080/v1', or a PRESET."
        raise ConfigurationError("no BASE_URL", hint)
    if "://" not in url:
        raise ConfigurationError(
            f"BASE_URL {redact_url(url)!r} is not a URL", "Begin it with https:// or http://."
        )
    secret = describe_secret_in(url)
    if secret:
        raise ConfigurationError(
            f"{secret} in the base URL is a secret",
            "URLs are shown. Give it as API_KEY; AUTH says how it is sent.",
        )


def site_remote_files() -> RemoteFiles | None:
    """The site's REMOTE_FILES. Raises SettingError."""
    members = native_settings.REMOTE_FILES
    if members is None:
        return None
    return RemoteFiles(**{name.lower(): value for name, value in members.items()})
