"""What one call holds of its limits, and what a refusal or its end gives back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from native_api.exceptions import BudgetExceeded, RateLimited
from native_api.limits import estimates
from native_api.limits.reservations import CallReservation
from native_api.routing.call_plan import CallPlan
from native_api.routing.route import make_route
from native_api.types import Target
from native_api.usage.entry import UsageEntry
from tests.limits.reservation_factory import (
    begin,
    end,
    held_budgets,
    held_counts,
    held_slots,
    reserve,
    target,
)

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("no_reservations"),
]

CHAT: Any = {
    "model": "r",
    "messages": [{"role": "user", "content": "Hi"}],
    "max_completion_tokens": 3,
}
ROUTE = make_route("r", [target("m", 2)])

RATE = {"SUBJECT": "everyone", "METRIC": "requests", "AMOUNT": 1, "WINDOW": "hour"}
TOKENS = {"SUBJECT": "everyone", "METRIC": "tokens", "AMOUNT": 1000, "WINDOW": "hour"}
SLOTS = {"SUBJECT": "each_user", "METRIC": "concurrent_requests", "AMOUNT": 1}
BUDGET = {"SUBJECT": "each_user", "METRIC": "cost", "AMOUNT": "1", "WINDOW": "lifetime"}


async def reserved(chat: Any = CHAT, to: Target = ROUTE.targets[0]) -> CallReservation:
    """A call that has reserved for one attempt."""
    reservation = await begin(chat, CallPlan(ROUTE))
    await reserve(reservation, chat, to, ROUTE)
    return reservation


# --- calls that are admitted ---------------------------------------------------------------------


def test_a_caller_without_limits_holds_nothing(set_limits: Callable[..., None]) -> None:
    set_limits({**RATE, "SUBJECT": "user:bob"}, {**BUDGET, "MODELS": "slow"})
    reservation = asyncio.run(reserved())
    assert (reservation.cache.counts, reservation.cache.slots) == ({}, {})
    assert (reservation.reserved, reservation.headers) == ({}, {})
    assert held_budgets() == (0, 0)


def test_a_finished_call_counts_what_it_used(set_limits: Callable[..., None]) -> None:
    set_limits(TOKENS, SLOTS, BUDGET)
    reservation = asyncio.run(reserved())
    (estimated,) = held_counts()
    assert (estimated > 3, held_slots(), held_budgets()[1]) == (True, 1, 1)
    entry = UsageEntry(
        model="r",
        provider="p",
        provider_model="m",
        prompt_tokens=2,
        completion_tokens=3,
        cost=Decimal("0.25"),
    )
    reservation.settle([entry], "r")
    assert (held_counts(), held_slots()) == ([5], 0)
    assert list((entry.claims or {}).values()) == [250_000_000_000]


def test_a_failed_call_gives_everything_back(set_limits: Callable[..., None]) -> None:
    set_limits(RATE, TOKENS, SLOTS, BUDGET)
    entry = end(asyncio.run(reserved()))
    assert (held_counts(), held_slots()) == ([], 0)
    assert list((entry.claims or {}).values()) == [0]


# --- refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "tight", [{**RATE, "AMOUNT": 0}, {**SLOTS, "AMOUNT": 0}, {**TOKENS, "AMOUNT": 3}]
)
def test_a_refusal_by_a_short_limit_holds_nothing(
    set_limits: Callable[..., None], tight: dict[str, Any]
) -> None:
    set_limits({**TOKENS, "WINDOW": "minute"}, {**SLOTS, "SUBJECT": "everyone"}, tight, BUDGET)
    with pytest.raises(RateLimited):
        asyncio.run(reserved())
    assert (held_counts(), held_slots(), held_budgets()) == ([], 0, (0, 0))


def test_a_refusal_by_a_budget_gives_back_the_short_limits(
    set_limits: Callable[..., None],
) -> None:
    set_limits(RATE, SLOTS, BUDGET, {**BUDGET, "AMOUNT": "0", "WINDOW": "day"})
    with pytest.raises(BudgetExceeded):
        asyncio.run(reserved())
    assert (held_counts(), held_slots(), held_budgets()) == ([], 0, (0, 0))


def test_a_model_without_a_price_gives_back_the_short_limits(
    set_limits: Callable[..., None],
) -> None:
    set_limits(RATE, SLOTS, BUDGET)
    with pytest.raises(BudgetExceeded, match="price"):
        asyncio.run(reserved(to=target("no-such-model")))
    assert (held_counts(), held_slots(), held_budgets()) == ([], 0, (0, 0))


@pytest.mark.parametrize(
    ("limit", "error"),
    [(TOKENS, RateLimited), ({**TOKENS, "WINDOW": "day"}, RateLimited), (BUDGET, BudgetExceeded)],
)
def test_an_absurd_number_of_tokens_is_refused(
    set_limits: Callable[..., None], limit: dict[str, Any], error: type[Exception]
) -> None:
    set_limits(limit)
    with pytest.raises(error):
        asyncio.run(reserved({**CHAT, "max_completion_tokens": 10**18}))
    assert (held_counts(), held_budgets()) == ([], (0, 0))


@pytest.mark.parametrize("limits", [(SLOTS, RATE), (SLOTS, BUDGET)])
def test_slots_are_given_back_if_what_was_used_cannot_be_computed(
    limits: tuple[Any, ...], set_limits: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    set_limits(*limits)
    reservation = asyncio.run(reserved())
    assert held_slots() == 1

    def fail(*arguments: Any) -> int:
        raise LookupError("The price has disappeared.")

    monkeypatch.setattr(estimates, "used_amount", fail)
    with pytest.raises(LookupError):
        end(reservation)
    assert held_slots() == 0
