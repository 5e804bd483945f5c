"""Budgets in the database: reserve before a call, settle with its record. Used plus reserved never
exceeds what a limit admits.

Rules:
1. Reserving is one conditional UPDATE for each budget, all of a call's in one transaction, in the
   order of their keys, with a row that tells what the call holds. What the database refuses is not
   reserved, whoever asks at the same moment. A call that needs more for another attempt adds to its
   row in the same way.
2. Settling happens in the transaction that writes the call's usage record, so it happens exactly
   once: what was reserved goes, what was used is added, in full, also where it is more than was
   reserved. It belongs to the window in which the call began.
3. A call whose process died leaves a reservation, which ends when no call can last that long. What
   it had reserved is then free, and counted as lost: nobody knows what that call cost. A record
   that turns up later is added as any other.
4. A budget that an operator deleted while a call ran is made anew by the next call; what that one
   used is in its record.
5. Without the database nothing is reserved, and nothing is spent: the caller is told to come again.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from django.db import DatabaseError, InterfaceError, OperationalError, connections, transaction
from django.db.models import F

from native_api import signals
from native_api.limits import budget_update
from native_api.limits.budget_update import Level as Level
from native_api.limits.budget_update import Part
from native_api.limits.rules import Bound
from native_api.limits.windows import Span
from native_api.logs import get_logger
from native_api.models import Budget, Reservation
from native_api.usage.entry import UsageEntry
from native_api.usage.journal import location

logger = get_logger("native_api.limits")

EXPIRE_EVERY: Final = 60.0
"""Seconds between two looks for what dead processes left, in each process."""

MOST_REMEMBERED: Final = 10_000
"""Budgets whose keys are remembered."""

TRIES: Final = 5
"""To reserve, where budgets are deleted or reservations expire meanwhile."""

NOTHING: Final[Mapping[int, int]] = {}

NEVER: Final = datetime.max.replace(tzinfo=UTC)

MOST_OF_A_BATCH: Final = 10**18
MOST_USED: Final = 8 * 10**18
"""Units. Both fit the columns: what is absurd must not keep the recorder from writing."""

MOST_KEY: Final = 2**63 - 1
AT_ONCE: Final = 200
"""Budgets that one statement changes."""


class Want(NamedTuple):
    """`units` of a bound's budget in one of its windows, of which the call holds `held` already;
    None: it holds nothing of that budget."""

    bound: Bound
    span: Span
    units: int
    held: int | None = None

    @property
    def missing(self) -> int:
        return self.units - (self.held or 0)


class NoRoom(Exception):
    """A budget has no room. `level` is how it stands, `known` how that and the call's other budgets
    do."""

    def __init__(self, want: Want, level: Level, known: Sequence[tuple[Want, Level]] = ()) -> None:
        super().__init__(str(want))
        self.want, self.level, self.known = want, level, known or [(want, level)]

    @property
    def until(self) -> datetime:
        """When there may be room again."""
        end = self.want.span.end
        return NEVER if end is None or self.want.units > self.want.bound.rule.amount else end


class _Gone(Exception):
    """A budget whose key was remembered is not there any more."""


_keys: dict[tuple[str, datetime], int] = {}

Reserved = dict[int, tuple[Want, Level]]
"""By the key of the budget."""


def reserve(
    record_id: UUID, wants: Sequence[Want], expires_at: datetime, held: Mapping[int, int] = NOTHING
) -> Reserved:
    """Reserve all of `wants`, of which the call holds `held` (budget key -> units) from before. It
    is all or nothing.

    Raises NoRoom, and then nothing has changed; or what the database raises.
    """
    alias = location.database_alias()
    connection: Any = connections[alias]
    connection.health_check_done = (
        True  # asking first whether it still works would cost each call a trip
    )
    try:
        return _reserve_or_refuse(record_id, wants, expires_at, held, alias)
    except (OperationalError, InterfaceError):
        if connection.in_atomic_block or _works(alias):
            raise
    # If the connection was lost behind a commit, this fails: a call has one reservation of each
    # budget. Of what was added to it, twice as much may be held; that ends with the call too.
    return _reserve_or_refuse(record_id, wants, expires_at, held, alias)


def _works(alias: str) -> bool:
    """Whether the connection is there; otherwise there will be a new one."""
    connection = connections[alias]
    connection.close_if_unusable_or_obsolete()
    return connection.connection is not None


def _reserve_or_refuse(
    record_id: UUID,
    wants: Sequence[Want],
    expires_at: datetime,
    held: Mapping[int, int],
    alias: str,
) -> Reserved:
    for _ in range(TRIES):
        keyed = _keyed(wants, held, alias)
        try:
            return _reserve(record_id, keyed, expires_at, alias)
        except _Gone:
            _keys.clear()
        except NoRoom as refusal:
            if not expire(alias, [key for key, _ in keyed]):
                raise _lasting(refusal, [want for _, want in keyed]) from None
    raise DatabaseError("The budgets of a call are deleted again and again.")


def _keyed(wants: Sequence[Want], held: Mapping[int, int], alias: str) -> list[tuple[int, Want]]:
    """With the keys of their budgets, in the order of these."""
    keyed = sorted(((_key(want, alias), want) for want in wants), key=lambda pair: pair[0])
    return [(key, want._replace(held=held.get(key))) for key, want in keyed] if held else keyed


def _lasting(refusal: NoRoom, wants: Sequence[Want]) -> NoRoom:
    """Of the budgets that have no room, the one that has none for longest: before that it is no use
    to come again."""
    found = levels({want.bound.counter: want.span for want in wants})
    known = [(want, found[want.bound.counter]) for want in wants]
    full = [
        NoRoom(want, level, known)
        for want, level in known
        if level.used + level.reserved + want.missing > want.bound.rule.amount
    ]
    return max(full, key=lambda each: each.until, default=refusal)


def _reserve(
    record_id: UUID, keyed: Sequence[tuple[int, Want]], expires_at: datetime, alias: str
) -> Reserved:
    alone = (
        len(keyed) == 1
        and connections[alias].vendor in budget_update.AT_ONCE
        and connections[alias].get_autocommit()
    )
    with nullcontext() if alone and keyed[0][1].held is None else transaction.atomic(using=alias):
        return {key: (want, _take(key, want, record_id, expires_at, alias)) for key, want in keyed}


def _key(want: Want, alias: str) -> int:
    name = want.bound.counter, want.span.start
    key = _keys.get(name)
    if key is None:
        key = _made(want, alias).pk
        if len(_keys) >= MOST_REMEMBERED:
            _keys.clear()
        _keys[name] = key
    return key


def _made(want: Want, alias: str) -> Budget:
    rule = want.bound.rule
    described = {
        "ends_at": want.span.end,
        "subject": rule.shown[:200],
        "metric": rule.metric,
        "window": rule.window,
        "pattern": rule.pattern[:200],
        "amount": rule.amount,
        "threshold": rule.threshold,
    }
    rows = Budget._base_manager.using(alias)
    return rows.get_or_create(
        counter=want.bound.counter, starts_at=want.span.start, defaults=described
    )[0]


def _take(key: int, want: Want, record_id: UUID, expires_at: datetime, alias: str) -> Level:
    """Raises NoRoom, _Gone."""
    rule, counter = want.bound.rule, want.bound.counter
    part = Part(key, counter, want.missing, rule.amount, rule.threshold)
    new = want.held is None
    taken = (
        budget_update.take(part, record_id, expires_at, alias)
        if new
        else budget_update.add(part, record_id, alias)
    )
    if taken is not None:
        return taken
    level = (
        Budget._base_manager.using(alias)
        .filter(pk=key, counter=counter)
        .values_list("used", "reserved")
        .first()
    )
    if level is None:
        raise _Gone
    raise NoRoom(want, Level(*level))


def levels(spans: Mapping[str, Span]) -> dict[str, Level]:
    """How the budgets of these counters stand, as far as there are any."""
    rows = Budget._base_manager.using(location.database_alias()).filter(counter__in=spans)
    found = {
        row.counter: Level(row.used, row.reserved)
        for row in rows
        if row.starts_at == spans[row.counter].start
    }
    return {counter: found.get(counter, Level(0, 0)) for counter in spans}


def release(record_id: UUID) -> None:
    """Give back what a call holds that will have no record to settle it with."""
    _end(location.database_alias(), {}, record_id=record_id)


# --- the end of reservations ---------------------------------------------------------------------------------------


def settle(entries: Sequence[UsageEntry], alias: str) -> None:
    """A hook of the recorder's: what these calls reserved goes, and what they used is added. No
    entry is too odd for it."""
    claiming = [entry for entry in entries if entry.claims is not None]
    used: dict[int, int] = defaultdict(int)
    for entry in claiming:
        for key, units in _claims_of(entry):
            used[key] = min(used[key] + units, MOST_OF_A_BATCH)
    if claiming:
        _end(alias, used, record_id__in=[entry.id for entry in claiming])
    # Afterwards: the budgets of a transaction are locked in the order of their keys, these would
    # come behind them.
    transaction.on_commit(lambda: _expire_sometimes(alias), using=alias, robust=True)


def _claims_of(entry: UsageEntry) -> Iterator[tuple[int, int]]:
    """The claims that make sense. An exception would have the recorder try the batch again for
    ever."""
    claims: Any = entry.claims
    for key, units in claims.items() if isinstance(claims, dict) else ():
        try:
            budget, amount = int(key), int(units)
        except (TypeError, ValueError, OverflowError):
            budget = amount = -1
        if 0 < budget <= MOST_KEY and amount >= 0:
            yield budget, min(amount, MOST_OF_A_BATCH)
        else:
            logger.warning("A record claims what no budget can have. It is written without that.")


def _end(alias: str, used: Mapping[int, int], lost: bool = False, **which: Any) -> int:
    """End these reservations and add what was used; how many have ended.

    The budgets are locked first, so that a reservation is ended once, whoever else ends it at the
    same moment.
    """
    reservations = Reservation._base_manager.using(alias).filter(**which)
    keys = {*used, *reservations.values_list("budget_id", flat=True)}
    if not keys:
        return 0
    with transaction.atomic(using=alias, savepoint=False):
        budgets = _locked(keys, alias)
        held: dict[int, int] = defaultdict(int)
        ended = list(reservations.filter(budget_id__in=keys))
        for reservation in ended:
            held[reservation.budget_id] += reservation.amount
        Reservation._base_manager.using(alias).filter(
            pk__in=[reservation.pk for reservation in ended]
        ).delete()
        _change(budgets, used, held, lost, alias)
    return len(ended)


def _locked(keys: Collection[int], alias: str) -> list[Budget]:
    rows = Budget._base_manager.using(alias).filter(pk__in=keys)
    if connections[alias].vendor == "sqlite":
        # It locks for writing as a whole, and refuses to where others wrote since the transaction
        # first read.
        rows.update(used=F("used"))
    return list(rows.select_for_update().order_by("pk"))


def _change(
    budgets: Sequence[Budget],
    used: Mapping[int, int],
    held: Mapping[int, int],
    lost: bool,
    alias: str,
) -> None:
    for budget in budgets:
        budget.used = min(budget.used + used.get(budget.pk, 0), MOST_USED)
        budget.reserved -= held[budget.pk]
        budget.lost = min(budget.lost + held[budget.pk] * lost, MOST_USED)
    crossing = [
        each
        for each in budgets
        if each.threshold_at is None and each.used * 100 >= each.amount * each.threshold
    ]
    Budget._base_manager.using(alias).bulk_update(
        budgets, ["used", "reserved", *(["lost"] if lost else [])], batch_size=AT_ONCE
    )
    if crossing:
        _cross(crossing, alias)


def _cross(budgets: Sequence[Budget], alias: str) -> None:
    """Note, and tell once it is certain, that these have come to their thresholds."""
    now = datetime.now(UTC)
    Budget._base_manager.using(alias).filter(pk__in=[budget.pk for budget in budgets]).update(
        threshold_at=now
    )
    for budget in budgets:
        budget.threshold_at = now
    transaction.on_commit(lambda: _tell_of(budgets), using=alias, robust=True)


def _tell_of(budgets: Sequence[Budget]) -> None:
    for budget in budgets:
        level = {"used": budget.used, "amount": budget.amount, "threshold": budget.threshold}
        signals.budget_threshold.send_robust(sender=Budget, budget=budget, **level)


_next_expiry = 0.0


def _expire_sometimes(alias: str) -> None:
    global _next_expiry
    now = time.monotonic()
    if now >= _next_expiry:
        _next_expiry = now + EXPIRE_EVERY
        expire(alias)


def expire(alias: str, budgets: Sequence[int] | None = None) -> int:
    """End the reservations whose calls cannot run any more, of these budgets or of all; how many
    there were."""
    which: dict[str, Any] = {"expires_at__lt": datetime.now(UTC)}
    if budgets is not None:
        which["budget_id__in"] = budgets
    ended = _end(alias, {}, lost=True, **which)
    if ended:
        logger.warning(
            "%d reservations of calls that left no record have expired. What those cost is counted as lost.",
            ended,
        )
    return ended


def reach(counter: str, starts_at: datetime, alias: str) -> None:
    """Note that this budget, where it is one, refused a call."""
    rows = Budget._base_manager.using(alias).filter(
        counter=counter, starts_at=starts_at, reached_at=None
    )
    rows.update(reached_at=datetime.now(UTC))
