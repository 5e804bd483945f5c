"""`native_prune` deletes in small steps, and only records that the totals have counted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from native_api.models import DailyUsage, UsageRecord
from native_api.usage import writer
from native_api.usage.entry import UsageEntry, first_id_at
from tests.load import LOAD
from tests.servers import manage
from tests.usage.conftest import Deployment

NOW = datetime.now(UTC)


def entries(age: timedelta, count: int) -> list[UsageEntry]:
    """Entries of that age, a second apart."""
    first = first_id_at(NOW - age)
    return [
        UsageEntry(model="m", id=UUID(int=first.int + (number * 1000 << 80) + number))
        for number in range(count)
    ]


def write(age: timedelta, count: int) -> None:
    assert not writer.write(entries(age, count), "default", may_be_written=False)


def prune(older_than: str, **options: Any) -> None:
    call_command("native_prune", older_than=older_than, **options)


def requests() -> int:
    return sum(DailyUsage.objects.values_list("requests", flat=True))


@pytest.mark.usefixtures("transactional_db")
class TestPruning:
    @pytest.mark.parametrize(("age", "left"), [("12h", 1), ("90d", 3), ("8w", 2), ("40w", 4)])
    def test_older_records_are_deleted_and_totals_stay(self, age: str, left: int) -> None:
        for days in (0.4, 10, 60, 100):
            write(timedelta(days=days), 1)
        before = list(DailyUsage.objects.order_by("id").values_list("id", "requests"))
        prune(age)
        assert UsageRecord.objects.count() == left
        assert list(DailyUsage.objects.order_by("id").values_list("id", "requests")) == before

    def test_records_are_deleted_in_small_transactions(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        write(timedelta(days=100), 25)
        write(timedelta(days=1), 5)
        with CaptureQueriesContext(connection) as captured:
            prune("90d", batch=10)
        assert "25 usage records were deleted." in capsys.readouterr().out
        assert sum(query["sql"].startswith("DELETE") for query in captured) == 3
        assert UsageRecord.objects.count() == 5
        assert requests() == 30

    def test_a_dry_run_deletes_nothing(self, capsys: pytest.CaptureFixture[str]) -> None:
        write(timedelta(days=100), 25)
        prune("90d", batch=10, dry_run=True)
        assert "25 usage records would be deleted." in capsys.readouterr().out
        assert UsageRecord.objects.count() == 25
        assert not DailyUsage.objects.filter(pruned=True).exists()

    @pytest.mark.parametrize("dry_run", [True, False])
    def test_records_missing_in_the_totals_stay(
        self, dry_run: bool, capsys: pytest.CaptureFixture[str]
    ) -> None:
        write(timedelta(days=100), 3)
        write(timedelta(days=110), 4)
        DailyUsage.objects.latest("day").delete()
        with pytest.raises(CommandError, match="native_totals --rebuild"):
            prune("90d", batch=2, dry_run=dry_run)
        assert "3 records were kept" in capsys.readouterr().err
        assert UsageRecord.objects.count() == (7 if dry_run else 3)
        call_command("native_totals", rebuild=True)
        prune("90d")
        assert UsageRecord.objects.count() == 0
        assert requests() == 7

    def test_the_rest_of_a_pruned_day_can_be_deleted_and_late_records_count(self) -> None:
        early, late = entries(timedelta(days=100), 4), entries(timedelta(days=100), 5)[4:]
        assert not writer.write(early, "default", may_be_written=False)
        middle = (NOW - early[2].created_at) // timedelta(hours=1)  # type: ignore[operator]
        UsageRecord.objects.filter(pk__in=[each.id for each in early[:2]]).delete()
        DailyUsage.objects.update(pruned=True)
        assert not writer.write(late, "default", may_be_written=False)
        call_command("native_totals", rebuild=True)
        prune(f"{middle - 1}h")
        assert (UsageRecord.objects.count(), requests()) == (0, 5)


@pytest.mark.parametrize(
    "age", ["", "90", "d", "-1d", "0d", "1.5d", "90days", "90 d", "99999999w", "٣d", "500000h"]
)
def test_invalid_ages_are_refused(age: str) -> None:
    with pytest.raises(CommandError, match=r"is not a valid age|no record can|--older-than"):
        prune(age)


@pytest.mark.parametrize("batch", [0, -1, 10**6])
def test_invalid_batch_sizes_are_refused(batch: int) -> None:
    with pytest.raises(CommandError, match="--batch"):
        prune("1d", batch=batch)


BATCHES = 7 * LOAD


def test_pruning_while_other_processes_record(deployment: Deployment) -> None:
    children = [deployment.child() for _ in range(2)]
    long_ago = [first_id_at(NOW - timedelta(days=100, seconds=number)) for number in range(2)]
    for child, first in zip(children, long_ago, strict=True):
        assert child.ask("record_at", first=first.hex, count=500)
        child.ask("flush", timeout=60)
        for _ in range(BATCHES):
            child.send("record", count=50)
        child.send("record_at", first=UUID(int=first.int + 10**6).hex, count=100)
    assert "deleted" in manage(
        deployment.environment, "native_prune", "--older-than", "90d", "--batch", "50"
    )
    for child in children:
        assert all(child.receive() for _ in range(BATCHES + 1))
        child.ask("flush", timeout=60)
    deployment.catch_up()
    manage(deployment.environment, "native_prune", "--older-than", "90d")
    assert deployment.query("SELECT count(*) FROM native_api_usagerecord") == [(100 * BATCHES,)]
    assert deployment.query("SELECT sum(requests) FROM native_api_dailyusage") == [
        (1200 + 100 * BATCHES,)
    ]
    manage(deployment.environment, "native_totals")
