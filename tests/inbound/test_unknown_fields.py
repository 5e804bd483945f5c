"""Fields of a request that the gateway does not know: they go on, are dropped, or are errors."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import override_settings

from native_api.exceptions import InvalidRequest
from native_api.inbound.openai import ChatCompletions, EmbeddingsFormat
from native_api.inbound.spelling import find_misspelled, measure_distance
from native_api.types.chat import UNIFIED_FIELDS

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
def test_other_names_are_no_misspellings(name: str) -> None:
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
        unified = body.unify({**CHAT, "temprature": 1, "seat": 4})
    assert unified == {**CHAT, "temprature": 1, "seat": 4}
