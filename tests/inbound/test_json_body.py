"""What a body must be before its fields are looked at."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import threading
from typing import Any

import orjson
import pytest
from django.test import RequestFactory, override_settings
from hypothesis import given
from hypothesis import strategies as st

from native_api.exceptions import InvalidRequest, Overloaded, RequestTimeout
from native_api.inbound import json_body
from native_api.inbound.body_limits import BodyMemory, bytes_in_memory, declared_length
from native_api.inbound.json_body import MAX_DEPTH, parse_json
from tests.dialects.work_counter import count_calls

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(), JSON, max_size=5), st.booleans())
def test_any_object_is_taken_as_it_is(value: dict[str, Any], spaced: bool) -> None:
    assert parse_json(json.dumps(value, indent=2 if spaced else None).encode()) == value


@given(st.binary(max_size=60))
def test_any_bytes_are_an_object_or_refused(body: bytes) -> None:
    with contextlib.suppress(InvalidRequest):
        assert isinstance(parse_json(body), dict)


@pytest.mark.parametrize(
    "body",
    [
        '{"a": 1, "a": 2}',
        '{"a" : 1, "b": {"c": [{"d": 1, "d" :2}]}}',
        '{"text": "\\"x\\": 1", "k": 1, "k": 2}',
        '{"a\\\\": 1, "a\\\\": 2}',
        '{"path": "C:\\\\", "k": 1, "k": 1}',
        '{"\\u0061": 1, "a": 2}',
    ],
)
def test_a_key_that_comes_twice_is_refused_at_any_depth(body: str) -> None:
    with pytest.raises(InvalidRequest, match="comes twice"):
        parse_json(body.encode())


@pytest.mark.parametrize(
    "body",
    ['{"a": "\\": \\"b\\" :"}', '{"a": "x\\\\", "b": "\\": "}', '{"a:": ":", "b": "\\\\\\": "}'],
)
def test_text_that_looks_like_keys_is_just_text(body: str) -> None:
    assert parse_json(body.encode()) == json.loads(body)


def test_an_error_says_where() -> None:
    with pytest.raises(InvalidRequest, match=r"line 2, column \d+"):
        parse_json(b'{"a": 1,\n"b": }')


@pytest.mark.parametrize(
    "text",
    [
        '{"a": NaN}',
        '{"a": Infinity}',
        '{"a": 01}',
        '{"a": 1e999}',
        "{'a': 1}",
        '{"a": 1,}',
        '{"a": "\t"}',
    ],
)
def test_what_is_not_json_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        parse_json(text.encode())


def test_deep_nesting_is_refused_without_descending() -> None:
    def parse() -> None:
        with pytest.raises(InvalidRequest):
            parse_json(b'{"a": ' + b"[" * 1_000_000)

    assert count_calls(parse) < 100


def test_reading_a_megabyte_takes_a_few_calls_for_each_text() -> None:
    """Python code that runs for each character would show here."""
    text = 'she said: "well": ' + "x" * 960
    body = orjson.dumps({"messages": [{"role": "user", "content": text} for _ in range(1000)]})
    assert count_calls(lambda: parse_json(body)) < 5 * 1000


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_nesting_is_taken_as_deep_as_it_can_be_written_again(opening: bytes) -> None:
    closing = b"]" if opening == b"[" else b"}"

    def nested(depth: int) -> bytes:
        return b'{"a":' + opening * (depth - 1) + b"1" + closing * (depth - 1) + b"}"

    assert orjson.dumps(parse_json(nested(MAX_DEPTH))) == nested(MAX_DEPTH)
    with pytest.raises(InvalidRequest, match=f"more than {MAX_DEPTH} levels"):
        parse_json(nested(MAX_DEPTH + 1))


@pytest.mark.parametrize(
    ("header", "length"),
    [
        ("", 0),
        ("12", 12),
        ("-1", 0),
        ("1.5", 0),
        ("²", 0),
        ("٣", 0),
        ("1_0", 0),
        ("9" * 5000, sys.maxsize),
    ],
)
def test_a_declared_length_is_a_number_or_nothing(header: str, length: int) -> None:
    assert declared_length(header) == length


# --- how much there may be -----------------------------------------------------------------------


LIST_OF = {
    "lists": "[]",
    "objects": "{}",
    "numbers": "1",
    "strings": '""',
    "members": '{"a":1}',
    "words": "null",
}


@pytest.mark.parametrize("member", LIST_OF.values(), ids=LIST_OF.keys())
def test_too_many_values_are_refused_before_they_are_parsed(
    member: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_body.orjson, "loads", lambda body: pytest.fail("parsed"))
    with pytest.raises(InvalidRequest, match=r"more than 100000 JSON values \(MAX_JSON_VALUES\)"):
        parse_json(('{"a": [' + ",".join([member] * 100_001) + "]}").encode())


@override_settings(NATIVE_API={"MAX_JSON_VALUES": 10})
def test_the_site_says_how_many_values_there_may_be() -> None:
    assert parse_json(b'{"a": [1, 2, 3, 4, 5, 6, 7, 8]}')
    with pytest.raises(InvalidRequest, match="more than 10 JSON values"):
        parse_json(b'{"a": [1, 2, 3, 4, 5, 6, 7, 8, 9]}')


def test_a_long_conversation_with_tools_is_taken() -> None:
    call = {
        "id": "call_1",
        "type": "function",
        "function": {"name": "edit", "arguments": '{"path": "a.py", "text": "[1, 2]"}'},
    }
    turn = [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "x, y" * 500},
    ]
    tool = {
        "type": "function",
        "function": {
            "name": "edit",
            "parameters": {"properties": {f"p{i}": {"type": "string"} for i in range(20)}},
        },
    }
    request = {"model": "m", "messages": turn * 4000, "tools": [tool] * 200}
    assert parse_json(orjson.dumps(request)) == request


def test_source_code_in_one_string_is_one_value() -> None:
    request = {"messages": [{"role": "user", "content": "f([1, 2], {'a': \"b\"})\n" * 100_000}]}
    assert parse_json(orjson.dumps(request)) == request


@pytest.mark.parametrize(
    "escape", ["\\\\", '\\"', '\\\\\\"', "\\u0022"], ids=["backslash", "quote", "both", "code"]
)
def test_escapes_do_not_bring_in_the_slow_parser(
    escape: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        json_body.json, "loads", lambda *arguments, **more: pytest.fail("parsed again")
    )
    text = f'{{"a": "{escape * 100_000}:", "b": [{{"c": "{escape}: {escape}"}}]}}'
    assert parse_json(text.encode()).keys() == {"a", "b"}


def test_a_key_that_comes_twice_in_a_large_body_is_refused_without_the_slow_parser(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        json_body.json, "loads", lambda *arguments, **more: pytest.fail("parsed again")
    )
    with pytest.raises(InvalidRequest, match="comes twice"):
        parse_json(b'{"a": "' + b'\\"' * 600_000 + b'", "b": 1, "b": 2}')


def test_a_number_that_python_would_not_read_is_no_failure_of_the_gateway() -> None:
    with pytest.raises(InvalidRequest, match="'b' comes twice"):
        parse_json(
            b'{"a": 0.'
            + b"1" * 5000
            + b', "c": 1'
            + b"0" * 300
            + b', "b": 1, "b": 2, "d": '
            + b"1" * 300
            + b"}"
        )


# --- reading -------------------------------------------------------------------------------------


class Stream:
    """A server's stream that gives a few bytes at a time, and takes `seconds` for each."""

    def __init__(self, body: bytes, clock: list[float], seconds: float = 0.0) -> None:
        self._body, self._clock, self._seconds = body, clock, seconds

    def read(self, size: int) -> bytes:
        self._clock[0] += self._seconds
        piece, self._body = self._body[:1000], self._body[1000:]
        return piece


def read(body: bytes, monkeypatch: pytest.MonkeyPatch, seconds: float = 0.0) -> bytes:
    clock = [0.0]
    monkeypatch.setattr(json_body.time, "monotonic", lambda: clock[0])
    with BodyMemory() as held:
        return json_body._read_in_pieces(Stream(body, clock, seconds), 5_000_000, held)


def test_a_body_in_pieces_is_put_together(monkeypatch: pytest.MonkeyPatch) -> None:
    body = bytes(range(256)) * 50
    assert read(body, monkeypatch) == body
    assert bytes_in_memory() == 0


@override_settings(NATIVE_API={"TIMEOUTS": {"BODY": 5}})
def test_a_body_that_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read(b"x" * 4000, monkeypatch, seconds=1)
    with pytest.raises(RequestTimeout, match=r"within 5 s \(TIMEOUTS, BODY\)"):
        read(b"x" * 9000, monkeypatch, seconds=1)
    assert bytes_in_memory() == 0


@override_settings(NATIVE_API={"MAX_BODIES_BYTES": 100_000})
def test_all_bodies_together_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    with BodyMemory() as others:
        others.add(60_000)
        with pytest.raises(Overloaded, match="MAX_BODIES_BYTES") as refused:
            read(b"x" * 70_000, monkeypatch)
        assert int(refused.value.headers["retry-after"]) > 0
        assert bytes_in_memory() == 60_000
        assert read(b"x" * 50_000, monkeypatch), "a small body is always taken"
    assert read(b"x" * 70_000, monkeypatch)
    assert bytes_in_memory() == 0


@pytest.mark.parametrize(("size", "in_thread"), [(1000, False), (json_body.LARGE_BODY + 1, True)])
def test_large_bodies_are_parsed_and_checked_beside_the_event_loop(
    size: int, in_thread: bool
) -> None:
    body = orjson.dumps({"text": "x" * size})
    request = RequestFactory().generic("POST", "/", body, "application/json")

    def check(value: dict[str, Any]) -> int:
        assert len(value["text"]) == size
        return threading.get_ident()

    thread = asyncio.run(json_body.read_and_check(request, check))
    assert (thread != threading.get_ident()) == in_thread
