"""Fields of a request that the gateway does not know: they go on, are dropped, or are errors."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import override_settings

from native_api.dialects import DIALECTS
from native_api.dialects.shared.field_members import FIELD_MEMBERS
from native_api.exceptions import InvalidRequest
from native_api.inbound.openai import ChatCompletions, EmbeddingsFormat
from native_api.inbound.spelling import find_misspelled, measure_distance
from native_api.types import Provider, Target
from native_api.types.chat import UNIFIED_FIELDS
from tests.cases import each

CHAT: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
EMBEDDING: dict[str, Any] = {"model": "m", "input": "Hi"}
FORMATS = {"chat": (ChatCompletions(), CHAT), "embeddings": (EmbeddingsFormat(), EMBEDDING)}
UNKNOWN: dict[str, Any] = {"kv_transfer": {"a": [1]}, "seat": 4}

policy = pytest.mark.parametrize("name", FORMATS)


def set_policy(value: str) -> Any:
    return override_settings(NATIVE_API={"UNKNOWN_FIELDS": value})


@policy
def test_they_go_on_by_default(name: str) -> None:
    api, request = FORMATS[name]
    parsed = api.parse({**request, **UNKNOWN})
    assert parsed.body == {**request, **UNKNOWN}
    assert parsed.dropped_fields == []
    if parsed.client_body:
        assert parsed.client_body.body == {**request, **UNKNOWN}


@policy
def test_they_are_dropped_and_named(name: str) -> None:
    api, request = FORMATS[name]
    with set_policy("drop"):
        parsed = api.parse({**request, **UNKNOWN})
    assert parsed.body == request
    assert parsed.dropped_fields == ["kv_transfer", "seat"]
    if parsed.client_body:
        assert parsed.client_body.body == request


@policy
def test_they_are_errors_that_say_where_else_to_put_them(name: str) -> None:
    api, request = FORMATS[name]
    with set_policy("refuse"), pytest.raises(InvalidRequest) as refused:
        api.parse({**request, **UNKNOWN})
    assert (refused.value.param, refused.value.code) == ("kv_transfer", "unknown_field")
    assert "provider_options.PROVIDER.kv_transfer" in refused.value.message


@policy
@pytest.mark.parametrize("value", ["pass", "drop", "refuse"])
def test_null_is_absence(name: str, value: str) -> None:
    api, request = FORMATS[name]
    with set_policy(value):
        parsed = api.parse({**request, "seat": None, "temprature": None, "user": None})
    assert parsed.body == request
    assert parsed.dropped_fields == []


@pytest.mark.parametrize("value", ["pass", "drop", "refuse"])
@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("temprature", "temperature"),
        ("tempreature", "temperature"),
        ("max_token", "max_tokens"),
        ("maxTokens", "max_tokens"),
        ("tool-choice", "tool_choice"),
        ("toolchoice", "tool_choice"),
        ("STREAM", "stream"),
        ("steam", "stream"),
        ("Messages", "messages"),
        ("fallback", "fallbacks"),
        ("User", "user"),
    ],
)
def test_a_probable_misspelling_is_an_error(written: str, meant: str, value: str) -> None:
    with set_policy(value), pytest.raises(InvalidRequest, match=f"did you mean '{meant}'") as error:
        ChatCompletions().parse({**CHAT, written: 1})
    assert (error.value.param, error.value.code) == (written, "unknown_field")


@pytest.mark.parametrize("name", ["seat", "uses", "stall", "metal", "kv_transfer", "x"])
def test_other_names_are_not_misspellings(name: str) -> None:
    assert not find_misspelled(name, UNIFIED_FIELDS)
    assert ChatCompletions().parse({**CHAT, name: 1}).body[name] == 1


def test_embeddings_know_no_misspellings() -> None:
    assert EmbeddingsFormat().parse({**EMBEDDING, "dimension": 3}).body["dimension"] == 3


@pytest.mark.parametrize(
    ("one", "other", "distance"),
    [
        ("stop", "stop", 0),
        ("stop", "sotp", 1),
        ("stop", "stops", 1),
        ("stop", "top", 1),
        ("stop", "step", 1),
        ("stop", "tsops", 2),
        ("stop", "", 4),
        ("", "", 0),
        ("ca", "abc", 3),
    ],
)
def test_the_distance_counts_letters_that_differ(one: str, other: str, distance: int) -> None:
    for found in (measure_distance(one, other), measure_distance(other, one)):
        assert found == distance if distance <= 2 else found > 2


def test_system_is_not_a_misspelt_stream() -> None:
    assert not find_misspelled("system", {"stream"})


@pytest.mark.parametrize("value", ["pass", "drop"])
@policy
def test_a_hundred_of_them_and_no_more(name: str, value: str) -> None:
    api, request = FORMATS[name]
    unknown = {f"x{number:03}": number for number in range(100)}
    with set_policy(value):
        parsed = api.parse({**request, **unknown})
        assert sorted({*parsed.body, *parsed.dropped_fields}) == sorted({*request, *unknown})
        with pytest.raises(InvalidRequest, match="one of 101 unknown fields; at most 100"):
            api.parse({**request, **unknown, "y": 1})


def test_a_name_has_a_bound() -> None:
    ChatCompletions().parse({**CHAT, "x" * 100: 1})
    with pytest.raises(InvalidRequest, match="at most 100 characters") as refused:
        ChatCompletions().parse({**CHAT, "x" * 101: 1})
    assert refused.value.param == "x" * 50


def test_what_a_hook_adds_is_never_an_error() -> None:
    body = ChatCompletions().parse(dict(CHAT)).client_body
    assert body is not None
    with set_policy("refuse"):
        unified = body.unify({**CHAT, "temprature": 1, "seat": 4}, [])
    assert unified == {**CHAT, "temprature": 1, "seat": 4}


# --- members of the objects in fields ------------------------------------------------------------

OBJECTS: dict[str, Any] = {
    "stream_options": {"include_usage": True},
    "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {}}},
    "audio": {"voice": "v", "format": "wav"},
    "prediction": {"type": "content", "content": "c"},
    "web_search_options": {"user_location": {"type": "approximate", "approximate": {"city": "c"}}},
    "prompt_cache_options": {"mode": "explicit"},
    "moderation": {"model": "m", "policy": {"input": {"mode": "score"}}},
    "reasoning": {"effort": "low"},
    "thinking": {"type": "enabled"},
}


def list_nested(value: Any, path: str) -> list[str]:
    """The paths of the objects in a value, less those of schemas."""
    if not isinstance(value, dict) or path.endswith(".schema"):
        return []
    return [path, *(inner for key in value for inner in list_nested(value[key], f"{path}.{key}"))]


def add_member(value: Any, steps: list[str], member: Any) -> Any:
    """A copy of a value with one more member at a place in it."""
    if not steps:
        return {**value, "mood": member}
    first, *rest = steps
    return {**value, first: add_member(value[first], rest, member)}


PLACES = [path for field in OBJECTS for path in list_nested(OBJECTS[field], field)]


def build_chats(path: str, member: Any = "calm") -> tuple[Any, Any]:
    """A chat with a member that nobody knows at this place, and the one without it."""
    field, *steps = path.split(".")
    plain = {**CHAT, "stream": True, field: OBJECTS[field]}
    return {**plain, field: add_member(OBJECTS[field], steps, member)}, plain


def test_every_object_with_known_members_is_among_these() -> None:
    assert OBJECTS.keys() == FIELD_MEMBERS.keys()


@each("path", PLACES)
def test_a_member_of_a_fields_object_goes_on(path: str) -> None:
    chat, _ = build_chats(path)
    parsed = ChatCompletions().parse(chat)
    assert parsed.body == chat
    assert parsed.client_body is not None
    assert parsed.client_body.body == chat


@each("path", PLACES)
def test_a_member_of_a_fields_object_is_dropped_and_named(path: str) -> None:
    chat, plain = build_chats(path)
    with set_policy("drop"):
        parsed = ChatCompletions().parse(chat)
    assert (parsed.body, parsed.dropped_fields) == (plain, [f"{path}.mood"])
    assert parsed.client_body is not None
    assert parsed.client_body.body == plain


@each("path", PLACES)
def test_a_member_of_a_fields_object_is_an_error(path: str) -> None:
    chat, _ = build_chats(path)
    with set_policy("refuse"), pytest.raises(InvalidRequest) as refused:
        ChatCompletions().parse(chat)
    assert (refused.value.param, refused.value.code) == (f"{path}.mood", "unknown_field")


@each("path", PLACES)
def test_a_member_that_is_null_is_absent(path: str) -> None:
    chat, plain = build_chats(path, None)
    for value in ("pass", "drop", "refuse"):
        with set_policy(value):
            assert ChatCompletions().parse(chat).body == plain


@each("wire", DIALECTS)
def test_other_wires_report_a_member_of_a_fields_object(wire: str) -> None:
    target = Target(Provider("p", wire, "https://api.example", options=OPTIONS), "m")
    chat, _ = build_chats("stream_options")
    request = DIALECTS[wire].request(ChatCompletions().parse(chat).body, target)
    is_reported = "stream_options.mood" in request.omitted
    is_sent = (request.body.get("stream_options") or {}).get("mood") == "calm"
    assert (is_sent, is_reported) == (wire == "openai", wire != "openai")


OPTIONS = {"region": "eu-west-1", "project": "p", "location": "global"}


# --- members of messages, parts, calls and tools -------------------------------------------------

CALL: dict[str, Any] = {
    "id": "1",
    "type": "function",
    "function": {"name": "f", "arguments": "{}", "took": 3},
    "state": "done",
}
WITH_MEMBERS: dict[str, Any] = {
    "model": "m",
    "messages": [
        {"role": "user", "mood": "calm", "content": [{"type": "text", "text": "a", "lang": "en"}]},
        {"role": "assistant", "content": "a", "tool_calls": [CALL]},
    ],
    "tools": [
        {
            "type": "function",
            "defer": True,
            "function": {"name": "f", "paramters": {}, "parameters": {"x-any": 1}},
        }
    ],
}
WITHOUT_MEMBERS: dict[str, Any] = {
    "model": "m",
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": "a"}]},
        {
            "role": "assistant",
            "content": "a",
            "tool_calls": [
                {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
            ],
        },
    ],
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {"x-any": 1}}}],
}
MEMBER_NAMES = [
    "messages.mood",
    "messages.content.lang",
    "messages.tool_calls.state",
    "messages.tool_calls.function.took",
    "tools.defer",
    "tools.function.paramters",
]


def test_members_go_on_by_default() -> None:
    parsed = ChatCompletions().parse(WITH_MEMBERS)
    assert parsed.body == WITH_MEMBERS
    assert parsed.client_body is not None
    assert parsed.client_body.body == WITH_MEMBERS
    assert parsed.dropped_fields == []


def test_members_are_dropped_and_named() -> None:
    with set_policy("drop"):
        parsed = ChatCompletions().parse({**WITH_MEMBERS, "seat": 4})
    assert parsed.body == WITHOUT_MEMBERS
    assert parsed.client_body is not None
    assert parsed.client_body.body == WITHOUT_MEMBERS
    assert parsed.dropped_fields == ["seat", *MEMBER_NAMES]


@pytest.mark.parametrize(
    ("fields", "path", "words"),
    [
        ({"messages": WITH_MEMBERS["messages"][:1]}, "messages[0].mood", "unknown field"),
        ({"messages": WITH_MEMBERS["messages"][1:]}, "messages[0].tool_calls[0].state", "unknown"),
        ({"tools": WITH_MEMBERS["tools"]}, "tools[0].defer", "unknown"),
        (
            {"tools": [{"type": "function", "function": {"name": "f", "paramters": {}}}]},
            "tools[0].function.paramters",
            "did you mean 'parameters'",
        ),
        (
            {"messages": [{**CHAT["messages"][0], "tool_call_id": "1"}]},
            "messages[0].tool_call_id",
            "unknown",
        ),
    ],
)
def test_members_are_errors(fields: dict[str, Any], path: str, words: str) -> None:
    with set_policy("refuse"), pytest.raises(InvalidRequest, match=words) as refused:
        ChatCompletions().parse({**CHAT, **fields})
    assert (refused.value.param, refused.value.code) == (path, "unknown_field")


@pytest.mark.parametrize("value", ["drop", "refuse"])
def test_openais_own_members_are_known(value: str) -> None:
    mark = {"mode": "explicit", "ttl": "12h"}
    part = {"type": "text", "text": "a", "prompt_cache_breakpoint": mark}
    request = {"model": "m", "messages": [{"role": "user", "content": [part]}]}
    with set_policy(value):
        assert ChatCompletions().parse(request).body == request


@pytest.mark.parametrize("value", ["drop", "refuse"])
@pytest.mark.parametrize(
    ("fields", "path"),
    [
        (
            {"messages": [{"role": "user", "content": [{"type": "x"}]}]},
            "messages[0].content[0].type",
        ),
        ({"tools": [{"type": "x"}]}, "tools[0].type"),
    ],
)
def test_a_type_cannot_be_dropped(fields: dict[str, Any], path: str, value: str) -> None:
    assert ChatCompletions().parse({**CHAT, **fields}).body == {**CHAT, **fields}
    with set_policy(value), pytest.raises(InvalidRequest) as refused:
        ChatCompletions().parse({**CHAT, **fields})
    assert refused.value.param == path
