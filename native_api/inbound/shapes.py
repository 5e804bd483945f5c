"""Checks that leave a value as the client wrote it, null members included, because it goes on so to
providers of the same wire. They also say which members are known, for sites that refuse or drop
others (`UNKNOWN_FIELDS`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from typing import Any, Final, NamedTuple

from native_api.dialects.shared.json_values import replace_items
from native_api.inbound.checks import (
    MAX_ITEMS,
    MAX_SHOWN,
    Check,
    FieldError,
    any_list,
    any_object,
    bounded_list,
    check_items,
    kind_of,
    string,
)


class UnknownMember(NamedTuple):
    """A member that its object does not have in this API."""

    path: str
    name: str
    known: Collection[str]


class Verified(ABC):
    """A check that returns the value itself."""

    @abstractmethod
    def __call__(self, value: Any, path: str) -> Any:
        """Raises FieldError."""

    @abstractmethod
    def strip(self, value: Any, path: str, unknown: list[UnknownMember]) -> Any:
        """A checked value without unknown members, which are added to `unknown`; itself if it has
        none."""


class Shape(Verified):
    """An object. Null is as good as absent, and unknown members have any value."""

    def __init__(self, members: Mapping[str, Check], required: Collection[str] = ()) -> None:
        self.members = members
        self._required = required

    def __call__(self, value: Any, path: str) -> Any:
        members = self.members
        for name, member in any_object(value, path).items():
            check = members.get(name)
            if check is not None and member is not None:
                check(member, f"{path}.{name}")
        for name in self._required:
            if value.get(name) is None:
                raise FieldError(f"{path}.{name}", "this field is required")
        return value

    def strip(self, value: Any, path: str, unknown: list[UnknownMember]) -> Any:
        kept = {}
        for name, member in value.items():
            check = self.members.get(name)
            if check is None and member is not None:
                unknown.append(UnknownMember(path, name[:MAX_SHOWN], self.members))
            else:
                kept[name] = strip_unknown(check, member, f"{path}.{name}", unknown)
        return kept if _differs(kept, value) else value


def _differs(kept: Mapping[str, Any], value: Mapping[str, Any]) -> bool:
    return len(kept) < len(value) or any(kept[name] is not value[name] for name in kept)


def strip_unknown(check: Check | None, value: Any, path: str, unknown: list[UnknownMember]) -> Any:
    """`Verified.strip`, for any check. What another check allows has no unknown members."""
    if value is None or not isinstance(check, Verified):
        return value
    return check.strip(value, path, unknown)


class Items(Verified):
    """A list of at most `maximum` items."""

    def __init__(self, check: Check, maximum: int = MAX_ITEMS) -> None:
        self._check, self._maximum = check, maximum

    def __call__(self, value: Any, path: str) -> Any:
        check_items(self._check, bounded_list(any_list(value, path), path, self._maximum), path)
        return value

    def strip(self, value: Any, path: str, unknown: list[UnknownMember]) -> Any:
        kept = [
            strip_unknown(self._check, item, f"{path}[{index}]", unknown)
            for index, item in enumerate(value)
        ]
        return replace_items(value, kept)


class TextOr(Verified):
    """A string, or what another check allows. `description` is of both."""

    def __init__(self, check: Verified, kind: type, description: str) -> None:
        self._check, self._kind, self._description = check, kind, description

    def __call__(self, value: Any, path: str) -> Any:
        if isinstance(value, str):
            return value
        if not isinstance(value, self._kind):
            raise FieldError(path, f"expected {self._description}, not {kind_of(value)}")
        return self._check(value, path)

    def strip(self, value: Any, path: str, unknown: list[UnknownMember]) -> Any:
        return value if isinstance(value, str) else self._check.strip(value, path, unknown)


ANY_TYPE: Final = Shape({"type": string})


class Kinds(Verified):
    """An object whose `type`, or other `key`, selects the shape. Unknown types have any members."""

    def __init__(self, shapes: Mapping[str, Shape], key: str = "type") -> None:
        self.shapes, self._key = shapes, key

    def find_kind(self, value: Mapping[str, Any], path: str) -> str:
        kind = value.get(self._key)
        if kind is None:
            raise FieldError(f"{path}.{self._key}", "this field is required")
        return string(kind, f"{path}.{self._key}")

    def __call__(self, value: Any, path: str) -> Any:
        kind = self.find_kind(any_object(value, path), path)
        return self.shapes.get(kind, ANY_TYPE)(value, path)

    def strip(self, value: Any, path: str, unknown: list[UnknownMember]) -> Any:
        shape = self.shapes.get(self.find_kind(value, path))
        if shape is None:
            return value
        return shape.strip(value, path, unknown)
