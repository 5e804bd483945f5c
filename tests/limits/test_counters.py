"""Counters in process memory, in Redis and in any other cache behave alike."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
import redis
from django.core.cache import caches
from django.test import override_settings

from native_api.limits import counters
from native_api.limits.counters import Increment, Slot, memory_store
from tests.limits.conftest import REDIS
from tests.limits.stores import (
    BACKENDS,
    EXACT_STORES,
    IN_MEMORY,
    OTHER_SLOT,
    SLOT,
    Kind,
    counts,
    increment,
    running_slots,
)

# --- acquiring -----------------------------------------------------------------------------------


def test_a_counter_admits_what_fits(store: counters.CounterStore) -> None:
    assert [store.acquire("m", [increment(4)], []).accepted for _ in range(3)] == [
        True,
        True,
        False,
    ]
    assert counts(store) == [8]
    assert store.acquire("m", [increment(2)], []).accepted, "a smaller one still fits"
    assert counts(store) == [10]


def test_the_previous_levels_are_returned(store: counters.CounterStore) -> None:
    store.acquire("m", [increment(4)], [])
    cache_settings = store.acquire("m", [increment(3), increment(1, key="other")], [OTHER_SLOT])
    assert (list(cache_settings.counts), list(cache_settings.slots)) == ([4, 0], [0])
    refused = store.acquire("m", [increment(9)], [])
    assert (refused.accepted, list(refused.counts)) == (False, [7])


@pytest.mark.parametrize(
    "refused",
    [
        ([increment(1), increment(11, key="full")], [OTHER_SLOT]),
        ([increment(1), increment(5, key="used")], [OTHER_SLOT]),
        ([increment(1)], [OTHER_SLOT, SLOT]),
        ([increment(1)], [SLOT, OTHER_SLOT]),
    ],
)
def test_everything_is_acquired_or_nothing(
    store: counters.CounterStore, refused: tuple[list[Increment], list[Slot]]
) -> None:
    store.acquire("first", [increment(6, key="used")], [SLOT])
    assert not store.acquire("second", *refused).accepted
    assert counts(store, "count", "full", "used") == [0, 0, 6]
    assert running_slots(store, SLOT, OTHER_SLOT) == [1, 0]


def test_a_refusal_by_a_slot_returns_its_level(store: counters.CounterStore) -> None:
    store.acquire("first", [], [SLOT])
    cache_settings = store.acquire("second", [increment()], [OTHER_SLOT, SLOT])
    assert (list(cache_settings.counts), list(cache_settings.slots), cache_settings.accepted) == (
        [0],
        [0, 1],
        False,
    )


@pytest.mark.parametrize("maximum", [0, 3])
def test_a_limit_admits_exactly_its_amount(store: counters.CounterStore, maximum: int) -> None:
    members = [f"m{number}" for number in range(5)]
    assert [store.acquire(member, [], [Slot("s", maximum)]).accepted for member in members].count(
        True
    ) == maximum
    assert [
        store.acquire(member, [increment(1, maximum, "c")], []).accepted for member in members
    ].count(True) == maximum


def test_an_absurd_increment_is_refused_and_blocks_nobody(store: counters.CounterStore) -> None:
    assert not store.acquire("m", [increment(10**30)], []).accepted
    assert store.acquire("m", [increment(10)], []).accepted


def test_limits_are_counted_separately(store: counters.CounterStore) -> None:
    store.acquire("m", [increment(10)], [])
    assert store.acquire("m", [increment(10, key="other")], [])


def test_raising_or_lowering_a_limit_keeps_the_count(store: counters.CounterStore) -> None:
    store.acquire("m", [increment(10, maximum=10)], [])
    assert not store.acquire("m", [increment(1, maximum=5)], []).accepted
    assert store.acquire("m", [increment(1, maximum=11)], []).accepted


# --- concurrent calls ----------------------------------------------------------------------------


def count_admitted(kind: Kind, counts: list[Increment], slots: list[Slot], calls: int = 200) -> int:
    """Return how many of these concurrent calls were admitted."""
    start, admitted = threading.Barrier(calls), []

    def ask(number: int) -> None:
        store = kind.open()
        start.wait(60)
        admitted.append(store.acquire(f"member-{number}", counts, slots).accepted)

    threads = [threading.Thread(target=ask, args=[number]) for number in range(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(admitted) == calls
    return admitted.count(True)


@pytest.mark.parametrize("kind", EXACT_STORES, indirect=True)
def test_a_counter_admits_exactly_its_amount_of_200_concurrent_calls(kind: Kind) -> None:
    assert count_admitted(kind, [increment(3, maximum=3 * 37 + 2)], []) == 37
    assert counts(kind.open()) == [3 * 37]


@pytest.mark.parametrize("kind", EXACT_STORES, indirect=True)
def test_200_concurrent_calls_get_exactly_the_slots_there_are(kind: Kind) -> None:
    assert count_admitted(kind, [], [Slot("s", 37)]) == 37
    assert running_slots(kind.open(), Slot("s", 37)) == [37]


@pytest.mark.parametrize("kind", EXACT_STORES, indirect=True)
def test_a_refusal_by_one_limit_gives_back_the_other(kind: Kind) -> None:
    admitted = count_admitted(kind, [increment(1, maximum=100)], [Slot("s", 10)])
    assert admitted == 10
    assert counts(kind.open()) == [10]


# --- adjusting -----------------------------------------------------------------------------------


def test_adjusting_adds_and_subtracts(
    store: counters.CounterStore,
) -> None:
    store.acquire("m", [increment(5), increment(5, key="other")], [])
    store.adjust([("count", -3), ("other", 20)])
    assert counts(store, "count", "other") == [2, 25]


def test_a_counter_is_never_negative(store: counters.CounterStore) -> None:
    """After a flush, calls that began before it give back more than there is."""
    store.acquire("m", [increment(2)], [])
    store.adjust([("count", -5)])
    assert counts(store) == [0]
    assert not store.acquire("m", [increment(11)], []).accepted


def test_adjusting_an_expired_counter_changes_nothing(store: counters.CounterStore) -> None:
    store.adjust([("count", 5), ("count", -5)])
    assert counts(store) == [0]
    assert store.acquire("m", [increment(10)], []).accepted


@pytest.mark.parametrize("kind", EXACT_STORES, indirect=True)
def test_a_counter_outlives_its_window_by_the_grace_period(kind: Kind) -> None:
    store = kind.open()
    assert store.acquire("m", [increment(10, seconds=60.0)], []).accepted
    kind.pass_time(60)
    store.adjust([("count", 1)])
    assert counts(store) == [11]
    kind.pass_time(counters.COUNTER_GRACE_SECONDS)
    assert counts(store) == [0]
    store.adjust([("count", 5)])
    assert counts(store) == [0], "the window has ended"
    assert store.acquire("m", [increment(10)], []).accepted


@pytest.mark.parametrize("kind", ["file"], indirect=True)
def test_a_cache_whose_incr_resets_the_ttl_keeps_a_counter_for_its_window(kind: Kind) -> None:
    store = kind.open()
    store.acquire("m", [increment(3, seconds=3600.0)], [])
    store.adjust([("count", 1)])
    caches["default"].set("something", 1)
    kind.pass_time(1)
    assert caches["default"].get("something") is None, "the cache's own time is over"
    assert counts(store) == [4]


# --- particular stores ---------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["memory"], indirect=True)
def test_memory_drops_expired_counters(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(IN_MEMORY, "MAX_COUNTERS", 5)
    for number in range(5):
        memory_store.acquire("m", [increment(key=f"old-{number}")], [])
    kind.pass_time(3600)
    memory_store.acquire("m", [increment(key="new")], [])
    assert list(memory_store._counts) == ["new"]


@pytest.mark.parametrize("kind", ["memory"], indirect=True)
def test_memory_keeps_no_released_slot(kind: Kind) -> None:
    memory_store.acquire("m", [], [SLOT])
    memory_store.release("m", ["slots", "never"])
    assert memory_store._slots == {}


@pytest.mark.parametrize("kind", ["redis"], indirect=True)
def test_redis_needs_one_round_trip_for_all_counters(
    kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = kind.open()
    everything = [increment(key=f"c{number}") for number in range(4)], [SLOT, OTHER_SLOT]
    assert store.acquire("warm", *everything).accepted
    store.release("warm", ["slots", "others"])
    store.adjust([("c0", -1)])
    sent: list[Any] = []
    send = redis.connection.AbstractConnection.send_packed_command

    def counting(connection: Any, command: Any, *args: Any, **options: Any) -> None:
        sent.append(command)
        send(connection, command, *args, **options)

    monkeypatch.setattr(redis.connection.AbstractConnection, "send_packed_command", counting)
    for ask in (
        lambda: store.acquire("m", *everything),
        lambda: store.adjust([("c1", 1), ("c2", -1)]),
        lambda: store.release("m", ["slots", "others"]),
    ):
        sent.clear()
        ask()
        assert len(sent) == 1


@pytest.mark.parametrize("kind", ["redis"], indirect=True)
def test_all_keys_in_redis_expire(kind: Kind) -> None:
    store = kind.open()
    store.acquire("m", [increment(seconds=3600.0)], [SLOT])
    store.adjust([("count", -5)])
    store.renew([("slots", "m")])
    cache: Any = caches["default"]
    with redis.Redis.from_url(REDIS) as client:
        assert 3600 < client.ttl(cache.make_key("count")) <= 3600 + counters.COUNTER_GRACE_SECONDS
        assert 0 < client.ttl(cache.make_key("slots")) <= 2 * counters.SLOT_TTL_SECONDS


@pytest.mark.parametrize(
    ("backend", "expected", "shared"),
    [
        ("locmem.LocMemCache", "MemoryStore", False),
        ("dummy.DummyCache", "MemoryStore", False),
        ("filebased.FileBasedCache", "GenericStore", True),
    ],
)
def test_the_store_depends_on_the_configured_cache(
    tmp_path: Path, backend: str, expected: str, shared: bool
) -> None:
    cache_settings = {
        "default": {"BACKEND": f"{BACKENDS}.dummy.DummyCache"},
        "rates": {"BACKEND": f"{BACKENDS}.{backend}", "LOCATION": str(tmp_path)},
    }
    with override_settings(CACHES=cache_settings, RATELIMIT_USE_CACHE="rates"):
        assert type(counters.store()).__name__ == expected
        assert counters.is_shared() is counters.store().is_shared is shared


@pytest.mark.parametrize("kind", ["redis"], indirect=True)
def test_a_thread_creates_its_redis_store_once(kind: Kind) -> None:
    assert kind.open() is kind.open()
    assert counters.is_shared()
