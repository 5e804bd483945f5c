"""Ending reservations of budgets: settling them with the usage record, releasing or expiring them.

Rules:
1. Settling happens in the transaction that writes the call's usage record, and therefore exactly
   once: the reservation is removed and what was used is added, in full, even if it is more than was
   reserved. It counts in the window in which the call began.
2. A call whose process died leaves a reservation. It expires when no call can last that long any
   more, and is then counted as lost, because nobody knows what that call cost. If its record turns
   up later, it is added like any other. Maintenance looks for such reservations, and a call that a
   budget would refuse does so first.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from django.db import connections, transaction
from django.db.models import F

from native_api import signals
from native_api.logs import get_logger
from native_api.models import Budget, Reservation
from native_api.usage.entry import UsageEntry
from native_api.usage.journal import location

logger = get_logger("native_api.limits")

MAX_BATCH_UNITS: Final = 10**18
MAX_USED_UNITS: Final = 8 * 10**18
"""Both fit the columns: an absurd number must not stop the recorder."""

MAX_KEY: Final = 2**63 - 1

UPDATE_BATCH_SIZE: Final = 200
"""Budgets in one UPDATE statement."""


def settle(entries: Sequence[UsageEntry], alias: str) -> None:
    """Remove what these calls reserved and add what they used. No entry makes it fail.

    Runs in the transaction in which the recorder writes the entries.
    """
    claiming = [entry for entry in entries if entry.claims is not None]
    used: dict[int, int] = defaultdict(int)
    for entry in claiming:
        for key, units in _valid_claims(entry):
            used[key] = min(used[key] + units, MAX_BATCH_UNITS)
    if claiming:
        _end_reservations(alias, used, record_id__in=[entry.id for entry in claiming])


def _valid_claims(entry: UsageEntry) -> Iterator[tuple[int, int]]:
    """Yield the valid claims as (budget key, units). An exception would make the recorder retry the
    batch for ever."""
    claims: Any = entry.claims
    for key, units in claims.items() if isinstance(claims, dict) else ():
        try:
            budget_key, amount = int(key), int(units)
        except (TypeError, ValueError, OverflowError):
            budget_key = amount = -1
        if 0 < budget_key <= MAX_KEY and amount >= 0:
            yield budget_key, min(amount, MAX_BATCH_UNITS)
        else:
            logger.warning(
                "A usage record has an invalid budget claim. It is written without that claim."
            )


def release(record_id: UUID) -> None:
    """Give back what a call has reserved if no record will settle it."""
    _end_reservations(location.database_alias(), {}, record_id=record_id)


def _end_reservations(
    alias: str, used: Mapping[int, int], is_lost: bool = False, **conditions: Any
) -> int:
    """End the reservations that match and add what was used; return how many there were.

    The budgets are locked first, so that a reservation is ended only once.
    """
    reservations = Reservation._base_manager.using(alias).filter(**conditions)
    keys = {*used, *reservations.values_list("budget_id", flat=True)}
    if not keys:
        return 0
    with transaction.atomic(using=alias, savepoint=False):
        budgets = _lock_budgets(keys, alias)
        reserved: dict[int, int] = defaultdict(int)
        ended = list(reservations.filter(budget_id__in=keys))
        for reservation in ended:
            reserved[reservation.budget_id] += reservation.amount
        Reservation._base_manager.using(alias).filter(
            pk__in=[reservation.pk for reservation in ended]
        ).delete()
        _update_budgets(budgets, used, reserved, is_lost, alias)
    return len(ended)


def _lock_budgets(keys: Collection[int], alias: str) -> list[Budget]:
    rows = Budget._base_manager.using(alias).filter(pk__in=keys)
    if connections[alias].vendor == "sqlite":
        # SQLite has one lock for all writes, and refuses it if others wrote since the transaction
        # first read. So write first.
        rows.update(used=F("used"))
    return list(rows.select_for_update().order_by("pk"))


def _update_budgets(
    budgets: Sequence[Budget],
    used: Mapping[int, int],
    reserved: Mapping[int, int],
    is_lost: bool,
    alias: str,
) -> None:
    for budget in budgets:
        budget.used = min(budget.used + used.get(budget.pk, 0), MAX_USED_UNITS)
        budget.reserved -= reserved[budget.pk]
        budget.lost = min(budget.lost + reserved[budget.pk] * is_lost, MAX_USED_UNITS)
    crossing = [
        budget
        for budget in budgets
        if budget.threshold_at is None and budget.used * 100 >= budget.amount * budget.threshold
    ]
    fields = ["used", "reserved", *(["lost"] if is_lost else [])]
    Budget._base_manager.using(alias).bulk_update(budgets, fields, batch_size=UPDATE_BATCH_SIZE)
    if crossing:
        _mark_threshold_crossed(crossing, alias)


def _mark_threshold_crossed(budgets: Sequence[Budget], alias: str) -> None:
    """Record that these budgets crossed their thresholds, and send the signal after the commit."""
    now = datetime.now(UTC)
    Budget._base_manager.using(alias).filter(pk__in=[budget.pk for budget in budgets]).update(
        threshold_at=now
    )
    for budget in budgets:
        budget.threshold_at = now
    transaction.on_commit(lambda: _send_threshold_signals(budgets), using=alias, robust=True)


def _send_threshold_signals(budgets: Sequence[Budget]) -> None:
    for budget in budgets:
        values = {"used": budget.used, "amount": budget.amount, "threshold": budget.threshold}
        signals.budget_threshold.send_robust(sender=Budget, budget=budget, **values)


def expire(alias: str, budget_keys: Sequence[int] | None = None) -> int:
    """End the reservations, of these budgets or of all, whose calls cannot run any more; return how
    many there were."""
    conditions: dict[str, Any] = {"expires_at__lt": datetime.now(UTC)}
    if budget_keys is not None:
        conditions["budget_id__in"] = budget_keys
    ended = _end_reservations(alias, {}, is_lost=True, **conditions)
    if ended:
        logger.warning(
            "%d reservations expired because their calls left no usage record. Their amounts are "
            "counted as lost.",
            ended,
        )
    return ended


def mark_reached(counter: str, starts_at: datetime, alias: str) -> None:
    """Record that this limit refused a call, if it has a budget."""
    rows = Budget._base_manager.using(alias).filter(
        counter=counter, starts_at=starts_at, reached_at=None
    )
    rows.update(reached_at=datetime.now(UTC))
