"""Compares the totals of a day with its records, and rebuilds them.

A batch of the recorder is one transaction on both tables, so at any one moment both contain the
same records. Comparing therefore reads both in one snapshot (`_snapshot`), and a rebuild keeps
batches from committing while it counts (`locked_day`): what is recorded in the meantime waits in
the journal, and is added to the new totals afterwards.

Records whose user or key was deleted have its name, but no longer its id. So days are compared by
names, and a rebuild takes the ids from the totals that it replaces.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from django.db import connections, transaction
from django.db.models import F

from native_api.models import DailyUsage, UsageRecord
from native_api.usage import totals_rows
from native_api.usage.totals import day_bounds, site_date, sum_by_group
from native_api.usage.totals_rows import GROUP_FIELDS, SUM_FIELDS, TOKEN_FIELDS, Group, Totals

RECORD_COLUMNS: Final = (
    "created_at", "user_id", "api_key_id", "cost", "counted_as", "error_code",
    *TOKEN_FIELDS, *(set(GROUP_FIELDS) - {"day", "user_id", "api_key_id"}),
)  # fmt: skip
RECORDS_PER_READ: Final = 2000
USER_INDEX: Final = GROUP_FIELDS.index("user_id")
KEY_INDEX: Final = GROUP_FIELDS.index("api_key_id")

Pause = Callable[[], None]
"""Called between two small steps of long work. Raises to end the work there."""


def no_pause() -> None:
    """For a process that has nothing else to do."""


@dataclass(frozen=True)
class Comparison:
    """A day's totals as they are stored, and as counted from its records.

    `is_pruned`: records were deleted that only the stored totals contain.
    """

    day: date
    stored: Totals
    counted: Totals
    is_pruned: bool

    @property
    def agrees(self) -> bool:
        stored, counted = _by_names(self.stored), _by_names(self.counted)
        if not self.is_pruned:
            return stored == counted
        return all(
            group in stored and all(map(int.__ge__, stored[group], sums))
            for group, sums in counted.items()
        )


def days_with_usage(alias: str, since: date | None = None) -> list[date]:
    """The days that have records or totals."""
    totals = (
        DailyUsage._base_manager.using(alias).order_by().values_list("day", flat=True).distinct()
    )
    if since is not None:
        totals = totals.filter(day__gte=since)
    return sorted({*totals, *_days_with_records(alias, since)})


def _days_with_records(alias: str, since: date | None) -> Iterator[date]:
    """One index lookup for each day."""
    records = (
        UsageRecord._base_manager.using(alias)
        .order_by("created_at")
        .values_list("created_at", flat=True)
    )
    following = (
        records.filter(created_at__gte=day_bounds(since)[0]).first() if since else records.first()
    )
    while following is not None:
        day = site_date(following)
        yield day
        following = records.filter(created_at__gte=day_bounds(day)[1]).first()


def compare(day: date, alias: str, pause: Pause = no_pause) -> Comparison:
    if connections[alias].vendor == "sqlite":
        pause = no_pause  # Who reads in SQLite may keep others from writing.
    with _snapshot(alias):
        return _compare(day, alias, pause)


def rebuild(day: date, alias: str) -> Comparison:
    """Rebuild the day's totals from its records, unless some of those were deleted.

    Returns the comparison before the rebuild.
    """
    with locked_day(day, alias):
        before = _compare(day, alias)
        if not before.is_pruned and not before.agrees:
            DailyUsage._base_manager.using(alias).filter(day=day).delete()
            totals = _restore_ids(before.counted, before.stored)
            totals_rows.add(totals_rows.to_rows(totals), alias)
        return before


@contextmanager
def locked_day(day: date, alias: str) -> Iterator[None]:
    """A transaction in which no other one can change the day's totals.

    It sees the changes of all earlier ones. PostgreSQL and Oracle lock the table against writers,
    not readers. On other databases, an update without changes locks what it would change: the
    whole database in SQLite, in MariaDB the day's rows and, with repeatable reads, those that
    others would add to the day.
    """
    connection = connections[alias]
    is_outermost = not connection.in_atomic_block
    with transaction.atomic(using=alias):
        if is_outermost and connection.vendor == "mysql":
            _isolate(alias)
        if connection.vendor in ("postgresql", "oracle"):
            table = connection.ops.quote_name(DailyUsage._meta.db_table)
            with connection.cursor() as cursor:
                cursor.execute(f"LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE")
        else:
            DailyUsage._base_manager.using(alias).filter(day=day).update(pruned=F("pruned"))
        yield


@contextmanager
def _snapshot(alias: str) -> Iterator[None]:
    """A transaction in which all queries see the database as it was at the first one.

    Within another transaction they see what that one does.
    """
    is_outermost = not connections[alias].in_atomic_block
    with transaction.atomic(using=alias):
        if is_outermost and connections[alias].vendor in ("postgresql", "mysql"):
            _isolate(alias)
        yield


def _isolate(alias: str) -> None:
    with connections[alias].cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")


def _compare(day: date, alias: str, pause: Pause = no_pause) -> Comparison:
    rows = list(DailyUsage._base_manager.using(alias).filter(day=day))
    stored = {
        tuple(getattr(row, name) for name in GROUP_FIELDS): [
            getattr(row, name) for name in SUM_FIELDS
        ]
        for row in rows
    }
    counted = _count_records(day, alias, pause)
    is_pruned = any(row.pruned for row in rows) or not counted
    return Comparison(day, stored, counted, is_pruned)


def _count_records(day: date, alias: str, pause: Pause) -> Totals:
    start, end = day_bounds(day)
    records = (
        UsageRecord._base_manager.using(alias)
        .filter(created_at__gte=start, created_at__lt=end)
        .order_by()
    )
    rows = records.values_list(*RECORD_COLUMNS, named=True).iterator(RECORDS_PER_READ)
    return sum_by_group(_with_pauses(rows, pause))


def _with_pauses(rows: Iterable[Any], pause: Pause) -> Iterator[Any]:
    for number, row in enumerate(rows, 1):
        yield row
        if number % RECORDS_PER_READ == 0:
            pause()


def _by_names(totals: Totals) -> Totals:
    by_names: Totals = {}
    for group, sums in totals.items():
        names = _without_ids(group)
        before = by_names.get(names, [0] * len(sums))
        by_names[names] = [min(DailyUsage.LIMIT, a + b) for a, b in zip(before, sums, strict=True)]
    return by_names


def _without_ids(group: Group) -> Group:
    return tuple(value for index, value in enumerate(group) if index not in (USER_INDEX, KEY_INDEX))


def _restore_ids(counted: Totals, stored: Totals) -> Totals:
    """`counted`, with the stored group in place of one that lacks an id.

    Only if exactly one stored group has its names.
    """
    groups_by_names: dict[Group, set[Group]] = {}
    for group in stored:
        groups_by_names.setdefault(_without_ids(group), set()).add(group)
    totals: Totals = {}
    for group, sums in counted.items():
        candidates = groups_by_names.get(_without_ids(group), set())
        lacks_id = not group[USER_INDEX] or group[KEY_INDEX] is None
        owner = next(iter(candidates)) if lacks_id and len(candidates) == 1 else group
        before = totals.get(owner, [0] * len(sums))
        totals[owner] = [a + b for a, b in zip(before, sums, strict=True)]
    return totals
