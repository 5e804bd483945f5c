"""JSON Schema as Moonshot takes it in tools and in `response_format`, a subset that it calls MFJS
(https://github.com/MoonshotAI/walle: docs/mfjs-spec.md, and the checks of validator.go and
keyword_validators.go at the level `strict`, which the server requires; read 2026-11).

It answers 400, "not a valid moonshot flavored json schema", to what these rules mend:

1. `type` beside `anyOf` moves into the alternatives: "when using anyOf, type should be defined in
   anyOf items instead of the parent schema" (https://github.com/anomalyco/opencode/issues/37496,
   2026-07).
2. A `$ref` stands alone: "conflicting keywords found after $ref expansion"
   (https://github.com/MoonshotAI/kimi-cli/issues/2061, 2026-04). What stands beside one goes around
   it, as `anyOf` of one.
3. Definitions are in `$defs`: "references must start with #/$defs/". `oneOf` is `anyOf`.
4. Every schema is an object: "property schema for 'x' must be an object".
5. Several types with anything beside them become alternatives: "keyword items is not allowed in
   combination with multiple types". Only an `enum` may stand beside a type and null.
6. An `enum` has a type: "type is not defined".
7. Only properties that are there are required: "required property 'x' is not defined".
"""

from __future__ import annotations

from collections.abc import Container
from typing import Any, Final

from native_api.dialects.shared.json_schema import DEFINITIONS, SchemaAdapter
from native_api.types import Json

SCHEMA_MAPS: Final = frozenset({"properties", "$defs", "patternProperties"})
"""Keywords whose value maps names to schemas."""
SCHEMA_LISTS: Final = frozenset({"anyOf", "allOf"})
SCHEMAS: Final = frozenset({"items", "additionalProperties", "not"})
OLD_PREFIX: Final = "#/definitions/"
MAX_TYPES: Final = 7
MAX_TYPE_LENGTH: Final = 7
"""JSON Schema has seven types, and "boolean" is the longest. Anything else is not repeated."""

ANNOTATIONS: Final = frozenset({"description", "title", "default"})
APPLICATORS: Final = frozenset({"$ref", "anyOf", "oneOf", "allOf", "not"})
SUBSCHEMAS_BY_TYPE: Final = {
    "properties": "object",
    "patternProperties": "object",
    "additionalProperties": "object",
    "required": "object",
    "items": "array",
}
"""Keyword -> the type that it says something of. Each goes to one alternative, so that the size
stays the same."""


@SchemaAdapter
def adapt_schema(schema: Json, path: str) -> Json:
    """The same schema in Moonshot's flavour. Raises UnsupportedField if it is too large."""
    adapted: Json = _adapt(schema)
    return adapted


def _adapt(schema: Any) -> Any:
    if not isinstance(schema, dict):
        return {} if schema is True else schema
    node = dict(schema)
    for old, new in (("definitions", "$defs"), ("oneOf", "anyOf")):
        if old in node and new not in node:
            node[new] = node.pop(old)
    if isinstance(node.get("$ref"), str):
        node["$ref"] = node["$ref"].replace(OLD_PREFIX, "#/$defs/", 1)
        node = _wrap_reference(node)
    node = _split_types(_add_type(_drop_unknown_required(push_type_down(node))))
    return {name: _adapt_keyword(name, value) for name, value in node.items()}


def _adapt_keyword(name: str, value: Any) -> Any:
    if name in SCHEMA_MAPS and isinstance(value, dict):
        return {key: _adapt(item) for key, item in value.items()}
    if name in SCHEMA_LISTS and isinstance(value, list):
        return [_adapt(item) for item in value]
    if name == "additionalProperties" and isinstance(value, bool):
        return value
    return _adapt(value) if name in SCHEMAS else value


def _drop_unknown_required(node: Json) -> Json:
    required, properties = node.get("required"), node.get("properties")
    if not isinstance(required, list):
        return node
    known = properties if isinstance(properties, dict) else {}
    kept = [name for name in required if isinstance(name, str) and name in known]
    return node if len(kept) == len(required) else {**node, "required": kept}


def _add_type(node: Json) -> Json:
    """The node with the types of its `enum`, if it names none, or without null."""
    values = node.get("enum")
    if not isinstance(values, list) or not values or not APPLICATORS.isdisjoint(node):
        return node
    found = dict.fromkeys(map(_read_type, values))
    types = node.get("type")
    if types is None:
        types = [*found]
    elif "null" in found and isinstance(types, str) and types != "null":
        types = [types, "null"]
    else:
        return node
    return {**node, "type": types[0] if len(types) == 1 else types}


def _read_type(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"


def _split_types(node: Json) -> Json:
    """The node with alternatives of one type each, if it has several types and says more."""
    types = node.get("type")
    said = node.keys() - ANNOTATIONS - {"type", *DEFINITIONS}
    if not isinstance(types, list) or not types or not said or not APPLICATORS.isdisjoint(node):
        return node
    if len(types) == 1:
        return {**node, "type": types[0]}
    if said == {"enum"} and len(types) == 2 and "null" in types:
        return node
    kept = {name: value for name, value in node.items() if name not in said and name != "type"}
    return {**kept, "anyOf": [_choose_type(node, name, said) for name in types]}


def _choose_type(node: Json, name: Any, said: Container[str]) -> Json:
    """What the node says of one type."""
    if name == "null":
        return {"type": name}
    choice = {
        keyword: value
        for keyword, value in node.items()
        if keyword in said and keyword != "enum" and SUBSCHEMAS_BY_TYPE.get(keyword, name) == name
    }
    types = ("number", "integer") if name == "integer" else (name,)
    values = [value for value in node.get("enum") or () if _read_type(value) in types]
    return {"type": name, **choice, **({"enum": values} if values else {})}


def _wrap_reference(node: Json) -> Json:
    """The reference alone, or as the one alternative of what stands beside it."""
    siblings = {name: value for name, value in node.items() if name not in ("$ref", "type")}
    if not siblings:
        return {"$ref": node["$ref"]}
    return node if "anyOf" in siblings else {**siblings, "anyOf": [{"$ref": node["$ref"]}]}


def push_type_down(node: Json) -> Json:
    """The node without a `type` beside its alternatives: each of them has one instead."""
    choices = node.get("anyOf")
    if not _is_type(node.get("type")) or not isinstance(choices, list):
        return node
    pushed = [
        {"type": node["type"], **choice}
        if isinstance(choice, dict) and not {"$ref", "anyOf", "oneOf", "allOf"} & choice.keys()
        else choice
        for choice in ({} if choice is True else choice for choice in choices)
    ]
    return {**{name: value for name, value in node.items() if name != "type"}, "anyOf": pushed}


def _is_type(value: Any) -> bool:
    types = value if isinstance(value, list) else [value]
    return len(types) <= MAX_TYPES and all(
        isinstance(each, str) and len(each) <= MAX_TYPE_LENGTH for each in types
    )
