"""JSON Schema as Moonshot takes it in tools, a subset that it calls MFJS
(https://github.com/MoonshotAI/walle/blob/main/docs/mfjs-spec.md, read 2026-11).

It answers 400, "not a valid moonshot flavored json schema", to what these rules mend:

1. `type` beside `anyOf` moves into the alternatives: "when using anyOf, type should be defined in
   anyOf items instead of the parent schema" (https://github.com/anomalyco/opencode/issues/37496,
   2026-07).
2. A `$ref` stands alone: "conflicting keywords found after $ref expansion"
   (https://github.com/MoonshotAI/kimi-cli/issues/2061, 2026-04). What stands beside one goes around
   it, as `anyOf` of one.
3. Definitions are in `$defs`: "references must start with #/$defs/". `oneOf` is `anyOf`.
"""

from __future__ import annotations

from typing import Any, Final

from native_api.dialects.shared.json_schema import SchemaAdapter
from native_api.types import Json

SCHEMA_MAPS: Final = frozenset({"properties", "$defs", "patternProperties"})
"""Keywords whose value maps names to schemas."""
SCHEMA_LISTS: Final = frozenset({"anyOf", "allOf"})
SCHEMAS: Final = frozenset({"items", "additionalProperties", "not"})
OLD_PREFIX: Final = "#/definitions/"
MAX_TYPES: Final = 7
MAX_TYPE_LENGTH: Final = 7
"""JSON Schema has seven types, and "boolean" is the longest. Anything else is not repeated."""


@SchemaAdapter
def adapt_schema(schema: Json, path: str) -> Json:
    """The same schema in Moonshot's flavour. Raises UnsupportedField if it is too large."""
    adapted: Json = _adapt(schema)
    return adapted


def _adapt(schema: Any) -> Any:
    if not isinstance(schema, dict):
        return schema
    node = dict(schema)
    for old, new in (("definitions", "$defs"), ("oneOf", "anyOf")):
        if old in node and new not in node:
            node[new] = node.pop(old)
    if isinstance(node.get("$ref"), str):
        node["$ref"] = node["$ref"].replace(OLD_PREFIX, "#/$defs/", 1)
        node = _wrap_reference(node)
    node = push_type_down(node)
    return {name: _adapt_keyword(name, value) for name, value in node.items()}


def _adapt_keyword(name: str, value: Any) -> Any:
    if name in SCHEMA_MAPS and isinstance(value, dict):
        return {key: _adapt(item) for key, item in value.items()}
    if name in SCHEMA_LISTS and isinstance(value, list):
        return [_adapt(item) for item in value]
    return _adapt(value) if name in SCHEMAS else value


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
        for choice in choices
    ]
    return {**{name: value for name, value in node.items() if name != "type"}, "anyOf": pushed}


def _is_type(value: Any) -> bool:
    types = value if isinstance(value, list) else [value]
    return len(types) <= MAX_TYPES and all(
        isinstance(each, str) and len(each) <= MAX_TYPE_LENGTH for each in types
    )
