"""What the recordings of Gemini cannot say: schemas in detail, ids over turns, failures of complete
replies, replay of real traffic."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from native_api.dialects import DIALECTS
from native_api.dialects.gemini.models import read_generation
from native_api.dialects.gemini.schema import adapt_schema
from native_api.exceptions import UnsupportedField, UpstreamError
from native_api.types import ChatRequest, Event, Provider, Target
from tests.dialects.timing import best_of

DIALECT = DIALECTS["gemini"]
TARGET = Target(
    Provider("p", "gemini", "https://generativelanguage.googleapis.com/v1beta"),
    "gemini-3-flash-preview",
)
CORPUS = Path(__file__).resolve().parent.parent.parent.parent / "shared" / "corpus"
REPLIES = [path for wire in ("gemini", "vertex") for path in sorted(CORPUS.glob(f"{wire}/*.json"))]


def body_of(*parts: Any, **candidate: Any) -> dict[str, Any]:
    content = {"content": {"role": "model", "parts": list(parts)}} if parts else {}
    return {
        "candidates": [{**content, **candidate}],
        "responseId": "r1",
        "modelVersion": "gemini-3",
    }


def message_of(body: dict[str, Any]) -> Any:
    return DIALECT.response(body, TARGET)["choices"][0]["message"]


def contents_of(*messages: Any, model: str = TARGET.model) -> Any:
    chat: ChatRequest = {"model": "g", "messages": list(messages)}
    return DIALECT.request(chat, Target(TARGET.provider, model)).body["contents"]


# --- schemas -----------------------------------------------------------------------------------------------


SCHEMAS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("a constant is an enum of one", {"const": 3}, {"enum": [3], "type": "integer"}),
    ("null as a constant is a type", {"const": None}, {"type": "null"}),
    ("a constant that enums do not take stays", {"const": True}, {"const": True}),
    ("null among choices is a type", {"type": "string", "enum": ["a", None]}, {"type": ["string", "null"], "enum": ["a"]}),
    ("a known format stays", {"type": "string", "format": "date-time"}, {"type": "string", "format": "date-time"}),
    (
        "another format is told in words",
        {"type": "string", "format": "uri", "description": "Home."},
        {"type": "string", "description": "Home. Format: uri."},
    ),
    ("a number's format stays", {"type": "number", "format": "double"}, {"type": "number", "format": "double"}),
    ("an exclusive limit of integers", {"type": "integer", "exclusiveMinimum": 0}, {"type": "integer", "minimum": 1}),
    ("an exclusive limit of numbers", {"type": "number", "exclusiveMaximum": 1}, {"type": "number", "description": "Less than 1."}),
    ("names of drafts are left out", {"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object"}, {"type": "object"}),
    ("an old tuple", {"items": [{"type": "string"}, True]}, {"prefixItems": [{"type": "string"}, {}]}),
    ("open objects stay", {"additionalProperties": {"const": "x"}}, {"additionalProperties": {"enum": ["x"], "type": "string"}}),
    (
        "a property may be called like a keyword",
        {"properties": {"const": {"type": "string"}, "$ref": {"type": "string"}, "format": {"const": 1}}},
        {"properties": {"const": {"type": "string"}, "$ref": {"type": "string"}, "format": {"enum": [1], "type": "integer"}}},
    ),
    (
        "allOf is one schema",
        {
            "allOf": [{"$ref": "#/definitions/A"}, {"properties": {"b": True}, "required": ["b"]}],
            "definitions": {"A": {"properties": {"a": True}, "required": ["a"]}},
        },
        {"properties": {"b": {}, "a": {}}, "required": ["a", "b"]},
    ),
    (
        "old definitions move, unused ones go",
        {"properties": {"a": {"$ref": "#/definitions/A"}}, "definitions": {"A": {"type": "string"}, "B": {}}},
        {"properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": {"type": "string"}}},
    ),
    (
        "words beside a reference: the definition is written in place",
        {"properties": {"a": {"$ref": "#/$defs/A", "description": "mine"}}, "$defs": {"A": {"type": "string", "description": "its"}}},
        {"properties": {"a": {"type": "string", "description": "mine"}}},
    ),
    (
        "words beside a reference to what stands around it: the reference is put into an anyOf of one",
        {
            "properties": {"a": {"$ref": "#/$defs/A"}},
            "$defs": {"A": {"properties": {"next": {"$ref": "#/$defs/A", "description": "mine"}}}},
        },
        {
            "properties": {"a": {"$ref": "#/$defs/A"}},
            "$defs": {"A": {"properties": {"next": {"description": "mine", "anyOf": [{"$ref": "#/$defs/A"}]}}}},
        },
    ),
    (
        "a reference in an allOf of one is a reference with words beside it",
        {"properties": {"a": {"allOf": [{"$ref": "#/$defs/A"}], "description": "mine"}}, "$defs": {"A": {"type": "string"}}},
        {"properties": {"a": {"type": "string", "description": "mine"}}},
    ),
    (
        "what stands in an allOf may be an allOf",
        {"required": ["a"], "allOf": [{"required": ["a", "b"], "allOf": [{"required": ["c"], "title": "inner"}]}, {"title": "outer"}]},
        {"required": ["a", "b", "c"], "title": "outer"},
    ),
    (
        "two definitions never share a name",
        {
            "properties": {"a": {"$ref": "#/$defs/A"}, "b": {"$ref": "#/definitions/A"}},
            "$defs": {"A": {"title": "1"}},
            "definitions": {"A": {}},
        },
        {"properties": {"a": {"$ref": "#/$defs/A"}, "b": {"$ref": "#/$defs/A_2"}}, "$defs": {"A": {"title": "1"}, "A_2": {}}},
    ),
    (
        "a tree keeps its recursion",
        {"$ref": "#/$defs/N", "$defs": {"N": {"type": "object", "properties": {"next": {"$ref": "#/$defs/N"}}}}},
        {
            "type": "object",
            "properties": {"next": {"$ref": "#/$defs/N"}},
            "$defs": {"N": {"type": "object", "properties": {"next": {"$ref": "#/$defs/N"}}}},
        },
    ),
    (
        "the whole schema as its own part",
        {"type": "array", "items": {"$ref": "#"}},
        {"type": "array", "items": {"$ref": "#/$defs/root"}, "$defs": {"root": {"type": "array", "items": {"$ref": "#/$defs/root"}}}},
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("schema", "expected"), [pytest.param(*case, id=name) for name, *case in SCHEMAS]
)
def test_a_schema_says_the_same_in_keywords_that_gemini_obeys(
    schema: dict[str, Any], expected: dict[str, Any]
) -> None:
    before = json.dumps(schema)
    assert adapt_schema(schema, "tools[0].function.parameters") == expected
    assert json.dumps(schema) == before


@pytest.mark.parametrize(
    "reference", ["#/$defs/Gone", "https://example.com/schema.json", "#/properties/a/type"]
)
def test_a_reference_that_leads_nowhere_is_named(reference: str) -> None:
    with pytest.raises(UnsupportedField) as caught:
        adapt_schema(
            {"properties": {"a": {"type": "string"}, "b": {"$ref": reference}}},
            "tools[3].function.parameters",
        )
    assert caught.value.param == "tools[3].function.parameters"


def test_where_definitions_would_be_written_too_often_the_rest_are_references() -> None:
    schema = {
        "properties": {
            f"a{number}": {"$ref": "#/$defs/A", "description": "mine"} for number in range(50)
        },
        "$defs": {"A": {"type": "string", "enum": [f"choice {number}" for number in range(200)]}},
    }
    told = adapt_schema(schema, "p")
    written = [each for each in told["properties"].values() if "enum" in each]
    rest = [each for each in told["properties"].values() if "enum" not in each]
    assert 0 < len(written) < 50
    assert rest == [{"description": "mine", "anyOf": [{"$ref": "#/$defs/A"}]}] * (50 - len(written))
    assert told["$defs"] == schema["$defs"]


def test_a_long_chain_of_definitions_is_not_a_deep_schema() -> None:
    levels = {
        f"L{level}": {"properties": {"a": {"$ref": f"#/$defs/L{level + 1}"}}}
        for level in range(2000)
    }
    definitions = {**levels, "L2000": {"type": "string"}}
    told = adapt_schema({"properties": {"top": {"$ref": "#/$defs/L0"}}, "$defs": definitions}, "p")
    assert told["$defs"] == definitions


@pytest.mark.parametrize(
    ("model", "number"),
    [("gemini-2.0-flash", 2.0), ("gemini-2.5-flash-lite", 2.5), ("gemini-3-pro-preview", 3.0), ("gemini-3.1-flash-lite", 3.1),
     ("publishers/google/models/gemini-3-pro", 3.0), ("gemini-flash-latest", 3.0), ("gemma-3-27b-it", 0.0)],
)  # fmt: skip
def test_a_models_name_tells_its_generation(model: str, number: float) -> None:
    assert read_generation(model) == number


# --- requests ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["1st", "has space", "x" * 129, ""])
def test_a_function_name_that_the_wire_cannot_take_is_refused(name: str) -> None:
    chat: ChatRequest = {
        "model": "g",
        "messages": [],
        "tools": [{"type": "function", "function": {"name": name}}],
    }
    with pytest.raises(UnsupportedField) as caught:
        DIALECT.request(chat, TARGET)
    assert caught.value.param == "tools[0].function.name"


@pytest.mark.parametrize(("options", "empty"), [({}, ""), ({"project": "p"}, " ")])
def test_a_users_message_that_says_nothing_is_left_out_and_a_models_stays_a_turn(
    options: dict[str, str], empty: str
) -> None:
    said = [("user", "a"), ("user", ""), ("assistant", ""), ("user", "b")]
    chat: Any = {
        "model": "g",
        "messages": [{"role": role, "content": content} for role, content in said],
    }
    target = Target(
        Provider("p", "gemini", TARGET.provider.base_url, options=options), "gemini-3-flash-preview"
    )
    assert DIALECT.request(chat, target).body["contents"] == [
        {"role": "user", "parts": [{"text": "a"}]},
        {"role": "model", "parts": [{"text": empty}]},
        {"role": "user", "parts": [{"text": "b"}]},
    ]


def test_models_before_generation_3_need_no_bypass_for_a_lost_signature() -> None:
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    turns = contents_of(
        {"role": "user", "content": "?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        model="gemini-2.5-pro",
    )
    assert turns[1]["parts"] == [{"functionCall": {"name": "f", "args": {}, "id": "a"}}]


def test_sound_that_only_openai_keeps_is_refused() -> None:
    with pytest.raises(UnsupportedField) as caught:
        contents_of(
            {"role": "user", "content": "?"},
            {"role": "assistant", "content": None, "audio": {"id": "audio_1"}},
        )
    assert caught.value.param == "messages[1].audio"


def test_items_that_a_client_kept_beside_changed_text_do_no_harm() -> None:
    details = [
        {"type": "reasoning.encrypted", "data": "c2ln", "format": "gemini", "index": 0, "at": 99}
    ]
    turns = contents_of(
        {"role": "user", "content": "?"},
        {"role": "assistant", "content": "short", "reasoning_details": details},
    )
    assert turns[1]["parts"] == [{"text": "short"}, {"text": "", "thoughtSignature": "c2ln"}]


# --- replies -----------------------------------------------------------------------------------------------


def test_calls_without_ids_get_ones_that_differ_within_a_reply_and_over_turns() -> None:
    calls = [{"functionCall": {"name": "f", "args": {}}}] * 3
    first = message_of(body_of(*calls))["tool_calls"]
    second = message_of({**body_of(*calls), "responseId": "r2"})["tool_calls"]
    assert len({call["id"] for call in first + second}) == 6
    assert first == message_of(body_of(*calls))["tool_calls"]
    nameless = message_of({**body_of(*calls), "responseId": None})["tool_calls"]
    assert [call["id"] for call in nameless] == ["call_f_0", "call_f_1", "call_f_2"]


@pytest.mark.parametrize(
    "reason",
    ["MALFORMED_FUNCTION_CALL", "MALFORMED_RESPONSE", "TOO_MANY_TOOL_CALLS", "OTHER", "NO_IMAGE"],
)
def test_a_reply_that_failed_is_a_failure_and_no_empty_text(reason: str) -> None:
    with pytest.raises(UpstreamError) as caught:
        DIALECT.response(body_of(finishReason=reason, finishMessage="Why."), TARGET)
    assert caught.value.status == 502
    assert caught.value.message == f"The provider failed to write an answer: {reason}. Why."


REASONS = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "OTHER": "stop",
    "SOMETHING_NEW": "stop",
    "FINISH_REASON_UNSPECIFIED": "stop",
}
FILTERS = [
    "SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "MODEL_ARMOR",
    "IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION",
]  # fmt: skip


@pytest.mark.parametrize(
    ("reason", "expected"), [*REASONS.items(), *((reason, "content_filter") for reason in FILTERS)]
)
def test_finish_reasons(reason: str, expected: str) -> None:
    choice = DIALECT.response(body_of({"text": "so far"}, finishReason=reason), TARGET)["choices"][
        0
    ]
    assert choice["finish_reason"] == expected
    assert choice["message"] == {"role": "assistant", "content": "so far"}


@pytest.mark.parametrize(
    "body",
    [
        {"candidates": []},
        {"modelVersion": "x"},
        {"promptFeedback": {"blockReason": "BLOCK_REASON_UNSPECIFIED"}},
    ],
)
def test_a_reply_without_candidates_is_a_failure_unless_the_prompt_was_blocked(
    body: dict[str, Any],
) -> None:
    with pytest.raises(UpstreamError):
        DIALECT.response(body, TARGET)


def test_an_unknown_part_is_kept_for_the_next_turn() -> None:
    part = {"hologram": {"uri": "x"}, "thoughtSignature": "c2ln"}
    message = message_of(body_of({"text": "See: "}, part, finishReason="STOP"))
    assert message["provider_content"] == [{"format": "gemini", "index": 0, "block": part, "at": 5}]
    assert contents_of({"role": "user", "content": "?"}, message)[1]["parts"] == [
        {"text": "See: "},
        part,
    ]


def test_a_stream_without_a_finish_reason_was_cut() -> None:
    parser = DIALECT.stream(TARGET)
    list(parser.feed(Event("", json.dumps(body_of({"text": "Half"})))))
    with pytest.raises(UpstreamError) as caught:
        list(parser.close())
    assert caught.value.code == "stream_truncated"


def test_a_stream_blocked_in_the_middle_ends_as_filtered() -> None:
    parser = DIALECT.stream(TARGET)
    list(parser.feed(Event("", json.dumps(body_of({"text": "Half"})))))
    list(parser.feed(Event("", json.dumps({"promptFeedback": {"blockReason": "OTHER"}}))))
    (chunk,) = parser.close()
    assert chunk["choices"] == [
        {
            "index": 0,
            "delta": {},
            "finish_reason": "content_filter",
            "native_finish_reason": "OTHER",
        }
    ]


def test_the_tier_that_served_a_reply_is_told() -> None:
    usage = {"promptTokenCount": 1, "totalTokenCount": 1, "trafficType": "ON_DEMAND_FLEX"}
    assert (
        DIALECT.response({**body_of({"text": "x"}), "usageMetadata": usage}, TARGET)["service_tier"]
        == "flex"
    )


# --- real traffic ------------------------------------------------------------------------------------------


def real_replies() -> list[Any]:
    return list(recorded())


def recorded() -> Iterator[Any]:
    for path in REPLIES:
        recording = json.loads(path.read_text())
        parts = [
            part
            for candidate in (recording.get("body") or {}).get("candidates", ())
            for part in candidate.get("content", {}).get("parts", ())
        ]
        if parts:
            yield pytest.param(recording["body"], parts, id=path.stem)


@pytest.mark.skipif(
    not REPLIES, reason="The recordings are not beside this repository (../shared/corpus)."
)
@pytest.mark.parametrize(("body", "parts"), real_replies())
def test_a_real_reply_goes_back_as_it_came(
    body: dict[str, Any], parts: list[dict[str, Any]]
) -> None:
    before = json.loads(json.dumps(parts))
    sent = contents_of({"role": "user", "content": "?"}, message_of(body))[1]["parts"]
    for ours, theirs in zip(sent, before, strict=True):
        if "functionCall" in theirs:
            theirs["functionCall"].setdefault("id", ours["functionCall"]["id"])
            theirs["functionCall"].setdefault("args", {})
            theirs.setdefault("thoughtSignature", ours.get("thoughtSignature"))
        assert {name: value for name, value in theirs.items() if value is not None} == ours


# --- speed -------------------------------------------------------------------------------------------------


def test_a_long_conversation_and_a_stream_are_translated_in_no_time() -> None:
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
    turn = [
        {"role": "user", "content": "question " * 20},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "a", "content": '{"ok": true}'},
        {"role": "assistant", "content": "answer " * 20},
    ]
    parameters = {"type": "object", "properties": {f"p{n}": {"type": "string"} for n in range(10)}}
    tools = [
        {"type": "function", "function": {"name": f"f{n}", "parameters": parameters}}
        for n in range(5)
    ]
    chat: ChatRequest = {"model": "g", "messages": turn * 25, "tools": tools}  # type: ignore[typeddict-item]
    assert (
        best_of(20, lambda: DIALECT.request(chat, TARGET)) < 0.003
    )  # the limit is 1 ms on a core of its own
    parser, event = (
        DIALECT.stream(TARGET),
        Event("", json.dumps(body_of({"text": "some words"}, index=0))),
    )
    assert best_of(200, lambda: parser.feed(event)) < 0.0001  # and 30 µs
