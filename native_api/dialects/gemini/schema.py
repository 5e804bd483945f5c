"""JSON Schema as Gemini takes it, for `parametersJsonSchema` and `responseJsonSchema`. Nothing
about messages or tools.

Gemini has two schema fields: the older OpenAPI subset (`parameters`, `responseSchema`), which
answers 400 to `$ref`, `additionalProperties`, `const` and lists of types, and the newer real JSON
Schema. The newer one is documented for both the Gemini API (v1beta) and Vertex AI (v1), so it is
the one used: recursion, unions and open objects survive as they are. What is left to mend is small,
and follows https://ai.google.dev/api/generate-content#GenerationConfig (read 2026-11):

1. Only `$id $defs $ref $anchor type format title description enum items prefixItems minItems
   maxItems minimum maximum anyOf oneOf properties additionalProperties required` are obeyed, so
   `const` becomes `enum`, `allOf` is merged, tuples in draft-7 style become `prefixItems`, and a
   limit that can only be told in words goes into the description.
2. Beside a `$ref` nothing else may stand: the definition is written in its place, its own
   references untouched. Where there is no `Room` for that, or the definition is being written
   already, the reference is put into an `anyOf` of one, which says the same.
3. Definitions live in `$defs`, so `#/definitions/X`, `#` and other pointers are moved there. Only
   used ones are sent.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any, Final

from native_api.dialects.shared.json_schema import DEFINITIONS, GrowthLimit, SchemaAdapter
from native_api.dialects.shared.json_values import dump_json
from native_api.exceptions import UnsupportedField
from native_api.types import Json

NO_RULES: Final = frozenset({"$schema", "$comment", "$defs", "definitions", "discriminator"})
"""Keywords that constrain nothing by themselves; definitions are collected as they are used."""

SCHEMAS: Final = frozenset(
    {"items", "additionalProperties", "not", "contains", "propertyNames", "if", "then", "else"}
)
LISTS: Final = frozenset({"anyOf", "oneOf", "prefixItems"})
MAPS: Final = frozenset({"properties", "patternProperties", "dependentSchemas"})

STRING_FORMATS: Final = frozenset({"date-time", "date", "time"})
IN_WORDS: Final = {
    "exclusiveMinimum": "Greater than",
    "exclusiveMaximum": "Less than",
    "examples": "Examples:",
    "multipleOf": "A multiple of",
}

DEEPEST_INLINED: Final = 10
"""Definitions written in place inside of one another: a chain of them must not become deeper than
JSON may be."""

TYPES: Final = {str: "string", int: "integer", float: "number"}


@SchemaAdapter
def adapted(schema: Json, place: str) -> Json:
    """The same schema in the keywords that Gemini obeys.

    Raises UnsupportedField for a schema that is too large, or grows too much, and for a reference
    that leads nowhere.
    """
    return _Schema(schema, place).whole()


class _Schema:
    """One schema on its way. Definitions are adapted one after another, once each, as they are
    found to be used."""

    def __init__(self, root: Json, place: str) -> None:
        self._root = root
        self._place = place
        self._direct = {id(item) for group in DEFINITIONS for item in _members(root, group)}
        self._names = _Names()
        self._waiting: list[tuple[str, Json]] = []
        self._open: set[int] = set()
        """The definitions, by `id`, that are being written in place around where we are."""
        self._room: GrowthLimit | None = None

    def whole(self) -> Json:
        root = self._root
        for _ in range(10):
            if "$ref" not in root:
                break
            root = self._beside(root)
        told: Json = self._node(root)
        definitions: Json = {}
        while self._waiting:
            name, target = self._waiting.pop()
            self._open = {id(target)}
            definitions[name] = self._node(target)
        return {**told, "$defs": definitions} if definitions else told

    def _node(self, schema: Any) -> Any:
        if schema is True:
            return {}
        if not isinstance(schema, dict):
            return schema
        if "$ref" in schema:
            return self._reference(schema)
        if "allOf" in schema:
            return self._node(self._merged(schema))
        told = {
            name: self._keyword(name, value)
            for name, value in schema.items()
            if name not in NO_RULES
        }
        _tuples(told)
        _constants(told)
        _words(told)
        return told

    def _keyword(self, name: str, value: Any) -> Any:
        if name in SCHEMAS:
            is_plain = isinstance(value, bool) and name == "additionalProperties"
            return (
                [self._node(item) for item in value]
                if isinstance(value, list)
                else value
                if is_plain
                else self._node(value)
            )
        if name in LISTS and isinstance(value, list):
            return [self._node(item) for item in value]
        if name in MAPS and isinstance(value, dict):
            return {key: self._node(item) for key, item in value.items()}
        return value

    def _reference(self, schema: Json) -> Json:
        pointer = str(schema["$ref"])
        siblings = {name: value for name, value in schema.items() if not name.startswith("$")}
        if not siblings:
            return {"$ref": f"#/$defs/{self._define(pointer)}"}
        target = self._target(pointer)
        if (
            id(target) not in self._open
            and len(self._open) < DEEPEST_INLINED
            and self._has_room(target)
        ):
            self._open.add(id(target))
            told: Json = self._node(self._beside(schema))
            self._open.discard(id(target))
            return told
        if "anyOf" in siblings:
            raise self._grown(pointer)
        wrapped: Json = self._node({**siblings, "anyOf": [{"$ref": pointer}]})
        return wrapped

    def _beside(self, schema: Json) -> Json:
        """What a reference and its siblings mean together: the siblings win."""
        siblings = {name: value for name, value in schema.items() if name != "$ref"}
        return {**self._target(str(schema["$ref"])), **siblings}

    def _define(self, pointer: str) -> str:
        """The name under which the definition is found in `$defs`."""
        target = self._target(pointer)
        name = self._names.of(target)
        if name:
            return name
        if id(target) not in self._direct and not self._has_room(target):
            # Such a pointer leads into the schema itself, where its target is written too.
            raise self._grown(pointer)
        name = self._names.give(target, pointer)
        self._waiting.append((name, target))
        return name

    def _grown(self, pointer: str) -> UnsupportedField:
        reason = f"what {pointer[:100]!r} refers to has to be repeated for this provider, and would make the schema too large"
        return UnsupportedField(self._place, reason)

    def _has_room(self, part: Json) -> bool:
        """Whether a part of the schema may be written a second time."""
        if self._room is None:
            self._room = GrowthLimit(self._root)
        return self._room.allows(part)

    def _target(self, pointer: str) -> Json:
        found: Any = self._root
        for step in pointer.split("/")[1:] if pointer.startswith("#") else ["?"]:
            key = step.replace("~1", "/").replace("~0", "~")
            found = found.get(key) if isinstance(found, dict) else None
        if not isinstance(found, dict):
            raise UnsupportedField(
                self._place, f"the schema refers to {pointer[:100]!r}, which is not in it"
            )
        return found

    def _merged(self, schema: Json) -> Json:
        """`allOf` as one schema: properties and required names together, for anything else the
        first one told."""
        if _is_wrapped_reference(schema):
            return {
                **schema["allOf"][0],
                **{name: value for name, value in schema.items() if name != "allOf"},
            }
        merged = _Merged()
        parts: deque[Any] = deque([schema])
        seen: set[int] = set()
        while parts:
            part = parts.popleft()
            if not isinstance(part, dict):
                continue
            merged.add(part)
            parts.extend(_list(part.get("allOf")))
            target = self._target(str(part["$ref"])) if "$ref" in part else None
            if target is not None and id(target) not in seen:
                if not self._has_room(target):
                    raise self._grown(str(part["$ref"]))
                seen.add(id(target))
                parts.appendleft(target)
        return merged.whole()


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _members(schema: Json, group: str) -> Iterator[Any]:
    members = schema.get(group)
    yield from members.values() if isinstance(members, dict) else ()


def _is_wrapped_reference(schema: Json) -> bool:
    """`{"allOf": [{"$ref": …}], "description": …}`, as many generators write a reference with
    siblings."""
    parts = _list(schema["allOf"])
    return len(parts) == 1 and isinstance(parts[0], dict) and parts[0].keys() == {"$ref"}


class _Names:
    """Names of definitions, without slashes, each given once."""

    def __init__(self) -> None:
        self._by_target: dict[int, str] = {}
        self._taken: dict[str, int] = {}

    def of(self, target: Json) -> str:
        """The target's name, "" if it has none yet."""
        return self._by_target.get(id(target), "")

    def give(self, target: Json, pointer: str) -> str:
        wanted = (
            pointer.removeprefix("#/$defs/")
            .removeprefix("#/definitions/")
            .strip("#/")
            .replace("/", ".")
            or "root"
        )
        name = wanted
        while name in self._taken:
            self._taken[wanted] += 1
            name = f"{wanted}_{self._taken[wanted]}"
        self._taken[name] = 1
        self._by_target[id(target)] = name
        return name


class _Merged:
    """Schemas that all hold, as one. What is added first wins."""

    def __init__(self) -> None:
        self._rest: Json = {}
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
                self._rest.setdefault(name, value)

    def whole(self) -> Json:
        told = dict(self._rest)
        if self._properties:
            told["properties"] = self._properties
        if self._required:
            told["required"] = list(self._required)
        return told


def _tuples(told: Json) -> None:
    if isinstance(told.get("items"), list):
        told["prefixItems"] = told.pop("items")


def _constants(told: Json) -> None:
    """`const` as `enum`, which is obeyed for strings and numbers only; null is a type, not a
    value."""
    if "const" in told:
        value = told["const"]
        if type(value) in TYPES:
            del told["const"]
            told["enum"] = [value]
            told.setdefault("type", TYPES[type(value)])
        elif value is None:
            del told["const"]
            told["type"] = "null"
    choices = told.get("enum")
    if isinstance(choices, list) and None in choices:
        told["enum"] = [choice for choice in choices if choice is not None]
        if isinstance(told.get("type"), str):
            told["type"] = [told["type"], "null"]


def _words(told: Json) -> None:
    """Limits that are refused or ignored as keywords, told in the description, which the model
    reads."""
    notes = []
    kind = told.get("type")
    if (
        "format" in told
        and kind != "integer"
        and kind != "number"
        and str(told["format"]) not in STRING_FORMATS
    ):
        notes.append(f"Format: {told.pop('format')}.")
    for name, change in (("exclusiveMinimum", 1), ("exclusiveMaximum", -1)):
        if kind == "integer" and type(told.get(name)) is int:
            told.setdefault(name.replace("exclusiveM", "m"), told.pop(name) + change)
    for name, words in IN_WORDS.items():
        if name in told:
            notes.append(f"{words} {dump_json(told.pop(name))}.")
    if notes:
        told["description"] = " ".join(filter(None, (str(told.get("description") or ""), *notes)))
