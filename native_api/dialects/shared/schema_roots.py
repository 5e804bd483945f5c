"""The schema of a tool's arguments as one plain object, for wires that take nothing else.

Anthropic and Amazon answer 400 to `anyOf`, `oneOf` or `allOf` there ("input_schema does not support
oneOf, allOf, or anyOf at the top level", https://github.com/anthropics/claude-code/issues/5319,
2025-08), OpenAI to these and `enum`, `const` and `not`
(https://github.com/goruck/home-generative-agent/pull/545, 2026-08). One such tool, as MCP servers
write them, fails every request that has it. Rules:

1. The properties of all branches come together. Whatever was valid stays valid.
2. `allOf` and a `$ref` are merged into the object without loss. Of alternatives only the names stay
   required that every one of them requires; what each needs goes into a note, which is added to the
   tool's description.
3. A property that differs between alternatives may be any of them; one that differs between parts
   that must all hold, must be all of them. Inside properties nothing changes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from native_api.dialects.shared.json_schema import DEFINITIONS, SchemaAdapter, resolve_pointer
from native_api.dialects.shared.json_values import dump_json
from native_api.exceptions import UnsupportedField
from native_api.types import Json

UNIONS: Final = {"anyOf": "At least", "oneOf": "Exactly"}
"""Keywords of alternatives -> how many of them must match."""
NOTED_KEYWORDS: Final = {
    "not": "The arguments must not match",
    "enum": "The arguments must be one of",
    "const": "The arguments must be",
}
"""Keywords that cannot stand at the root -> the words of the note that replaces them."""
CONDITIONS: Final = ("if", "then", "else")
FOLDED_KEYWORDS: Final = frozenset({*UNIONS, *NOTED_KEYWORDS, "allOf", "$ref"})
READ_KEYWORDS: Final = FOLDED_KEYWORDS | {
    "type", "properties", "required", "$defs", "definitions", "discriminator",
}  # fmt: skip
"""Keywords that are not copied as they are."""

MAX_NODES: Final = 1000
"""Different branches of one schema that are folded."""
MAX_DEPTH: Final = 20
MAX_NOTE_CHARACTERS: Final = 1500
WORK: Final = 64 * 1024
WORK_FACTOR: Final = 8
"""Folding a schema may write so many characters, and so many times its own. References to
references can multiply what a small schema says, and other requests wait meanwhile."""
MOVE: Final = 40
"""What moving one name counts as, in characters."""


def fold_parameters(parameters: Json, path: str) -> tuple[Json, str]:
    """The parameters as one plain object, and the note on what that object cannot say.

    Raises UnsupportedField with `path` for a schema that is too large or refers to nothing.
    """
    if FOLDED_KEYWORDS.isdisjoint(parameters):
        return parameters, ""
    folded = fold_root(parameters, path)
    return folded["schema"], folded["note"]


@SchemaAdapter
def fold_root(schema: Json, path: str) -> Json:
    """`schema`, the folded one, and `note`."""
    folder = _Folder(schema, path)
    shape = folder.fold(schema, 0)
    definitions = {name: schema[name] for name in DEFINITIONS if name in schema}
    note = " ".join(dict.fromkeys(shape.notes))[:MAX_NOTE_CHARACTERS]
    return {"schema": {**folder.build(shape), **definitions}, "note": note}


@dataclass(slots=True)
class _Shape:
    """What a schema says of an object."""

    properties: dict[str, list[Any]] = field(default_factory=dict)
    """Name -> the schemas that must all hold."""
    required: dict[str, None] = field(default_factory=dict)
    """Names, in their order."""
    others: Json = field(default_factory=dict)
    """Keywords that nothing here is done with, and `additionalProperties`."""
    notes: list[str] = field(default_factory=list)


class _Folder:
    """Folds one schema. Each part is folded once, and each of its properties measured once."""

    def __init__(self, root: Json, path: str) -> None:
        self._root = root
        self._path = path
        self._shapes: dict[int, _Shape] = {}
        """By the `id` of their schema, which the root keeps alive."""
        self._texts: dict[int, str] = {}
        self._kept: list[Json] = []
        """The parts whose `id` is in `_texts`, so that no other part gets it."""
        self._remaining = WORK + WORK_FACTOR * len(json.dumps(root))

    def fold(self, schema: Any, depth: int) -> _Shape:
        """The shape of a schema; an empty one if it is not the schema of an object."""
        if not isinstance(schema, dict):
            return _Shape()
        if id(schema) in self._shapes:
            return self._shapes[id(schema)]
        if len(self._shapes) > MAX_NODES or depth > MAX_DEPTH:
            raise self._too_large()
        shape = self._shapes[id(schema)] = _Shape()
        self._read_object(schema, shape)
        for part in self._list_parts(schema):
            self._require(shape, self.fold(part, depth + 1))
        for keyword, count in UNIONS.items():
            branches = [part for part in read_list(schema.get(keyword)) if may_be_object(part)]
            if branches:
                shapes = [self.fold(part, depth + 1) for part in branches]
                distinct = list({id(found): found for found in shapes}.values())
                self._require(shape, self._unite(distinct, count, shape.required))
        return shape

    def build(self, shape: _Shape) -> Json:
        schema: Json = {"type": "object", **shape.others, "properties": self._join(shape)}
        return {**schema, "required": list(shape.required)} if shape.required else schema

    def _too_large(self) -> UnsupportedField:
        return UnsupportedField(
            self._path, "this provider takes no schema with so many alternatives at its root"
        )

    def _spend(self, characters: int) -> None:
        """Count work. Raises UnsupportedField for a schema that is too much of it."""
        self._remaining -= characters
        if self._remaining < 0:
            raise self._too_large()

    def _join(self, shape: _Shape) -> Json:
        self._spend(MOVE * len(shape.properties))
        return {name: self._combine("allOf", found) for name, found in shape.properties.items()}

    def _read_object(self, schema: Json, shape: _Shape) -> None:
        properties = schema.get("properties")
        members = properties.items() if isinstance(properties, dict) else ()
        shape.properties = {name: [value] for name, value in members}
        shape.required = dict.fromkeys(
            name for name in read_list(schema.get("required")) if isinstance(name, str)
        )
        shape.others = {name: value for name, value in schema.items() if name not in READ_KEYWORDS}
        shape.notes = [
            f"{words} {self._write(schema[name])}."
            for name, words in NOTED_KEYWORDS.items()
            if name in schema
        ]

    def _list_parts(self, schema: Json) -> list[Any]:
        """The schemas that must hold as well."""
        parts = read_list(schema.get("allOf"))
        if "$ref" not in schema:
            return parts
        definition = resolve_pointer(self._root, str(schema["$ref"]))
        if definition is None:
            raise UnsupportedField(
                self._path,
                f"the schema refers to {str(schema['$ref'])[:100]!r}, which it does not contain",
            )
        return [definition, *parts]

    def _require(self, shape: _Shape, other: _Shape) -> None:
        """Add another shape that must hold as well."""
        moved = len(other.required) + len(other.notes) + len(other.others)
        self._spend(MOVE * (moved + sum(map(len, other.properties.values()))))
        for name, found in other.properties.items():
            shape.properties.setdefault(name, []).extend(found)
        shape.required |= other.required
        shape.notes += other.notes
        conditions: Json = {name: other.others[name] for name in CONDITIONS if name in other.others}
        if conditions and any(name in shape.others for name in CONDITIONS):
            shape.notes.append(f"The arguments must also match {self._write(conditions)}.")
        else:
            shape.others |= conditions
        for name, value in other.others.items():
            if name not in CONDITIONS:
                shape.others.setdefault(name, value)

    def _unite(self, shapes: list[_Shape], count: str, required: Mapping[str, None]) -> _Shape:
        """The shape of alternatives. `required` are the names that are required anyway."""
        united = _Shape()
        moved = sum(len(shape.notes) for shape in shapes) + len(shapes) * len(shapes[0].required)
        self._spend(MOVE * moved)
        schemas: dict[str, list[Any]] = {}
        for shape in shapes:
            for name, schema in self._join(shape).items():
                schemas.setdefault(name, []).append(schema)
        united.properties = {
            name: [self._combine("anyOf", found)] for name, found in schemas.items()
        }
        united.required = {
            name: None for name in shapes[0].required if all(name in s.required for s in shapes)
        }
        if all(shape.others.get("additionalProperties") is False for shape in shapes):
            united.others["additionalProperties"] = False
        described = [self._describe(shape, required) for shape in shapes]
        if len(shapes) > 1 and any(described):
            choices = "; ".join(text or "none of these" for text in dict.fromkeys(described))
            united.notes.append(f"{count} one of these must be given: {choices}.")
        united.notes += (note for shape in shapes for note in shape.notes)
        return united

    def _combine(self, keyword: str, schemas: list[Any]) -> Any:
        """Different schemas of one property in one. An empty one says nothing that must hold."""
        if len(schemas) == 1:
            return schemas[0]
        distinct = list({self._dump(schema): schema for schema in schemas}.values())
        if keyword == "allOf":
            distinct = [schema for schema in distinct if schema not in ({}, True)] or distinct[:1]
        if len(distinct) == 1:
            return distinct[0]
        if keyword == "anyOf" and all(_is_choice(schema) for schema in distinct):
            values = [value for schema in distinct for value in _read_values(schema)]
            return {**_without_values(distinct[0]), "enum": _distinct_values(values)}
        self._spend(sum(len(self._dump(schema)) for schema in distinct))
        return {keyword: distinct}

    def _dump(self, schema: Any) -> str:
        """The JSON of a part, written once."""
        text = self._texts.get(id(schema)) if isinstance(schema, dict) else None
        if text is None:
            text = json.dumps(schema)
            self._spend(len(text))
            if isinstance(schema, dict):
                self._texts[id(schema)] = text
                self._kept.append(schema)
        return text

    def _write(self, value: Any) -> str:
        """The JSON of a value for a note, at most as long as a note."""
        text = dump_json(value)
        self._spend(len(text))
        return text[:MAX_NOTE_CHARACTERS]

    def _describe(self, shape: _Shape, required: Mapping[str, None]) -> str:
        """What an alternative needs: `kind ("file") and path`."""
        constants = {
            name: schema["const"]
            for name, found in shape.properties.items()
            for schema in found
            if isinstance(schema, dict) and "const" in schema
        }
        names = [name for name in shape.required if name not in required or name in constants]
        names = list(dict.fromkeys([*names, *constants]))
        self._spend(sum(map(len, names)))
        return " and ".join(
            f"{name} ({self._write(constants[name])})" if name in constants else name
            for name in names
        )


def read_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def may_be_object(schema: Any) -> bool:
    """Whether an object can match: arguments are objects, so other alternatives never apply."""
    kind = schema.get("type", "object") if isinstance(schema, dict) else None
    return kind == "object" or (isinstance(kind, list) and "object" in kind)


def _is_choice(schema: Any) -> bool:
    """Whether a schema is one of some values, as the names of kinds are."""
    return isinstance(schema, dict) and ("const" in schema or isinstance(schema.get("enum"), list))


def _read_values(schema: Json) -> list[Any]:
    return [schema["const"]] if "const" in schema else list(schema["enum"])


def _without_values(schema: Json) -> Json:
    return {name: value for name, value in schema.items() if name not in ("const", "enum")}


def _distinct_values(values: Iterable[Any]) -> list[Any]:
    return list({dump_json(value): value for value in values}.values())
