"""Values of the database: how long they are used, who queries, and what is used in an outage."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import ProgrammingError

from native_api.background import cached_value, executors
from native_api.background.cached_value import RETRY_SECONDS, CachedValues
from native_api.exceptions import DatabaseUnavailable

pytestmark = pytest.mark.django_db

WAIT_SECONDS = 10.0
"""For what happens at once."""


class Clock:
    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(cached_value, "time", clock)
    return clock


class Table:
    """What the database has. `gate` holds each query up until it is opened."""

    def __init__(self) -> None:
        self.rows: dict[str, str] = {"a": "first"}
        self.queries: list[str] = []
        self.error: Exception | None = None
        self.began, self.gate = threading.Event(), threading.Event()
        self.gate.set()

    def read(self, key: str) -> str | None:
        self.queries.append(key)
        found = self.rows.get(key)
        self.began.set()
        assert self.gate.wait(WAIT_SECONDS)
        if self.error is not None:
            raise self.error
        return found


@pytest.fixture
def table() -> Table:
    return Table()


def unavailable() -> str:
    raise DatabaseUnavailable


def values_of(
    table: Table, max_size: int = 100, max_age: float = 4, grace: float = float("inf")
) -> CachedValues[str, str | None]:
    return CachedValues("words", table.read, unavailable, max_size, max_age, grace)


# --- age -----------------------------------------------------------------------------------------


def test_a_value_is_used_until_it_is_too_old(table: Table, clock: Clock) -> None:
    values = values_of(table, max_age=4)
    assert values.get("a") == "first"
    table.rows["a"] = "second"
    clock.now += 3.9
    assert values.get("a") == "first"
    clock.now += 0.1
    assert values.get("a") == "second"


def test_the_age_counts_from_before_the_query(table: Table, clock: Clock) -> None:
    values = values_of(table, max_age=4)
    read = values._read

    def read_slowly(key: str) -> str | None:
        found = read(key)
        clock.now += 3
        return found

    values._read = read_slowly
    values.get("a")
    clock.now += 1
    values.get("a")
    assert len(table.queries) == 2


def test_a_value_that_is_fresh_does_not_make_a_coroutine_wait(table: Table) -> None:
    values = values_of(table)
    values.get("a")
    with pytest.raises(StopIteration) as stopped:
        values.aget("a").send(None)
    assert stopped.value.value == "first"


def test_an_expired_value_is_read_again(table: Table) -> None:
    values = values_of(table)
    values.get("a")
    table.rows["a"] = "second"
    values.expire()
    assert values.get("a") == "second"


@pytest.mark.parametrize("change", ["expire", "clear"])
def test_the_result_of_a_query_that_a_change_overtook_is_not_kept(
    table: Table, change: str
) -> None:
    values = values_of(table)
    table.gate.clear()
    with ThreadPoolExecutor(1) as threads:
        before = threads.submit(values.get, "a")
        assert table.began.wait(WAIT_SECONDS)
        table.rows["a"] = "second"
        getattr(values, change)()
        table.gate.set()
        assert before.result(WAIT_SECONDS) == "first"
    assert values.get("a") == "second"


# --- the bound -----------------------------------------------------------------------------------


def test_the_number_of_values_is_bounded(table: Table) -> None:
    values = values_of(table, max_size=2)
    table.rows = dict.fromkeys("abc", "word")
    for key in "abc":
        values.get(key)
    assert [values.fresh(key) is None for key in "abc"] == [True, False, False]


def test_keys_without_a_row_evict_no_others(table: Table) -> None:
    values = values_of(table, max_size=10)
    values.get("a")
    for number in range(20):
        assert values.get(f"guess {number}") is None
        assert values.get(f"guess {number}") is None
    assert len(table.queries) == 21
    assert values.get("a") == "first"
    assert len(table.queries) == 21


def test_a_key_may_get_a_row_and_lose_it(table: Table, clock: Clock) -> None:
    values = values_of(table)
    assert values.get("b") is None
    table.rows["b"] = "new"
    clock.now += 4
    assert values.get("b") == "new"
    del table.rows["b"]
    clock.now += 4
    assert values.get("b") is None
    assert values.get("b") is None
    assert table.queries == ["b"] * 3


# --- single flight -------------------------------------------------------------------------------


def test_sixty_coroutines_with_one_cold_key_cost_one_query(table: Table) -> None:
    values = values_of(table)

    async def ask_at_once() -> list[str | None]:
        return await asyncio.gather(*(values.aget("a") for _ in range(60)))

    assert asyncio.run(ask_at_once()) == ["first"] * 60
    assert table.queries == ["a"]


def test_threads_and_coroutines_share_a_query(table: Table) -> None:
    values = values_of(table)
    table.gate.clear()

    async def ask() -> str | None:
        waiting = asyncio.create_task(values.aget("a"))
        await asyncio.sleep(0)
        table.gate.set()
        return await waiting

    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(values.get, "a")
        assert table.began.wait(WAIT_SECONDS)
        assert asyncio.run(ask()) == first.result(WAIT_SECONDS) == "first"
    assert table.queries == ["a"]


# --- outages -------------------------------------------------------------------------------------


@pytest.fixture
def database_down() -> Iterator[None]:
    """The executor knows that the database does not answer."""
    outage = executors.database.outage
    assert outage is not None
    outage.is_active = True
    yield
    executors.database.forget_outage()


def get(values: CachedValues[str, str | None], way: str) -> str | None:
    return values.get("a") if way == "get" else asyncio.run(values.aget("a"))


both_ways = pytest.mark.parametrize("way", ["get", "aget"])


@both_ways
def test_the_last_value_stays_in_use_if_a_query_fails(
    table: Table, way: str, caplog: pytest.LogCaptureFixture
) -> None:
    values = values_of(table)
    values.get("a")
    table.error = ProgrammingError("gone")
    values.expire()
    with caplog.at_level(logging.WARNING, "native_api.background"):
        assert get(values, way) == "first"
        values.expire()
        assert get(values, way) == "first"
    assert [record.getMessage() for record in caplog.records] == [
        "The words cannot be read (ProgrammingError: gone). Those that were read last stay in use."
    ]


@both_ways
def test_the_last_value_is_used_at_once_while_the_database_is_down(
    table: Table, way: str, request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
) -> None:
    values = values_of(table)
    values.get("a")
    values.expire()
    request.getfixturevalue("database_down")
    assert get(values, way) == "first"
    assert table.queries == ["a"]
    logged = [record.getMessage() for record in caplog.records]
    assert not [line for line in logged if "words" in line], "the outage itself is logged"


@both_ways
@pytest.mark.usefixtures("database_down")
def test_the_reader_decides_what_is_used_if_there_is_no_last_value(table: Table, way: str) -> None:
    with pytest.raises(DatabaseUnavailable):
        get(values_of(table), way)
    assert not table.queries


def test_nobody_waits_for_a_query_that_hangs_when_the_database_is_down(
    table: Table, request: pytest.FixtureRequest
) -> None:
    values = values_of(table)
    values.get("a")
    values.expire()
    table.gate.clear()
    table.began.clear()
    with ThreadPoolExecutor(1) as threads:
        hanging = threads.submit(values.get, "a")
        assert table.began.wait(WAIT_SECONDS)
        request.getfixturevalue("database_down")
        assert values.get("a") == asyncio.run(values.aget("a")) == "first"
        table.gate.set()
        hanging.result(WAIT_SECONDS)


def test_the_last_value_is_used_no_longer_than_the_grace(table: Table, clock: Clock) -> None:
    values = values_of(table, max_age=4, grace=300)
    values.get("a")
    table.error = ProgrammingError("gone")
    clock.now += 300
    assert values.get("a") == "first"
    clock.now += RETRY_SECONDS
    with pytest.raises(DatabaseUnavailable):
        values.get("a")


def test_a_query_that_failed_is_not_made_again_for_a_moment(table: Table, clock: Clock) -> None:
    values = values_of(table, max_age=4)
    values.get("a")
    table.error = ProgrammingError("gone")
    clock.now += 4
    for _ in range(10):
        values.get("a")
    assert len(table.queries) == 2
    table.error, table.rows["a"] = None, "second"
    clock.now += RETRY_SECONDS
    assert values.get("a") == "second"


def test_a_key_without_a_row_is_not_taken_for_known_when_the_query_fails(table: Table) -> None:
    values = values_of(table)
    values.get("b")
    values.expire()
    table.error = ProgrammingError("gone")
    with pytest.raises(DatabaseUnavailable):
        values.get("b")


def test_a_value_that_was_dropped_is_not_used_in_an_outage(table: Table) -> None:
    values = values_of(table)
    values.get("a")
    values.discard_where(lambda key, value: value == "first")
    table.error = ProgrammingError("gone")
    with pytest.raises(DatabaseUnavailable):
        values.get("a")


def test_dropping_one_value_leaves_the_others_fresh(table: Table) -> None:
    table.rows["b"] = "other"
    values = values_of(table)
    for key in "ab":
        values.get(key)
    values.discard_where(lambda key, value: key == "a")
    assert values.fresh("a") is None
    assert values.fresh("b") is not None


def test_other_errors_are_raised(table: Table) -> None:
    table.error = ValueError("a bug")
    with pytest.raises(ValueError, match="a bug"):
        values_of(table).get("a")


def test_a_change_holds_no_lock_that_a_query_needs(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under Django's test cases a query is made while it is being joined, by another thread."""
    values, locked = values_of(table), list[bool]()
    monkeypatch.setattr(values._flights, "forget", lambda: locked.append(values._lock.locked()))
    values.expire()
    values.clear()
    values.discard_where(lambda key, value: True)
    assert locked == [False] * 3
