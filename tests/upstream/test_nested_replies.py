"""Replies that are nested too deeply, for every dialect. Real HTTP."""

from __future__ import annotations

import orjson
import pytest

from native_api.dialects.shared.json_values import parse_json
from native_api.dialects.shared.nesting import MAX_DEPTH, check_depth
from native_api.exceptions import UpstreamError
from tests.upstream.scripted_replies import (
    TOO_DEEP,
    Scene,
    both,
    deep,
    deep_event,
    deep_reply,
    each_dialect,
    expected,
    fails,
    sends,
    sends_stream,
    streamed,
    text_of,
)


@each_dialect
def test_a_reply_of_the_maximum_depth_is_accepted(server: Scene, name: str) -> None:
    assert text_of(server, name, sends(deep_reply(name, MAX_DEPTH)), stream=False) == expected(
        name, stream=False
    )


@each_dialect
def test_an_event_of_the_maximum_depth_is_accepted(server: Scene, name: str) -> None:
    script = sends_stream(name, deep_event(name, MAX_DEPTH), streamed(name))
    assert text_of(server, name, script, stream=True) == expected(name, stream=True)


@TOO_DEEP
@both
@each_dialect
def test_a_reply_that_is_nested_too_deeply_is_a_provider_fault(
    server: Scene, name: str, stream: bool, depth: int
) -> None:
    """Also if a stream was requested and the provider sends a complete reply."""
    error = fails(server, name, sends(deep_reply(name, depth)), stream)
    assert (error.status, error.code) == (502, "provider_error")
    assert "nested too deeply" in error.message or "not JSON" in error.message


@TOO_DEEP
@each_dialect
def test_an_event_that_is_nested_too_deeply_is_a_provider_fault(
    server: Scene, name: str, depth: int
) -> None:
    error = fails(
        server, name, sends_stream(name, deep_event(name, depth), streamed(name)), stream=True
    )
    assert (error.status, error.code) == (502, "provider_error")
    assert "nested too deeply" in error.message or "not JSON" in error.message


@TOO_DEEP
@each_dialect
def test_an_error_that_is_nested_too_deeply_keeps_its_status(
    server: Scene, name: str, depth: int
) -> None:
    body = (
        b'{"error": {"message": '
        + deep(depth)
        + b', "code": '
        + deep(depth)
        + b', "type": '
        + deep(depth)
        + b"}}"
    )
    assert fails(server, name, sends(body, status=500), stream=False).status == 502
    assert fails(server, name, sends(body, status=400), stream=True).upstream_status == 400


def test_brackets_in_strings_do_not_count() -> None:
    check_depth(orjson.dumps({"text": "{[" * 10_000}))
    check_depth(orjson.dumps([[{}]] * 10_000).decode())


def test_text_that_is_not_json_is_not_checked() -> None:
    check_depth(b"[" * 10_000)


def test_json_in_the_text_of_a_reply_has_the_same_limit() -> None:
    assert parse_json(deep(MAX_DEPTH).decode()) == orjson.loads(deep(MAX_DEPTH))
    with pytest.raises(UpstreamError, match="nested too deeply"):
        parse_json(deep(MAX_DEPTH + 1).decode())


SERVER_TOOL = [
    {
        "type": "message_start",
        "message": {"id": "m", "model": "m", "usage": {"input_tokens": 1, "output_tokens": 1}},
    },
    {
        "type": "content_block_start",
        "index": 0,
        "content_block": {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
    },
    {
        "type": "content_block_delta",
        "index": 0,
        "delta": {"type": "input_json_delta", "partial_json": deep(300).decode()},
    },
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}},
    {"type": "message_stop"},
]


def test_the_arguments_of_a_server_tool_have_the_same_limit(server: Scene) -> None:
    """Their text came in pieces, and is sent to the client as a value."""
    events = b"".join(b"data: " + orjson.dumps(event) + b"\n\n" for event in SERVER_TOOL)
    assert fails(server, "anthropic", sends_stream("anthropic", events), stream=True).status == 502
