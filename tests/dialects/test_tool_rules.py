"""Tools as wires and vendors take them: schemas that are one of several at the root, names, and
parameters that are not there."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from native_api.dialects.shared.moonshot_schema import adapt_schema
from native_api.dialects.shared.schema_roots import fold_parameters
from native_api.dialects.shared.tool_rules import TOOL_RULES, rewrite_name
from native_api.exceptions import UnsupportedField
from tests.cases import each
from tests.dialects.request_targets import TARGETS, build_body, build_request, walk

HI = {"role": "user", "content": "hi"}
TEXT = {"type": "string"}
UNIONS = ("anyOf", "oneOf", "allOf")

NOTION: dict[str, Any] = {
    "type": "object",
    "anyOf": [
        {"type": "object", "properties": {"content": TEXT}, "required": ["content"]},
        {"type": "object", "properties": {"source_url": TEXT}, "required": ["source_url"]},
    ],
}
"""https://github.com/makenotion/notion-mcp-server/issues/341"""

KINDS: dict[str, Any] = {
    "oneOf": [{"$ref": "#/$defs/File"}, {"$ref": "#/$defs/Link"}],
    "discriminator": {"propertyName": "kind"},
    "$defs": {
        "File": {
            "type": "object",
            "properties": {"kind": {"const": "file"}, "path": TEXT, "size": {"type": "integer"}},
            "required": ["kind", "path"],
        },
        "Link": {
            "type": "object",
            "properties": {"kind": {"const": "link"}, "size": TEXT},
            "required": ["kind"],
        },
    },
}

REFUSE_UNIONS = [
    "anthropic", "anthropic_vertex", "bedrock claude", "bedrock nova", "bedrock mistral", "openai",
    "responses", "moonshot", "openrouter",
]  # fmt: skip


def tool(name: str, parameters: Any = None, **more: Any) -> dict[str, Any]:
    given = {} if parameters is None else {"parameters": parameters}
    return {"type": "function", "function": {"name": name, **given, **more}}


SCHEMA_MEMBERS = ("parameters", "input_schema", "json", "parametersJsonSchema")


def find_schemas(body: Any) -> list[Any]:
    """The schemas of all tools in a body."""
    tools = body.get("tools") or body.get("toolConfig")
    return [
        found[member]
        for found in walk(tools)
        for member in SCHEMA_MEMBERS
        if isinstance(found.get(member), dict) and "type" in found[member]
    ]


def read_description(body: Any) -> str:
    tools = body.get("tools") or body["toolConfig"]
    return " ".join(found["description"] for found in walk(tools) if "description" in found)


# --- schemas -------------------------------------------------------------------------------------


@each("name", REFUSE_UNIONS)
@each("schema", [NOTION, KINDS, {"allOf": [NOTION, {"required": ["x"]}]}])
def test_the_schema_of_a_tool_is_a_plain_object_where_it_has_to_be(
    name: str, schema: dict[str, Any]
) -> None:
    body = build_body(name, HI, tools=[tool("f", schema)])
    (built,) = find_schemas(body)
    assert built["type"] == "object"
    assert not built.keys() & {*UNIONS, "$ref"}


@each("name", REFUSE_UNIONS)
def test_what_a_plain_object_cannot_say_is_in_the_description(name: str) -> None:
    body = build_body(name, HI, tools=[tool("f", NOTION, description="Attaches.")])
    (built,) = find_schemas(body)
    assert built["properties"] == NOTION["anyOf"][0]["properties"] | {"source_url": TEXT}
    assert not built.get("required")
    assert read_description(body) == (
        "Attaches.\n\nAt least one of these must be given: content; source_url."
    )


@each("name", ["vllm", "mistral", "deepseek", "ollama"])
def test_a_schema_stays_as_it_is_where_nobody_refuses_it(name: str) -> None:
    assert build_body(name, HI, tools=[tool("f", NOTION)])["tools"][0]["function"][
        "parameters"
    ] == {**NOTION}


VALID = [
    (NOTION, {"content": "a"}),
    (NOTION, {"source_url": "a", "content": "b"}),
    (KINDS, {"kind": "file", "path": "a", "size": 1}),
    (KINDS, {"kind": "link", "size": "a"}),
    (
        {"allOf": [{"properties": {"a": TEXT}}, {"properties": {"a": {"minLength": 2}}}]},
        {"a": "ab"},
    ),
    ({"properties": {"a": TEXT}, "anyOf": [{"required": ["a"]}, {"required": ["b"]}]}, {"a": "x"}),
    ({"anyOf": [{"type": "null"}, {"properties": {"a": TEXT}, "required": ["a"]}]}, {"a": "x"}),
    ({"$ref": "#/$defs/A", "$defs": {"A": {"properties": {"a": TEXT}}}}, {"a": "x"}),
]


def is_valid(schema: Any, value: Any, root: Any) -> bool:
    """Whether a value matches a schema, as far as the schemas of this module need."""
    types = {"object": dict, "string": str, "integer": int, "null": type(None)}
    choices = {
        keyword: [is_valid(part, value, root) for part in schema.get(keyword, ())]
        for keyword in UNIONS
    }
    members = value.items() if isinstance(value, dict) else ()
    return (
        ("type" not in schema or isinstance(value, types[schema["type"]]))
        and ("const" not in schema or value == schema["const"])
        and ("enum" not in schema or value in schema["enum"])
        and len(value if isinstance(value, str) else "") >= (schema.get("minLength") or 0)
        and all(name in value for name in schema.get("required", ()))
        and all(
            is_valid(schema.get("properties", {}).get(name, {}), item, root)
            for name, item in members
        )
        and ("$ref" not in schema or is_valid(root["$defs"][schema["$ref"][8:]], value, root))
        and all(choices["allOf"])
        and ("anyOf" not in schema or any(choices["anyOf"]))
        and ("oneOf" not in schema or choices["oneOf"].count(True) == 1)
    )


@each("schema, arguments", VALID)
def test_arguments_that_were_valid_stay_valid(
    schema: dict[str, Any], arguments: dict[str, Any]
) -> None:
    folded, _ = fold_parameters(schema, "path")
    assert is_valid(schema, arguments, schema)
    assert is_valid(folded, arguments, folded)


def test_what_must_all_hold_is_merged_without_loss() -> None:
    parts = [
        {"properties": {"a": TEXT}, "required": ["a"]},
        {"properties": {"a": {"minLength": 2}, "b": TEXT}, "required": ["b"]},
    ]
    folded, note = fold_parameters({"allOf": parts, "additionalProperties": False}, "path")
    assert note == ""
    assert folded == {
        "type": "object",
        "additionalProperties": False,
        "properties": {"a": {"allOf": [TEXT, {"minLength": 2}]}, "b": TEXT},
        "required": ["a", "b"],
    }


def test_a_discriminator_becomes_the_list_of_its_values() -> None:
    folded, note = fold_parameters(KINDS, "path")
    assert folded["properties"]["kind"] == {"enum": ["file", "link"]}
    assert folded["properties"]["size"] == {"anyOf": [{"type": "integer"}, TEXT]}
    assert folded["required"] == ["kind"]
    assert note == 'Exactly one of these must be given: kind ("file") and path; kind ("link").'


def test_a_reference_that_leads_nowhere_is_refused_with_its_path() -> None:
    with pytest.raises(UnsupportedField, match="#/x") as caught:
        build_body("anthropic", HI, tools=[tool("f", {"$ref": "#/x"})])
    assert caught.value.param == "tools[0].function.parameters"


ANSWERS = {
    "anthropic_vertex": "claude-sonnet-4@20250514",
    "anthropic": "claude-opus-4-0",
    "bedrock claude": "anthropic.claude-3-haiku-20240307-v1:0",
    "bedrock nova": "us.amazon.nova-2-lite-v1:0",
    "deepseek": "deepseek-chat",
    "cohere": "command-a-03-2025",
}


@each("name", ANSWERS)
def test_the_answer_tool_is_a_plain_object_on_every_wire(name: str) -> None:
    target = replace(TARGETS[name], model=ANSWERS[name])
    answer = {"type": "json_schema", "json_schema": {"name": "x", "schema": NOTION}}
    body = build_body(target, HI, tools=[tool("f")], response_format=answer)
    schema = next(built for built in find_schemas(body) if "content" in str(built))
    assert not schema.keys() & {*UNIONS}
    assert schema["properties"].keys() == {"content", "source_url"}
    assert "content; source_url" in read_description(body)


def test_a_strict_tool_is_folded_and_stays_strict_for_claude() -> None:
    built = build_body("anthropic", HI, tools=[tool("f", NOTION, strict=True)])["tools"][0]
    assert built["strict"] is True
    assert built["input_schema"]["additionalProperties"] is False
    assert built["input_schema"]["properties"].keys() == {"content", "source_url"}


@each("name", ["openai", "responses"])
def test_a_strict_tool_that_was_folded_is_not_strict_for_openai(name: str) -> None:
    """OpenAI's strict tools require every property."""
    request = build_request(TARGETS[name], HI, tools=[tool("f", NOTION, strict=True)])
    built = request.body["tools"][0]
    assert built.get("function", built)["strict"] is False
    assert "tools.function.strict" in request.omitted


def test_an_answer_that_is_one_of_several_objects_can_have_properties() -> None:
    """Closed by itself, the object around the alternatives could have none."""
    answer = {"type": "json_schema", "json_schema": {"name": "x", "schema": NOTION}}
    body = build_body("anthropic", HI, response_format=answer)
    schema = body["output_config"]["format"]["schema"]
    assert schema.keys() == {"anyOf"}
    assert all(choice["additionalProperties"] is False for choice in schema["anyOf"])


def test_an_answer_that_is_one_of_several_objects_is_the_answer_tools_on_bedrock() -> None:
    answer = {"type": "json_schema", "json_schema": {"name": "x", "schema": NOTION}}
    body = build_body("bedrock claude", HI, response_format=answer)
    (schema,) = find_schemas(body)
    assert schema["properties"].keys() == {"content", "source_url"}
    assert "outputConfig" not in body


# --- Moonshot's flavour --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        (
            {"type": "array", "anyOf": [{"minItems": 1}, {"type": "null"}]},
            {"anyOf": [{"type": "array", "minItems": 1}, {"type": "null"}]},
        ),
        ({"$ref": "#/definitions/A"}, {"$ref": "#/$defs/A"}),
        (
            {"$ref": "#/$defs/A", "description": "d"},
            {"description": "d", "anyOf": [{"$ref": "#/$defs/A"}]},
        ),
        ({"oneOf": [TEXT, {"type": "null"}]}, {"anyOf": [TEXT, {"type": "null"}]}),
        ({"type": "array", "items": {"type": "string"}}, {"type": "array", "items": TEXT}),
        (True, {}),
        ({"type": "array", "items": True}, {"type": "array", "items": {}}),
        ({"type": "array", "anyOf": [True]}, {"anyOf": [{"type": "array"}]}),
        (
            {"type": "object", "additionalProperties": True},
            {"type": "object", "additionalProperties": True},
        ),
        ({"type": ["string", "null"]}, {"type": ["string", "null"]}),
        ({"type": ["string"], "minLength": 1}, {"type": "string", "minLength": 1}),
        (
            {"type": ["array", "null"], "items": True, "description": "d"},
            {"description": "d", "anyOf": [{"type": "array", "items": {}}, {"type": "null"}]},
        ),
        (
            {"type": ["object", "array"], "properties": {"b": TEXT}, "items": TEXT},
            {
                "anyOf": [
                    {"type": "object", "properties": {"b": TEXT}},
                    {"type": "array", "items": TEXT},
                ]
            },
        ),
        ({"enum": ["a", "b"]}, {"type": "string", "enum": ["a", "b"]}),
        (
            {"type": "string", "enum": ["a", None]},
            {"type": ["string", "null"], "enum": ["a", None]},
        ),
        (
            {"enum": ["a", 1, None]},
            {
                "anyOf": [
                    {"type": "string", "enum": ["a"]},
                    {"type": "number", "enum": [1]},
                    {"type": "null"},
                ]
            },
        ),
        (
            {"type": "object", "properties": {"b": TEXT}, "required": ["b", "c"]},
            {"type": "object", "properties": {"b": TEXT}, "required": ["b"]},
        ),
    ],
)
def test_moonshot_gets_its_own_flavour(schema: dict[str, Any], expected: Any) -> None:
    definitions = {"A": TEXT}
    root = {"type": "object", "properties": {"a": schema}, "definitions": definitions}
    assert adapt_schema(root, "path") == {
        "type": "object",
        "properties": {"a": expected},
        "$defs": definitions,
    }


@each("name", ["moonshot", "openrouter"])
def test_kimi_gets_it_wherever_it_is_hosted(name: str) -> None:
    target = replace(TARGETS[name], model="moonshotai/kimi-k3")
    schema = {"type": "object", "properties": {"a": {"type": "object", "anyOf": [{}]}}}
    built = build_body(target, HI, tools=[tool("f", schema)])["tools"][0]["function"]["parameters"]
    assert built["properties"]["a"] == {"anyOf": [{"type": "object"}]}


def test_moonshots_flavour_of_nested_types_has_the_size_of_the_schema() -> None:
    schema: dict[str, Any] = TEXT
    for _ in range(20):
        types = {"type": ["object", "array", "null"]}
        schema = {**types, "properties": {"a": schema}, "items": {"type": "string"}}
    assert len(json.dumps(adapt_schema(schema, "path"))) < 5 * len(json.dumps(schema))


@each("name", ["moonshot", "openrouter"])
def test_answers_of_kimi_have_schemas_of_its_flavour(name: str) -> None:
    target = replace(TARGETS[name], model="moonshotai/kimi-k3")
    schema = {"type": "object", "properties": {"a": {"type": "object", "anyOf": [{}]}}}
    answer = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    built = build_body(target, HI, response_format=answer)["response_format"]["json_schema"]
    assert built["schema"]["properties"]["a"] == {"anyOf": [{"type": "object"}]}
    assert build_body("vllm", HI, response_format=answer)["response_format"] == answer


# --- parameters that are not there ---------------------------------------------------------------


@each("name", ["mistral", "moonshot"])
@each("parameters", [None, {}, {"properties": {}}])
def test_parameters_are_there_where_they_are_required(name: str, parameters: Any) -> None:
    """`Function.parameters` of mistralai 3.7 is required."""
    function = build_body(name, HI, tools=[tool("g", parameters)])["tools"][0]["function"]
    assert function["parameters"] == {"type": "object", "properties": {}}


def test_openai_takes_a_tool_without_parameters() -> None:
    assert build_body("openai", HI, tools=[tool("g")])["tools"] == [tool("g")]


# --- names ---------------------------------------------------------------------------------------

NAMES = {
    "dots": "mcp.server.tool",
    "65 characters": "a" * 65,
    "129 characters": "a" * 129,
    "a digit first": "21st_magic",
    "a dash": "a-b",
}
UNCHECKED = ("ollama", "vllm")
CHECKED = [name for name in TARGETS if name not in UNCHECKED]
TAKEN = {
    "dots": ("gemini", "vertex"),
    "65 characters": ("anthropic", "anthropic_vertex", "gemini", "vertex", "cohere"),
    "129 characters": ("cohere",),
    "a digit first": tuple({*CHECKED} - {"gemini", "vertex", "cohere", "moonshot"}),
    "a dash": tuple({*CHECKED} - {"cohere"}),
}
"""Kind of name -> the targets that take it."""


@each("kind, name", [(kind, name) for kind in NAMES for name in TARGETS])
def test_a_name_that_is_refused_makes_the_target_unsuitable(kind: str, name: str) -> None:
    tools = [tool("fine"), tool(NAMES[kind])]
    if name in TAKEN[kind] or name in UNCHECKED:
        assert NAMES[kind] in json.dumps(build_body(name, HI, tools=tools))
        return
    with pytest.raises(UnsupportedField, match="takes letters, digits") as caught:
        build_body(name, HI, tools=tools)
    assert caught.value.param == "tools[1].function.name"


@each("name", CHECKED)
@each("called", ["mcp.server/tool", "21st magic", "a" * 200, "größe"])
def test_the_name_of_an_earlier_call_never_stops_a_conversation(name: str, called: str) -> None:
    call = {"id": "abcdef123", "type": "function", "function": {"name": called, "arguments": "{}"}}
    asks = {"role": "assistant", "content": None, "tool_calls": [call]}
    done = {"role": "tool", "tool_call_id": "abcdef123", "content": "done", "name": called}
    body = build_body(name, HI, asks, done, tools=[tool("f")])
    body.pop("tools", None)
    names = {
        found["name"]
        for found in walk(body)
        if isinstance(found.get("name"), str) and found["name"] not in ("f",)
    }
    assert names
    row = {"vertex": "gemini", "responses": "openai", "openrouter": "claude"}.get(
        name, name.split("_")[0].split()[0]
    )
    assert all(TOOL_RULES[row].takes(found) for found in names)


@each("row", TOOL_RULES)
@each("name", ["", "-", "9", "é", "a b", "_" * 300])
def test_a_rewritten_name_is_accepted(row: str, name: str) -> None:
    rules = TOOL_RULES[row]
    assert rules.takes(rewrite_name(name, rules))
