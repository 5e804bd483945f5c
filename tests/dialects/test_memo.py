"""The memo of values between requests: its size, what it evicts first, and that values are
frozen."""

from __future__ import annotations

import copy
import pickle
import threading
from typing import Any

import orjson
import pytest

from native_api.dialects.shared.memo import (
    ENTRY_OVERHEAD_BYTES,
    MAX_VALUE_SHARE,
    MISSING,
    FrozenDict,
    FrozenList,
    Memo,
    freeze,
    measure_bytes,
)

VALUE = "x" * 1000
SIZE = measure_bytes(VALUE) + ENTRY_OVERHEAD_BYTES


def build_memo(values: int) -> Memo[Any]:
    """A memo for so many VALUEs. Below MAX_VALUE_SHARE of them, each is too large for it."""
    return Memo(values * SIZE)


def build_key(number: int) -> bytes:
    return b"%d" % number


# --- size ----------------------------------------------------------------------------------------


def test_a_value_is_remembered() -> None:
    memo = build_memo(50)
    assert memo.get(b"a", MISSING) is MISSING
    memo[b"a"] = VALUE
    memo[b"none"] = None
    assert memo.get(b"a", MISSING) is VALUE
    assert memo.get(b"none", MISSING) is None


def test_the_bytes_never_exceed_the_limit() -> None:
    memo = build_memo(50)
    for number in range(500):
        memo[build_key(number)] = VALUE
        assert memo.size == len(memo) * SIZE <= memo.max_size
    assert len(memo.values()) == 50


def test_the_memo_is_bounded_by_bytes_not_by_the_number_of_values() -> None:
    memo = build_memo(50)
    for number in range(500):
        memo[build_key(number)] = number % 7
    assert len(memo.values()) > 100
    assert memo.size <= memo.max_size


def test_the_least_recently_used_value_is_evicted_first() -> None:
    memo = build_memo(50)
    for number in range(50):
        memo[build_key(number)] = VALUE
    memo.get(build_key(0))
    memo[build_key(50)] = VALUE
    assert memo.get(build_key(0), MISSING) is VALUE
    assert memo.get(build_key(1), MISSING) is MISSING


def test_a_large_value_is_not_remembered_and_evicts_nothing() -> None:
    memo = build_memo(50)
    memo[b"small"] = VALUE
    memo[b"large"] = "x" * (memo.max_size // MAX_VALUE_SHARE)
    assert memo.get(b"large", MISSING) is MISSING
    assert memo.get(b"small", MISSING) is VALUE


def test_a_value_that_is_replaced_is_counted_once() -> None:
    memo = build_memo(50)
    for _ in range(3):
        memo[b"a"] = VALUE
    assert memo.size == SIZE
    memo.clear()
    assert (memo.size, memo.values()) == (0, [])


def test_the_bytes_include_nested_values() -> None:
    assert measure_bytes({"a": [VALUE, VALUE]}) > 2 * measure_bytes(VALUE)
    assert measure_bytes(
        freeze({"names": {f"name {number}": {} for number in range(1000)}})
    ) > 1000 * measure_bytes({})


def test_threads_can_share_a_memo() -> None:
    memo = build_memo(40)
    start = threading.Barrier(4)

    def use(first: int) -> None:
        start.wait()
        for number in range(first, first + 3000):
            memo[build_key(number % 100)] = VALUE
            memo.get(build_key(number % 37))

    threads = [threading.Thread(target=use, args=(17 * number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert memo.size == len(memo) * SIZE <= memo.max_size


# --- frozen --------------------------------------------------------------------------------------

READING_DICT = {"copy", "fromkeys", "get", "items", "keys", "values"}
READING_LIST = {"copy", "count", "index"}
IN_PLACE = {"__setitem__", "__delitem__", "__ior__", "__iadd__", "__imul__"}


def changing_methods(kind: type, reading: set[str]) -> list[str]:
    """The names of all methods that change a value of this type."""
    return sorted(
        {name for name in dir(kind) if not name.startswith("_")} - reading
        | {name for name in IN_PLACE if hasattr(kind, name)}
    )


@pytest.mark.parametrize("name", changing_methods(dict, READING_DICT))
def test_no_method_changes_a_frozen_dict(name: str) -> None:
    with pytest.raises(TypeError, match="shared by many requests"):
        getattr(FrozenDict(a=1), name)("a")


@pytest.mark.parametrize("name", changing_methods(list, READING_LIST))
def test_no_method_changes_a_frozen_list(name: str) -> None:
    with pytest.raises(TypeError, match="shared by many requests"):
        getattr(FrozenList([1]), name)(0)


def test_freezing_is_deep_and_leaves_the_original_unchanged() -> None:
    plain: dict[str, Any] = {"a": [{"b": {}}], "c": "text"}
    frozen = freeze(plain)
    assert frozen == plain
    assert (type(frozen), type(frozen["a"]), type(frozen["a"][0]), type(frozen["a"][0]["b"])) == (
        FrozenDict,
        FrozenList,
        FrozenDict,
        FrozenDict,
    )
    plain["a"].append(1)
    assert frozen == {"a": [{"b": {}}], "c": "text"}


@pytest.mark.parametrize(
    "make_copy",
    [
        copy.deepcopy,
        lambda value: pickle.loads(pickle.dumps(value)),
        lambda value: orjson.loads(orjson.dumps(value)),
    ],
    ids=["deepcopy", "pickle", "orjson"],
)
def test_a_deep_copy_is_plain(make_copy: Any) -> None:
    frozen = make_copy(freeze({"a": [{"b": {}}]}))
    frozen["a"][0]["b"]["c"] = 1
    frozen["a"].append(2)
    assert frozen == {"a": [{"b": {"c": 1}}, 2]}
    assert type(frozen) is dict


def test_a_merge_of_a_frozen_dict_is_plain() -> None:
    frozen = freeze({"a": 1})
    assert {**frozen, "b": 2} == {"a": 1, "b": 2}
    assert (
        type({**frozen})
        is type(frozen | {"b": 2})
        is type(frozen.copy())
        is type(copy.copy(frozen))
        is dict
    )
