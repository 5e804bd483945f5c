"""Strict checks that the serializers are built from. Nothing is coerced: "1" is not a number, 1 is
not a boolean.

A check is a function `(value, path) -> value`. It returns the value to keep, or raises `FieldError`
with a path like `messages[2].content[0].image_url.url`. `CheckedField` is a DRF field with a
check.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from difflib import get_close_matches
from typing import Any, Final

from rest_framework import serializers

from native_api.exceptions import InvalidRequest

Check = Callable[[Any, str], Any]

MAX_SHOWN: Final = 50

MAX_ITEMS: Final = 10_000
"""In a list. The longest context windows hold several times fewer messages or parts. Translating
so many takes less than 0.1 s on every wire; other requests wait for that time."""


MAX_COUNTED: Final = 20
"""Faults of a request. The rest is not looked for: each costs a search for the nearest name."""


class FieldError(serializers.ValidationError):
    """The value at `path` is not what the field takes. `more` faults were found beside this one."""

    more = 0

    def __init__(self, path: str, message: str, code: str = "invalid_request") -> None:
        super().__init__(f"{path}: {message}", code=code)
        self.path = path
        self.message = f"{path}: {message}"
        self.code = code

    def as_invalid_request(self) -> InvalidRequest:
        return InvalidRequest(
            f"{self.message}{self._count_others()}", code=self.code, param=self.path
        )

    def _count_others(self) -> str:
        if not self.more:
            return ""
        number = str(self.more) if self.more < MAX_COUNTED else f"at least {MAX_COUNTED}"
        return f" ({number} more {'fault' if self.more == 1 else 'faults'} in the request)"


class Faults:
    """The faults of a request. The first one is raised, the others are counted."""

    def __init__(self) -> None:
        self._first: FieldError | None = None
        self.number = 0

    def add(self, fault: FieldError) -> None:
        self._first = self._first or fault
        self.number += 1 + fault.more

    def raise_first(self) -> None:
        """Raise the first fault, if there is any."""
        if self._first is not None:
            self._first.more = self.number - 1
            raise self._first


class CheckedField(serializers.Field):
    """A DRF field around one check. Its path is the field's name."""

    def __init__(self, check: Check, **options: Any) -> None:
        super().__init__(**options)
        self.check = check

    def to_internal_value(self, data: Any) -> Any:
        return self.check(data, self.field_name or "")

    def to_representation(self, value: Any) -> Any:
        return value


def string(value: Any, path: str) -> str:
    if not isinstance(value, str):
        raise FieldError(path, f"expected a string, not {kind_of(value)}")
    return value


def boolean(value: Any, path: str) -> bool:
    if not isinstance(value, bool):
        raise FieldError(path, f"expected true or false, not {kind_of(value)}")
    return value


def integer(value: Any, path: str) -> int:
    """1.0 is refused too: it is a bug of the client that it should hear about."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise FieldError(path, f"expected an integer, not {kind_of(value)}")
    return value


def number(value: Any, path: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise FieldError(path, f"expected a number, not {kind_of(value)}")
    return value


def anything(value: Any, path: str) -> Any:
    return value


def any_object(value: Any, path: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise FieldError(path, f"expected an object, not {kind_of(value)}")
    return value


def any_list(value: Any, path: str) -> list[Any]:
    if not isinstance(value, list):
        raise FieldError(path, f"expected a list, not {kind_of(value)}")
    return value


def bounded_string(max_length: int) -> Check:
    """A string for the database: not too long, and without NUL characters, which PostgreSQL
    refuses."""

    def check(value: Any, path: str) -> str:
        text = string(value, path)
        if len(text) > max_length:
            raise FieldError(path, f"expected at most {max_length} characters, not {len(text)}")
        if "\0" in text:
            raise FieldError(path, "a NUL character is not allowed")
        return text

    return check


def name(max_length: int) -> Check:
    """A string for the database that is not empty."""
    bounded = bounded_string(max_length)

    def check(value: Any, path: str) -> str:
        text: str = bounded(value, path)
        if not text:
            raise FieldError(path, "expected a name, not an empty string")
        return text

    return check


def at_least(minimum: int, check: Check) -> Check:
    def checked(value: Any, path: str) -> Any:
        if check(value, path) < minimum:
            raise FieldError(path, f"expected {minimum} or more")
        return value

    return checked


def between(minimum: float, maximum: float, check: Check) -> Check:
    def checked(value: Any, path: str) -> Any:
        if not minimum <= check(value, path) <= maximum:
            raise FieldError(path, f"expected {minimum} to {maximum}")
        return value

    return checked


def one_of(*choices: str) -> Check:
    def check(value: Any, path: str) -> str:
        if string(value, path) not in choices:
            raise FieldError(
                path, f"expected one of {', '.join(choices)}{did_you_mean(value, choices)}"
            )
        return str(value)

    return check


def list_of(check: Check, maximum: int = MAX_ITEMS) -> Check:
    def checked(value: Any, path: str) -> list[Any]:
        return check_items(check, bounded_list(any_list(value, path), path, maximum), path)

    return checked


def check_items(check: Check, items: list[Any], path: str) -> list[Any]:
    """All items, checked. Raises the first fault, with the number of the others."""
    try:
        return [check(item, f"{path}[{index}]") for index, item in enumerate(items)]
    except FieldError as first:
        first.more = _count_faults(check, items, path) - 1
        raise


def _count_faults(check: Check, items: list[Any], path: str) -> int:
    faults = Faults()
    for index, item in enumerate(items):
        try:
            check(item, f"{path}[{index}]")
        except FieldError as fault:
            faults.add(fault)
            if faults.number > MAX_COUNTED:
                break
    return faults.number


def bounded_list(items: list[Any], path: str, maximum: int = MAX_ITEMS) -> list[Any]:
    """A list that is not too long. Checking, translating and looking up an item costs more than
    parsing it."""
    if len(items) > maximum:
        raise FieldError(path, f"expected at most {maximum} items, not {len(items)}")
    return items


def object_of(check: Check) -> Check:
    """An object with any names, whose values all pass `check`."""

    def checked(value: Any, path: str) -> dict[str, Any]:
        return {
            key: check(item, f"{path}.{key[:MAX_SHOWN]}")
            for key, item in any_object(value, path).items()
        }

    return checked


def shape(
    fields: Mapping[str, Check], required: Collection[str] = (), ignored: Collection[str] = ()
) -> Check:
    """An object with these fields only. null means absent; `ignored` fields are accepted and
    dropped."""

    def check(value: Any, path: str) -> dict[str, Any]:
        kept: dict[str, Any] = {}
        for key, item in any_object(value, path).items():
            field = fields.get(key)
            if field is None:
                if key not in ignored:
                    raise unknown_field(key, fields, path)
            elif item is not None:
                kept[key] = field(item, f"{path}.{key}")
        for key in required:
            if key not in kept:
                raise FieldError(f"{path}.{key}", "this field is required")
        return kept

    return check


def open_shape(
    fields: Mapping[str, Check], required: Collection[str] = (), ignored: Collection[str] = ()
) -> Check:
    """An object with any fields: those known here are checked, `ignored` ones are dropped, all
    others are kept as they are. null means absent."""

    def check(value: Any, path: str) -> dict[str, Any]:
        kept: dict[str, Any] = {}
        for key, item in any_object(value, path).items():
            field = fields.get(key)
            if item is None or key in ignored:
                continue
            kept[key] = item if field is None else field(item, f"{path}.{key}")
        for key in required:
            if key not in kept:
                raise FieldError(f"{path}.{key}", "this field is required")
        return kept

    return check


def typed(
    shapes: Mapping[str, Check],
    description: str,
    key: str = "type",
    unknown: Check | None = None,
) -> Check:
    """An object whose `type`, or other `key`, selects the check for all of it. `unknown` is the
    check for a type that is not listed; without it, such a type is an error."""

    def check(value: Any, path: str) -> dict[str, Any]:
        kind = any_object(value, path).get(key)
        check_kind = shapes.get(kind, unknown) if isinstance(kind, str) else None
        if check_kind is None:
            raise unknown_choice(kind, shapes, f"{path}.{key}", description)
        checked: dict[str, Any] = check_kind(value, path)
        return checked

    return check


def unknown_choice(value: Any, choices: Collection[str], path: str, description: str) -> FieldError:
    return FieldError(
        path,
        f"expected {description}: one of {', '.join(choices)}{did_you_mean(value, choices)}",
    )


def unknown_field(key: str, known_keys: Collection[str], path: str = "") -> FieldError:
    shown = key[:MAX_SHOWN]
    return FieldError(
        f"{path}.{shown}" if path else shown,
        f"unknown field{did_you_mean(key, known_keys)}",
        "unknown_field",
    )


def did_you_mean(value: Any, choices: Collection[str]) -> str:
    matches = get_close_matches(value[:MAX_SHOWN], choices, 1) if isinstance(value, str) else []
    return f"; did you mean '{matches[0]}'?" if matches else ""


KINDS: Final = {
    dict: "an object",
    list: "a list",
    str: "a string",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    type(None): "null",
}


def kind_of(value: Any) -> str:
    return KINDS.get(type(value), type(value).__name__)
