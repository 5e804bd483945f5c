"""The request types of the official SDKs as strict checks: unknown members are refused, too."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any, get_args

from pydantic import ConfigDict, TypeAdapter
from typing_extensions import NoExtraItems, get_type_hints, is_typeddict


@cache
def strict_adapter(typed_dict: Any) -> TypeAdapter[Any]:
    """Validates values of the type and refuses members that it does not have, at any depth. A type
    may say that it has members of any name."""
    for part in {id(part): part for part in iterate_typed_dicts(typed_dict, set())}.values():
        config = ConfigDict(arbitrary_types_allowed=True)
        if getattr(part, "__extra_items__", NoExtraItems) is NoExtraItems:
            config["extra"] = "forbid"
        part.__pydantic_config__ = config
    return TypeAdapter(typed_dict)


def iterate_typed_dicts(hint: Any, seen: set[int]) -> Iterator[Any]:
    """Every TypedDict in an annotation, with those of its own members."""
    if id(hint) in seen:
        return
    seen.add(id(hint))
    if is_typeddict(hint):
        yield hint
        for member in get_type_hints(hint, include_extras=True).values():
            yield from iterate_typed_dicts(member, seen)
    for argument in get_args(hint):
        yield from iterate_typed_dicts(argument, seen)


def check_type(typed_dict: Any, value: Any) -> None:
    """Raises pydantic's ValidationError if the SDK's type does not allow the value."""
    read_all(strict_adapter(typed_dict).validate_python(value))


def read_all(value: Any) -> None:
    """Read every iterator: pydantic validates the items of an Iterable when they are read."""
    if isinstance(value, dict):
        for member in value.values():
            read_all(member)
    elif isinstance(value, Iterable) and not isinstance(value, str | bytes):
        for item in value:
            read_all(item)
