"""Usage records of earlier days, with their totals."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from native_api.usage import writer
from native_api.usage.entry import UsageEntry, first_id_at


def write_records(days_ago: float, count: int = 1) -> None:
    first = first_id_at(datetime.now(UTC) - timedelta(days=days_ago))
    entries = [UsageEntry(model="m", id=UUID(int=first.int + each)) for each in range(count)]
    assert not writer.write(entries, "default", may_be_written=False)
