"""Budget requests, calls that reserve and are recorded, and the state of budgets."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from native_api.limits import budgets
from native_api.limits.budgets import BudgetRequest
from native_api.limits.rules import AppliedRule, Rule
from native_api.limits.windows import EPOCH, WindowSpan
from native_api.models import Budget, Reservation
from native_api.usage import writer
from native_api.usage.entry import UsageEntry, new_id

LIFETIME = WindowSpan(EPOCH, None)
NOVEMBER = WindowSpan(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))
DECEMBER = WindowSpan(datetime(2026, 12, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))


def budget_request(
    counter: str = "a",
    units: int = 10,
    amount: int = 100,
    span: WindowSpan = LIFETIME,
    metric: str = "cost",
    threshold: int = 80,
) -> BudgetRequest:
    """`units` of the budget that counts in `counter`."""
    window = "lifetime" if span.end is None else "month"
    rule = Rule("everyone", None, True, metric, window, "", amount, threshold, "everyone")
    return BudgetRequest(AppliedRule(rule, counter), span, units)


class Call(NamedTuple):
    """A call that has reserved units of the budgets with these keys."""

    id: UUID
    keys: list[int]

    def entry(self, used: int = 0, **values: Any) -> UsageEntry:
        """Its record, which used this much of each budget."""
        return UsageEntry(
            **{"id": self.id, "claims": {str(key): used for key in self.keys}, **values}
        )


def call(*requests: BudgetRequest, seconds: float = 600.0) -> Call:
    """Reserve. With negative `seconds` the reservation has expired already."""
    record_id = new_id()
    reserved = budgets.reserve(record_id, requests, datetime.now(UTC) + timedelta(seconds=seconds))
    return Call(record_id, list(reserved))


def write_records(*entries: UsageEntry, may_be_written: bool = False) -> None:
    """Write records as the recorder does."""
    assert writer.write(entries, "default", may_be_written=may_be_written) == []


class BudgetState(NamedTuple):
    used: int
    reserved: int
    lost: int = 0


def budget_state(counter: str = "a", span: WindowSpan = LIFETIME) -> BudgetState:
    return BudgetState(
        *Budget.objects.values_list("used", "reserved", "lost").get(
            counter=counter, starts_at=span.start
        )
    )


def reservation_count() -> int:
    return Reservation.objects.count()


class failing_commit:
    """The transaction of a batch fails after all hooks have run."""

    def _hook(self, entries: Sequence[UsageEntry], alias: str) -> None:
        raise OSError

    def __enter__(self) -> None:
        writer.insert_hooks.append(self._hook)

    def __exit__(self, *_: Any) -> None:
        writer.insert_hooks.remove(self._hook)
