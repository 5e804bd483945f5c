"""Slots of running requests in every store: held, renewed, released, and expired."""

from __future__ import annotations

import time

import pytest

from native_api.limits import counters
from native_api.limits.counters import Slot, generic
from native_api.limits.counters import redis as in_redis
from tests.limits.stores import (
    OTHER_SLOT,
    SHARED_STORES,
    SLOT,
    Kind,
    counts,
    increment,
    running_slots,
)
from tests.servers import until


def test_a_released_slot_is_free(store: counters.CounterStore) -> None:
    assert store.acquire("first", [], [SLOT, OTHER_SLOT]).accepted
    store.release("second", ["slots"])
    assert running_slots(store) == [1], "nobody leaves another's"
    store.release("first", ["slots", "others"])
    assert running_slots(store, SLOT, OTHER_SLOT) == [0, 0]
    store.release("first", ["slots", "others"])
    assert store.acquire("second", [], [SLOT]).accepted


@pytest.fixture
def slot_ttl(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> float:
    seconds = 2.0
    for module in (in_redis, generic):
        monkeypatch.setattr(module, "SLOT_TTL_SECONDS", seconds)
    return seconds


@pytest.mark.parametrize("kind", SHARED_STORES, indirect=True)
def test_the_slot_of_a_dead_process_expires(kind: Kind, slot_ttl: float) -> None:
    store = kind.open()
    assert store.acquire("first", [], [SLOT]).accepted
    until(lambda: running_slots(store) == [0], "the slot to expire")
    assert store.acquire("second", [], [SLOT]).accepted


@pytest.mark.parametrize("kind", SHARED_STORES, indirect=True)
def test_a_renewed_slot_is_held(kind: Kind, slot_ttl: float) -> None:
    store = kind.open()
    store.acquire("first", [], [SLOT])
    ends = time.monotonic() + 1.5 * slot_ttl
    while time.monotonic() < ends:
        store.renew([("slots", "first")])
        assert running_slots(store) == [1]
        time.sleep(0.05)
    assert not store.acquire("second", [], [SLOT]).accepted


@pytest.mark.parametrize("kind", ["memory"], indirect=True)
def test_in_memory_a_slot_needs_no_renewing(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    store = kind.open()
    store.acquire("first", [], [SLOT])
    clock = time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: clock() + 1_000_000)
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
