"""The totals of each day equal the sums over the records, also after failures."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth import get_user_model

from native_api.models import ApiKey, DailyUsage, UsageRecord
from native_api.usage import reconcile, totals_rows, writer
from native_api.usage import totals as totals_module
from native_api.usage.entry import UsageEntry
from tests.usage.totals_factory import entry, random_entry, sums_of_records, totals, write


@pytest.mark.usefixtures("transactional_db")
class TestSums:
    def test_totals_equal_the_sums_of_the_records(self) -> None:
        for _ in range(5):
            write(*(random_entry() for _ in range(100)))
        assert totals() == sums_of_records()

    def test_a_cost_is_summed_exactly(self) -> None:
        cost = Decimal("1234567.123456789012")
        write(entry(cost=cost), entry(cost=cost), entry(cost=Decimal("0.000000000001")))
        assert sorted(UsageRecord.objects.values_list("cost", flat=True)) == [
            Decimal("0.000000000001"),
            cost,
            cost,
        ]
        assert DailyUsage.objects.get().cost == Decimal("2469134.246913578025")

    def test_a_cost_with_more_decimals_is_rounded_once(self) -> None:
        write(
            *(entry(cost=Decimal("0.0000000000005")) for _ in range(4)),
            *(entry(cost=Decimal("0.0000000000015")) for _ in range(2)),
        )
        assert (
            DailyUsage.objects.get().cost
            == sum(UsageRecord.objects.values_list("cost", flat=True))
            == Decimal("4e-12")
        )

    def test_databases_without_upsert_get_the_same_totals(self) -> None:
        write(*(random_entry() for _ in range(50)))
        expected = totals()
        DailyUsage.objects.all().delete()
        for half in (
            UsageRecord.objects.order_by("id")[:20],
            UsageRecord.objects.order_by("id")[20:],
        ):
            for row in totals_rows.to_rows(totals_module.sum_by_group(half)):
                totals_rows._add_one(row, "default")
        assert totals() == expected

    def test_every_user_and_key_has_totals_that_outlive_it(self) -> None:
        users = [get_user_model().objects.create(username=name) for name in ("alice", "bob")]
        key = ApiKey.objects.create(owner=users[0], name="k", prefix="nk_a", digest="0" * 64)
        write(
            entry(user_id=users[0].pk, user_name="alice", api_key_id=key.pk, api_key_name="k"),
            entry(user_id=users[1].pk),
            entry(),
        )
        expected = {(str(users[0].pk), key.pk), (str(users[1].pk), None), ("", None)}
        for user in users:
            user.delete()
        assert set(DailyUsage.objects.values_list("user_id", "api_key_id")) == expected

    def test_a_batch_may_have_many_groups(self) -> None:
        write(*(entry(model=f"m{number}") for number in range(600)))
        assert DailyUsage.objects.filter(requests=1).count() == 600


@pytest.mark.usefixtures("transactional_db")
class TestFailures:
    def test_a_batch_that_is_retried_counts_once(self) -> None:
        def fails(entries: Sequence[UsageEntry], alias: str) -> None:
            raise ValueError

        one = entry(prompt_tokens=3)
        writer.insert_hooks.append(fails)
        try:
            with pytest.raises(writer.HookFailed):
                write(one)
        finally:
            writer.insert_hooks.remove(fails)
        assert not DailyUsage.objects.exists()
        write(one, may_be_written=True)
        write(one, may_be_written=True)
        assert DailyUsage.objects.get().prompt_tokens == 3

    def test_rejected_records_do_not_count(self) -> None:
        rejected = [entry(cost=Decimal("NaN")), entry(cost=Decimal(10**12)), entry(latency_ms=-1)]
        assert len(writer.write([entry(), *rejected], "default", may_be_written=False)) == 3
        assert DailyUsage.objects.get().requests == 1

    @pytest.mark.parametrize(
        "odd",
        [
            {"model": "m" * 1000, "user_name": "u" * 1000},
            {"prompt_tokens": 2**63 - 1},
            {"prompt_tokens": "7"},
            {"cost": Decimal("999999999999.999999999999")},
            {"cost": Decimal("-999999999999")},
            {"created_at": datetime(1, 1, 1, tzinfo=UTC)},
        ],
    )
    def test_every_record_that_the_database_accepts_is_counted(self, odd: dict[str, Any]) -> None:
        for _ in range(3):
            write(entry(**odd), entry(**odd))
        assert DailyUsage.objects.get().requests == UsageRecord.objects.count() == 6


@pytest.mark.usefixtures("transactional_db")
class TestDays:
    def test_days_are_in_the_time_zone_of_the_site(self, settings: Any) -> None:
        settings.TIME_ZONE = "Pacific/Auckland"
        write(
            entry(created_at=datetime(2026, 7, 1, 11, 59, 59, 999999, UTC)),
            entry(created_at=datetime(2026, 7, 1, 12, tzinfo=UTC)),
        )
        assert sorted(DailyUsage.objects.values_list("day", flat=True)) == [
            date(2026, 7, 1),
            date(2026, 7, 2),
        ]

    @pytest.mark.parametrize(
        ("day", "begins", "hours"),
        [
            (date(2026, 3, 29), datetime(2026, 3, 28, 23, tzinfo=UTC), 23),
            (date(2026, 10, 25), datetime(2026, 10, 24, 22, tzinfo=UTC), 25),
        ],
    )
    def test_days_are_shorter_or_longer_when_clocks_change(
        self, settings: Any, day: date, begins: datetime, hours: int
    ) -> None:
        settings.TIME_ZONE = "Europe/Berlin"
        moments = [begins + timedelta(minutes=30 * number) for number in range(hours * 2)]
        outside = [begins - timedelta(microseconds=1), begins + timedelta(hours=hours)]
        write(*(entry(created_at=moment) for moment in moments + outside))
        assert DailyUsage.objects.get(day=day).requests == len(moments)
        assert all(
            reconcile.compare(each, "default").agrees
            for each in reconcile.days_with_usage("default")
        )
        assert len(reconcile.days_with_usage("default")) == 3
