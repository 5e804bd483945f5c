"""Compares the totals of a day with its records, and makes them anew.

A batch of the recorder is one transaction on both tables, so at any one moment all that is recorded
is in both of them. Comparing therefore reads both at one moment (`_one_moment`), and a rebuild
keeps batches from committing while it counts (`held`): what is recorded meanwhile waits in the
journal, and is added to the new totals afterwards.

Records whose user or key was deleted tell their names, and no longer their ids. So days are
compared by names, and a rebuild takes the ids over from the totals that it replaces.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Final

from django.db import connections, transaction
from django.db.models import F

from native_api.models import DailyUsage, UsageRecord
from native_api.usage.totals import (
    GROUP,
    SUMS,
    TOKENS,
    Group,
    Totals,
    bounds_of,
    day_of,
    rows_of,
    store,
    totals_of,
)

COLUMNS: Final = (
    "created_at", "user_id", "api_key_id", "cost", "counted_as", "error_code", *TOKENS, *(set(GROUP) - {"day", "user_id", "api_key_id"}),
)  # fmt: skip
CHUNK: Final = 2000
USER: Final = GROUP.index("user_id")
KEY: Final = GROUP.index("api_key_id")


@dataclass(frozen=True)
class Comparison:
    """A day's totals as they are kept, and as its records make them. `pruned`: there are records
    that only the totals know."""

    day: date
    kept: Totals
    counted: Totals
    pruned: bool

    @property
    def agrees(self) -> bool:
        kept, counted = _by_names(self.kept), _by_names(self.counted)
        if not self.pruned:
            return kept == counted
        return all(
            group in kept and all(map(int.__ge__, kept[group], sums))
            for group, sums in counted.items()
        )


def days(alias: str, since: date | None = None) -> list[date]:
    """The days that have records or totals."""
    totals = (
        DailyUsage._base_manager.using(alias).order_by().values_list("day", flat=True).distinct()
    )
    if since is not None:
        totals = totals.filter(day__gte=since)
    return sorted({*totals, *_days_of_records(alias, since)})


def _days_of_records(alias: str, since: date | None) -> Iterator[date]:
    """Found by jumping from day to day along the index."""
    records = (
        UsageRecord._base_manager.using(alias)
        .order_by("created_at")
        .values_list("created_at", flat=True)
    )
    following = (
        records.filter(created_at__gte=bounds_of(since)[0]).first() if since else records.first()
    )
    while following is not None:
        yield day_of(following)
        following = records.filter(created_at__gte=bounds_of(day_of(following))[1]).first()


def compare(day: date, alias: str) -> Comparison:
    with _one_moment(alias):
        return _compare(day, alias)


def rebuild(day: date, alias: str) -> Comparison:
    """Make the day's totals anew from its records, unless some of those were deleted. Returns what
    was there before."""
    with held(day, alias):
        found = _compare(day, alias)
        if not found.pruned and not found.agrees:
            DailyUsage._base_manager.using(alias).filter(day=day).delete()
            store(rows_of(_with_ids(found.counted, found.kept)), alias)
        return found


@contextmanager
def held(day: date, alias: str) -> Iterator[None]:
    """A transaction in which no other can change totals of the day, and which sees what those
    before it did.

    PostgreSQL and Oracle lock the table against writers; reading goes on. Elsewhere an update that
    changes nothing locks what it would change: in SQLite the database, else the day's rows.
    """
    with transaction.atomic(using=alias):
        connection = connections[alias]
        if connection.vendor in ("postgresql", "oracle"):
            with connection.cursor() as cursor:
                cursor.execute(
                    f"LOCK TABLE {connection.ops.quote_name(DailyUsage._meta.db_table)} IN SHARE ROW EXCLUSIVE MODE"
                )
        else:
            DailyUsage._base_manager.using(alias).filter(day=day).update(pruned=F("pruned"))
        yield


@contextmanager
def _one_moment(alias: str) -> Iterator[None]:
    """A transaction in which all reading sees the database as it was at the first."""
    with transaction.atomic(using=alias):
        if connections[alias].vendor == "postgresql":
            with connections[alias].cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield


def _compare(day: date, alias: str) -> Comparison:
    rows = list(DailyUsage._base_manager.using(alias).filter(day=day))
    kept = {
        tuple(getattr(row, name) for name in GROUP): [getattr(row, name) for name in SUMS]
        for row in rows
    }
    counted = _counted(day, alias)
    return Comparison(day, kept, counted, pruned=any(row.pruned for row in rows) or not counted)


def _counted(day: date, alias: str) -> Totals:
    start, end = bounds_of(day)
    records = (
        UsageRecord._base_manager.using(alias)
        .filter(created_at__gte=start, created_at__lt=end)
        .order_by()
    )
    return totals_of(records.values_list(*COLUMNS, named=True).iterator(CHUNK))


def _by_names(totals: Totals) -> Totals:
    named: Totals = {}
    for group, sums in totals.items():
        name = _without_ids(group)
        before = named.get(name, [0] * len(sums))
        named[name] = [min(DailyUsage.LIMIT, a + b) for a, b in zip(before, sums, strict=True)]
    return named


def _without_ids(group: Group) -> Group:
    return tuple(value for place, value in enumerate(group) if place not in (USER, KEY))


def _with_ids(counted: Totals, kept: Totals) -> Totals:
    """Groups that lack an id become what the kept totals know under their names, where that is one
    thing only."""
    known: dict[Group, set[Group]] = {}
    for group in kept:
        known.setdefault(_without_ids(group), set()).add(group)
    totals: Totals = {}
    for group, sums in counted.items():
        candidates = known.get(_without_ids(group), set())
        lacks = not group[USER] or group[KEY] is None
        owner = next(iter(candidates)) if lacks and len(candidates) == 1 else group
        totals[owner] = [
            a + b for a, b in zip(totals.get(owner, [0] * len(sums)), sums, strict=True)
        ]
    return totals
