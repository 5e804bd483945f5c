"""Deletes old records in small steps, and only those that the totals have counted.

Each batch is a short transaction, found by one walk along the primary key, which begins with the
time. Before the first record of a day is deleted, the day's totals are compared with its records
and marked as pruned: from then on they alone are complete, and are never rebuilt.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime
from typing import Final
from uuid import UUID

from django.db import transaction

from native_api.models import DailyUsage, UsageRecord
from native_api.usage.entry import first_id_at
from native_api.usage.reconcile import Pause, compare, locked_day, no_pause
from native_api.usage.totals import site_date

MIN_ID: Final = UUID(int=0)

DatedIds = Sequence[tuple[UUID, date]]
"""The ids of records, and their days."""


class Pruner:
    """Deletes the records before a moment; with `dry_run`, only counts them.

    `deleted` is the number of deleted records, `kept` the number of those that stay by day,
    because the day's totals differ from its records.
    """

    def __init__(
        self,
        before: datetime,
        alias: str,
        batch: int,
        *,
        dry_run: bool = False,
        pause: Pause = no_pause,
    ) -> None:
        self.deleted = 0
        self.kept: Counter[date] = Counter()
        self._before = before
        self._alias = alias
        self._batch = batch
        self._dry_run = dry_run
        self._pause = pause
        self._agrees: dict[date, bool] = {}
        self._marked_days: set[date] = set()

    def run(self) -> None:
        last = MIN_ID
        while batch := self._read_batch(last):
            last = batch[-1][0]
            self._delete_batch(batch)
            self._pause()

    def _read_batch(self, after: UUID) -> DatedIds:
        records = UsageRecord._base_manager.using(self._alias).filter(
            pk__gt=after, pk__lt=first_id_at(self._before)
        )
        rows = (
            records.filter(created_at__lt=self._before)
            .order_by("pk")
            .values_list("pk", "created_at")
        )
        return [(identity, site_date(created_at)) for identity, created_at in rows[: self._batch]]

    def _delete_batch(self, batch: DatedIds) -> None:
        counted = [(identity, day) for identity, day in batch if self._is_counted(day)]
        self.kept.update(day for _identity, day in batch if not self._is_counted(day))
        if self._dry_run:
            self.deleted += len(counted)
            return
        for day in {day for _identity, day in counted} - self._marked_days:
            self._mark_pruned(day)
        records = UsageRecord._base_manager.using(self._alias)
        with transaction.atomic(using=self._alias):
            ids = [identity for identity, _day in counted]
            self.deleted += records.filter(pk__in=ids).delete()[0]

    def _is_counted(self, day: date) -> bool:
        if day not in self._agrees:
            self._agrees[day] = compare(day, self._alias, self._pause).agrees
        return self._agrees[day]

    def _mark_pruned(self, day: date) -> None:
        with locked_day(day, self._alias):
            DailyUsage._base_manager.using(self._alias).filter(day=day).update(pruned=True)
        self._marked_days.add(day)
