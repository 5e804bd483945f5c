"""Counters in the memory of the process, in Redis, and in any other cache: they behave alike."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest
import redis
from django.core.cache import caches
from django.test import override_settings

from native_api.limits import counters
from native_api.limits.counters import Count, Slot, generic, memory
from native_api.limits.counters import redis as in_redis
from tests.limits.conftest import REDIS
from tests.limits.stores import BACKENDS, EXACT, IN_MEMORY, OTHER, SLOT, Kind, count, held, running
from tests.servers import until

# --- taking --------------------------------------------------------------------------------------------------------


def test_a_counter_admits_what_there_is_room_for(store: counters.Store) -> None:
    assert [store.take("m", [count(4)], []).taken for _ in range(3)] == [True, True, False]
    assert held(store) == [8]
    assert store.take("m", [count(2)], []).taken, "a smaller one still fits"
    assert held(store) == [10]


def test_it_tells_what_was_held_before(store: counters.Store) -> None:
    store.take("m", [count(4)], [])
    told = store.take("m", [count(3), count(1, key="other")], [OTHER])
    assert (list(told.counts), list(told.slots)) == ([4, 0], [0])
    refused = store.take("m", [count(9)], [])
    assert (refused.taken, list(refused.counts)) == (False, [7])


@pytest.mark.parametrize(
    "refused",
    [
        ([count(1), count(11, key="full")], [OTHER]),
        ([count(1), count(5, key="used")], [OTHER]),
        ([count(1)], [OTHER, SLOT]),
        ([count(1)], [SLOT, OTHER]),
    ],
)
def test_all_is_taken_or_nothing(
    store: counters.Store, refused: tuple[list[Count], list[Slot]]
) -> None:
    store.take("first", [count(6, key="used")], [SLOT])
    assert not store.take("second", *refused).taken
    assert held(store, "count", "full", "used") == [0, 0, 6]
    assert running(store, SLOT, OTHER) == [1, 0]


def test_a_refusal_for_want_of_a_slot_says_so(store: counters.Store) -> None:
    store.take("first", [], [SLOT])
    told = store.take("second", [count()], [OTHER, SLOT])
    assert (list(told.counts), list(told.slots), told.taken) == ([0], [0, 1], False)


@pytest.mark.parametrize("most", [0, 3])
def test_a_limit_admits_no_more_than_it_says_also_where_that_is_nothing(
    store: counters.Store, most: int
) -> None:
    members = [f"m{number}" for number in range(5)]
    assert [store.take(member, [], [Slot("s", most)]).taken for member in members].count(
        True
    ) == most
    assert [store.take(member, [count(1, most, "c")], []).taken for member in members].count(
        True
    ) == most


def test_an_absurd_want_is_refused_and_in_nobodys_way(store: counters.Store) -> None:
    assert not store.take("m", [count(10**30)], []).taken
    assert store.take("m", [count(10)], []).taken


def test_counters_of_different_limits_are_apart(store: counters.Store) -> None:
    store.take("m", [count(10)], [])
    assert store.take("m", [count(10, key="other")], [])


def test_raising_or_lowering_a_limit_keeps_the_count(store: counters.Store) -> None:
    store.take("m", [count(10, most=10)], [])
    assert not store.take("m", [count(1, most=5)], []).taken
    assert store.take("m", [count(1, most=11)], []).taken


# --- at once -------------------------------------------------------------------------------------------------------


def taken_at_once(kind: Kind, counts: list[Count], slots: list[Slot], calls: int = 200) -> int:
    """How many of so many threads were let in."""
    start, taken = threading.Barrier(calls), []

    def ask(number: int) -> None:
        store = kind.open()
        start.wait(30)
        taken.append(store.take(f"member-{number}", counts, slots).taken)

    threads = [threading.Thread(target=ask, args=[number]) for number in range(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(taken) == calls
    return taken.count(True)


@pytest.mark.parametrize("kind", EXACT, indirect=True)
def test_of_200_calls_at_once_exactly_as_many_as_a_counter_admits(kind: Kind) -> None:
    assert taken_at_once(kind, [count(3, most=3 * 37 + 2)], []) == 37
    assert held(kind.open()) == [3 * 37]


@pytest.mark.parametrize("kind", EXACT, indirect=True)
def test_of_200_calls_at_once_exactly_as_many_as_there_are_slots(kind: Kind) -> None:
    assert taken_at_once(kind, [], [Slot("s", 37)]) == 37
    assert running(kind.open(), Slot("s", 37)) == [37]


@pytest.mark.parametrize("kind", EXACT, indirect=True)
def test_what_is_refused_for_one_limit_is_given_back_to_the_other(kind: Kind) -> None:
    admitted = taken_at_once(kind, [count(1, most=100)], [Slot("s", 10)])
    assert admitted == 10
    assert held(kind.open()) == [10]


# --- settling ------------------------------------------------------------------------------------------------------


def test_settling_adds_what_was_too_little_and_gives_back_what_was_too_much(
    store: counters.Store,
) -> None:
    store.take("m", [count(5), count(5, key="other")], [])
    store.add([("count", -3), ("other", 20)])
    assert held(store, "count", "other") == [2, 25]


def test_a_counter_is_never_below_zero(store: counters.Store) -> None:
    """After a flush, calls that began before it give back what nobody knows of."""
    store.take("m", [count(2)], [])
    store.add([("count", -5)])
    assert held(store) == [0]
    assert not store.take("m", [count(11)], []).taken


def test_settling_a_counter_that_is_gone_changes_nothing(store: counters.Store) -> None:
    store.add([("count", 5), ("count", -5)])
    assert held(store) == [0]
    assert store.take("m", [count(10)], []).taken


@pytest.mark.parametrize("kind", EXACT, indirect=True)
def test_a_counter_outlives_its_window_only_a_little(
    kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (IN_MEMORY, in_redis, generic):
        monkeypatch.setattr(module, "AFTERWARDS", 0.5)
    store = kind.open()
    assert store.take("m", [count(10, seconds=0.5)], []).taken
    store.add([("count", 1)])
    assert held(store) == [11]
    until(lambda: held(store) == [0], "the counter's end")
    store.add([("count", 5)])
    assert held(store) == [0], "the window has ended"
    assert store.take("m", [count(10)], []).taken


@pytest.mark.parametrize("kind", ["file"], indirect=True)
def test_a_cache_that_forgets_times_keeps_a_counter_for_its_window(kind: Kind) -> None:
    store = kind.open()
    store.take("m", [count(3, seconds=3600.0)], [])
    store.add([("count", 1)])
    caches["default"].set("something", 1)
    until(lambda: caches["default"].get("something") is None, "the cache's own time to be over")
    assert held(store) == [4]


# --- what is particular --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["memory"], indirect=True)
def test_memory_does_not_grow_with_windows_that_have_ended(
    kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(IN_MEMORY, "MOST_KEPT", 5)
    for number in range(5):
        memory.take("m", [count(key=f"old-{number}")], [])
    clock = time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: clock() + 3600)
    memory.take("m", [count(key="new")], [])
    assert list(memory._counts) == ["new"]


@pytest.mark.parametrize("kind", ["memory"], indirect=True)
def test_memory_keeps_no_slot_that_was_left(kind: Kind) -> None:
    memory.take("m", [], [SLOT])
    memory.leave("m", ["slots", "never"])
    assert memory._slots == {}


@pytest.mark.parametrize("kind", ["redis"], indirect=True)
def test_redis_is_asked_once_for_all_counters_of_a_call(
    kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = kind.open()
    everything = [count(key=f"c{number}") for number in range(4)], [SLOT, OTHER]
    assert store.take("warm", *everything).taken
    store.leave("warm", ["slots", "others"])
    store.add([("c0", -1)])
    sent: list[Any] = []
    send = redis.connection.AbstractConnection.send_packed_command

    def counting(connection: Any, command: Any, *args: Any, **options: Any) -> None:
        sent.append(command)
        send(connection, command, *args, **options)

    monkeypatch.setattr(redis.connection.AbstractConnection, "send_packed_command", counting)
    for ask in (
        lambda: store.take("m", *everything),
        lambda: store.add([("c1", 1), ("c2", -1)]),
        lambda: store.leave("m", ["slots", "others"]),
    ):
        sent.clear()
        ask()
        assert len(sent) == 1


@pytest.mark.parametrize("kind", ["redis"], indirect=True)
def test_redis_is_left_with_nothing_that_lasts(kind: Kind) -> None:
    store = kind.open()
    store.take("m", [count(seconds=3600.0)], [SLOT])
    store.add([("count", -5)])
    store.renew([("slots", "m")])
    cache: Any = caches["default"]
    with redis.Redis.from_url(REDIS) as client:
        assert 3600 < client.ttl(cache.make_key("count")) <= 3600 + counters.AFTERWARDS
        assert 0 < client.ttl(cache.make_key("slots")) <= 2 * counters.LEASE


@pytest.mark.parametrize(
    ("backend", "expected", "shared"),
    [
        ("locmem.LocMemCache", "Memory", False),
        ("dummy.DummyCache", "Memory", False),
        ("filebased.FileBasedCache", "AnyCache", True),
    ],
)
def test_the_store_is_that_of_the_cache_that_requests_are_counted_in(
    tmp_path: Path, backend: str, expected: str, shared: bool
) -> None:
    known = {
        "default": {"BACKEND": f"{BACKENDS}.dummy.DummyCache"},
        "rates": {"BACKEND": f"{BACKENDS}.{backend}", "LOCATION": str(tmp_path)},
    }
    with override_settings(CACHES=known, RATELIMIT_USE_CACHE="rates"):
        assert type(counters.store()).__name__ == expected
        assert counters.are_shared() is counters.store().shared is shared


@pytest.mark.parametrize("kind", ["redis"], indirect=True)
def test_a_thread_makes_its_redis_store_once(kind: Kind) -> None:
    assert kind.open() is kind.open()
    assert counters.are_shared()
