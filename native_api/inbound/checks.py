"""Strict checks, the alphabet of the serializers. Nothing is coerced: "1" is no number, 1 is no
boolean.

A check is a function `(value, place) -> value`. It returns what to keep and raises `Misplaced`,
whose place reads like `messages[2].content[0].image_url.url`. `CheckedField` makes a DRF field of
one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from difflib import get_close_matches
from typing import Any, Final

from rest_framework import serializers

Check = Callable[[Any, str], Any]

MAX_SHOWN: Final = 50

MOST_ITEMS: Final = 10_000
"""Of a list. Several times what the longest context windows hold of messages or parts: translating
as many takes no provider's wire more than 0.1 s, for which other requests wait."""


class Misplaced(serializers.ValidationError):
    """A value that is not what its place asks for."""

    def __init__(self, place: str, message: str, code: str = "invalid_request") -> None:
        super().__init__(f"{place}: {message}", code=code)
        self.place = place
        self.message = f"{place}: {message}"
        self.code = code


class CheckedField(serializers.Field):
    """A DRF field around one check; the place is the field's own name."""

    def __init__(self, check: Check, **options: Any) -> None:
        super().__init__(**options)
        self.check = check

    def to_internal_value(self, data: Any) -> Any:
        return self.check(data, self.field_name or "")

    def to_representation(self, value: Any) -> Any:
        return value


def string(value: Any, place: str) -> str:
    if not isinstance(value, str):
        raise Misplaced(place, f"expected a string, not {kind_of(value)}")
    return value


def boolean(value: Any, place: str) -> bool:
    if not isinstance(value, bool):
        raise Misplaced(place, f"expected true or false, not {kind_of(value)}")
    return value


def integer(value: Any, place: str) -> int:
    """1.0 is refused too: a client that sends it has a bug worth knowing."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise Misplaced(place, f"expected an integer, not {kind_of(value)}")
    return value


def number(value: Any, place: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise Misplaced(place, f"expected a number, not {kind_of(value)}")
    return value


def anything(value: Any, place: str) -> Any:
    return value


def any_object(value: Any, place: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Misplaced(place, f"expected an object, not {kind_of(value)}")
    return value


def any_list(value: Any, place: str) -> list[Any]:
    if not isinstance(value, list):
        raise Misplaced(place, f"expected a list, not {kind_of(value)}")
    return value


def at_most(longest: int) -> Check:
    """A string that is kept in the database: not too long, without NUL characters, which PostgreSQL
    does not take."""

    def check(value: Any, place: str) -> str:
        text = string(value, place)
        if len(text) > longest:
            raise Misplaced(place, f"expected at most {longest} characters, not {len(text)}")
        if "\0" in text:
            raise Misplaced(place, "a NUL character is not allowed")
        return text

    return check


def name(longest: int) -> Check:
    """A string that is kept in the database and names something."""
    bounded = at_most(longest)

    def check(value: Any, place: str) -> str:
        text: str = bounded(value, place)
        if not text:
            raise Misplaced(place, "expected a name, not an empty string")
        return text

    return check


def at_least(least: int, check: Check) -> Check:
    def checked(value: Any, place: str) -> Any:
        if check(value, place) < least:
            raise Misplaced(place, f"expected {least} or more")
        return value

    return checked


def between(least: float, most: float, check: Check) -> Check:
    def checked(value: Any, place: str) -> Any:
        if not least <= check(value, place) <= most:
            raise Misplaced(place, f"expected {least} to {most}")
        return value

    return checked


def one_of(*choices: str) -> Check:
    def check(value: Any, place: str) -> str:
        if string(value, place) not in choices:
            raise Misplaced(place, f"expected one of {', '.join(choices)}{nearest(value, choices)}")
        return str(value)

    return check


def list_of(check: Check, most: int = MOST_ITEMS) -> Check:
    def checked(value: Any, place: str) -> list[Any]:
        items = bounded_list(any_list(value, place), place, most)
        return [check(item, f"{place}[{position}]") for position, item in enumerate(items)]

    return checked


def bounded_list(items: list[Any], place: str, most: int = MOST_ITEMS) -> list[Any]:
    """A list that is not too long. What is done for each item (checks, translation, look-ups) costs
    more than parsing it."""
    if len(items) > most:
        raise Misplaced(place, f"expected at most {most} items, not {len(items)}")
    return items


def object_of(check: Check) -> Check:
    """An object with free names whose values all pass `check`."""

    def checked(value: Any, place: str) -> dict[str, Any]:
        return {
            key: check(item, f"{place}.{key[:MAX_SHOWN]}")
            for key, item in any_object(value, place).items()
        }

    return checked


def shape(
    fields: Mapping[str, Check], required: Collection[str] = (), ignored: Collection[str] = ()
) -> Check:
    """An object with exactly these fields. null means absent; `ignored` fields are taken and not
    passed on."""

    def check(value: Any, place: str) -> dict[str, Any]:
        kept: dict[str, Any] = {}
        for key, item in any_object(value, place).items():
            field = fields.get(key)
            if field is None:
                if key not in ignored:
                    raise unknown_field(key, fields, place)
            elif item is not None:
                kept[key] = field(item, f"{place}.{key}")
        for key in required:
            if key not in kept:
                raise Misplaced(f"{place}.{key}", "this field is required")
        return kept

    return check


def open_shape(fields: Mapping[str, Check], required: Collection[str] = ()) -> Check:
    """An object that another made, of which only these fields are known: they are checked, others
    kept as they are."""

    def check(value: Any, place: str) -> dict[str, Any]:
        kept = {key: item for key, item in any_object(value, place).items() if item is not None}
        for key in required:
            if key not in kept:
                raise Misplaced(f"{place}.{key}", "this field is required")
        for key in fields.keys() & kept.keys():
            kept[key] = fields[key](kept[key], f"{place}.{key}")
        return kept

    return check


def typed(shapes: Mapping[str, Check], what: str, key: str = "type") -> Check:
    """An object whose `type` decides about the rest of it."""

    def check(value: Any, place: str) -> dict[str, Any]:
        told = any_object(value, place).get(key)
        of_type = shapes.get(told) if isinstance(told, str) else None
        if of_type is None:
            known = ", ".join(shapes)
            raise Misplaced(
                f"{place}.{key}", f"expected {what}: one of {known}{nearest(told, shapes)}"
            )
        checked: dict[str, Any] = of_type(value, place)
        return checked

    return check


def unknown_field(key: str, known: Collection[str], place: str = "") -> Misplaced:
    shown = key[:MAX_SHOWN]
    return Misplaced(
        f"{place}.{shown}" if place else shown,
        f"unknown field{nearest(key, known)}",
        "unknown_field",
    )


def nearest(value: Any, known: Collection[str]) -> str:
    matches = get_close_matches(value[:MAX_SHOWN], known, 1) if isinstance(value, str) else []
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
