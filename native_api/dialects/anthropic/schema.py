"""JSON Schema as Anthropic enforces it, for structured output and strict tools.

Anthropic compiles a schema into a grammar, and answers 400 to what a grammar cannot express
(https://platform.claude.com/docs/en/build-with-claude/structured-outputs#json-schema-limitations,
read 2026-11). Rules:

1. Every object is closed: a missing `additionalProperties` becomes false; any other value is
   refused.
2. Limits of numbers, lengths and sizes move into the description, as in Anthropic's own SDKs.
3. `oneOf` becomes `anyOf`. Recursion, and references out of the schema, are refused.
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
from native_api.dialects.shared.moonshot_schema import push_type_down
from native_api.types import Json

ENFORCED_FORMATS: Final = frozenset(
    {"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"}
)
DESCRIBED_KEYWORDS: Final = frozenset(
    {
        "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength",
        "maxLength", "maxItems", "uniqueItems", "minProperties", "maxProperties", "examples",
    }
)  # fmt: skip
"""Keywords that move into the description."""
COPIED_KEYWORDS: Final = frozenset(
    {"enum", "const", "default", "examples", "required", "type", "description", "title"}
)
SCHEMA_MAP_KEYWORDS: Final = frozenset({"properties", "$defs", "definitions"})
"""Keywords whose value maps names to schemas."""
UNSUPPORTED_KEYWORDS: Final = frozenset(
    {
        "not", "if", "then", "else", "patternProperties", "dependentSchemas", "dependentRequired",
        "propertyNames", "contains", "prefixItems", "unevaluatedProperties", "unevaluatedItems",
        "$dynamicRef", "$anchor",
    }
)  # fmt: skip

UNSUPPORTED_PATTERN: Final = re.compile(r"\(\?[=!<]|\\[bB1-9]")
"""Lookahead, lookbehind, word boundaries and back-references in a pattern."""


class Inexpressible(ValueError):
    """No grammar can express the schema."""


@SchemaAdapter
def adapt_schema(schema: Json, path: str) -> Json | None:
    """The schema as Anthropic enforces it; None if it cannot. Raises UnsupportedField if the schema
    is too large."""
    used = find_references({name: part for name, part in schema.items() if name not in DEFINITIONS})
    if is_recursive(schema, used):
        return None
    try:
        adapted: Json = _adapt(schema)
    except Inexpressible:
        return None
    return adapted


def _adapt(schema: Any) -> Any:
    if not isinstance(schema, dict):
        raise Inexpressible
    if UNSUPPORTED_KEYWORDS & schema.keys() or ("anyOf" in schema and "oneOf" in schema):
        raise Inexpressible
    adapted: Json = {}
    for name, value in _separate_choices(schema).items():
        adapted["anyOf" if name == "oneOf" else name] = _adapt_keyword(name, value)
    if _is_object(adapted) and adapted.setdefault("additionalProperties", False) is not False:
        raise Inexpressible
    _describe_limits(adapted)
    return adapted


def _separate_choices(schema: Json) -> Json:
    """An object that is one of several without its `type`, which each of them has: closed by
    itself it could have no property."""
    keyword = "oneOf" if "oneOf" in schema else "anyOf"
    if not isinstance(schema.get(keyword), list) or not _is_object(schema):
        return schema
    if "properties" in schema or schema.get("additionalProperties") is not None:
        raise Inexpressible
    renamed = {"anyOf" if name == keyword else name: value for name, value in schema.items()}
    return push_type_down(renamed)


def _is_object(schema: Json) -> bool:
    schema_type = schema.get("type")
    return schema_type == "object" or (isinstance(schema_type, list) and "object" in schema_type)


def _adapt_keyword(name: str, value: Any) -> Any:
    if name in COPIED_KEYWORDS:
        return value
    if name in SCHEMA_MAP_KEYWORDS and isinstance(value, dict):
        return {key: _adapt(item) for key, item in value.items()}
    if name in ("anyOf", "oneOf", "allOf") and isinstance(value, list):
        return [_adapt(item) for item in value]
    return _adapt(value) if name == "items" else value


def _describe_limits(schema: Json) -> None:
    """Move limits that no grammar expresses into the description, which the model reads."""
    limits = {name: schema.pop(name) for name in list(schema) if name in DESCRIBED_KEYWORDS}
    if "format" in schema and str(schema["format"]) not in ENFORCED_FORMATS:
        limits["format"] = schema.pop("format")
    if "pattern" in schema and UNSUPPORTED_PATTERN.search(str(schema["pattern"])):
        limits["pattern"] = schema.pop("pattern")
    if schema.get("minItems", 0) not in (0, 1):
        limits["minItems"] = schema.pop("minItems")
    schema.pop("$schema", None)
    if limits:
        note = (
            "{" + ", ".join(f"{name}: {dump_json(value)}" for name, value in limits.items()) + "}"
        )
        schema["description"] = (
            f"{schema['description']}\n\n{note}" if schema.get("description") else note
        )
