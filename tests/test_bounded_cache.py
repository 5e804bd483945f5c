"""The cache of values in memory: its bound, what it evicts first, when entries expire, and threads."""

from __future__ import annotations

import multiprocessing
import threading
from typing import Any

import pytest

from native_api import bounded_cache
from native_api.bounded_cache import BoundedCache


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def filled(size: int, **options: Any) -> BoundedCache[int, str]:
    """The keys 0, 1, … and their names."""
    cache = BoundedCache[int, str](size, **options)
    for number in range(size):
        cache[number] = str(number)
    return cache


# --- reading and storing -------------------------------------------------------------------------


def test_a_value_is_found_under_its_key() -> None:
    cache = filled(3)
    assert cache.get(1) == "1"
    assert cache.get(9) is None
    assert cache.get(9, "none") == "none"
    assert 1 in cache
    assert 9 not in cache


def test_none_is_a_value() -> None:
    cache = BoundedCache[str, None](1)
    cache["a"] = None
    assert "a" in cache
    assert cache.get("a", "missing") is None


def test_storing_again_replaces_the_value() -> None:
    cache = filled(2)
    cache[0] = "new"
    assert cache.get(0) == "new"
    assert (len(cache), cache.size) == (2, 2)


def test_a_discarded_entry_is_gone_and_discarding_it_again_is_no_error() -> None:
    cache = filled(2)
    cache.discard(0)
    cache.discard(0)
    assert cache.items() == [(1, "1")]
    assert cache.size == 1


def test_a_value_is_made_once() -> None:
    cache, made = BoundedCache[str, int](2), []

    def make() -> int:
        made.append(1)
        return len(made)

    assert [cache.get_or_make("a", make) for _ in range(3)] == [1, 1, 1]
    cache.clear()
    assert cache.get_or_make("a", make) == 2


def test_a_value_that_another_thread_stored_meanwhile_is_kept() -> None:
    cache = BoundedCache[str, str](2)

    def make_too_late() -> str:
        cache["a"] = "first"
        return "second"

    assert cache.get_or_make("a", make_too_late) == "first"
    assert cache.get("a") == "first"


def test_a_value_that_cannot_be_made_is_not_stored() -> None:
    cache = BoundedCache[str, int](2)
    with pytest.raises(ZeroDivisionError):
        cache.get_or_make("a", lambda: 1 // 0)
    assert "a" not in cache


# --- the bound -----------------------------------------------------------------------------------


def test_the_number_of_entries_is_bounded() -> None:
    cache = filled(10)
    for number in range(100):
        cache[number] = str(number)
        assert len(cache) == cache.size == 10


def test_the_entry_stored_first_is_evicted_first() -> None:
    cache = filled(3)
    cache[3] = "3"
    assert list(cache) == [1, 2, 3]


@pytest.mark.parametrize(
    "use",
    [
        lambda cache: cache.get(0),
        lambda cache: cache.get_or_make(0, str),
        lambda cache: cache.store(0, "0", None),
    ],
    ids=["get", "get_or_make", "store"],
)
def test_a_used_entry_is_evicted_last(use: Any) -> None:
    cache = filled(3)
    use(cache)
    cache[3] = "3"
    cache[4] = "4"
    assert list(cache) == [0, 3, 4]


def test_looking_whether_a_key_is_there_is_no_use() -> None:
    cache = filled(3)
    assert 0 in cache
    cache[3] = "3"
    assert 0 not in cache


def test_entries_are_bounded_by_their_weight() -> None:
    cache = BoundedCache[int, str](10, weigh=len)
    for number in range(5):
        cache[number] = "xxxx"
    assert list(cache) == [3, 4]
    assert cache.size == 8
    cache[3] = "x"
    assert (list(cache), cache.size) == ([4, 3], 5)


@pytest.mark.parametrize(("max_weight", "text"), [(None, "x" * 11), (4, "x" * 5)])
def test_an_entry_that_is_too_heavy_evicts_nothing_but_its_predecessor(
    max_weight: int | None, text: str
) -> None:
    cache = BoundedCache[str, str](10, weigh=len, max_weight=max_weight)
    cache["a"] = cache["b"] = "xxx"
    cache["a"] = text
    assert (cache.items(), cache.size) == ([("b", "xxx")], 3)


# --- the time to live ----------------------------------------------------------------------------


def test_an_entry_expires_so_many_seconds_after_it_was_stored(clock: Clock) -> None:
    cache = BoundedCache[str, int](2, seconds=60, clock=clock)
    cache["a"] = 1
    clock.now += 59.9
    assert cache.get("a") == 1
    assert "a" in cache
    clock.now += 0.1
    assert cache.get("a") is None
    assert "a" not in cache


def test_reading_does_not_prolong_an_entry_but_storing_does(clock: Clock) -> None:
    cache = BoundedCache[str, int](2, seconds=60, clock=clock)
    cache["a"] = cache["b"] = 1
    clock.now += 40
    cache.get("a")
    cache["b"] = 2
    clock.now += 40
    assert (cache.get("a"), cache.get("b")) == (None, 2)


def test_an_entry_can_have_a_time_to_live_of_its_own(clock: Clock) -> None:
    cache = BoundedCache[str, int](2, seconds=60, clock=clock)
    cache.store("short", 1, 10)
    cache.store("lasting", 2, None)
    clock.now += 10
    assert cache.get("short") is None
    clock.now += 1e9
    assert cache.get("lasting") == 2


def test_an_expired_value_is_made_again(clock: Clock) -> None:
    cache = BoundedCache[str, float](2, seconds=60, clock=clock)
    assert cache.get_or_make("a", clock) == 1000
    clock.now += 60
    assert cache.get_or_make("a", clock) == 1060


# --- threads and processes -----------------------------------------------------------------------


def test_threads_can_share_a_cache() -> None:
    cache = BoundedCache[int, str](40, weigh=len)
    start = threading.Barrier(4)
    failures: list[BaseException] = []

    def use(first: int) -> None:
        start.wait()
        try:
            for number in range(first, first + 3000):
                cache[number % 100] = "x" * (number % 3 + 1)
                cache.get(number % 37)
                cache.discard(number % 41)
                assert len(list(cache)) <= 40
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=use, args=(17 * number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert cache.size == sum(map(len, cache.values())) <= 40


def _store_in_child(cache: BoundedCache[str, int], stored: Any) -> None:
    cache["child"] = 1
    stored.put(sorted(cache))


@pytest.mark.skipif(
    "fork" not in multiprocessing.get_all_start_methods(), reason="This system cannot fork."
)
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.impure
def test_a_child_does_not_wait_for_a_thread_of_its_parent() -> None:
    cache = BoundedCache[str, int](4)
    cache["parent"] = 1
    context: Any = multiprocessing.get_context("fork")
    stored = context.SimpleQueue()
    with cache._lock:  # as another thread may hold it at the moment of the fork
        child = context.Process(target=_store_in_child, args=(cache, stored))
        child.start()
    child.join(10)
    assert child.exitcode == 0
    assert stored.get() == ["child", "parent"]


def test_all_caches_of_the_process_can_be_cleared() -> None:
    caches = [filled(2), filled(3)]
    bounded_cache.clear_all()
    assert [len(cache) for cache in caches] == [0, 0]
