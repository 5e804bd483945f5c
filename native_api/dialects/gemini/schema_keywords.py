"""Keywords that Gemini does not obey, rewritten in one object of a schema. Each function changes
the object it is given.

`items` with a list (a tuple in draft-7 style) becomes `prefixItems`, `const` becomes `enum`, and a
limit that has no keyword goes into the description.
"""

from __future__ import annotations

from typing import Final

from native_api.dialects.shared.json_values import dump_json
from native_api.types import Json

STRING_FORMATS: Final = frozenset({"date-time", "date", "time"})
"""The formats of strings that Gemini obeys."""

CONSTANT_TYPES: Final = {str: "string", int: "integer", float: "number"}
"""The types of values that `enum` obeys, by the value's class."""

DESCRIBED_KEYWORDS: Final = {
    "exclusiveMinimum": "Greater than",
    "exclusiveMaximum": "Less than",
    "examples": "Examples:",
    "multipleOf": "A multiple of",
}
"""Keywords that move into the description -> the words before their value there."""


def rewrite_tuples(node: Json) -> None:
    if isinstance(node.get("items"), list):
        node["prefixItems"] = node.pop("items")


def drop_string_names(node: Json) -> None:
    """Leave out that the names of members are strings, which Zod writes for a record: they always
    are, and Gemini has no such keyword."""
    if node.get("propertyNames") == {"type": "string"}:
        del node["propertyNames"]


def rewrite_constants(node: Json) -> None:
    """Turn `const` into an `enum` of strings or numbers, and null into a type."""
    if "const" in node:
        value = node["const"]
        if type(value) in CONSTANT_TYPES:
            del node["const"]
            node["enum"] = [value]
            node.setdefault("type", CONSTANT_TYPES[type(value)])
        elif value is None:
            del node["const"]
            node["type"] = "null"
    choices = node.get("enum")
    if isinstance(choices, list) and None in choices:
        node["enum"] = [choice for choice in choices if choice is not None]
        if isinstance(node.get("type"), str):
            node["type"] = [node["type"], "null"]


def describe_keywords(node: Json) -> None:
    """Move keywords that Gemini refuses or ignores into the description, which the model reads."""
    notes = []
    kind = node.get("type")
    if (
        "format" in node
        and kind != "integer"
        and kind != "number"
        and str(node["format"]) not in STRING_FORMATS
    ):
        notes.append(f"Format: {node.pop('format')}.")
    for name, change in (("exclusiveMinimum", 1), ("exclusiveMaximum", -1)):
        if kind == "integer" and type(node.get(name)) is int:
            node.setdefault(name.replace("exclusiveM", "m"), node.pop(name) + change)
    for name, words in DESCRIBED_KEYWORDS.items():
        if name in node:
            notes.append(f"{words} {dump_json(node.pop(name))}.")
    if notes:
        node["description"] = " ".join(filter(None, (str(node.get("description") or ""), *notes)))
