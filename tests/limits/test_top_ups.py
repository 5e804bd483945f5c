"""What a call holds grows with its dearest attempt and never shrinks before its end, in every store
and in the database."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connections
from django.test import override_settings

from native_api.exceptions import BudgetExceeded, DatabaseUnavailable, RateLimited
from native_api.limits import budgets, counters, reservations, rules
from native_api.limits.counters import memory
from native_api.limits.reservations import CallReservation
from native_api.limits.rules import Bound
from native_api.models import Budget, Reservation
from native_api.pricing import tables
from native_api.routing.attempts import CallPlan
from native_api.routing.route import Route, route
from native_api.types import Caller, Provider, Target, Timeouts
from native_api.upstream import call as exchange
from native_api.usage.entry import UsageEntry, new_id
from tests.limits.budget_factory import record
from tests.limits.stores import Kind
from tests.servers import until

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("as_a_new_process", "nothing_held"),
]

CHAT: Any = {
    "model": "r",
    "messages": [{"role": "user", "content": "Hi"}],
    "max_completion_tokens": 1000,
}
ALICE = Caller(user_id=1, user_name="alice")
MICRO = 10**6
"""Units of a millionth of a dollar."""


def at(model: str, price: int | None, **more: Any) -> Target:
    """A target whose output costs so many dollars a million tokens: a call of CHAT costs a
    thousandth of that."""
    return Target(
        Provider("p", "openai", "http://127.0.0.1:9/v1"),
        model,
        price=tables.parse({"INPUT": "0", "OUTPUT": str(price)}),
        **more,
    )


CHEAP, DEAR, DEARER = at("cheap", 1), at("dear", 2), at("dearer", 3)
ROUTE = route("r", [CHEAP, DEAR, DEARER])
THOUSAND = 1000 * MICRO
"""Units that a call of CHAT costs at a dollar a million."""

SHARED = {"SUBJECT": "everyone", "METRIC": "cost", "AMOUNT": "0.01", "WINDOW": "month"}
TOKENS = {"SUBJECT": "everyone", "METRIC": "output_tokens", "AMOUNT": 5000, "WINDOW": "hour"}
REQUESTS = {"SUBJECT": "everyone", "METRIC": "requests", "AMOUNT": 1, "WINDOW": "hour"}
SLOTS = {"SUBJECT": "everyone", "METRIC": "concurrent_requests", "AMOUNT": 1}


@pytest.fixture
def nothing_held() -> Iterator[None]:
    memory.start_anew()
    reservations._database_threads.cache_clear()
    yield
    until(lambda: not reservations._ending, "everything to be given back")
    reservations._database_threads().leave_behind()
    memory.start_anew()
    rules._current._start_anew(setting="NATIVE_API")


@pytest.fixture
def limited() -> Iterator[Callable[..., None]]:
    """Sets the site's LIMITS."""
    sites = []

    def limit(*limits: dict[str, Any]) -> None:
        sites.append(override_settings(NATIVE_API={"LIMITS": list(limits)}))
        sites[-1].enable()

    yield limit
    for site in reversed(sites):
        site.disable()


async def begun(
    *attempts: tuple[Target, int] | Target, plan: CallPlan | None = None
) -> CallReservation:
    """A call that was covered for these attempts, one after the other; with a number, for so much
    output."""
    reservation = CallReservation(CHAT, plan or CallPlan(ROUTE), new_id())
    await reservation.bind(ALICE)
    for attempt in attempts:
        await reserve(reservation, attempt)
    return reservation


async def reserve(
    reservation: CallReservation, attempt: tuple[Target, int] | Target, routed: Route = ROUTE
) -> None:
    target, most = (
        attempt if isinstance(attempt, tuple) else (attempt, CHAT["max_completion_tokens"])
    )
    await reservation.reserve(
        routed, exchange.prepare({**CHAT, "max_completion_tokens": most}, target)
    )


def end(reservation: CallReservation, cost: str = "0", tokens: int = 0) -> UsageEntry:
    """The call is over, and its record written."""
    values = {
        "model": "r",
        "provider": "p",
        "provider_model": "dear",
        "completion_tokens": tokens,
        "cost": Decimal(cost),
    }
    entry = UsageEntry(id=reservation._record_id, status="ok" if tokens else "error", **values)
    reservation.settle([entry], "r")
    record(entry)
    return entry


async def beside_the_loop(question: Callable[..., Any], *arguments: Any) -> Any:
    """Ask the database in a thread that leaves no connection behind."""

    def ask() -> Any:
        try:
            return question(*arguments)
        finally:
            connections.close_all()

    return await asyncio.to_thread(ask)


def standing() -> tuple[int, int, int]:
    """Units used, reserved, and what the reservations say."""
    used, reserved = Budget.objects.values_list("used", "reserved").get()
    return used, reserved, sum(Reservation.objects.values_list("amount", flat=True))


def counted(store: counters.Store, metric: str) -> int:
    [bound] = [bound for bound in rules.current().bounds(ALICE) if bound.rule.metric == metric]
    levels = (
        store.levels([key_of(bound)], [])
        if bound.rule.window
        else store.levels([], [reservations.slot_of(bound)])
    )
    return int([*levels.counts, *levels.slots][0])


def key_of(bound: Bound) -> str:
    return reservations.count_key(
        bound, reservations.span(bound.rule.window, datetime.now(UTC), UTC)
    )


# --- budgets -------------------------------------------------------------------------------------------------------


def test_a_dearer_attempt_adds_what_is_missing_and_a_cheaper_one_nothing(
    limited: Callable[..., None],
) -> None:
    limited(SHARED)
    for attempts, thousands in (
        ([DEAR], 2),
        ([CHEAP, DEAR], 2),
        ([DEAR, CHEAP], 2),
        ([CHEAP, DEAR, DEARER, CHEAP], 3),
    ):
        reservation = asyncio.run(begun(*attempts))
        assert standing() == (0, thousands * THOUSAND, thousands * THOUSAND)
        end(reservation)
        assert standing() == (0, 0, 0)


def test_what_was_used_is_settled_once_whatever_was_added(limited: Callable[..., None]) -> None:
    limited(SHARED)
    end(asyncio.run(begun(CHEAP, DEAR)), cost="0.0004", tokens=200)
    assert standing() == (400 * MICRO, 0, 0)


def test_an_attempt_without_room_leaves_what_was_held_and_another_may_be_made(
    limited: Callable[..., None],
) -> None:
    limited({**SHARED, "AMOUNT": "0.0025"}, TOKENS)

    async def call() -> CallReservation:
        reservation = await begun(CHEAP)
        with pytest.raises(BudgetExceeded, match=r"may cost up to 0\.003 USD"):
            await reserve(reservation, DEARER)
        assert await beside_the_loop(standing) == (0, THOUSAND, THOUSAND)
        await reserve(reservation, DEAR)
        return reservation

    reservation = asyncio.run(call())
    assert standing() == (0, 2 * THOUSAND, 2 * THOUSAND)
    assert counted(memory, "output_tokens") == 1000, (
        "the refused attempt took nothing of the other limit"
    )
    end(reservation)
    assert standing() == (0, 0, 0)


def test_what_the_call_holds_itself_is_not_in_its_way(limited: Callable[..., None]) -> None:
    limited({**SHARED, "AMOUNT": "0.002"})
    asyncio.run(begun(CHEAP, DEAR))
    assert standing() == (0, 2 * THOUSAND, 2 * THOUSAND)


def test_an_attempt_as_dear_as_a_refused_one_is_refused_without_asking(
    limited: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    limited({**SHARED, "AMOUNT": "0.001"})
    asked: list[Any] = []
    real = budgets.reserve
    monkeypatch.setattr(budgets, "reserve", lambda *told: asked.append(told) or real(*told))

    async def call() -> None:
        reservation = await begun()
        for target in (DEAR, DEARER, DEAR):
            with pytest.raises(BudgetExceeded):
                await reserve(reservation, target)
        await reserve(reservation, CHEAP)

    asyncio.run(call())
    assert len(asked) == 2


def test_attempts_at_the_same_time_hold_what_the_dearest_needs(
    limited: Callable[..., None],
) -> None:
    limited(SHARED, TOKENS, REQUESTS, SLOTS)

    async def call() -> None:
        reservation = await begun()
        await asyncio.gather(
            *(reserve(reservation, target) for target in (CHEAP, DEARER, DEAR, (CHEAP, 1500)))
        )

    asyncio.run(call())
    assert standing() == (0, 3 * THOUSAND, 3 * THOUSAND)
    assert [
        counted(memory, metric) for metric in ("output_tokens", "requests", "concurrent_requests")
    ] == [1500, 1, 1]


def test_a_hedged_route_holds_twice_its_dearest(limited: Callable[..., None]) -> None:
    limited(SHARED)
    hedged = route("r", [CHEAP, DEAR], hedge_after=0.1)

    async def call() -> None:
        reservation = await begun(plan=CallPlan(hedged))
        await asyncio.gather(
            reserve(reservation, CHEAP, hedged), reserve(reservation, DEAR, hedged)
        )

    asyncio.run(call())
    assert standing() == (0, 4 * THOUSAND, 4 * THOUSAND)


def test_a_limit_on_another_target_is_asked_when_that_is_tried(
    limited: Callable[..., None],
) -> None:
    limited({**SHARED, "MODELS": "p/dear"}, {**REQUESTS, "MODELS": "p/dear"})

    async def call() -> CallReservation:
        reservation = await begun(CHEAP)
        assert (reservation.reserved, reservation.counts) == ({}, {})
        await reserve(reservation, DEAR)
        return reservation

    reservation = asyncio.run(call())
    assert standing() == (0, 2 * THOUSAND, 2 * THOUSAND)
    end(reservation)
    assert standing() == (0, 0, 0)


def test_a_free_attempt_holds_its_place_for_a_dearer_one(limited: Callable[..., None]) -> None:
    limited(SHARED)
    end(asyncio.run(begun(at("free", 0), CHEAP)))
    assert standing() == (0, 0, 0)


def test_a_target_without_a_price_takes_nothing(limited: Callable[..., None]) -> None:
    limited(SHARED, TOKENS, SLOTS)
    unknown = Target(Provider("p", "openai", "http://127.0.0.1:9/v1"), "unknown")

    async def call() -> CallReservation:
        reservation = await begun()
        with pytest.raises(BudgetExceeded, match="price"):
            await reserve(reservation, unknown)
        assert (reservation.reserved, reservation.counts, reservation.slots) == ({}, {}, {})
        await reserve(reservation, CHEAP)
        return reservation

    end(asyncio.run(call()))
    assert standing() == (0, 0, 0)


def test_a_reservation_outlives_every_attempt_that_may_still_be_made(
    limited: Callable[..., None],
) -> None:
    limited(SHARED)
    slow = at("slow", 1, own_timeouts=Timeouts(total=5000))
    plan = CallPlan(
        route("r", [CHEAP]),
        fallbacks=lambda: [route("f", [DEAR])],
        context_fallbacks=lambda: [route("l", [slow])],
    )
    before = datetime.now(UTC)
    asyncio.run(begun(CHEAP, DEAR, plan=plan))
    [expires_at] = Reservation.objects.values_list("expires_at", flat=True)
    assert expires_at >= before + timedelta(seconds=plan.attempt_limits.seconds + 5000)


def test_a_budget_that_was_deleted_meanwhile_is_reserved_in_full(
    limited: Callable[..., None],
) -> None:
    limited(SHARED)

    async def call() -> CallReservation:
        reservation = await begun(CHEAP)
        await beside_the_loop(Budget.objects.all().delete)
        await reserve(reservation, DEAR)
        return reservation

    reservation = asyncio.run(call())
    assert standing()[:2] == (0, 2 * THOUSAND)
    end(reservation)
    assert standing() == (0, 0, 0)


def test_a_reservation_that_has_ended_is_not_added_to(limited: Callable[..., None]) -> None:
    limited(SHARED)

    async def call() -> None:
        reservation = await begun(CHEAP)
        await beside_the_loop(budgets.release, reservation._record_id)
        with pytest.raises(DatabaseUnavailable):
            await reserve(reservation, DEAR)

    asyncio.run(call())
    assert standing() == (0, 0, 0)


@pytest.mark.parametrize("ended", [False, True], ids=["the call goes on", "the call is over"])
def test_what_the_database_adds_too_late_ends_with_the_call(
    limited: Callable[..., None], monkeypatch: pytest.MonkeyPatch, ended: bool
) -> None:
    limited(SHARED)
    go_on, real = threading.Event(), budgets.reserve

    def slowly(*told: Any) -> budgets.Reserved:
        go_on.wait(10)
        return real(*told)

    async def call() -> CallReservation:
        reservation = await begun(CHEAP)
        monkeypatch.setattr(budgets, "reserve", slowly)
        monkeypatch.setattr(reservations, "DATABASE_PATIENCE", 0.05)
        for target in (DEAR, DEARER):
            with pytest.raises(DatabaseUnavailable):
                await reserve(reservation, target)
        await reserve(reservation, CHEAP)
        return reservation

    reservation = asyncio.run(call())
    if ended:
        end(reservation)
        go_on.set()
    else:
        go_on.set()
        until(lambda: standing() == (0, 2 * THOUSAND, 2 * THOUSAND), "the late addition")
        end(reservation)
    until(lambda: standing() == (0, 0, 0), "everything to be given back")


# --- short windows, in every store ---------------------------------------------------------------------------------


def test_short_windows_are_topped_up_and_the_request_and_its_slot_are_taken_once(
    kind: Kind, limited: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    limited(TOKENS, REQUESTS, SLOTS)
    store = kind.open()
    monkeypatch.setattr(counters, "store", lambda: store)
    monkeypatch.setattr(counters, "are_shared", lambda: kind.name != "memory")

    async def call() -> CallReservation:
        reservation = await begun((CHEAP, 1000), (CHEAP, 3000), (CHEAP, 2000))
        assert reservation.headers["x-ratelimit-remaining-tokens"] == "2000"
        with pytest.raises(RateLimited, match="never admits"):
            await reserve(reservation, (CHEAP, 5001))
        with pytest.raises(RateLimited):
            await begun((CHEAP, 1))
        return reservation

    reservation = asyncio.run(call())
    assert [
        counted(store, metric) for metric in ("output_tokens", "requests", "concurrent_requests")
    ] == [3000, 1, 1]
    end(reservation, tokens=700)
    until(lambda: counted(store, "concurrent_requests") == 0, "the slot")
    until(
        lambda: (counted(store, "output_tokens"), counted(store, "requests")) == (700, 1),
        "the counts",
    )
