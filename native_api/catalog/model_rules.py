"""Reads MODEL_RULES: what a site, a provider or a preset says of models that the gateway does not
know, or knows otherwise.

The members are those of `types.model_rules.ModelRule`, in capitals. Every function raises
ConfigurationError for what cannot be used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from typing import Any, Final, get_args

from native_api.catalog.settings_schema import check_keys
from native_api.conf import native_settings, setting_check, setting_path, setting_reader
from native_api.exceptions import ConfigurationError, SettingError
from native_api.types import DIALECT_FIELDS
from native_api.types.model_rules import EFFORTS, ModelOverride, Reasoning, ToolsWithEffort

DOCS_HINT: Final = "See docs/settings.md."
EXAMPLE: Final = "Such as {'llama-4*': {'REFUSED': ['seed']}}."
ROLES: Final = ("system", "developer", "user", "assistant", "tool")


def read_fields(value: Any, name: str) -> frozenset[str]:
    """A list of fields of the request. Fields that only some servers have may be named too."""
    fields = _read_list(value, name)
    for field in fields:
        nearest = get_close_matches(field, DIALECT_FIELDS, 1, 0.8)
        if field not in DIALECT_FIELDS and nearest:
            raise ConfigurationError(
                f"{name}: there is no field {field!r}", f"Did you mean {nearest[0]!r}?"
            )
    return frozenset(fields)


def read_field_order(value: Any, name: str) -> tuple[str, ...]:
    read_fields(value, name)
    return tuple(value)


def read_efforts(value: Any, name: str) -> tuple[str, ...]:
    efforts = _read_list(value, name)
    unknown = [effort for effort in efforts if effort not in EFFORTS]
    if unknown:
        raise ConfigurationError(
            f"{name}: unknown effort {unknown[0]!r}", f"Known: {', '.join(EFFORTS)}."
        )
    return tuple(efforts)


def _read_list(value: Any, name: str) -> list[str]:
    if not isinstance(value, list | tuple | set | frozenset) or not all(
        isinstance(text, str) and text for text in value
    ):
        raise ConfigurationError(f"{name} must be a list of strings", f"It is {value!r:.100}.")
    return list(value)


def read_roles(value: Any, name: str) -> tuple[tuple[str, str], ...]:
    """Pairs, because a rule is looked up by what was set; see `ModelOverride`."""
    if not isinstance(value, Mapping) or any(
        role not in ROLES for role in (*value, *value.values())
    ):
        raise ConfigurationError(
            f"{name} must be a dictionary of roles", "Such as {'system': 'user'}."
        )
    return tuple(value.items())


def read_boolean(value: Any, name: str) -> bool:
    if not isinstance(value, bool):
        raise ConfigurationError(f"{name} must be True or False", f"It is {value!r:.100}.")
    return value


def choose(*choices: str) -> Callable[[Any, str], str]:
    """A reader of one of these words."""

    def read(value: Any, name: str) -> str:
        if value not in choices:
            raise ConfigurationError(
                f"{name} must be one of {', '.join(map(repr, choices))}", f"It is {value!r:.100}."
            )
        return str(value)

    return read


def read_model(value: Any, name: str) -> str:
    if not isinstance(value, str) or not value:
        raise ConfigurationError(f"{name} must be the name of a model", "Such as 'gpt-5.4'.")
    return value


READERS: Final[Mapping[str, Callable[[Any, str], Any]]] = {
    "REFUSED": read_fields,
    "REFUSED_WHILE_REASONING": read_fields,
    "EXCLUSIVE": read_field_order,
    "REASONING": choose(*get_args(Reasoning)),
    "EFFORTS": read_efforts,
    "TOOLS_WITH_EFFORT": choose(*get_args(ToolsWithEffort)),
    "THINKS_ONLY_IN_STREAMS": read_boolean,
    "MAX_TOKENS_FIELD": choose("", "max_tokens", "max_completion_tokens"),
    "ROLES": read_roles,
    "REASONING_FIELD": choose("", "reasoning_content", "reasoning"),
    "NEEDS_REASONING": read_boolean,
    "TAKES_EMPTY_REASONING": read_boolean,
    "THINKING": choose("", "thinking", "reasoning", "chat_template_kwargs", "enable_thinking"),
}
"""Member -> what reads its value."""

MEMBERS: Final = frozenset({"BASE_MODEL", *READERS})


def read_rules(rules: Any) -> tuple[ModelOverride, ...]:
    """The overrides of MODEL_RULES; those written first take precedence."""
    if not isinstance(rules, Mapping):
        raise ConfigurationError("MODEL_RULES must be a dictionary", EXAMPLE)
    return tuple(_read_rule(pattern, members) for pattern, members in rules.items())


def _read_rule(pattern: Any, members: Any) -> ModelOverride:
    if not isinstance(pattern, str) or not pattern:
        raise ConfigurationError("MODEL_RULES: a key must be a pattern of model names", EXAMPLE)
    if not isinstance(members, Mapping):
        raise ConfigurationError(f"MODEL_RULES[{pattern!r}] must be a dictionary", EXAMPLE)
    try:
        check_keys(members, MEMBERS)
        values = [
            (name.lower(), READERS[name](value, name))
            for name, value in members.items()
            if name != "BASE_MODEL"
        ]
        base_model = (
            read_model(members["BASE_MODEL"], "BASE_MODEL") if "BASE_MODEL" in members else ""
        )
    except ConfigurationError as error:
        raise ConfigurationError(f"MODEL_RULES[{pattern!r}]: {error.message}", error.hint) from None
    return ModelOverride(pattern.lower(), tuple(values), base_model)


# --- the site's ----------------------------------------------------------------------------------


@setting_check("MODEL_RULES")
def rules_errors(name: str, value: Any) -> Iterable[SettingError]:
    """Yield what is wrong with MODEL_RULES."""
    try:
        read_rules(value)
    except ConfigurationError as error:
        message = error.message.removeprefix("MODEL_RULES").removeprefix(": ")
        path = setting_path(name)
        if message.startswith("["):
            key, _, message = message.partition("]")
            path, message = f"{path}{key}]", message.removeprefix(": ").lstrip()
        yield SettingError(path, message.strip(), error.hint)


setting_reader("MODEL_RULES")(read_rules)


def join_rules(provider: Any, preset: Mapping[str, Any]) -> tuple[ModelOverride, ...]:
    """The overrides of a provider: its own, the site's and its preset's, the most important
    first."""
    own = read_rules(provider or {})
    return (*own, *native_settings.MODEL_RULES, *read_rules(preset))
