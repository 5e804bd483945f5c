"""JSON schemas as Gemini takes them, in detail. `test_schemas` has what all wires share."""

from __future__ import annotations

import json
from typing import Any

import pytest

from native_api.dialects.gemini.schema import adapt_schema
from native_api.exceptions import UnsupportedField

SCHEMAS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("const becomes an enum of one", {"const": 3}, {"enum": [3], "type": "integer"}),
    ("const null becomes a type", {"const": None}, {"type": "null"}),
    ("a const that enum does not take is kept", {"const": True}, {"const": True}),
    (
        "null in an enum becomes a type",
        {"type": "string", "enum": ["a", None]},
        {"type": ["string", "null"], "enum": ["a"]},
    ),
    (
        "a known format is kept",
        {"type": "string", "format": "date-time"},
        {"type": "string", "format": "date-time"},
    ),
    (
        "another format goes into the description",
        {"type": "string", "format": "uri", "description": "Home."},
        {"type": "string", "description": "Home. Format: uri."},
    ),
    (
        "the format of a number is kept",
        {"type": "number", "format": "double"},
        {"type": "number", "format": "double"},
    ),
    (
        "an exclusive limit of an integer becomes an inclusive one",
        {"type": "integer", "exclusiveMinimum": 0},
        {"type": "integer", "minimum": 1},
    ),
    (
        "an exclusive limit of a number goes into the description",
        {"type": "number", "exclusiveMaximum": 1},
        {"type": "number", "description": "Less than 1."},
    ),
    (
        "the name of the draft is left out",
        {"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object"},
        {"type": "object"},
    ),
    (
        "that names are strings is left out",
        {"type": "object", "propertyNames": {"type": "string"}},
        {"type": "object"},
    ),
    (
        "other rules for names are kept",
        {"type": "object", "propertyNames": {"type": "string", "maxLength": 3}},
        {"type": "object", "propertyNames": {"type": "string", "maxLength": 3}},
    ),
    (
        "a list of items becomes prefixItems",
        {"items": [{"type": "string"}, True]},
        {"prefixItems": [{"type": "string"}, {}]},
    ),
    (
        "additionalProperties are kept",
        {"additionalProperties": {"const": "x"}},
        {"additionalProperties": {"enum": ["x"], "type": "string"}},
    ),
    (
        "a property may have the name of a keyword",
        {
            "properties": {
                "const": {"type": "string"},
                "$ref": {"type": "string"},
                "format": {"const": 1},
            }
        },
        {
            "properties": {
                "const": {"type": "string"},
                "$ref": {"type": "string"},
                "format": {"enum": [1], "type": "integer"},
            }
        },
    ),
    (
        "allOf is merged",
        {
            "allOf": [{"$ref": "#/definitions/A"}, {"properties": {"b": True}, "required": ["b"]}],
            "definitions": {"A": {"properties": {"a": True}, "required": ["a"]}},
        },
        {"properties": {"b": {}, "a": {}}, "required": ["a", "b"]},
    ),
    (
        "definitions move to $defs, and unused ones are left out",
        {
            "properties": {"a": {"$ref": "#/definitions/A"}},
            "definitions": {"A": {"type": "string"}, "B": {}},
        },
        {"properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": {"type": "string"}}},
    ),
    (
        "a reference with siblings is replaced by its definition",
        {
            "properties": {"a": {"$ref": "#/$defs/A", "description": "mine"}},
            "$defs": {"A": {"type": "string", "description": "its"}},
        },
        {"properties": {"a": {"type": "string", "description": "mine"}}},
    ),
    (
        "a recursive reference with siblings is put into an anyOf of one",
        {
            "properties": {"a": {"$ref": "#/$defs/A"}},
            "$defs": {"A": {"properties": {"next": {"$ref": "#/$defs/A", "description": "mine"}}}},
        },
        {
            "properties": {"a": {"$ref": "#/$defs/A"}},
            "$defs": {
                "A": {
                    "properties": {
                        "next": {"description": "mine", "anyOf": [{"$ref": "#/$defs/A"}]}
                    }
                }
            },
        },
    ),
    (
        "a reference in an allOf of one is a reference with siblings",
        {
            "properties": {"a": {"allOf": [{"$ref": "#/$defs/A"}], "description": "mine"}},
            "$defs": {"A": {"type": "string"}},
        },
        {"properties": {"a": {"type": "string", "description": "mine"}}},
    ),
    (
        "an allOf may contain an allOf",
        {
            "required": ["a"],
            "allOf": [
                {"required": ["a", "b"], "allOf": [{"required": ["c"], "title": "inner"}]},
                {"title": "outer"},
            ],
        },
        {"required": ["a", "b", "c"], "title": "outer"},
    ),
    (
        "two definitions never share a name",
        {
            "properties": {"a": {"$ref": "#/$defs/A"}, "b": {"$ref": "#/definitions/A"}},
            "$defs": {"A": {"title": "1"}},
            "definitions": {"A": {}},
        },
        {
            "properties": {"a": {"$ref": "#/$defs/A"}, "b": {"$ref": "#/$defs/A_2"}},
            "$defs": {"A": {"title": "1"}, "A_2": {}},
        },
    ),
    (
        "recursion is kept",
        {
            "$ref": "#/$defs/N",
            "$defs": {"N": {"type": "object", "properties": {"next": {"$ref": "#/$defs/N"}}}},
        },
        {
            "type": "object",
            "properties": {"next": {"$ref": "#/$defs/N"}},
            "$defs": {"N": {"type": "object", "properties": {"next": {"$ref": "#/$defs/N"}}}},
        },
    ),
    (
        "the whole schema may be its own part",
        {"type": "array", "items": {"$ref": "#"}},
        {
            "type": "array",
            "items": {"$ref": "#/$defs/root"},
            "$defs": {"root": {"type": "array", "items": {"$ref": "#/$defs/root"}}},
        },
    ),
]


@pytest.mark.parametrize(
    ("schema", "expected"), [pytest.param(*case, id=name) for name, *case in SCHEMAS]
)
def test_a_schema_is_written_in_keywords_that_gemini_obeys(
    schema: dict[str, Any], expected: dict[str, Any]
) -> None:
    before = json.dumps(schema)
    assert adapt_schema(schema, "tools[0].function.parameters") == expected
    assert json.dumps(schema) == before


@pytest.mark.parametrize(
    "reference", ["#/$defs/Gone", "https://example.com/schema.json", "#/properties/a/type"]
)
def test_a_reference_that_leads_nowhere_is_refused(reference: str) -> None:
    with pytest.raises(UnsupportedField) as caught:
        adapt_schema(
            {"properties": {"a": {"type": "string"}, "b": {"$ref": reference}}},
            "tools[3].function.parameters",
        )
    assert caught.value.param == "tools[3].function.parameters"


def test_definitions_are_inlined_only_up_to_the_growth_limit() -> None:
    schema = {
        "properties": {
            f"a{number}": {"$ref": "#/$defs/A", "description": "mine"} for number in range(50)
        },
        "$defs": {"A": {"type": "string", "enum": [f"choice {number}" for number in range(200)]}},
    }
    adapted = adapt_schema(schema, "p")
    inlined = [item for item in adapted["properties"].values() if "enum" in item]
    references = [item for item in adapted["properties"].values() if "enum" not in item]
    assert 0 < len(inlined) < 50
    assert references == [{"description": "mine", "anyOf": [{"$ref": "#/$defs/A"}]}] * (
        50 - len(inlined)
    )
    assert adapted["$defs"] == schema["$defs"]


def test_a_long_chain_of_definitions_does_not_become_a_deep_schema() -> None:
    levels = {
        f"L{level}": {"properties": {"a": {"$ref": f"#/$defs/L{level + 1}"}}}
        for level in range(2000)
    }
    definitions = {**levels, "L2000": {"type": "string"}}
    adapted = adapt_schema(
        {"properties": {"top": {"$ref": "#/$defs/L0"}}, "$defs": definitions}, "p"
    )
    assert adapted["$defs"] == definitions
