"""What one call holds of its limits, and that all of it is given back however the call ends."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from typing import Any

import pytest
from django.core.cache.backends.locmem import LocMemCache
from django.db import OperationalError
from django.test import override_settings

from native_api.exceptions import BudgetExceeded, DatabaseUnavailable, RateLimited
from native_api.limits import budgets, counters, reservations, rules
from native_api.limits.counters import AnyCache, Count, Levels, Slot, memory
from native_api.limits.counters.slot_renewal import leases
from native_api.limits.reservations import CallReservation
from native_api.models import Budget, Reservation
from native_api.pricing import tables
from native_api.routing.attempts import CallPlan
from native_api.routing.route import route
from native_api.types import Caller, Provider, Target
from native_api.upstream import call as exchange
from native_api.usage.entry import UsageEntry, new_id
from tests.servers import until

pytestmark = pytest.mark.django_db(transaction=True)

TARGET = Target(
    Provider("up", "openai", "http://127.0.0.1:1"),
    "m",
    price=tables.parse({"INPUT": "1", "OUTPUT": "2"}),
)
CHAT: Any = {
    "model": "fast",
    "messages": [{"role": "user", "content": "Hi"}],
    "max_completion_tokens": 3,
}
ALICE = Caller(user_id=1, user_name="alice")

RATE = {"SUBJECT": "everyone", "METRIC": "requests", "AMOUNT": 1, "WINDOW": "hour"}
TOKENS = {"SUBJECT": "everyone", "METRIC": "tokens", "AMOUNT": 1000, "WINDOW": "hour"}
SLOTS = {"SUBJECT": "each_user", "METRIC": "concurrent_requests", "AMOUNT": 1}
BUDGET = {"SUBJECT": "each_user", "METRIC": "cost", "AMOUNT": "1", "WINDOW": "lifetime"}


@pytest.fixture(autouse=True)
def nothing_held() -> Iterator[None]:
    memory.start_anew()
    reservations._outage.end()
    budgets._keys.clear()
    yield
    until(lambda: not reservations._ending, "everything to be given back")
    memory.start_anew()
    reservations._outage.end()
    rules._current._start_anew(setting="NATIVE_API")


@pytest.fixture
def limited() -> Iterator[Callable[..., None]]:
    """Sets the site's LIMITS."""
    site = override_settings()

    def limit(*limits: dict[str, Any]) -> None:
        nonlocal site
        site = override_settings(NATIVE_API={"LIMITS": list(limits)})
        site.enable()

    yield limit
    site.disable()


ROUTE = route("fast", [TARGET])


async def reserved(chat: Any = CHAT, target: Target = TARGET) -> CallReservation:
    """What a call holds whose first attempt is at this target."""
    reservation = CallReservation(chat, CallPlan(ROUTE), new_id())
    await reservation.bind(ALICE)
    await reservation.reserve(ROUTE, exchange.prepare(chat, target))
    return reservation


def end(reservation: CallReservation) -> UsageEntry:
    """The call has failed; its record."""
    entry = UsageEntry(
        id=reservation._record_id, model="fast", provider="up", provider_model="m", status="error"
    )
    reservation.settle([entry], "fast")
    return entry


def counted() -> list[int]:
    """What the counters in memory hold, that are not at zero."""
    return [level for level, _ in memory._counts.values() if level]


def slots() -> int:
    return sum(map(len, memory._slots.values()))


def budget() -> tuple[int, int]:
    """What is reserved, and by how many reservations."""
    return sum(Budget.objects.values_list("reserved", flat=True)), Reservation.objects.count()


# --- in the ordinary case ------------------------------------------------------------------------------------------


def test_a_caller_whom_no_limit_binds_holds_nothing(limited: Callable[..., None]) -> None:
    limited({**RATE, "SUBJECT": "user:bob"}, {**BUDGET, "MODELS": "slow"})
    reservation = asyncio.run(reserved())
    assert (reservation.counts, reservation.slots, reservation.reserved, reservation.headers) == (
        {},
        {},
        {},
        {},
    )
    assert budget() == (0, 0)


def test_a_call_that_ended_holds_what_it_used(limited: Callable[..., None]) -> None:
    limited(TOKENS, SLOTS, BUDGET)
    reservation = asyncio.run(reserved())
    (guessed,) = counted()
    assert (guessed > 3, slots(), budget()[1]) == (True, 1, 1)
    entry = UsageEntry(
        model="fast",
        provider="up",
        provider_model="m",
        prompt_tokens=2,
        completion_tokens=3,
        cost=Decimal("0.25"),
    )
    reservation.settle([entry], "fast")
    assert (counted(), slots()) == ([5], 0)
    assert list((entry.claims or {}).values()) == [250_000_000_000]


def test_a_call_that_failed_gives_everything_back(limited: Callable[..., None]) -> None:
    limited(RATE, TOKENS, SLOTS, BUDGET)
    entry = end(asyncio.run(reserved()))
    assert (counted(), slots()) == ([], 0)
    assert list((entry.claims or {}).values()) == [0]


# --- refusals ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "tight", [{**RATE, "AMOUNT": 0}, {**SLOTS, "AMOUNT": 0}, {**TOKENS, "AMOUNT": 3}]
)
def test_a_refusal_for_a_short_limit_takes_nothing(
    limited: Callable[..., None], tight: dict[str, Any]
) -> None:
    limited({**TOKENS, "WINDOW": "minute"}, {**SLOTS, "SUBJECT": "everyone"}, tight, BUDGET)
    with pytest.raises(RateLimited):
        asyncio.run(reserved())
    assert (counted(), slots(), budget()) == ([], 0, (0, 0))


def test_a_refusal_for_a_budget_gives_back_what_short_limits_gave(
    limited: Callable[..., None],
) -> None:
    limited(RATE, SLOTS, BUDGET, {**BUDGET, "AMOUNT": "0", "WINDOW": "day"})
    with pytest.raises(BudgetExceeded):
        asyncio.run(reserved())
    assert (counted(), slots(), budget()) == ([], 0, (0, 0))


def test_a_model_whose_price_is_not_known_gives_back_what_short_limits_gave(
    limited: Callable[..., None],
) -> None:
    limited(RATE, SLOTS, BUDGET)
    unknown = Target(Provider("nobody", "openai", "http://127.0.0.1:1"), "no-such-model")
    with pytest.raises(BudgetExceeded, match="price"):
        asyncio.run(reserved(target=unknown))
    assert (counted(), slots(), budget()) == ([], 0, (0, 0))


@pytest.mark.parametrize(
    ("limit", "error"),
    [(TOKENS, RateLimited), ({**TOKENS, "WINDOW": "day"}, RateLimited), (BUDGET, BudgetExceeded)],
)
def test_an_absurd_number_of_tokens_is_refused(
    limited: Callable[..., None], limit: dict[str, Any], error: type[Exception]
) -> None:
    limited(limit)
    with pytest.raises(error):
        asyncio.run(reserved({**CHAT, "max_completion_tokens": 10**18}))
    assert (counted(), budget()) == ([], (0, 0))


# --- a cache that others share -------------------------------------------------------------------------------------


class Shared(AnyCache):
    """A store that can be held up, or fail, in `take`."""

    def __init__(self) -> None:
        cache = LocMemCache(f"holds-{new_id()}", {})
        super().__init__(cache)
        self.asked, self.go_on = threading.Event(), threading.Event()
        self.go_on.set()
        self.error: Exception | None = None
        self.questions = 0
        self.counts: list[Count] = []
        self.slots: list[Slot] = []

    def take(self, member: str, counts: Sequence[Count], slots: Sequence[Slot]) -> Levels:
        self.questions += 1
        self.counts, self.slots = list(counts), list(slots)
        self.asked.set()
        self.go_on.wait(10)
        if self.error:
            raise self.error
        taken = super().take(member, counts, slots)
        self.answered = taken.taken
        return taken

    def held(self) -> list[int]:
        levels = self.levels([count.key for count in self.counts], self.slots)
        return [*levels.counts, *levels.slots]


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> Iterator[Shared]:
    store = Shared()
    monkeypatch.setattr(counters, "store", lambda: store)
    monkeypatch.setattr(counters, "are_shared", lambda: True)
    yield store
    store.go_on.set()
    until(lambda: not reservations._ending and not leases._held, "everything to be given back")


def test_slots_that_others_see_are_renewed_until_the_call_ends(
    limited: Callable[..., None], shared: Shared
) -> None:
    limited(RATE, SLOTS)
    reservation = asyncio.run(reserved())
    assert list(leases._held) == [reservation.member]
    end(reservation)
    until(lambda: shared.held() == [0, 0] and not leases._held, "everything to be given back")


def test_a_call_waits_for_slots_that_are_just_being_given_back(
    limited: Callable[..., None], shared: Shared
) -> None:
    limited(SLOTS)

    async def one_after_the_other() -> None:
        for _ in range(20):
            end(await reserved())

    asyncio.run(one_after_the_other())


async def cancelled(waits: threading.Event) -> None:
    """A call that is given up while it waits."""
    call = asyncio.ensure_future(reserved())
    while not (waits.is_set() or call.done()):
        await asyncio.sleep(0.01)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call


def test_a_call_that_is_cancelled_while_it_waits_for_the_cache_holds_nothing(
    limited: Callable[..., None], shared: Shared
) -> None:
    limited(RATE, TOKENS, SLOTS)
    shared.go_on.clear()
    asyncio.run(cancelled(shared.asked))
    shared.go_on.set()
    until(lambda: hasattr(shared, "answered"), "the cache to answer")
    assert shared.answered, "it was taken all the same"
    until(lambda: shared.held() == [0, 0, 0], "everything to be given back")


def test_a_cache_that_fails_lets_calls_in_with_one_warning(
    limited: Callable[..., None], shared: Shared, caplog: pytest.LogCaptureFixture
) -> None:
    limited(RATE, SLOTS)
    shared.error = ConnectionError("gone")
    for _ in range(3):
        reservation = asyncio.run(reserved())
        assert (reservation.counts, reservation.slots) == ({}, {})
    assert shared.questions == 1, "it is left alone for a moment"
    assert [record.getMessage() for record in caplog.records] == [
        "The cache cannot count (ConnectionError: gone); limits of short windows are not enforced until it can."
    ]


def test_a_cache_that_is_back_counts_again(
    limited: Callable[..., None], shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("native_api.background.backoff.RETRY", 0.0)
    limited(RATE)
    shared.error = ConnectionError("gone")
    asyncio.run(reserved())
    shared.error = None
    asyncio.run(reserved())
    with pytest.raises(RateLimited):
        asyncio.run(reserved())


def test_a_cache_that_hangs_lets_calls_in_and_keeps_nothing_of_them(
    limited: Callable[..., None],
    shared: Shared,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(reservations, "PATIENCE", 0.05)
    limited(RATE, SLOTS)
    shared.go_on.clear()
    reservation = asyncio.run(reserved())
    assert (reservation.counts, reservation.slots, len(caplog.records)) == ({}, {}, 1)
    shared.go_on.set()
    until(lambda: hasattr(shared, "answered"), "the cache to answer")
    until(lambda: shared.held() == [0, 0], "what it gave too late to be given back")


def test_a_cache_that_fails_does_not_keep_a_call_from_its_budget(
    limited: Callable[..., None], shared: Shared
) -> None:
    limited(RATE, {**BUDGET, "AMOUNT": "0"})
    shared.error = ConnectionError("gone")
    with pytest.raises(BudgetExceeded):
        asyncio.run(reserved())


# --- the database --------------------------------------------------------------------------------------------------


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[threading.Event, threading.Event]]:
    """Reserving in the database waits: asked, and may go on."""
    asked, go_on = threading.Event(), threading.Event()
    real = budgets.reserve

    def reserve(*told: Any) -> budgets.Reserved:
        asked.set()
        go_on.wait(10)
        return real(*told)

    monkeypatch.setattr(budgets, "reserve", reserve)
    yield asked, go_on
    go_on.set()


Slow = tuple[threading.Event, threading.Event]


def test_a_call_that_is_cancelled_while_it_waits_for_the_database_holds_nothing(
    limited: Callable[..., None], slow: Slow
) -> None:
    limited(RATE, SLOTS, BUDGET)
    asked, go_on = slow
    asyncio.run(cancelled(asked))
    assert (counted(), slots()) == ([], 0)
    go_on.set()
    until(
        lambda: Budget.objects.exists() and budget() == (0, 0),
        "what was reserved too late to be given back",
    )


def test_a_database_that_hangs_refuses_and_holds_nothing(
    limited: Callable[..., None], slow: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reservations, "DATABASE_PATIENCE", 0.05)
    limited(RATE, SLOTS, BUDGET)
    with pytest.raises(DatabaseUnavailable) as caught:
        asyncio.run(reserved())
    assert (caught.value.status, caught.value.headers) == (503, {"retry-after": "5"})
    assert (counted(), slots()) == ([], 0)
    slow[1].set()
    until(
        lambda: Budget.objects.exists() and budget() == (0, 0),
        "what was reserved too late to be given back",
    )


def test_a_database_that_fails_refuses_and_holds_nothing(
    limited: Callable[..., None], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*told: Any) -> None:
        raise OperationalError("gone")

    monkeypatch.setattr(budgets, "reserve", fail)
    limited(RATE, SLOTS, BUDGET)
    with pytest.raises(DatabaseUnavailable):
        asyncio.run(reserved())
    assert (counted(), slots(), budget()) == ([], 0, (0, 0))
    assert [record.getMessage() for record in caplog.records] == [
        "A call was refused, since its budgets cannot be read (OperationalError)."
    ]


def test_callers_whom_no_budget_binds_do_not_need_the_database(
    limited: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*told: Any) -> None:
        raise OperationalError("gone")

    monkeypatch.setattr(budgets, "reserve", fail)
    limited(RATE, {**BUDGET, "SUBJECT": "user:bob"})
    assert asyncio.run(reserved()).headers["x-ratelimit-remaining-requests"] == "0"
