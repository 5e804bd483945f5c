"""Which schemas Bedrock's structured output takes, and how they are written there.

`outputConfig.textFormat` takes a subset of JSON Schema and answers 400 for the rest
(https://docs.aws.amazon.com/bedrock/latest/userguide/structured-output.html, read 2026-11). Any
other schema becomes the parameters of the answer tool.
"""

from __future__ import annotations

from typing import Any, Final

from native_api.dialects.anthropic.schema import adapt_schema
from native_api.dialects.bedrock.models import SCHEMA_MODELS, read_maker
from native_api.dialects.shared.json_schema import (
    DEFINITIONS,
    SchemaAdapter,
    find_references,
    is_recursive,
)
from native_api.dialects.shared.json_values import dump_json
from native_api.dialects.shared.tools import read_response_schema
from native_api.types import ChatRequest, Json

UNSUPPORTED_KEYWORDS: Final = frozenset(
    {
        "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength",
        "maxLength", "maxItems", "uniqueItems", "minProperties", "maxProperties",
        "patternProperties", "propertyNames", "oneOf", "not", "if", "contains", "prefixItems",
    }
)  # fmt: skip
SCHEMA_MAP_KEYWORDS: Final = ("properties", *DEFINITIONS)
"""Keywords whose value maps names to schemas."""
VALUE_KEYWORDS: Final = ("enum", "const", "default", "examples")
"""Keywords whose value is not a schema."""
SCHEMA_PATH: Final = "response_format.json_schema.schema"


def build_text_format(fields: ChatRequest, model: str) -> Json | None:
    """`outputConfig.textFormat`; None if the model has none, or if it cannot express the schema."""
    schema = read_response_schema(fields)
    if not schema or not SCHEMA_MODELS.search(model) or not is_supported(schema, SCHEMA_PATH):
        return None
    json_schema = fields["response_format"]["json_schema"]
    adapted = adapt_schema(schema, SCHEMA_PATH) if read_maker(model) == "anthropic" else None
    structure: Json = {"name": json_schema["name"], "schema": dump_json(adapted or schema)}
    if json_schema.get("description"):
        structure["description"] = json_schema["description"]
    return {"type": "json_schema", "structure": {"jsonSchema": structure}}


@SchemaAdapter
def is_supported(schema: Json, path: str) -> bool:
    """Whether the schema is a closed object and not one of several, without limits on values, and
    not recursive. Raises UnsupportedField if it is too large."""
    return (
        schema.get("type") == "object"
        and "anyOf" not in schema
        and _has_only_supported_keywords(schema)
        and not is_recursive(schema, find_references(schema))
    )


def _has_only_supported_keywords(schema: Any) -> bool:
    if isinstance(schema, list):
        return all(_has_only_supported_keywords(item) for item in schema)
    if not isinstance(schema, dict):
        return True
    if (
        UNSUPPORTED_KEYWORDS & schema.keys()
        or schema.get("additionalProperties", False) is not False
        or schema.get("minItems", 0) not in (0, 1)
    ):
        return False
    named_schemas = [
        item
        for keyword in SCHEMA_MAP_KEYWORDS
        if isinstance(schema.get(keyword), dict)
        for item in schema[keyword].values()
    ]
    other_schemas = [
        item
        for name, item in schema.items()
        if name not in SCHEMA_MAP_KEYWORDS and name not in VALUE_KEYWORDS
    ]
    return _has_only_supported_keywords(named_schemas) and _has_only_supported_keywords(
        other_schemas
    )
