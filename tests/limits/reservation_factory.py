"""Calls that reserve, and what they hold: counters in memory, slots and budgets."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from native_api.limits.counters import memory_store
from native_api.limits.reservations import CallReservation
from native_api.models import Budget, Reservation
from native_api.pricing import tables
from native_api.routing.call_plan import CallPlan
from native_api.routing.route import Route
from native_api.types import Caller, Provider, Target
from native_api.upstream.prepared_request import prepare
from native_api.usage.entry import UsageEntry, new_id

ALICE = Caller(user_id=1, user_name="alice")


def target(model: str, output_price: int | None = None, **values: Any) -> Target:
    """A target whose output costs so many dollars per million tokens, and its input nothing."""
    price = None
    if output_price is not None:
        price = tables.parse({"INPUT": "0", "OUTPUT": str(output_price)})
    return Target(Provider("p", "openai", "http://127.0.0.1:9/v1"), model, price=price, **values)


async def begin(chat: Any, plan: CallPlan) -> CallReservation:
    """A call of Alice's that has not reserved anything yet."""
    reservation = CallReservation(chat, plan, new_id())
    await reservation.load_rules(ALICE)
    return reservation


async def reserve(reservation: CallReservation, chat: Any, to: Target, route: Route) -> None:
    """Reserve for an attempt at this target."""
    await reservation.reserve(route, prepare(chat, to))


def end(reservation: CallReservation, cost: str = "0", tokens: int = 0) -> UsageEntry:
    """End the call and return its record: it failed, unless it used tokens."""
    values: dict[str, Any] = {
        "model": "r",
        "provider": "p",
        "provider_model": "dear",
        "completion_tokens": tokens,
        "cost": Decimal(cost),
    }
    entry = UsageEntry(id=reservation._record_id, status="ok" if tokens else "error", **values)
    reservation.settle([entry], "r")
    return entry


def held_counts() -> list[int]:
    """The counters in memory that are not zero."""
    return [count for count, _ in memory_store._counts.values() if count]


def held_slots() -> int:
    return sum(map(len, memory_store._slots.values()))


def held_budgets() -> tuple[int, int]:
    """The units reserved in all budgets, and the number of reservations."""
    return sum(Budget.objects.values_list("reserved", flat=True)), Reservation.objects.count()
