"""Reserving in the budgets of the database before a call. Used plus reserved never exceeds a limit.
Ending reservations is in `settlement`.

Rules:
1. Reserving is one conditional UPDATE for each budget, in the order of their keys and all in one
   transaction, with a row that records what the call holds. Concurrent calls can therefore never
   exceed a limit. A call that needs more for another attempt extends its row in the same way.
2. The next call creates again a budget that an operator deleted while a call ran. What that call
   used is in its record.
3. Without the database nothing is reserved and nothing is spent: the caller gets 503 and may retry.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import Final, NamedTuple
from uuid import UUID

from django.db import DatabaseError, connections, transaction

from native_api.bounded_cache import BoundedCache
from native_api.limits import budget_update, settlement
from native_api.limits.budget_update import BudgetLevel as BudgetLevel
from native_api.limits.budget_update import BudgetUpdate
from native_api.limits.rules import AppliedRule
from native_api.limits.windows import WindowSpan
from native_api.models import Budget
from native_api.usage.journal import location

MAX_CACHED_KEYS: Final = 10_000
"""Budgets whose primary keys are cached."""

MAX_ATTEMPTS: Final = 5
"""Attempts to reserve, if budgets are deleted or reservations expire in the meantime."""

NOTHING_RESERVED: Final[Mapping[int, int]] = {}

NEVER: Final = datetime.max.replace(tzinfo=UTC)


class BudgetRequest(NamedTuple):
    """`units` of the budget of an applied rule in one of its windows.

    `reserved` are the units that the call has reserved of it already; None if it has no
    reservation there.
    """

    applied: AppliedRule
    span: WindowSpan
    units: int
    reserved: int | None = None

    @property
    def missing(self) -> int:
        return self.units - (self.reserved or 0)


class BudgetExhausted(Exception):
    """A budget does not admit a request.

    `level` is its level, `levels` the levels of all budgets that the call asked for.
    """

    def __init__(
        self,
        request: BudgetRequest,
        level: BudgetLevel,
        levels: Sequence[tuple[BudgetRequest, BudgetLevel]] = (),
    ) -> None:
        super().__init__(str(request))
        self.request, self.level = request, level
        self.levels = levels or [(request, level)]

    @property
    def resets_at(self) -> datetime:
        """When the request may succeed."""
        end = self.request.span.end
        exceeds_limit = self.request.units > self.request.applied.rule.amount
        return NEVER if end is None or exceeds_limit else end


class _BudgetDeleted(Exception):
    """A budget whose key was cached does not exist any more."""


_keys: Final = BoundedCache[tuple[str, datetime], int](MAX_CACHED_KEYS)
"""Primary keys of budgets, by counter and start of the window."""

ReservedBudgets = dict[int, tuple[BudgetRequest, BudgetLevel]]
"""By the primary key of the budget."""


def reserve(
    record_id: UUID,
    requests: Sequence[BudgetRequest],
    expires_at: datetime,
    reserved: Mapping[int, int] = NOTHING_RESERVED,
) -> ReservedBudgets:
    """Reserve all requests or nothing. `reserved` is what the call has reserved before: budget key
    -> units.

    Raises BudgetExhausted, or any exception of the database. The executor repeats it if a kept
    connection was lost. If that happened after the commit, the repetition fails, because a call has
    one reservation of each budget. An extension may then be reserved twice, until the call ends.
    """
    alias = location.database_alias()
    for attempt in range(1, MAX_ATTEMPTS + 1):
        keyed = _with_keys(requests, reserved, alias)
        try:
            return _reserve_all(record_id, keyed, expires_at, alias)
        except _BudgetDeleted:
            _keys.clear()
        except BudgetExhausted as exhausted:
            has_expired = settlement.expire(alias, [key for key, _ in keyed])
            if not has_expired or attempt == MAX_ATTEMPTS:
                raise _last_to_reset(exhausted, [request for _, request in keyed]) from None
    raise DatabaseError("The budgets of a call were deleted in every attempt.")


def _with_keys(
    requests: Sequence[BudgetRequest], reserved: Mapping[int, int], alias: str
) -> list[tuple[int, BudgetRequest]]:
    """Return the requests with the keys of their budgets, sorted by key."""
    keyed = sorted(
        ((_budget_key(request, alias), request) for request in requests), key=lambda pair: pair[0]
    )
    if not reserved:
        return keyed
    return [(key, request._replace(reserved=reserved.get(key))) for key, request in keyed]


def _last_to_reset(
    exhausted: BudgetExhausted, requests: Sequence[BudgetRequest]
) -> BudgetExhausted:
    """Of the exhausted budgets, return the one that resets last; Retry-After is based on it."""
    by_counter = levels({request.applied.counter: request.span for request in requests})
    current = [(request, by_counter[request.applied.counter]) for request in requests]
    all_exhausted = [
        BudgetExhausted(request, level, current)
        for request, level in current
        if level.used + level.reserved + request.missing > request.applied.rule.amount
    ]
    return max(all_exhausted, key=lambda each: each.resets_at, default=exhausted)


def _reserve_all(
    record_id: UUID, keyed: Sequence[tuple[int, BudgetRequest]], expires_at: datetime, alias: str
) -> ReservedBudgets:
    is_single_statement = (
        len(keyed) == 1
        and keyed[0][1].reserved is None
        and connections[alias].vendor in budget_update.SINGLE_STATEMENT_VENDORS
        and connections[alias].get_autocommit()
    )
    with nullcontext() if is_single_statement else transaction.atomic(using=alias):
        return {
            key: (request, _reserve_one(key, request, record_id, expires_at, alias))
            for key, request in keyed
        }


def _budget_key(request: BudgetRequest, alias: str) -> int:
    name = request.applied.counter, request.span.start
    return _keys.get_or_make(name, lambda: _get_or_create(request, alias).pk)


def _get_or_create(request: BudgetRequest, alias: str) -> Budget:
    rule = request.applied.rule
    defaults = {
        "ends_at": request.span.end,
        "subject": rule.label[:200],
        "metric": rule.metric,
        "window": rule.window,
        "pattern": rule.pattern[:200],
        "amount": rule.amount,
        "threshold": rule.threshold,
    }
    rows = Budget._base_manager.using(alias)
    return rows.get_or_create(
        counter=request.applied.counter, starts_at=request.span.start, defaults=defaults
    )[0]


def _reserve_one(
    key: int, request: BudgetRequest, record_id: UUID, expires_at: datetime, alias: str
) -> BudgetLevel:
    """Raises BudgetExhausted or _BudgetDeleted."""
    rule, counter = request.applied.rule, request.applied.counter
    update = BudgetUpdate(key, counter, request.missing, rule.amount, rule.threshold)
    if request.reserved is None:
        new_level = budget_update.reserve(update, record_id, expires_at, alias)
    else:
        new_level = budget_update.extend(update, record_id, alias)
    if new_level is not None:
        return new_level
    rows = Budget._base_manager.using(alias).filter(pk=key, counter=counter)
    level = rows.values_list("used", "reserved").first()
    if level is None:
        raise _BudgetDeleted
    raise BudgetExhausted(request, BudgetLevel(*level))


def levels(spans: Mapping[str, WindowSpan]) -> dict[str, BudgetLevel]:
    """Return the levels of the budgets with these counters; zero for those that do not exist."""
    rows = Budget._base_manager.using(location.database_alias()).filter(counter__in=spans)
    existing = {
        row.counter: BudgetLevel(row.used, row.reserved)
        for row in rows
        if row.starts_at == spans[row.counter].start
    }
    return {counter: existing.get(counter, BudgetLevel(0, 0)) for counter in spans}
