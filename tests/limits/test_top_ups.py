"""What a call holds grows with its most expensive attempt and never shrinks before its end, in
every store and in the database."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connections

from native_api.exceptions import BudgetExceeded, DatabaseUnavailable, RateLimited
from native_api.limits import budgets, counters, reservations, rules, settlement
from native_api.limits.cache_reservation import counter_key, slot_for
from native_api.limits.counters import memory_store
from native_api.limits.reservations import CallReservation
from native_api.limits.windows import window_span
from native_api.models import Budget, Reservation
from native_api.routing.call_plan import CallPlan
from native_api.routing.route import Route, make_route
from native_api.types import Target, Timeouts
from tests.limits import reservation_factory as factory
from tests.limits.budget_factory import write_records
from tests.limits.reservation_factory import ALICE, target
from tests.limits.stores import Kind
from tests.servers import until

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("as_a_new_process", "no_reservations"),
]

CHAT: Any = {
    "model": "r",
    "messages": [{"role": "user", "content": "Hi"}],
    "max_completion_tokens": 1000,
}
CHEAP, DEAR, DEARER = target("cheap", 1), target("dear", 2), target("dearer", 3)
"""CHAT costs one, two or three `UNITS` there."""

ROUTE = make_route("r", [CHEAP, DEAR, DEARER])

UNITS = 10**9
"""Of a thousandth of a dollar: 1000 output tokens at a dollar per million."""

BUDGET = {"SUBJECT": "everyone", "METRIC": "cost", "AMOUNT": "0.01", "WINDOW": "month"}
TOKENS = {"SUBJECT": "everyone", "METRIC": "output_tokens", "AMOUNT": 5000, "WINDOW": "hour"}
REQUESTS = {"SUBJECT": "everyone", "METRIC": "requests", "AMOUNT": 1, "WINDOW": "hour"}
SLOTS = {"SUBJECT": "everyone", "METRIC": "concurrent_requests", "AMOUNT": 1}

Attempt = Target | tuple[Target, int]
"""A target, and the output tokens if they are not those of CHAT."""


async def begin(*attempts: Attempt, plan: CallPlan | None = None) -> CallReservation:
    """A call that has reserved for these attempts, one after the other."""
    reservation = await factory.begin(CHAT, plan or CallPlan(ROUTE))
    for attempt in attempts:
        await reserve(reservation, attempt)
    return reservation


async def reserve(
    reservation: CallReservation, attempt: Attempt, attempt_route: Route = ROUTE
) -> None:
    to, tokens = attempt if isinstance(attempt, tuple) else (attempt, 1000)
    chat = {**CHAT, "max_completion_tokens": tokens}
    await factory.reserve(reservation, chat, to, attempt_route)


def end(reservation: CallReservation, cost: str = "0", tokens: int = 0) -> None:
    """End the call and write its record."""
    write_records(factory.end(reservation, cost, tokens))


async def in_a_thread(query: Callable[..., Any], *arguments: Any) -> Any:
    """Query the database in a thread that leaves no connection open."""

    def run() -> Any:
        try:
            return query(*arguments)
        finally:
            connections.close_all()

    return await asyncio.to_thread(run)


def budget_level() -> tuple[int, int, int]:
    """Units used and reserved, and the sum of the reservations."""
    used, reserved = Budget.objects.values_list("used", "reserved").get()
    return used, reserved, sum(Reservation.objects.values_list("amount", flat=True))


def cache_level(store: counters.CounterStore, metric: str) -> int:
    """What is counted for the limit on this metric."""
    [applied] = [each for each in rules.current().for_caller(ALICE) if each.rule.metric == metric]
    if not applied.rule.window:
        return store.levels([], [slot_for(applied)]).slots[0]
    span = window_span(applied.rule.window, datetime.now(UTC), UTC)
    return store.levels([counter_key(applied, span)], []).counts[0]


def cache_levels(store: counters.CounterStore) -> list[int]:
    return [
        cache_level(store, metric)
        for metric in ("output_tokens", "requests", "concurrent_requests")
    ]


# --- budgets -------------------------------------------------------------------------------------


def test_a_dearer_attempt_adds_what_is_missing_and_a_cheaper_one_nothing(
    set_limits: Callable[..., None],
) -> None:
    set_limits(BUDGET)
    for attempts, dollars in (
        ([DEAR], 2),
        ([CHEAP, DEAR], 2),
        ([DEAR, CHEAP], 2),
        ([CHEAP, DEAR, DEARER, CHEAP], 3),
    ):
        reservation = asyncio.run(begin(*attempts))
        assert budget_level() == (0, dollars * UNITS, dollars * UNITS)
        end(reservation)
        assert budget_level() == (0, 0, 0)


def test_a_topped_up_call_is_settled_once(set_limits: Callable[..., None]) -> None:
    set_limits(BUDGET)
    end(asyncio.run(begin(CHEAP, DEAR)), cost="0.0004", tokens=200)
    assert budget_level() == (400 * 10**6, 0, 0)


def test_a_refused_attempt_leaves_the_reservation_and_another_attempt_may_follow(
    set_limits: Callable[..., None],
) -> None:
    set_limits({**BUDGET, "AMOUNT": "0.0025"}, TOKENS)

    async def call() -> CallReservation:
        reservation = await begin(CHEAP)
        with pytest.raises(BudgetExceeded, match=r"may cost up to 0\.003 USD"):
            await reserve(reservation, DEARER)
        assert await in_a_thread(budget_level) == (0, UNITS, UNITS)
        await reserve(reservation, DEAR)
        return reservation

    reservation = asyncio.run(call())
    assert budget_level() == (0, 2 * UNITS, 2 * UNITS)
    assert cache_level(memory_store, "output_tokens") == 1000, (
        "the refused attempt counts nothing under the other limit"
    )
    end(reservation)
    assert budget_level() == (0, 0, 0)


def test_a_call_is_not_refused_because_of_its_own_reservation(
    set_limits: Callable[..., None],
) -> None:
    set_limits({**BUDGET, "AMOUNT": "0.002"})
    asyncio.run(begin(CHEAP, DEAR))
    assert budget_level() == (0, 2 * UNITS, 2 * UNITS)


def test_an_attempt_as_dear_as_a_refused_one_is_refused_without_a_query(
    set_limits: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    set_limits({**BUDGET, "AMOUNT": "0.001"})
    calls: list[Any] = []
    real_reserve = budgets.reserve

    def recording_reserve(*arguments: Any) -> budgets.ReservedBudgets:
        calls.append(arguments)
        return real_reserve(*arguments)

    monkeypatch.setattr(budgets, "reserve", recording_reserve)

    async def call() -> None:
        reservation = await begin()
        for to in (DEAR, DEARER, DEAR):
            with pytest.raises(BudgetExceeded):
                await reserve(reservation, to)
        await reserve(reservation, CHEAP)

    asyncio.run(call())
    assert len(calls) == 2


def test_concurrent_attempts_hold_what_the_dearest_needs(
    set_limits: Callable[..., None],
) -> None:
    set_limits(BUDGET, TOKENS, REQUESTS, SLOTS)

    async def call() -> None:
        reservation = await begin()
        await asyncio.gather(
            *(reserve(reservation, attempt) for attempt in (CHEAP, DEARER, DEAR, (CHEAP, 1500)))
        )

    asyncio.run(call())
    assert budget_level() == (0, 3 * UNITS, 3 * UNITS)
    assert cache_levels(memory_store) == [1500, 1, 1]


def test_a_hedged_route_holds_twice_its_dearest_attempt(set_limits: Callable[..., None]) -> None:
    set_limits(BUDGET)
    hedged = make_route("r", [CHEAP, DEAR], hedge_after=0.1)

    async def call() -> None:
        reservation = await begin(plan=CallPlan(hedged))
        await asyncio.gather(
            reserve(reservation, CHEAP, hedged), reserve(reservation, DEAR, hedged)
        )

    asyncio.run(call())
    assert budget_level() == (0, 4 * UNITS, 4 * UNITS)


def test_a_limit_on_another_target_applies_when_that_target_is_tried(
    set_limits: Callable[..., None],
) -> None:
    set_limits({**BUDGET, "MODELS": "p/dear"}, {**REQUESTS, "MODELS": "p/dear"})

    async def call() -> CallReservation:
        reservation = await begin(CHEAP)
        assert (reservation.reserved, reservation.cache.counts) == ({}, {})
        await reserve(reservation, DEAR)
        return reservation

    reservation = asyncio.run(call())
    assert budget_level() == (0, 2 * UNITS, 2 * UNITS)
    end(reservation)
    assert budget_level() == (0, 0, 0)


def test_a_free_attempt_has_a_reservation_that_can_grow(set_limits: Callable[..., None]) -> None:
    set_limits(BUDGET)
    end(asyncio.run(begin(target("free", 0), CHEAP)))
    assert budget_level() == (0, 0, 0)


def test_a_target_without_a_price_holds_nothing(set_limits: Callable[..., None]) -> None:
    set_limits(BUDGET, TOKENS, SLOTS)

    async def call() -> CallReservation:
        reservation = await begin()
        with pytest.raises(BudgetExceeded, match="price"):
            await reserve(reservation, target("unknown"))
        held = reservation.cache
        assert (reservation.reserved, held.counts, held.slots) == ({}, {}, {})
        await reserve(reservation, CHEAP)
        return reservation

    end(asyncio.run(call()))
    assert budget_level() == (0, 0, 0)


def test_a_reservation_outlives_every_attempt_that_may_still_be_made(
    set_limits: Callable[..., None],
) -> None:
    set_limits(BUDGET)
    slow = target("slow", 1, timeouts_override=Timeouts(total=5000))
    plan = CallPlan(
        make_route("r", [CHEAP]),
        fallbacks=lambda: [make_route("f", [DEAR])],
        context_fallbacks=lambda: [make_route("l", [slow])],
    )
    before = datetime.now(UTC)
    asyncio.run(begin(CHEAP, DEAR, plan=plan))
    [expires_at] = Reservation.objects.values_list("expires_at", flat=True)
    assert expires_at >= before + timedelta(seconds=plan.attempt_limits.start_within + 5000)


def test_a_budget_that_was_deleted_is_reserved_in_full(set_limits: Callable[..., None]) -> None:
    set_limits(BUDGET)

    async def call() -> CallReservation:
        reservation = await begin(CHEAP)
        await in_a_thread(Budget.objects.all().delete)
        await reserve(reservation, DEAR)
        return reservation

    reservation = asyncio.run(call())
    assert budget_level()[:2] == (0, 2 * UNITS)
    end(reservation)
    assert budget_level() == (0, 0, 0)


def test_a_reservation_that_has_ended_cannot_grow(set_limits: Callable[..., None]) -> None:
    set_limits(BUDGET)

    async def call() -> None:
        reservation = await begin(CHEAP)
        await in_a_thread(settlement.release, reservation._record_id)
        with pytest.raises(DatabaseUnavailable):
            await reserve(reservation, DEAR)

    asyncio.run(call())
    assert budget_level() == (0, 0, 0)


@pytest.mark.parametrize("is_over", [False, True], ids=["the call goes on", "the call is over"])
def test_what_the_database_adds_too_late_ends_with_the_call(
    set_limits: Callable[..., None], monkeypatch: pytest.MonkeyPatch, is_over: bool
) -> None:
    set_limits(BUDGET)
    may_continue, real_reserve = threading.Event(), budgets.reserve

    def slow_reserve(*arguments: Any) -> budgets.ReservedBudgets:
        may_continue.wait(60)
        return real_reserve(*arguments)

    async def call() -> CallReservation:
        reservation = await begin(CHEAP)
        monkeypatch.setattr(budgets, "reserve", slow_reserve)
        monkeypatch.setattr(reservations, "DATABASE_TIMEOUT_SECONDS", 0.05)
        for to in (DEAR, DEARER):
            with pytest.raises(DatabaseUnavailable):
                await reserve(reservation, to)
        await reserve(reservation, CHEAP)
        return reservation

    reservation = asyncio.run(call())
    if is_over:
        end(reservation)
        may_continue.set()
    else:
        may_continue.set()
        until(lambda: budget_level() == (0, 2 * UNITS, 2 * UNITS), "the late addition")
        end(reservation)
    until(lambda: budget_level() == (0, 0, 0), "everything to be given back")


# --- short windows, in every store ---------------------------------------------------------------


def test_short_windows_are_topped_up_and_request_and_slot_counted_once(
    kind: Kind, set_limits: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    set_limits(TOKENS, REQUESTS, SLOTS)
    store = kind.open()
    monkeypatch.setattr(counters, "store", lambda: store)
    monkeypatch.setattr(counters, "is_shared", lambda: kind.name != "memory")

    async def call() -> CallReservation:
        reservation = await begin((CHEAP, 1000), (CHEAP, 3000), (CHEAP, 2000))
        assert reservation.headers["x-ratelimit-remaining-tokens"] == "2000"
        with pytest.raises(RateLimited, match="is larger than the limit"):
            await reserve(reservation, (CHEAP, 5001))
        with pytest.raises(RateLimited):
            await begin((CHEAP, 1))
        return reservation

    reservation = asyncio.run(call())
    assert cache_levels(store) == [3000, 1, 1]
    end(reservation, tokens=700)
    until(lambda: cache_levels(store) == [700, 1, 0], "the call to be settled")
