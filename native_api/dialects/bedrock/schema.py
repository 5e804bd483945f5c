"""Which schemas Bedrock's own structured output takes, and how they are said there.

`outputConfig.textFormat` takes a subset of JSON Schema and answers 400 for the rest
(https://docs.aws.amazon.com/bedrock/latest/userguide/structured-output.html, read 2026-11). A
schema outside of it goes by a tool.
"""

from __future__ import annotations

from typing import Any, Final

from native_api.dialects.anthropic.schema import enforceable
from native_api.dialects.bedrock.models import HAS_SCHEMAS, maker
from native_api.dialects.shared.json_schema import (
    DEFINITIONS,
    SchemaAdapter,
    find_references,
    is_recursive,
)
from native_api.dialects.shared.json_values import dump_json
from native_api.dialects.shared.tools import read_response_schema
from native_api.types import ChatRequest, Json

NOT_TAKEN: Final = frozenset(
    {
        "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength", "maxItems", "uniqueItems",
        "minProperties", "maxProperties", "patternProperties", "propertyNames", "oneOf", "not", "if", "contains", "prefixItems",
    }
)  # fmt: skip
NAMED: Final = ("properties", *DEFINITIONS)
"""Keywords whose members are named by the client."""
VALUES: Final = ("enum", "const", "default", "examples")
PLACE: Final = "response_format.json_schema.schema"


def text_format(said: ChatRequest, model: str) -> Json | None:
    """`outputConfig.textFormat`, where the model has one and it can say the schema."""
    schema = read_response_schema(said)
    if not schema or not HAS_SCHEMAS.search(model) or not is_taken(schema, PLACE):
        return None
    told = said["response_format"]["json_schema"]
    enforced = enforceable(schema, PLACE) if maker(model) == "anthropic" else None
    structure: Json = {"name": told["name"], "schema": dump_json(enforced or schema)}
    if told.get("description"):
        structure["description"] = told["description"]
    return {"type": "json_schema", "structure": {"jsonSchema": structure}}


@SchemaAdapter
def is_taken(schema: Json, place: str) -> bool:
    """Whether it is an object, closed, without limits on values, and not recursive. Raises
    UnsupportedField for one that is too large."""
    return (
        schema.get("type") == "object"
        and _is_plain(schema)
        and not is_recursive(schema, find_references(schema))
    )


def _is_plain(schema: Any) -> bool:
    if isinstance(schema, list):
        return all(_is_plain(item) for item in schema)
    if not isinstance(schema, dict):
        return True
    if (
        NOT_TAKEN & schema.keys()
        or schema.get("additionalProperties", False) is not False
        or schema.get("minItems", 0) not in (0, 1)
    ):
        return False
    named = [
        item
        for group in NAMED
        if isinstance(schema.get(group), dict)
        for item in schema[group].values()
    ]
    return _is_plain(named) and _is_plain(
        [item for name, item in schema.items() if name not in NAMED and name not in VALUES]
    )
