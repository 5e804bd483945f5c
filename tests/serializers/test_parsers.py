"""What a body must be before its fields are looked at."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from native_api.exceptions import InvalidRequest
from native_api.parsers import MAX_DEPTH, declared_length, parse_json

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
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


@pytest.mark.parametrize("body", ['{"a": "\\": \\"b\\" :"}', '{"a": "x\\\\", "b": "\\": "}', '{"a:": ":", "b": "\\\\\\": "}'])
def test_text_that_looks_like_keys_is_just_text(body: str) -> None:
    assert parse_json(body.encode()) == json.loads(body)


def test_an_error_says_where() -> None:
    with pytest.raises(InvalidRequest, match=r"line 2, column \d+"):
        parse_json(b'{"a": 1,\n"b": }')


@pytest.mark.parametrize("text", ['{"a": NaN}', '{"a": Infinity}', '{"a": 01}', '{"a": 1e999}', "{'a': 1}", '{"a": 1,}', '{"a": "\t"}'])
def test_what_is_not_json_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        parse_json(text.encode())


def test_deep_nesting_is_refused_at_once() -> None:
    started = time.perf_counter()
    with pytest.raises(InvalidRequest):
        parse_json(b'{"a": ' + b"[" * 1_000_000)
    assert time.perf_counter() - started < 1


def test_reading_a_megabyte_costs_a_few_times_what_json_costs() -> None:
    text = 'she said: "well": ' + "x" * 960
    body = orjson.dumps({"messages": [{"role": "user", "content": text} for _ in range(1000)]})
    ratios = [seconds(lambda: parse_json(body)) / seconds(lambda: json.loads(body)) for _ in range(15)]
    assert min(ratios) < 3, ratios


def seconds(call: Any) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_nesting_is_taken_as_deep_as_it_can_be_written_again(opening: bytes) -> None:
    closing = b"]" if opening == b"[" else b"}"

    def nested(depth: int) -> bytes:
        return b'{"a":' + opening * (depth - 1) + b"1" + closing * (depth - 1) + b"}"

    assert orjson.dumps(parse_json(nested(MAX_DEPTH))) == nested(MAX_DEPTH)
    with pytest.raises(InvalidRequest, match=f"more than {MAX_DEPTH} levels"):
        parse_json(nested(MAX_DEPTH + 1))


@pytest.mark.parametrize(
    ("header", "length"), [("", 0), ("12", 12), ("-1", 0), ("1.5", 0), ("²", 0), ("٣", 0), ("1_0", 0), ("9" * 5000, sys.maxsize)]
)
def test_a_declared_length_is_a_number_or_nothing(header: str, length: int) -> None:
    assert declared_length(header) == length
