"""Large and hostile JSON schemas: the cost of adapting them, the size of the result and the memo.

The meaning of an adapted schema is tested with its dialect.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import orjson
import pytest

from native_api.dialects import DIALECTS
from native_api.dialects.anthropic.schema import adapt_schema
from native_api.dialects.bedrock.schema import is_supported
from native_api.dialects.gemini.schema import adapt_schema as adapt_gemini_schema
from native_api.dialects.shared.json_schema import (
    MAX_GROWTH_FACTOR,
    MAX_PARTS,
    MAX_SCHEMA_BYTES,
    MEMO_BYTES,
    SchemaAdapter,
)
from native_api.dialects.shared.memo import ENTRY_OVERHEAD_BYTES, freeze, measure_bytes
from native_api.dialects.shared.schema_roots import fold_root
from native_api.exceptions import InvalidRequest, UnsupportedField
from native_api.types import Provider, Target
from tests.cases import each
from tests.dialects.test_mutations import mutate
from tests.dialects.work_counter import measure_work

Schema = dict[str, Any]
ADAPTERS: list[SchemaAdapter[Any]] = [adapt_gemini_schema, adapt_schema, is_supported, fold_root]
each_adapter = pytest.mark.parametrize(
    "adapter", ADAPTERS, ids=["gemini", "anthropic", "bedrock", "roots"]
)
TEXT: Schema = {"type": "string"}


def describe(pointer: str) -> Schema:
    return {"$ref": pointer, "description": "d"}


def build_object(**properties: Any) -> Schema:
    return {"type": "object", "properties": properties}


# --- cost ----------------------------------------------------------------------------------------


def required_names(size: int) -> Schema:
    return {"allOf": [{"required": [f"a{number}"]} for number in range(size)]}


def properties_of_parts(size: int) -> Schema:
    return {"allOf": [build_object(**{f"a{number}": TEXT}) for number in range(size)]}


def parts_of_parts(size: int) -> Schema:
    return {
        "allOf": [{"allOf": [{"allOf": [{"required": [f"a{number}"]}]}]} for number in range(size)]
    }


def described_references(size: int) -> Schema:
    """As many references as their definition has members."""
    properties = {f"a{number}": describe("#/$defs/A") for number in range(size)}
    return {
        **build_object(**properties),
        "$defs": {"A": {"type": "string", "enum": [f"choice {number}" for number in range(size)]}},
    }


def keywords_and_references(size: int) -> Schema:
    properties = {f"a{number}": describe("#/$defs/A") for number in range(size)}
    return {
        **build_object(**properties),
        "$defs": {"A": {f"x-{number}": 1 for number in range(size)}},
    }


def references_in_parts(size: int) -> Schema:
    properties = {
        f"a{number}": {"allOf": [{"$ref": "#/$defs/A"}, {"title": "t"}]} for number in range(size)
    }
    return {
        **build_object(**properties),
        "$defs": {"A": build_object(**{f"b{number}": TEXT for number in range(size)})},
    }


def doubling_definitions(size: int) -> Schema:
    """Each definition uses the next one twice: expanded, it has 2**size parts."""
    levels = {
        f"L{number}": build_object(
            a=describe(f"#/$defs/L{number + 1}"), b=describe(f"#/$defs/L{number + 1}")
        )
        for number in range(size)
    }
    return {**build_object(a={"$ref": "#/$defs/L0"}), "$defs": {**levels, f"L{size}": TEXT}}


def chain(size: int) -> Schema:
    levels = {
        f"L{number}": build_object(a={"$ref": f"#/$defs/L{number + 1}"}) for number in range(size)
    }
    return {**build_object(a={"$ref": "#/$defs/L0"}), "$defs": {**levels, f"L{size}": TEXT}}


def deep_references(size: int) -> Schema:
    schema = build_object(**{f"a{number}": {"$ref": "#/$defs/A"} for number in range(size)})
    for _ in range(20):
        schema = build_object(a=schema)
    return {**schema, "$defs": {"A": TEXT}}


def references_to_all_above(size: int) -> Schema:
    """References to each level of the schema, which contains all the levels below it."""
    levels = ["#" + "/properties/a" * depth for depth in range(20)]
    schema = build_object(**{f"b{number}": {"$ref": levels[number % 20]} for number in range(size)})
    for _ in range(20):
        schema = build_object(a=schema)
    return schema


def escaped_pointers(size: int) -> Schema:
    """`~` in a pointer may be written `~0`."""
    pointers = [
        "#/$defs/" + "".join("~0" if number >> bit & 1 else "~" for bit in range(12))
        for number in range(size)
    ]
    properties = {f"a{number}": {"$ref": pointer} for number, pointer in enumerate(pointers)}
    return {
        **build_object(**properties),
        "$defs": {"~" * 12: build_object(**{f"b{number}": TEXT for number in range(size)})},
    }


def colliding_names(size: int) -> Schema:
    properties = {
        f"a{number}": {"$ref": f"#/$defs/A/properties/{number}"} for number in range(size)
    }
    own = {f"A.properties.{number}": TEXT for number in range(size)}
    references = {
        f"b{number}": {"$ref": f"#/$defs/A.properties.{number}"} for number in range(size)
    }
    return {
        **build_object(**properties, **references),
        "$defs": {**own, "A": build_object(**{str(number): TEXT for number in range(size)})},
    }


def choices(size: int) -> Schema:
    return {
        "anyOf": [{"const": number} for number in range(size)],
        "enum": [None, *(f"a{number}" for number in range(size))],
    }


def limits_in_descriptions(size: int) -> Schema:
    return build_object(
        **{
            f"a{number}": {"type": "number", "exclusiveMinimum": 1, "examples": [1, 2]}
            for number in range(size)
        }
    )


SHAPES: list[Callable[[int], Schema]] = [
    required_names, properties_of_parts, parts_of_parts, described_references,
    keywords_and_references, references_in_parts, doubling_definitions, chain, deep_references,
    references_to_all_above, escaped_pointers, colliding_names, choices, limits_in_descriptions,
]  # fmt: skip
each_shape = pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)


@each_adapter
@each_shape
def test_work_is_linear_in_the_size_of_a_schema(
    adapter: SchemaAdapter[Any], shape: Callable[[int], Schema]
) -> None:
    def adapt(schema: Schema) -> Any:
        return adapter.adapt(schema, "path")

    larger = len(orjson.dumps(shape(400))) / len(orjson.dumps(shape(200)))
    assert measure_work(adapt, shape(400)) <= 1.1 * larger * measure_work(adapt, shape(200))


@each_adapter
@each_shape
def test_an_adapted_schema_is_at_most_a_few_times_as_large(
    adapter: SchemaAdapter[Any], shape: Callable[[int], Schema]
) -> None:
    schema = shape(400)
    with suppress(UnsupportedField):
        assert len(orjson.dumps(adapter(schema, "path"))) <= (MAX_GROWTH_FACTOR + 2) * len(
            orjson.dumps(schema)
        )


# --- refusals ------------------------------------------------------------------------------------

LONG: Schema = {**build_object(a=TEXT), "description": "x" * MAX_SCHEMA_BYTES}
MANY_PARTS: Schema = build_object(a={"enum": [[]] * MAX_PARTS})
FULL_OF_BRACKETS: Schema = {
    **build_object(a=TEXT),
    "additionalProperties": False,
    "description": "{[" * MAX_PARTS,
}
TOO_LARGE = pytest.mark.parametrize("schema", [LONG, MANY_PARTS], ids=["bytes", "parts"])
MODELS = {
    "gemini": "gemini-3-pro",
    "anthropic": "claude-opus-4-8",
    "anthropic_vertex": "claude-opus-4-8",
    "bedrock": "anthropic.claude-opus-4-5",
}
"""Dialects that adapt schemas -> a model that takes schemas."""
TOOL: Any = {"type": "function", "function": {"name": "f"}}


def chat_with_answer(schema: Schema) -> Any:
    response_format = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
    return {
        "model": "m",
        "messages": [{"role": "user", "content": "?"}],
        "response_format": response_format,
    }


def chat_with_tool(schema: Schema) -> Any:
    tool = {"type": "function", "function": {"name": "g", "parameters": schema, "strict": True}}
    return {"model": "m", "messages": [{"role": "user", "content": "?"}], "tools": [TOOL, tool]}


def request(name: str, chat: Any) -> Any:
    provider = Provider("p", name, "https://api.example/v1", options={"project": "a-project"})
    return DIALECTS[name].request(chat, Target(provider, MODELS.get(name, "m")))


@TOO_LARGE
@pytest.mark.parametrize("name", MODELS)
def test_a_response_schema_that_is_too_large_is_refused_with_its_path(
    name: str, schema: Schema
) -> None:
    with pytest.raises(UnsupportedField, match="takes a JSON schema of at most") as caught:
        request(name, chat_with_answer(schema))
    assert caught.value.param == "response_format.json_schema.schema"


@TOO_LARGE
@pytest.mark.parametrize("name", sorted(MODELS.keys() - {"bedrock"}))
def test_a_tool_schema_that_is_too_large_is_refused_with_its_path(
    name: str, schema: Schema
) -> None:
    with pytest.raises(UnsupportedField) as caught:
        request(name, chat_with_tool(schema))
    assert caught.value.param == "tools[1].function.parameters"


@pytest.mark.parametrize("name", sorted(DIALECTS.keys() - MODELS.keys()))
def test_a_dialect_that_does_not_adapt_schemas_sends_any(name: str) -> None:
    assert json.dumps(LONG)[1:-1] in json.dumps(request(name, chat_with_answer(LONG)).body)


@each_adapter
def test_brackets_in_texts_are_not_counted_as_parts(adapter: SchemaAdapter[Any]) -> None:
    assert adapter(FULL_OF_BRACKETS, "path")


BESIDE_CHOICES: Schema = {
    **build_object(
        **{
            f"a{number}": {**describe("#/$defs/A"), "anyOf": [{"title": "t"}]}
            for number in range(100)
        }
    ),
    "$defs": {"A": build_object(**{f"b{number}": TEXT for number in range(100)})},
}


@pytest.mark.parametrize(
    "schema",
    [references_in_parts(100), BESIDE_CHOICES, references_to_all_above(100)],
    ids=["allOf", "anyOf", "within"],
)
def test_a_schema_that_would_grow_too_much_is_refused_with_its_path(schema: Schema) -> None:
    with pytest.raises(UnsupportedField, match="would make the schema too large") as caught:
        adapt_gemini_schema(schema, "tools[3].function.parameters")
    assert caught.value.param == "tools[3].function.parameters"


JUNK_BASE: list[Schema] = [shape(3) for shape in SHAPES]


@each_adapter
@each("seed", range(60))
def test_an_invalid_schema_is_adapted_or_refused(adapter: SchemaAdapter[Any], seed: int) -> None:
    dice = random.Random(seed)
    mutated = mutate(dice.choice(JUNK_BASE), dice)
    with suppress(InvalidRequest):
        orjson.dumps(adapter(mutated if isinstance(mutated, dict) else {"enum": mutated}, "path"))


# --- the memo ------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def clear_memos() -> None:
    for adapter in ADAPTERS:
        adapter.memo.clear()


@each_adapter
def test_the_same_schema_is_adapted_once(adapter: SchemaAdapter[Any]) -> None:
    first = adapter(build_object(a=TEXT), "here")
    assert adapter(json.loads(json.dumps(build_object(a=TEXT))), "there") is first
    assert len(adapter.memo.values()) == 1


@each_adapter
def test_the_memo_is_bounded_by_bytes(adapter: SchemaAdapter[Any]) -> None:
    for number in range(400):
        adapter(
            {
                **build_object(a=TEXT),
                "title": f"{number}" + "x" * (adapter.memo.max_weight // 2),
            },
            "path",
        )
        assert adapter.memo.size <= MEMO_BYTES
    assert adapter.memo.size == sum(
        measure_bytes(value) + ENTRY_OVERHEAD_BYTES for value in adapter.memo.values()
    )


@pytest.mark.parametrize("adapter", [adapt_gemini_schema, adapt_schema])
@pytest.mark.parametrize(
    "schema",
    [
        build_object(**{f"a{number}": TEXT for number in range(4000)}),
        {**build_object(a=TEXT), "title": "x" * 300_000},
    ],
    ids=["parts", "text"],
)
def test_large_schemas_are_not_remembered(adapter: SchemaAdapter[Any], schema: Schema) -> None:
    assert adapter(schema, "path") == adapter(schema, "path")
    assert adapter.memo.values() == []


@each_adapter
def test_keys_are_short(adapter: SchemaAdapter[Any]) -> None:
    adapter({**build_object(a=TEXT), "title": "x" * 50_000}, "path" * 1000)
    assert {len(key) for key in adapter.memo} == {32}


@pytest.mark.parametrize("adapter", [adapt_gemini_schema, adapt_schema])
@pytest.mark.parametrize("title", ["small", "x" * MEMO_BYTES])
def test_adapted_schemas_cannot_be_changed(adapter: SchemaAdapter[Any], title: str) -> None:
    """Large ones that are not remembered neither: they may contain parts of the request."""
    adapted = adapter({**build_object(a=TEXT), "title": title[: MAX_SCHEMA_BYTES // 2]}, "path")
    with pytest.raises(TypeError):
        adapted["properties"]["a"]["enum"] = ["pwned"]
    assert type(adapted) is type(freeze({}))
