"""Definitions of a JSON schema: where pointers lead, the names in `$defs`, and merging `allOf`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from native_api.dialects.shared.json_schema import DEFINITIONS
from native_api.types import Json


def walk_definitions(schema: Json) -> Iterator[Any]:
    """The members of the schema's own `$defs` and `definitions`."""
    for group in DEFINITIONS:
        members = schema.get(group)
        yield from members.values() if isinstance(members, dict) else ()


def is_wrapped_reference(schema: Json) -> bool:
    """Whether it is `{"allOf": [{"$ref": …}], "description": …}`: many generators write a reference
    with siblings like this."""
    parts = read_list(schema["allOf"])
    return len(parts) == 1 and isinstance(parts[0], dict) and parts[0].keys() == {"$ref"}


def read_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


class DefinitionNames:
    """The names of definitions in `$defs`: unique, and without slashes."""

    def __init__(self) -> None:
        self._names: dict[int, str] = {}
        self._uses: dict[str, int] = {}

    def get(self, definition: Json) -> str:
        """The definition's name, "" if it has none yet."""
        return self._names.get(id(definition), "")

    def add(self, definition: Json, pointer: str) -> str:
        """Name the definition after its pointer; the name gets a number if it is taken."""
        stem = (
            pointer.removeprefix("#/$defs/")
            .removeprefix("#/definitions/")
            .strip("#/")
            .replace("/", ".")
            or "root"
        )
        name = stem
        while name in self._uses:
            self._uses[stem] += 1
            name = f"{stem}_{self._uses[stem]}"
        self._uses[name] = 1
        self._names[id(definition)] = name
        return name


class MergedSchema:
    """Schemas that must all hold, as one. For each keyword, the schema added first wins."""

    def __init__(self) -> None:
        self._keywords: Json = {}
        self._properties: Json = {}
        self._required: dict[Any, Any] = {}

    def add(self, part: Json) -> None:
        for name, value in part.items():
            if name == "properties" and isinstance(value, dict):
                for key, item in value.items():
                    self._properties.setdefault(key, item)
            elif name == "required" and isinstance(value, list):
                self._required |= {item: item for item in value if isinstance(item, str)}
            elif name not in ("allOf", "$ref"):
                self._keywords.setdefault(name, value)

    def build(self) -> Json:
        schema = dict(self._keywords)
        if self._properties:
            schema["properties"] = self._properties
        if self._required:
            schema["required"] = list(self._required)
        return schema
