"""Calls whose database hangs, restarts or fails: nothing is spent, and nothing stays reserved."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction

from native_api.background import executors
from native_api.exceptions import BudgetExceeded, DatabaseUnavailable
from native_api.limits import budget_update, budgets, reservations, rules, settlement
from native_api.models import Budget
from native_api.routing.call_plan import CallPlan
from native_api.routing.route import make_route
from native_api.types import Caller, Provider, Target
from native_api.upstream.prepared_request import prepare
from native_api.usage.entry import UsageEntry
from tests.limits.budget_factory import failing_commit, write_records
from tests.servers import until
from tests.waiting import auntil

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("as_a_new_process", "limits"),
]

CHAT: Any = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1000}
PRICE: Any = {"INPUT": Decimal(0), "OUTPUT": Decimal(1)}
RESERVED = 10**9
"""Units: 1000 tokens at a dollar per million."""


@pytest.fixture
def limits(settings: Any) -> Iterator[None]:
    """Three calls per month."""
    limit = {"SUBJECT": "everyone", "METRIC": "cost", "AMOUNT": "0.003", "WINDOW": "month"}
    settings.NATIVE_API = {**settings.NATIVE_API, "LIMITS": [limit]}
    rules.forget()
    reservations._threads.cache_clear()
    yield
    executors.database.reset()


@pytest.fixture
def released(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The ids of the calls whose late reservations were released."""
    record_ids: list[Any] = []
    release = settlement.release

    def recording_release(record_id: Any) -> None:
        release(record_id)
        record_ids.append(record_id)

    monkeypatch.setattr(settlement, "release", recording_release)
    return record_ids


async def reserve_call(entry: UsageEntry, price: Any = PRICE) -> reservations.CallReservation:
    target = Target(Provider("p", "openai", "http://127.0.0.1:9/v1"), "m", price=price)
    plan = CallPlan(make_route("m", [target]))
    reservation = reservations.CallReservation(CHAT, plan, entry.id)
    await reservation.load_rules(Caller(user_id=1))
    await reservation.reserve(plan.route, prepare(CHAT, target))
    return reservation


def entry(**values: Any) -> UsageEntry:
    return UsageEntry(model="m", provider="p", provider_model="m", **values)


def budget_state() -> tuple[int, int]:
    return Budget.objects.values_list("used", "reserved").get()


@contextlib.contextmanager
def locked_budget() -> Iterator[None]:
    """Another transaction holds a lock on the budget."""
    locked, done = threading.Event(), threading.Event()

    def reservation() -> None:
        with transaction.atomic():
            Budget.objects.update(threshold=80)
            locked.set()
            done.wait(60)
        connection.close()

    thread = threading.Thread(target=reservation)
    thread.start()
    locked.wait(60)
    try:
        yield
    finally:
        done.set()
        thread.join()


def test_a_reservation_is_settled_with_the_record() -> None:
    own = entry(cost=Decimal("0.0004"), completion_tokens=400, total_tokens=400)
    reservation = asyncio.run(reserve_call(own))
    assert budget_state() == (0, RESERVED)
    reservation.settle([own], "m")
    write_records(own)
    assert budget_state() == (4 * 10**8, 0)


def test_the_fourth_call_is_refused_and_its_record_settles_nothing() -> None:
    for _ in range(3):
        asyncio.run(reserve_call(entry()))
    refused = entry(status="refused")
    with pytest.raises(BudgetExceeded):
        asyncio.run(reserve_call(refused))
    assert refused.claims is None
    assert budget_state() == (0, 3 * RESERVED)


def test_the_reservation_counts_if_the_price_disappears() -> None:
    own = entry(cost=None, completion_tokens=400, total_tokens=400)
    asyncio.run(reserve_call(own)).settle([own], "m")
    write_records(own)
    assert budget_state() == (RESERVED, 0)


def test_a_call_that_used_nothing_gives_everything_back() -> None:
    own = entry(status="upstream_error")
    asyncio.run(reserve_call(own)).settle([own], "m")
    write_records(own)
    assert budget_state() == (0, 0)


def test_a_hanging_database_refuses_calls_and_reserves_nothing(
    monkeypatch: pytest.MonkeyPatch, released: list[Any]
) -> None:
    asyncio.run(reserve_call(entry()))
    monkeypatch.setattr(reservations, "DATABASE_TIMEOUT_SECONDS", 0.3)
    with locked_budget(), pytest.raises(DatabaseUnavailable):
        asyncio.run(reserve_call(entry()))
    until(lambda: len(released) == 1, "what was reserved late to be given back")
    assert budget_state() == (0, RESERVED)
    asyncio.run(reserve_call(entry()))


def test_nothing_stays_reserved_when_a_client_leaves_a_hanging_database(
    monkeypatch: pytest.MonkeyPatch, released: list[Any]
) -> None:
    asyncio.run(reserve_call(entry()))
    asked, reserve = threading.Event(), budgets.reserve

    def reserve_noted(*arguments: Any) -> Any:
        asked.set()
        return reserve(*arguments)

    monkeypatch.setattr(budgets, "reserve", reserve_noted)

    async def leave() -> None:
        call = asyncio.ensure_future(reserve_call(entry()))
        await auntil(asked.is_set, "the database to be asked")
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

    with locked_budget():
        asyncio.run(leave())
    until(lambda: len(released) == 1, "what was reserved late to be given back")
    assert budget_state() == (0, RESERVED)


def test_settling_is_retried_until_the_database_works() -> None:
    own = entry(cost=Decimal("0.001"), completion_tokens=1000, total_tokens=1000)
    asyncio.run(reserve_call(own)).settle([own], "m")
    for _ in range(3):
        with failing_commit(), contextlib.suppress(Exception):
            write_records(own)
    write_records(own, may_be_written=True)
    assert budget_state() == (RESERVED, 0)


def test_a_failing_database_refuses_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise OperationalError("disk full, at /var/secret")

    monkeypatch.setattr(budget_update, "reserve", fail)
    with pytest.raises(DatabaseUnavailable) as refusal:
        asyncio.run(reserve_call(entry()))
    assert "secret" not in str(refusal.value)


def test_closed_connections_are_reopened_without_refusing_a_call() -> None:
    if connection.vendor != "postgresql":
        pytest.skip("Of a database with connections.")

    async def calls() -> None:
        for _ in range(3):
            await reserve_call(entry())
            await asyncio.to_thread(close_other_connections)

    asyncio.run(calls())
    assert budget_state() == (0, 3 * RESERVED)


def close_other_connections() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    connection.close()
