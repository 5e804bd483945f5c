"""JSON Schema as Anthropic enforces it, for structured output and strict tools.

It compiles a schema into a grammar, and answers 400 to what a grammar cannot say
(https://platform.claude.com/docs/en/build-with-claude/structured-outputs#json-schema-limitations,
read 2026-11):

1. Every object is closed: `additionalProperties: false` is added where nothing is said of it,
   anything else is refused.
2. Limits of numbers, lengths and sizes are told in the description instead, as Anthropic's own SDKs
   do.
3. `oneOf` is said as `anyOf`. Recursion and references out of the schema are refused.
"""

from __future__ import annotations

import re
from typing import Any, Final

from native_api.dialects.shared.json_schema import (
    DEFINITIONS,
    SchemaAdapter,
    find_references,
    is_recursive,
)
from native_api.dialects.shared.json_values import dump_json
from native_api.types import Json

FORMATS: Final = frozenset(
    {"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"}
)
IN_WORDS: Final = frozenset(
    {
        "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength", "maxItems",
        "uniqueItems", "minProperties", "maxProperties", "examples",
    }
)  # fmt: skip
AS_THEY_ARE: Final = frozenset(
    {"enum", "const", "default", "examples", "required", "type", "description", "title"}
)
MAPS: Final = frozenset({"properties", "$defs", "definitions"})
UNSAYABLE: Final = frozenset(
    {"not", "if", "then", "else", "patternProperties", "dependentSchemas", "dependentRequired", "propertyNames", "contains",
     "prefixItems", "unevaluatedProperties", "unevaluatedItems", "$dynamicRef", "$anchor"}
)  # fmt: skip


BEYOND_GRAMMARS: Final = re.compile(r"\(\?[=!<]|\\[bB1-9]")
"""Looking ahead or behind, edges of words, and references back in a pattern."""


class Inexpressible(ValueError):
    """The schema means something that no grammar says."""


@SchemaAdapter
def enforceable(schema: Json, place: str) -> Json | None:
    """The schema as Anthropic enforces it, None if it cannot. Raises UnsupportedField for one that
    is too large."""
    used = find_references({name: part for name, part in schema.items() if name not in DEFINITIONS})
    if is_recursive(schema, used):
        return None
    try:
        told: Json = _node(schema)
    except Inexpressible:
        return None
    return told


def _node(schema: Any) -> Any:
    if not isinstance(schema, dict):
        raise Inexpressible
    if UNSAYABLE & schema.keys() or ("anyOf" in schema and "oneOf" in schema):
        raise Inexpressible
    told: Json = {}
    for name, value in schema.items():
        told["anyOf" if name == "oneOf" else name] = _keyword(name, value)
    if _is_object(told) and told.setdefault("additionalProperties", False) is not False:
        raise Inexpressible
    _words(told)
    return told


def _is_object(told: Json) -> bool:
    kind = told.get("type")
    return kind == "object" or (isinstance(kind, list) and "object" in kind)


def _keyword(name: str, value: Any) -> Any:
    if name in AS_THEY_ARE:
        return value
    if name in MAPS and isinstance(value, dict):
        return {key: _node(item) for key, item in value.items()}
    if name in ("anyOf", "oneOf", "allOf") and isinstance(value, list):
        return [_node(item) for item in value]
    return _node(value) if name == "items" else value


def _words(told: Json) -> None:
    """Limits in the description, which the model reads."""
    left = {name: told.pop(name) for name in list(told) if name in IN_WORDS}
    if "format" in told and str(told["format"]) not in FORMATS:
        left["format"] = told.pop("format")
    if "pattern" in told and BEYOND_GRAMMARS.search(str(told["pattern"])):
        left["pattern"] = told.pop("pattern")
    if told.get("minItems", 0) not in (0, 1):
        left["minItems"] = told.pop("minItems")
    told.pop("$schema", None)
    if left:
        notes = "{" + ", ".join(f"{name}: {dump_json(value)}" for name, value in left.items()) + "}"
        told["description"] = (
            f"{told['description']}\n\n{notes}" if told.get("description") else notes
        )
