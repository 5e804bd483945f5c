"""Entries for the tests of totals, and the sums over records and totals."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from native_api.models import DailyUsage, UsageRecord
from native_api.usage import writer
from native_api.usage.entry import UsageEntry
from native_api.usage.totals_rows import TOKEN_FIELDS

DAY = date(2026, 3, 4)
NOON = datetime(2026, 3, 4, 18, tzinfo=UTC)


def write(*entries: UsageEntry, may_be_written: bool = False) -> None:
    assert not writer.write(entries, "default", may_be_written=may_be_written)


def entry(**values: Any) -> UsageEntry:
    return UsageEntry(**{"model": "m", "provider": "p", "created_at": NOON, **values})


def random_entry() -> UsageEntry:
    choice = random.choice
    counts = {name: random.randrange(10**6) for name in TOKEN_FIELDS}
    cost = choice([None, Decimal(random.randrange(10**16)).scaleb(-12)])
    groups = {
        "model": choice("abc"),
        "provider": choice(["", "p"]),
        "status": choice(["ok", "error"]),
        "user_name": choice("xy"),
    }
    return entry(**groups, **counts, cost=cost)


def sums_of_records() -> dict[tuple[str, ...], list[Any]]:
    """Computed in the simplest way."""
    sums: dict[tuple[str, ...], list[Any]] = {}
    for record in UsageRecord.objects.all():
        group = sums.setdefault(
            (record.user_name, record.provider, record.model, record.status),
            [0, Decimal(0), 0, *[0] * len(TOKEN_FIELDS)],
        )
        unpriced = record.cost is None and record.provider != ""
        for index, value in enumerate(
            [1, record.cost or 0, unpriced, *(getattr(record, name) for name in TOKEN_FIELDS)]
        ):
            group[index] += value
    return sums


def totals() -> dict[tuple[str, ...], list[Any]]:
    return {
        (row.user_name, row.provider, row.model, row.status): [
            row.requests,
            row.cost,
            row.unpriced,
            *(getattr(row, name) for name in TOKEN_FIELDS),
        ]
        for row in DailyUsage.objects.all()
    }
