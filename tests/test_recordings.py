"""Tests every dialect with every recording in tests/recordings/<dialect>/.

A recording is written from the provider's published reference (`source`). It has the unified
request (`chat`) and the body it must become (`request`, or `refused`: the path in the error), the
provider's `reply` and the same answer as a `stream`, and the unified reply for both (`expected`);
or an `error` and the gateway's error (`expected_error`).
"""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest
from openai.lib.streaming._deltas import accumulate_delta
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from native_api.dialects import DIALECTS
from native_api.dialects.declaration import find_errors
from native_api.exceptions import UnsupportedField, UpstreamError
from native_api.inbound.openai import ChatCompletionSerializer
from native_api.types import Event, Provider, Target
from native_api.upstream.decoders import DECODERS
from tests.cases import for_each
from tests.corpus import parse_arguments
from tests.dialects.stream_folding import fold
from tests.recorded_cases import build_target, read_stream, with_members, with_streams

FINISH_REASONS = {"stop", "length", "tool_calls", "content_filter"}


def normalize_arguments(value: Any) -> Any:
    """The value with parsed arguments, since white space has no meaning, and no empty content."""
    if isinstance(value, dict):
        provider = {
            name: parse_arguments(item) if name == "arguments" else normalize_arguments(item)
            for name, item in value.items()
        }
        return (
            {**provider, "content": provider["content"] or None}
            if "content" in provider
            else provider
        )
    return [normalize_arguments(item) for item in value] if isinstance(value, list) else value


def without_empty_members(choice: dict[str, Any]) -> dict[str, Any]:
    """A complete choice without what says nothing, which a provider may send in its message."""
    message = {
        name: value
        for name, value in choice["message"].items()
        if name == "content" or value not in (None, [])
    }
    return {**choice, "message": message}


def check_expected(expected: dict[str, Any], choices: Any, usage: Any) -> None:
    assert normalize_arguments([without_empty_members(choice) for choice in choices]) == (
        normalize_arguments([without_empty_members(choice) for choice in expected["choices"]])
    )
    for name, value in expected.get("usage", {}).items():
        assert usage[name] == value, name


@for_each(with_members("request"))
def test_the_request_becomes_the_recorded_body(case: dict[str, Any]) -> None:
    dialect, target = DIALECTS[case["provider"]["dialect"]], build_target(case)
    before = json.dumps(case["chat"])
    request = dialect.request(case["chat"], target)
    expected = case["request"]
    assert request.body == expected["body"]
    assert sorted(request.omitted) == sorted(expected.get("omitted", []))
    assert request.url == expected.get("url", request.url)
    assert expected.get("headers", {}).items() <= request.headers.items()
    assert json.dumps(case["chat"]) == before, "the chat was changed"


@for_each(with_members("refused"))
def test_an_unsupported_field_is_refused_with_its_path(case: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedField) as caught:
        DIALECTS[case["provider"]["dialect"]].request(case["chat"], build_target(case))
    assert caught.value.param == case["refused"]


@for_each(with_members("reply", "expected"))
def test_the_complete_reply(case: dict[str, Any]) -> None:
    reply = DIALECTS[case["provider"]["dialect"]].response(case["reply"], build_target(case))
    ChatCompletion.model_validate(reply)  # As strict clients do.
    check_expected(case["expected"], reply["choices"], reply.get("usage"))


@for_each(with_members("reply", "expected"))
def test_a_client_can_send_back_a_reply(case: dict[str, Any]) -> None:
    dialect, target = DIALECTS[case["provider"]["dialect"]], build_target(case)
    question = {"role": "user", "content": "?"}
    for choice in dialect.response(json.loads(json.dumps(case["reply"])), target)["choices"]:
        results = [
            {"role": "tool", "tool_call_id": call["id"], "content": "ok"}
            for call in choice["message"].get("tool_calls") or ()
        ]
        messages = [question, choice["message"], *results, question]
        chat, _ = ChatCompletionSerializer().check(
            {"model": "m", "messages": json.loads(json.dumps(messages))}
        )
        assert dialect.request(chat, target).body


@for_each(with_streams("expected"))
def test_the_folded_stream_equals_the_complete_reply(case: dict[str, Any]) -> None:
    chunks, usage = parse_chunks(case, [read_stream(case)])
    check_expected(case["expected"], fold(chunks), usage)
    for chunk in chunks:
        ChatCompletionChunk.model_validate(adapt_for_sdk(chunk))
        assert "usage" not in chunk
        assert chunk["choices"]
        assert {choice["finish_reason"] for choice in chunk["choices"]} <= {None, *FINISH_REASONS}


@for_each(with_streams("expected"))
def test_a_stream_is_the_same_at_any_cut(case: dict[str, Any]) -> None:
    """A parser gets whole events, so what it makes of them cannot depend on the cut."""
    raw = read_stream(case)
    events = decode(case, [raw])
    for cut in range(0, len(raw), max(1, len(raw) // 500)):
        assert decode(case, [raw[:cut], raw[cut:]]) == events, f"cut at {cut}"
    single_bytes = [raw[index : index + 1] for index in range(len(raw))]
    assert parse_chunks(case, single_bytes) == parse_chunks(case, [raw])


def adapt_for_sdk(chunk: Any) -> Any:
    """Replace the type of custom calls, which the SDK's chunk does not know yet.

    openai-python 2.8, 2026-11.
    """
    adapted = deepcopy(chunk)
    for call in [
        call for choice in adapted["choices"] for call in choice["delta"].get("tool_calls") or ()
    ]:
        if call.get("type") == "custom":
            call["type"] = "function"
    return adapted


def decode(case: dict[str, Any], pieces: list[bytes]) -> list[Event]:
    decoder = DECODERS[DIALECTS[case["provider"]["dialect"]].framing]()
    events = [event for piece in pieces for event in decoder.feed(piece)]
    return [*events, *decoder.close()]


def parse_chunks(case: dict[str, Any], pieces: list[bytes]) -> tuple[Any, Any]:
    parser = DIALECTS[case["provider"]["dialect"]].stream(build_target(case))
    chunks = [chunk for event in decode(case, pieces) for chunk in parser.feed(event)]
    return [*chunks, *parser.close()], parser.usage


@for_each(with_streams("expected"))
def test_the_openai_sdk_folds_the_deltas_into_the_same_message(case: dict[str, Any]) -> None:
    """The SDK joins repeated texts, sums numbers, and fails for items without an index."""
    raw = read_stream(case)
    chunks, _ = parse_chunks(case, [raw])
    messages: dict[int, Any] = {}
    for choice in [choice for chunk in deepcopy(chunks) for choice in chunk["choices"]]:
        messages[choice["index"]] = accumulate_delta(
            messages.get(choice["index"], {}), choice["delta"]
        )
    for choice in fold(chunks):
        message = messages[choice["index"]]
        for call in message.get("tool_calls") or ():
            call.pop("index", None)
        assert {**message, "content": message.get("content") or None} == choice["message"]


@for_each(with_streams("expected"))
def test_a_stream_without_its_last_third_was_cut_short(case: dict[str, Any]) -> None:
    raw = read_stream(case)
    with pytest.raises(UpstreamError):
        parse_chunks(case, [raw[: len(raw) // 3]])


@for_each(with_streams("expected_error"))
def test_a_stream_with_an_error_inside(case: dict[str, Any]) -> None:
    with pytest.raises(UpstreamError) as caught:
        parse_chunks(case, [read_stream(case)])
    assert {name: getattr(caught.value, name) for name in case["expected_error"]} == case[
        "expected_error"
    ]


@for_each(with_members("error", "expected_error"))
def test_an_error(case: dict[str, Any]) -> None:
    provider = case["error"]
    body = (
        provider["body"].encode()
        if isinstance(provider["body"], str)
        else json.dumps(provider["body"]).encode()
    )
    error = DIALECTS[case["provider"]["dialect"]].error(
        provider["status"], provider.get("headers", {}), body
    )
    assert {name: getattr(error, name) for name in case["expected_error"]} == case["expected_error"]


@pytest.mark.parametrize("name", DIALECTS)
def test_every_dialect_declares_what_it_must(name: str) -> None:
    assert list(find_errors(type(DIALECTS[name]))) == []
    assert DIALECTS[name].name == name


GARBAGE = [
    "",
    "null",
    "[]",
    "3",
    '"x"',
    "{}",
    '{"type": 3}',
    '{"choices": [{}]}',
    '{"candidates": [{}]}',
    '{"content": [{}]}',
]


@for_each(lambda: [(f"{name} {text}", (name, text)) for name in DIALECTS for text in GARBAGE])
def test_an_invalid_reply_is_an_upstream_error_or_an_empty_answer(case: tuple[str, str]) -> None:
    name, text = case
    dialect, target = DIALECTS[name], Target(Provider("p", name, "https://api.example/v1"), "m")
    try:
        reply = dialect.response(json.loads(text or "null"), target)
    except UpstreamError:
        return
    assert reply["choices"]


NO_MESSAGES = [
    b"",
    b"<html>bad gateway</html>",
    b"null",
    b"[]",
    b'{"error": "text"}',
    b'{"error": {"message": {"a": 1}}}',
]


@for_each(
    lambda: [
        (f"{name} {status} {body!r}", (name, status, body))
        for name in DIALECTS
        for status in (400, 401, 404, 429, 500, 529)
        for body in NO_MESSAGES
    ]
)
def test_an_error_without_a_message_is_mapped(case: tuple[str, int, bytes]) -> None:
    name, status, body = case
    error = DIALECTS[name].error(status, {"retry-after": "7"}, body)
    assert error.status == {400: 400, 429: 429}.get(status, 502)
    assert error.upstream_status == status
