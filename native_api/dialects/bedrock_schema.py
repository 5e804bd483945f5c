"""Which schemas Bedrock's own structured output takes, and how they are said there.

`outputConfig.textFormat` takes a subset of JSON Schema and answers 400 for the rest
(https://docs.aws.amazon.com/bedrock/latest/userguide/structured-output.html, read 2026-11). A schema outside of it goes by a tool.
"""

from __future__ import annotations

from typing import Any, Final

from native_api.dialects.anthropic_schema import enforceable
from native_api.dialects.bedrock_models import HAS_SCHEMAS, maker
from native_api.dialects.content import dumped, wanted_schema
from native_api.types import ChatRequest, Json

NOT_TAKEN: Final = frozenset(
    {
        "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength", "maxItems", "uniqueItems",
        "minProperties", "maxProperties", "patternProperties", "propertyNames", "oneOf", "not", "if", "contains", "prefixItems",
    }
)  # fmt: skip
NAMED: Final = ("properties", "$defs", "definitions")
"""Keywords whose members are named by the client."""
VALUES: Final = ("enum", "const", "default", "examples")


def text_format(said: ChatRequest, model: str) -> Json | None:
    """`outputConfig.textFormat`, where the model has one and it can say the schema."""
    schema = wanted_schema(said)
    if not schema or not HAS_SCHEMAS.search(model) or not _is_taken(schema):
        return None
    told = said["response_format"]["json_schema"]
    enforced = enforceable(schema, "response_format.json_schema.schema") if maker(model) == "anthropic" else None
    structure: Json = {"name": told["name"], "schema": dumped(enforced or schema)}
    if told.get("description"):
        structure["description"] = told["description"]
    return {"type": "json_schema", "structure": {"jsonSchema": structure}}


def _is_taken(schema: Json) -> bool:
    """An object, closed, without limits on values, and not recursive."""
    return schema.get("type") == "object" and _is_plain(schema) and not _is_recursive(schema)


def _is_plain(schema: Any) -> bool:
    if isinstance(schema, list):
        return all(_is_plain(item) for item in schema)
    if not isinstance(schema, dict):
        return True
    if NOT_TAKEN & schema.keys() or schema.get("additionalProperties", False) is not False or schema.get("minItems", 0) not in (0, 1):
        return False
    named = [item for group in NAMED if isinstance(schema.get(group), dict) for item in schema[group].values()]
    return _is_plain(named) and _is_plain([item for name, item in schema.items() if name not in NAMED and name not in VALUES])


def _is_recursive(schema: Json) -> bool:
    """Whether a reference leads back to where it stands, or out of the schema's definitions."""
    definitions = {f"#/{group}/{name}": item for group in NAMED[1:] for name, item in _members(schema, group)}
    done: set[str] = set()

    def loops(name: str, path: frozenset[str]) -> bool:
        if name in done:
            return False
        if name in path or name not in definitions:
            return True
        found = any(loops(inner, path | {name}) for inner in _references(definitions[name]))
        done.add(name)
        return found

    return any(loops(name, frozenset()) for name in _references(schema))


def _members(schema: Json, group: str) -> list[tuple[str, Any]]:
    members = schema.get(group)
    return list(members.items()) if isinstance(members, dict) else []


def _references(schema: Any) -> list[str]:
    if isinstance(schema, list):
        return [name for item in schema for name in _references(item)]
    if not isinstance(schema, dict):
        return []
    own = [schema["$ref"]] if isinstance(schema.get("$ref"), str) else []
    return own + [name for item in schema.values() for name in _references(item)]
