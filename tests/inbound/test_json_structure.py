"""Values and keys are counted in the text itself: exactly, whatever is in strings, and with work
that is bounded by its length."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from native_api.inbound import json_structure
from native_api.inbound.json_structure import count_structure

TEXT = st.text(alphabet='ab\\"[]{},:\n\u00e9\U0001f600', max_size=12)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


def values_of(value: Any) -> int:
    members = (
        value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    )
    return 1 + sum(map(values_of, members))


def keys_of(value: Any) -> int:
    members = (
        value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    )
    return (len(value) if isinstance(value, dict) else 0) + sum(map(keys_of, members))


def containers_of(value: Any) -> int:
    members = (
        value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    )
    return int(isinstance(value, dict | list)) + sum(map(containers_of, members))


@given(JSON, st.booleans(), st.sampled_from([1, 2, 3, 5, 7, 1 << 20]))
def test_counts_are_those_of_the_tree_wherever_the_text_is_cut(
    value: Any, spaced: bool, piece: int
) -> None:
    text = json.dumps(value, indent=2).encode() if spaced else orjson.dumps(value)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_structure, "PIECE_BYTES", piece)
        counted = count_structure(text)
    assert counted.keys == keys_of(value)
    assert values_of(value) <= counted.values <= values_of(value) + containers_of(value), (
        "an empty one counts as if it had a member"
    )


HOSTILE = {
    "empty lists": b'{"a":[' + b"[]," * 2_000_000,
    "empty objects": b'{"a":[' + b"{}," * 2_000_000,
    "numbers": b'{"a":[' + b"1," * 2_000_000,
    "empty strings": b'{"a":[' + b'"",' * 2_000_000,
    "quotes alone": b'"' * 4_000_000,
    "keys": b'{"a":{' + b'"":1,' * 2_000_000,
    "open lists": b"[" * 4_000_000,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_counting_ends_in_the_piece_in_which_there_are_too_many(
    text: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    pieces = count_pieces(monkeypatch)
    assert count_structure(text, 100_000).values > 100_000
    assert len(pieces) == 1


ONE_STRING = {
    "source code": 'def f(a, b):\n    return {"x": [a, b], "y": "\\n"}\n' * 60_000,
    "backslashes": "\\" * 3_000_001,
    "quotes": '"' * 3_000_000,
    "backslashes and quotes": '\\"' * 1_500_000,
    "brackets": "[{" * 1_500_000,
}


@pytest.mark.parametrize("text", ONE_STRING.values(), ids=ONE_STRING.keys())
def test_a_long_string_is_one_value_and_each_piece_is_looked_at_once(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = orjson.dumps({"text": text})
    pieces = count_pieces(monkeypatch)
    counted = count_structure(body, 10)
    assert (counted.values, counted.keys) == (2, 1)
    assert len(pieces) == -(-len(body) // json_structure.PIECE_BYTES)
    assert sum(map(len, pieces)) <= len(body)


def count_pieces(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The pieces that counting takes from now on."""
    taken: list[bytes] = []
    unescaped = json_structure._unescaped

    def counted(text: bytes) -> Any:
        for piece in unescaped(text):
            taken.append(piece)
            yield piece

    monkeypatch.setattr(json_structure, "_unescaped", counted)
    return taken


@pytest.mark.parametrize(
    "text", [b'{"a": "' + b"x," * 9, b'"' + b'\\"' * 9, b'{"a": "\\', b"\\" * 9], ids=str
)
def test_a_string_that_never_ends_hides_what_follows(text: bytes) -> None:
    assert count_structure(text).values <= 2
