"""Moments and windows in the database, with and without USE_TZ, before and after clock changes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from native_api.limits import budgets, settlement
from native_api.limits.windows import window_span
from native_api.models import Budget, Reservation, UsageRecord
from native_api.usage.entry import UsageEntry, first_id_at
from tests.limits.budget_factory import (
    BudgetState,
    budget_request,
    budget_state,
    call,
    write_records,
)

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("as_a_new_process", "site"),
]

MOMENTS = [
    datetime(2026, 11, 25, 10, 30, 5, 123456, tzinfo=UTC),
    datetime(2026, 3, 28, 23, 59, 59, tzinfo=UTC),
    datetime(2026, 7, 1, tzinfo=UTC),
]


@pytest.fixture(
    params=[
        (True, "UTC"),
        (True, "Europe/Berlin"),
        (False, "Europe/Berlin"),
        (False, "Pacific/Auckland"),
    ],
    ids=str,
)
def site(request: pytest.FixtureRequest, settings: Any) -> Iterator[None]:
    settings.USE_TZ, settings.TIME_ZONE = request.param
    timezone.get_default_timezone.cache_clear()
    yield
    settings.USE_TZ, settings.TIME_ZONE = True, "UTC"
    timezone.get_default_timezone.cache_clear()


@pytest.mark.parametrize("moment", MOMENTS, ids=str)
class TestMoments:
    def test_a_moment_is_read_as_it_was_written(self, moment: datetime) -> None:
        identity = first_id_at(moment)
        write_records(UsageEntry(id=identity, created_at=moment))
        moment_read = UsageRecord.objects.get(created_at=moment).created_at
        assert moment_read == moment
        assert moment_read.tzinfo is not None

    def test_a_record_is_written_with_the_time_of_its_id(self, moment: datetime) -> None:
        write_records(UsageEntry(id=first_id_at(moment)))
        assert UsageRecord.objects.get().created_at == moment.replace(
            microsecond=moment.microsecond // 1000 * 1000
        )

    def test_the_database_can_compare_moments(self, moment: datetime) -> None:
        write_records(UsageEntry(created_at=moment))
        second = timedelta(seconds=1)
        matching = UsageRecord.objects.filter(
            created_at__gt=moment - second,
            created_at__lt=moment + second,
            created_at__range=(moment, moment),
        )
        assert matching.count() == 1
        assert not UsageRecord.objects.filter(created_at__lt=moment).exists()

    @pytest.mark.parametrize("window", ["hour", "day", "week", "month", "lifetime"])
    def test_calls_in_one_window_share_a_budget(self, moment: datetime, window: str) -> None:
        within = window_span(window, moment, timezone.get_default_timezone())
        for _ in range(2):
            budgets._keys.clear()
            call(budget_request(span=within))
        row = Budget.objects.get()
        assert (row.starts_at, row.ends_at, row.reserved) == (within.start, within.end, 20)
        assert budgets.levels({"a": within}) == {"a": (0, 20)}

    def test_days_and_months_begin_at_the_sites_midnight(self, moment: datetime) -> None:
        zone = timezone.get_default_timezone()
        for window in ("day", "month"):
            within = window_span(window, moment, zone)
            call(budget_request(window, span=within))
            starts = Budget.objects.get(counter=window).starts_at.astimezone(zone)
            assert (starts.hour, starts.minute) == (0, 0)
            assert within.start <= moment < within.start + timedelta(days=32)


def test_midnight_begins_a_new_budget() -> None:
    zone = timezone.get_default_timezone()
    midnight = datetime(2026, 12, 1, tzinfo=zone).astimezone(UTC)
    before, after = (
        window_span("month", midnight - timedelta(microseconds=1), zone),
        window_span("month", midnight, zone),
    )
    running_call = call(budget_request(span=before, units=100))
    call(budget_request(span=after, units=100))
    write_records(running_call.entry(used=30))
    assert budget_state(span=before) == BudgetState(30, 0)
    assert budget_state(span=after) == BudgetState(0, 100)


def test_reservations_expire_in_time() -> None:
    call(budget_request(), seconds=-1)
    call(budget_request(), seconds=1800)
    assert settlement.expire("default") == 1
    assert budget_state() == BudgetState(0, 10, lost=10)
    left = Reservation.objects.get().expires_at - datetime.now(UTC)
    assert timedelta(minutes=25) < left <= timedelta(minutes=30)


def test_a_threshold_and_a_refusal_are_marked_with_the_current_time() -> None:
    running_call = call(budget_request())
    write_records(running_call.entry(used=95))
    settlement.mark_reached("a", Budget.objects.get().starts_at, "default")
    row = Budget.objects.get()
    for moment in (row.threshold_at, row.reached_at):
        assert moment is not None
        assert abs(datetime.now(UTC) - moment) < timedelta(minutes=5)


def test_the_repeated_hour_has_one_budget(settings: Any) -> None:
    """Without USE_TZ the database cannot distinguish the two hours: both share one budget."""
    if settings.USE_TZ or settings.TIME_ZONE != "Europe/Berlin":
        pytest.skip("Of a site without USE_TZ.")
    for hour in (0, 1):
        within = window_span(
            "hour", datetime(2026, 10, 25, hour, 30, tzinfo=UTC), timezone.get_default_timezone()
        )
        call(budget_request(units=40, span=within))
    assert [row.reserved for row in Budget.objects.all()] == [80]
