"""What is wrong with a preset. The rows of `presets` are tested with it, and those of a site are
loaded with it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import fields
from typing import Final, get_type_hints

from native_api.catalog.model_rules import read_rules
from native_api.catalog.presets import SECRET_HEADER, BaseURLVariable, Preset, placeholders
from native_api.exceptions import ConfigurationError
from native_api.upstream.redaction import describe_secret_in

FIELD_TYPES: Final = {
    field.name: getattr(hint, "__origin__", hint)
    for field in fields(Preset)
    for hint in [get_type_hints(Preset)[field.name]]
}
"""Field of a preset -> its type."""

DOCS_HINT: Final = "See docs/extending.md."


def find_errors(
    preset: Preset, dialects: Collection[str], methods: Collection[str]
) -> Iterator[ConfigurationError]:
    """What is wrong, if these dialects and authentication methods are known."""
    errors = list(_type_errors(preset))
    yield from errors
    if not errors:
        yield from _name_errors("dialect", preset.dialect, dialects)
        yield from _name_errors("auth", preset.auth, methods)
        yield from _url_errors(preset)
        yield from _secret_errors(preset)
        yield from _rule_errors(preset)


def _type_errors(preset: Preset) -> Iterator[ConfigurationError]:
    for name, kind in FIELD_TYPES.items():
        if not isinstance(getattr(preset, name), kind):
            yield ConfigurationError(f"{name} must be a {kind.__name__}", DOCS_HINT)
            return
    for name, variables in preset.options.items():
        if not isinstance(variables, tuple | list):
            hint = f"Write options={{{name!r}: ('THE_VARIABLE',)}}."
            yield ConfigurationError(f"options[{name!r}] must be a tuple of variables", hint)
    if not all(isinstance(each, BaseURLVariable) for each in preset.base_url_variables):
        hint = "Write base_url_variables=(BaseURLVariable('THE_VARIABLE'),)."
        yield ConfigurationError("base_url_variables must be BaseURLVariables", hint)
    for name, value in preset.headers.items():
        if not isinstance(value, str):
            yield ConfigurationError(f"headers[{name!r}] must be a string", "Give its text.")


def _name_errors(field: str, name: str, known: Collection[str]) -> Iterator[ConfigurationError]:
    if name not in known:
        hint = f"Known: {', '.join(sorted(map(str, known)))}."
        yield ConfigurationError(f"unknown {field} {name!r}", hint)


def _url_errors(preset: Preset) -> Iterator[ConfigurationError]:
    if not preset.base_url:
        yield ConfigurationError("no base_url", "Such as 'https://api.example.com/v1'.")
    for name in placeholders(preset.base_url):
        if name not in preset.options:
            hint = f"Add options={{{name!r}: ()}}, with the variables that it is read from."
            yield ConfigurationError(f"the base_url needs {name!r}, which options lacks", hint)


def _rule_errors(preset: Preset) -> Iterator[ConfigurationError]:
    try:
        read_rules(preset.model_rules)
    except ConfigurationError as error:
        yield error


def _secret_errors(preset: Preset) -> Iterator[ConfigurationError]:
    """URLs are shown, and headers go to any BASE_URL that a provider with the preset has."""
    hint = "A secret is given as the API_KEY of a provider; auth says how it is sent."
    secret = describe_secret_in(preset.base_url)
    if secret:
        yield ConfigurationError(f"{secret} in the base_url is a secret", hint)
    for name in filter(SECRET_HEADER.fullmatch, map(str, preset.headers)):
        yield ConfigurationError(f"the value of the header {name!r} is a secret", hint)
