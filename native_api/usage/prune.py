"""Deletes old records in small steps, and only those that the totals have counted.

Each batch is a short transaction of its own, found by one walk along the primary key, which begins
with the time. Before the first record of a day goes, the day's totals are compared with its records
and marked: from then on only they know all of it, and nothing makes them anew.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime
from typing import Final
from uuid import UUID

from django.db import transaction

from native_api.models import DailyUsage, UsageRecord
from native_api.usage.entry import first_id_of
from native_api.usage.reconcile import compare, held
from native_api.usage.totals import day_of

FIRST: Final = UUID(int=0)

Found = Sequence[tuple[UUID, date]]


class Pruner:
    """`deleted` counts records, or those that would be with `dry_run`; `kept` those by day that the
    totals do not have."""

    def __init__(self, before: datetime, alias: str, batch: int, *, dry_run: bool = False) -> None:
        self.deleted = 0
        self.kept: Counter[date] = Counter()
        self._before = before
        self._alias = alias
        self._batch = batch
        self._dry_run = dry_run
        self._counted: dict[date, bool] = {}
        self._marked: set[date] = set()

    def run(self) -> None:
        last = FIRST
        while found := self._after(last):
            last = found[-1][0]
            self._take(found)

    def _after(self, last: UUID) -> Found:
        records = UsageRecord._base_manager.using(self._alias).filter(
            pk__gt=last, pk__lt=first_id_of(self._before)
        )
        rows = (
            records.filter(created_at__lt=self._before)
            .order_by("pk")
            .values_list("pk", "created_at")
        )
        return [(identity, day_of(created_at)) for identity, created_at in rows[: self._batch]]

    def _take(self, found: Found) -> None:
        taken = [identity for identity, day in found if self._is_counted(day)]
        self.kept.update(day for _identity, day in found if not self._is_counted(day))
        if self._dry_run:
            self.deleted += len(taken)
            return
        for day in {day for _identity, day in found if self._is_counted(day)} - self._marked:
            self._mark(day)
        with transaction.atomic(using=self._alias):
            self.deleted += (
                UsageRecord._base_manager.using(self._alias).filter(pk__in=taken).delete()[0]
            )

    def _is_counted(self, day: date) -> bool:
        if day not in self._counted:
            self._counted[day] = compare(day, self._alias).agrees
        return self._counted[day]

    def _mark(self, day: date) -> None:
        with held(day, self._alias):
            DailyUsage._base_manager.using(self._alias).filter(day=day).update(pruned=True)
        self._marked.add(day)
