"""Slots of running requests in every store: held, renewed, released, and expired."""

from __future__ import annotations

import pytest

from native_api.limits import counters
from native_api.limits.counters import Slot, generic
from tests.limits.stores import (
    OTHER_SLOT,
    SHARED_STORES,
    SLOT,
    Kind,
    counts,
    increment,
    running_slots,
)


def test_a_released_slot_is_free(store: counters.CounterStore) -> None:
    assert store.acquire("first", [], [SLOT, OTHER_SLOT]).accepted
    store.release("second", ["slots"])
    assert running_slots(store) == [1], "nobody leaves another's"
    store.release("first", ["slots", "others"])
    assert running_slots(store, SLOT, OTHER_SLOT) == [0, 0]
    store.release("first", ["slots", "others"])
    assert store.acquire("second", [], [SLOT]).accepted


@pytest.mark.parametrize("kind", SHARED_STORES, indirect=True)
def test_the_slot_of_a_dead_process_expires(kind: Kind) -> None:
    store = kind.open()
    assert store.acquire("first", [], [SLOT]).accepted
    kind.pass_time(counters.SLOT_TTL_SECONDS)
    assert running_slots(store) == [0]
    assert store.acquire("second", [], [SLOT]).accepted


@pytest.mark.parametrize("kind", SHARED_STORES, indirect=True)
def test_a_renewed_slot_is_held(kind: Kind) -> None:
    store = kind.open()
    store.acquire("first", [], [SLOT])
    for _ in range(3):
        kind.pass_time(counters.SLOT_TTL_SECONDS / 3)
        store.renew([("slots", "first")])
        assert running_slots(store) == [1]
    kind.pass_time(counters.SLOT_TTL_SECONDS / 3)
    assert not store.acquire("second", [], [SLOT]).accepted


@pytest.mark.parametrize("kind", ["memory"], indirect=True)
def test_in_memory_a_slot_needs_no_renewing(kind: Kind) -> None:
    store = kind.open()
    store.acquire("first", [], [SLOT])
    kind.pass_time(1_000_000)
    store.renew([("slots", "first")])
    assert running_slots(store) == [1]


@pytest.mark.parametrize("kind", SHARED_STORES, indirect=True)
def test_after_a_flush_counters_are_zero_and_renewed_slots_are_held(
    kind: Kind,
) -> None:
    store = kind.open()
    store.acquire("first", [increment(10)], [SLOT])
    kind.flush()
    assert (counts(store), running_slots(store)) == ([0], [0])
    store.renew([("slots", "first")])
    assert running_slots(store) == [1]
    assert not store.acquire("second", [], [SLOT]).accepted
    store.release("first", ["slots"])
    assert running_slots(store) == [0]


@pytest.mark.parametrize("kind", ["locmem", "file"], indirect=True)
def test_a_slot_that_another_call_took_after_a_flush_is_not_taken_back(kind: Kind) -> None:
    store = kind.open()
    store.acquire("first", [], [SLOT])
    kind.flush()
    assert store.acquire("second", [], [SLOT]).accepted
    store.renew([("slots", "first")])
    store.release("first", ["slots"])
    assert running_slots(store) == [1]


@pytest.mark.parametrize("kind", ["locmem"], indirect=True)
def test_more_slots_than_one_query_may_name(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generic, "MAX_KEYS_PER_QUERY", 2)
    store, many = kind.open(), Slot("many", 5)
    assert [store.acquire(f"m{number}", [], [many]).accepted for number in range(6)] == [
        True
    ] * 5 + [False]
    assert running_slots(store, many) == [5]
