"""Calls whose shared cache or database fails or hangs: what it gives too late is not kept."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from django.core.cache.backends.locmem import LocMemCache
from django.db import OperationalError, connection

from native_api.background import CallTimeout, executors, outages
from native_api.exceptions import BudgetExceeded, DatabaseUnavailable, RateLimited
from native_api.limits import budgets, counters, reservations
from native_api.limits.counters import CounterLevels, GenericStore, Increment, Slot, client
from native_api.limits.counters.slot_renewal import slot_renewal
from native_api.models import Budget
from native_api.usage.entry import new_id
from tests.limits.reservation_factory import end, held_budgets, held_counts, held_slots
from tests.limits.test_reservations import BUDGET, RATE, SLOTS, TOKENS, reserved
from tests.servers import until
from tests.waiting import auntil

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("no_reservations"),
]


async def cancel_when(is_waiting: threading.Event) -> None:
    """Begin a call and cancel it as soon as it waits."""
    call = asyncio.ensure_future(reserved())
    await auntil(lambda: is_waiting.is_set() or call.done(), "the call to wait")
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call


# --- a shared cache ------------------------------------------------------------------------------


class SlowStore(GenericStore):
    """A store whose `acquire` can be blocked, or fail."""

    def __init__(self) -> None:
        super().__init__(LocMemCache(f"slow-store-{new_id()}", {}))
        self.is_called, self.may_continue = threading.Event(), threading.Event()
        self.may_continue.set()
        self.error: Exception | None = None
        self.calls = 0
        self.answers: list[CounterLevels] = []
        self.increments: list[Increment] = []
        self.slots: list[Slot] = []

    def acquire(
        self, call_id: str, increments: Sequence[Increment], slots: Sequence[Slot]
    ) -> CounterLevels:
        self.calls += 1
        self.increments, self.slots = list(increments), list(slots)
        self.is_called.set()
        self.may_continue.wait(60)
        if self.error:
            raise self.error
        levels = super().acquire(call_id, increments, slots)
        self.answers.append(levels)
        return levels

    def held(self) -> list[int]:
        levels = self.levels([increment.key for increment in self.increments], self.slots)
        return [*levels.counts, *levels.slots]


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[SlowStore]:
    slow_store = SlowStore()
    monkeypatch.setattr(counters, "store", lambda: slow_store)
    monkeypatch.setattr(counters, "is_shared", lambda: True)
    yield slow_store
    slow_store.may_continue.set()
    until(
        lambda: not client._pending_releases and not slot_renewal._slots,
        "everything to be given back",
    )


def test_shared_slots_are_renewed_until_the_call_ends(
    set_limits: Callable[..., None], store: SlowStore
) -> None:
    set_limits(RATE, SLOTS)
    reservation = asyncio.run(reserved())
    assert list(slot_renewal._slots) == [reservation.cache.call_id]
    end(reservation)
    until(lambda: store.held() == [0, 0] and not slot_renewal._slots, "everything to be given back")


def test_a_call_waits_for_slots_that_are_just_being_given_back(
    set_limits: Callable[..., None], store: SlowStore
) -> None:
    set_limits(SLOTS)

    async def one_after_the_other() -> None:
        for _ in range(20):
            end(await reserved())

    asyncio.run(one_after_the_other())


def test_a_call_that_is_cancelled_while_it_waits_for_the_cache_holds_nothing(
    set_limits: Callable[..., None], store: SlowStore
) -> None:
    set_limits(RATE, TOKENS, SLOTS)
    store.may_continue.clear()
    asyncio.run(cancel_when(store.is_called))
    store.may_continue.set()
    until(lambda: bool(store.answers), "the cache to answer")
    assert store.answers[0].accepted, "it was acquired nevertheless"
    until(lambda: store.held() == [0, 0, 0], "everything to be given back")


def test_a_failing_cache_admits_calls_with_one_warning(
    set_limits: Callable[..., None],
    store: SlowStore,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def probe() -> None:
        raise ConnectionError("gone")

    monkeypatch.setattr(executors.cache.outage, "_probe", probe)
    set_limits(RATE, SLOTS)
    store.error = ConnectionError("gone")
    for _ in range(3):
        reservation = asyncio.run(reserved())
        assert (reservation.cache.counts, reservation.cache.slots) == ({}, {})
    assert store.calls == 1, "it is not called again at once"
    assert len(caplog.records) == 1
    assert caplog.text.count("The cache does not answer (ConnectionError: gone)") == 1


def test_a_cache_that_recovers_counts_again(
    set_limits: Callable[..., None], store: SlowStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outages, "PROBE_SECONDS", 0.01)
    set_limits(RATE)
    store.error = ConnectionError("gone")
    asyncio.run(reserved())
    store.error = None
    until(lambda: not executors.cache.is_down, "the cache to be used again")
    asyncio.run(reserved())
    with pytest.raises(RateLimited):
        asyncio.run(reserved())


def test_a_hanging_cache_admits_calls_and_keeps_nothing_of_them(
    set_limits: Callable[..., None],
    store: SlowStore,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(executors.cache, "patience", 0.05)
    set_limits(RATE, SLOTS)
    store.may_continue.clear()
    held = asyncio.run(reserved()).cache
    assert (held.counts, held.slots, len(caplog.records)) == ({}, {}, 1)
    store.may_continue.set()
    until(lambda: bool(store.answers), "the cache to answer")
    until(lambda: store.held() == [0, 0], "the late answer to be given back")


def test_budgets_are_enforced_while_the_cache_fails(
    set_limits: Callable[..., None], store: SlowStore
) -> None:
    set_limits(RATE, {**BUDGET, "AMOUNT": "0"})
    store.error = ConnectionError("gone")
    with pytest.raises(BudgetExceeded):
        asyncio.run(reserved())


# --- the database --------------------------------------------------------------------------------


class SlowDatabase:
    """Reserving in the database waits until it may continue."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.is_called, self.may_continue = threading.Event(), threading.Event()
        self._reserve = budgets.reserve
        monkeypatch.setattr(budgets, "reserve", self.reserve)

    def reserve(self, *arguments: Any) -> budgets.ReservedBudgets:
        self.is_called.set()
        self.may_continue.wait(60)
        return self._reserve(*arguments)


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> Iterator[SlowDatabase]:
    slow_database = SlowDatabase(monkeypatch)
    yield slow_database
    slow_database.may_continue.set()


@pytest.fixture
def failing_database(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: Any) -> None:
        raise OperationalError("gone")

    monkeypatch.setattr(budgets, "reserve", fail)


def test_who_waits_for_the_lock_of_sqlite_takes_it_for_no_outage(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("Another database has a lock for each row.")
    monkeypatch.setattr(executors.database, "patience", 0.01)
    gate = threading.Event()
    try:
        with pytest.raises(CallTimeout):
            reservations._threads().run_sync(0.1, gate.wait, 30)
        assert not executors.database.is_down
    finally:
        gate.set()


def test_a_call_that_is_cancelled_while_it_waits_for_the_database_holds_nothing(
    set_limits: Callable[..., None], database: SlowDatabase
) -> None:
    set_limits(RATE, SLOTS, BUDGET)
    asyncio.run(cancel_when(database.is_called))
    assert (held_counts(), held_slots()) == ([], 0)
    database.may_continue.set()
    until(
        lambda: Budget.objects.exists() and held_budgets() == (0, 0),
        "the late reservation to be given back",
    )


def test_a_hanging_database_refuses_calls_which_hold_nothing(
    set_limits: Callable[..., None], database: SlowDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reservations, "DATABASE_TIMEOUT_SECONDS", 0.05)
    set_limits(RATE, SLOTS, BUDGET)
    with pytest.raises(DatabaseUnavailable) as caught:
        asyncio.run(reserved())
    assert (caught.value.status, caught.value.headers) == (503, {"retry-after": "5"})
    assert (held_counts(), held_slots()) == ([], 0)
    database.may_continue.set()
    until(
        lambda: Budget.objects.exists() and held_budgets() == (0, 0),
        "the late reservation to be given back",
    )


@pytest.mark.usefixtures("failing_database")
def test_a_failing_database_refuses_calls_which_hold_nothing(
    set_limits: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    set_limits(RATE, SLOTS, BUDGET)
    with pytest.raises(DatabaseUnavailable):
        asyncio.run(reserved())
    assert (held_counts(), held_slots(), held_budgets()) == ([], 0, (0, 0))
    assert [record.getMessage() for record in caplog.records] == [
        "A call was refused because its budgets cannot be read (OperationalError)."
    ]


@pytest.mark.usefixtures("failing_database")
def test_callers_without_a_budget_do_not_need_the_database(
    set_limits: Callable[..., None],
) -> None:
    set_limits(RATE, {**BUDGET, "SUBJECT": "user:bob"})
    assert asyncio.run(reserved()).headers["x-ratelimit-remaining-requests"] == "0"
