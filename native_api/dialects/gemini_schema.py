"""JSON Schema as Gemini takes it, for `parametersJsonSchema` and `responseJsonSchema`. Nothing about messages or tools.

Gemini has two schema fields: the older OpenAPI subset (`parameters`, `responseSchema`), which answers 400 to `$ref`,
`additionalProperties`, `const` and lists of types, and the newer real JSON Schema. The newer one is documented for both
the Gemini API (v1beta) and Vertex AI (v1), so it is the one used: recursion, unions and open objects survive as they are.
What is left to mend is small, and follows https://ai.google.dev/api/generate-content#GenerationConfig (read 2026-11):

1. Only `$id $defs $ref $anchor type format title description enum items prefixItems minItems maxItems minimum maximum
   anyOf oneOf properties additionalProperties required` are obeyed, so `const` becomes `enum`, `allOf` is merged, tuples in
   draft-7 style become `prefixItems`, and a limit that can only be told in words goes into the description.
2. Beside a `$ref` nothing else may stand: the definition is written in its place, its own references untouched.
3. Definitions live in `$defs`, so `#/definitions/X`, `#` and other pointers are moved there. Only used ones are sent.
"""

from __future__ import annotations

from typing import Any, Final

from native_api.dialects.content import dumped, remembering
from native_api.exceptions import UnsupportedField
from native_api.types import Json

NO_RULES: Final = frozenset({"$schema", "$comment", "$defs", "definitions", "discriminator"})
"""Keywords that constrain nothing by themselves; definitions are collected as they are used."""

SCHEMAS: Final = frozenset({"items", "additionalProperties", "not", "contains", "propertyNames", "if", "then", "else"})
LISTS: Final = frozenset({"anyOf", "oneOf", "prefixItems"})
MAPS: Final = frozenset({"properties", "patternProperties", "dependentSchemas"})

STRING_FORMATS: Final = frozenset({"date-time", "date", "time"})
IN_WORDS: Final = {
    "exclusiveMinimum": "Greater than",
    "exclusiveMaximum": "Less than",
    "examples": "Examples:",
    "multipleOf": "A multiple of",
}

MAX_INLINED: Final = 200
"""Definitions written in place in one schema; the rest stay plain references, so that no schema grows without bound."""

TYPES: Final = {str: "string", int: "integer", float: "number"}


@remembering
def adapted(schema: Json, place: str) -> Json:
    """The same schema in the keywords that Gemini obeys. Not to be changed. Raises UnsupportedField for a reference that leads nowhere."""
    return _Schema(schema, place).whole()


class _Schema:
    """One schema on its way. `definitions` fills with the ones that are used, under names without slashes."""

    def __init__(self, root: Json, place: str) -> None:
        self._root = root
        self._place = place
        self._definitions: Json = {}
        self._inlining: list[str] = []
        self._inlined = 0

    def whole(self) -> Json:
        root = self._root
        for _ in range(10):
            if "$ref" not in root:
                break
            root = self._beside(root)
        told: Json = self._node(root)
        if self._definitions:
            told["$defs"] = self._definitions
        return told

    def _node(self, schema: Any) -> Any:
        if schema is True:
            return {}
        if not isinstance(schema, dict):
            return schema
        if "$ref" in schema:
            return self._reference(schema)
        if "allOf" in schema:
            return self._node(self._merged(schema))
        told = {name: self._keyword(name, value) for name, value in schema.items() if name not in NO_RULES}
        _tuples(told)
        _constants(told)
        _words(told)
        return told

    def _keyword(self, name: str, value: Any) -> Any:
        if name in SCHEMAS:
            is_plain = isinstance(value, bool) and name == "additionalProperties"
            return [self._node(item) for item in value] if isinstance(value, list) else value if is_plain else self._node(value)
        if name in LISTS and isinstance(value, list):
            return [self._node(item) for item in value]
        if name in MAPS and isinstance(value, dict):
            return {key: self._node(item) for key, item in value.items()}
        return value

    def _reference(self, schema: Json) -> Json:
        pointer = str(schema["$ref"])
        has_siblings = any(not name.startswith("$") for name in schema)
        if has_siblings and pointer not in self._inlining and self._inlined < MAX_INLINED:
            self._inlined += 1
            self._inlining.append(pointer)
            told: Json = self._node(self._beside(schema))
            self._inlining.pop()
            return told
        return {"$ref": f"#/$defs/{self._define(pointer)}"}

    def _beside(self, schema: Json) -> Json:
        """What a reference and its siblings mean together: the siblings win."""
        siblings = {name: value for name, value in schema.items() if name != "$ref"}
        return {**self._target(str(schema["$ref"])), **siblings}

    def _define(self, pointer: str) -> str:
        """The name under which the definition is found in `$defs`; it may still be in the making, as in a tree."""
        name = pointer.removeprefix("#/$defs/").removeprefix("#/definitions/").strip("#/").replace("/", ".") or "root"
        if name not in self._definitions:
            self._definitions[name] = {}
            self._definitions[name] = self._node(self._target(pointer))
        return name

    def _target(self, pointer: str) -> Json:
        found: Any = self._root
        for step in pointer.split("/")[1:] if pointer.startswith("#") else ["?"]:
            key = step.replace("~1", "/").replace("~0", "~")
            found = found.get(key) if isinstance(found, dict) else None
        if not isinstance(found, dict):
            raise UnsupportedField(self._place, f"the schema refers to {pointer!r}, which is not in it")
        return found

    def _merged(self, schema: Json) -> Json:
        """`allOf` as one schema: properties and required names together, for anything else the first one told."""
        merged = {name: value for name, value in schema.items() if name != "allOf"}
        for part in schema["allOf"]:
            told = self._beside(part) if isinstance(part, dict) and "$ref" in part else part
            for name, value in told.items() if isinstance(told, dict) else ():
                present = merged.get(name)
                if name == "properties" and isinstance(present, dict):
                    merged[name] = {**value, **present}
                elif name in ("required", "allOf") and isinstance(present, list):
                    merged[name] = [*present, *(item for item in value if item not in present)]
                else:
                    merged.setdefault(name, value)
        return merged


def _tuples(told: Json) -> None:
    if isinstance(told.get("items"), list):
        told["prefixItems"] = told.pop("items")


def _constants(told: Json) -> None:
    """`const` as `enum`, which is obeyed for strings and numbers only; null is a type, not a value."""
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
    """Limits that are refused or ignored as keywords, told in the description, which the model reads."""
    notes = []
    kind = told.get("type")
    if "format" in told and kind != "integer" and kind != "number" and told["format"] not in STRING_FORMATS:
        notes.append(f"Format: {told.pop('format')}.")
    for name, change in (("exclusiveMinimum", 1), ("exclusiveMaximum", -1)):
        if kind == "integer" and type(told.get(name)) is int:
            told.setdefault(name.replace("exclusiveM", "m"), told.pop(name) + change)
    for name, words in IN_WORDS.items():
        if name in told:
            notes.append(f"{words} {dumped(told.pop(name))}.")
    if notes:
        told["description"] = " ".join(filter(None, (told.get("description"), *notes)))
