"""What each job does, and that it deletes nothing before the site asks for it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection

from native_api.conf import DEFAULTS
from native_api.maintenance import jobs, kept_responses
from native_api.maintenance.jobs import JOBS, JobFailed, enabled_jobs
from native_api.models import (
    Budget,
    DailyUsage,
    KeptResponse,
    PriceList,
    Reservation,
    UsageRecord,
)
from native_api.models.responses import KeptItem
from native_api.pricing import published, updates
from native_api.usage import reconcile
from native_api.usage.reconcile import Pause, no_pause
from tests.gateway.kept import keep, make_user, set_responses
from tests.limits.budget_factory import budget_request, call
from tests.maintenance.usage_factory import write_records

pytestmark = pytest.mark.usefixtures("transactional_db")


def run(name: str, pause: Pause = no_pause) -> str:
    return JOBS[name].run("default", pause)


@pytest.fixture
def maintenance(settings: Any) -> Any:
    """Sets members of the setting."""

    def change(**members: Any) -> None:
        settings.NATIVE_API = {**settings.NATIVE_API, "MAINTENANCE": members}

    return change


def test_by_default_nothing_is_deleted_and_nothing_is_fetched() -> None:
    """But for kept responses, and by default none are kept."""
    names = [job.name for job in enabled_jobs()]
    assert names == ["expire_reservations", "compare_totals", "prune_responses"]


def test_a_setting_turns_each_other_job_on(maintenance: Any) -> None:
    maintenance(USAGE_RECORD_DAYS=90, BUDGET_DAYS=90, UPDATE_PRICES=True)
    assert enabled_jobs() == list(JOBS.values())


def test_every_job_has_a_setting_that_exists() -> None:
    assert {job.setting for job in JOBS.values()} - {""} == DEFAULTS["MAINTENANCE"].keys() - {
        "AUTOMATIC"
    }


def test_reservations_of_dead_processes_are_counted_as_lost() -> None:
    call(budget_request(units=10), seconds=-1)
    call(budget_request(units=5))
    assert run("expire_reservations") == "1 reservations expired."
    assert Reservation.objects.count() == 1
    assert Budget.objects.values_list("reserved", "lost").get() == (5, 10)


class TestComparingTotals:
    def test_totals_that_agree(self) -> None:
        write_records(1)
        assert run("compare_totals") == "3 days: the totals are correct."

    def test_a_day_that_differs_is_reported_and_not_changed(self) -> None:
        write_records(1)
        write_records(2)
        day = DailyUsage.objects.latest("day").day
        DailyUsage.objects.filter(day=day).update(requests=7)
        with pytest.raises(JobFailed, match=rf"on {day}\. Run native_totals"):
            run("compare_totals")
        assert DailyUsage.objects.get(day=day).requests == 7

    @pytest.mark.parametrize("days_ago", [0, 5])
    def test_today_and_old_days_are_left_out(self, days_ago: int) -> None:
        write_records(days_ago)
        DailyUsage.objects.update(requests=7)
        run("compare_totals")

    def test_it_pauses_between_days(self) -> None:
        pauses: list[int] = []
        run("compare_totals", pause=lambda: pauses.append(1))
        assert len(pauses) == jobs.DAYS_COMPARED


class TestPruningRecords:
    def test_records_older_than_the_setting_are_deleted(self, maintenance: Any) -> None:
        maintenance(USAGE_RECORD_DAYS=90)
        write_records(89)
        write_records(91, count=3)
        assert run("prune_usage_records") == "3 usage records were deleted."
        assert UsageRecord.objects.count() == 1

    def test_it_may_be_interrupted_between_batches(
        self, maintenance: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(jobs, "BATCH", 2)
        maintenance(USAGE_RECORD_DAYS=90)
        write_records(91, count=5)

        def stop() -> None:
            raise InterruptedError

        with pytest.raises(InterruptedError):
            run("prune_usage_records", pause=stop)
        assert UsageRecord.objects.count() == 3
        assert run("prune_usage_records") == "3 usage records were deleted."

    def test_records_that_the_totals_do_not_have_are_kept(self, maintenance: Any) -> None:
        maintenance(USAGE_RECORD_DAYS=90)
        write_records(91, count=2)
        DailyUsage.objects.all().delete()
        with pytest.raises(JobFailed, match=r"2 were kept.*native_totals --rebuild"):
            run("prune_usage_records")
        assert UsageRecord.objects.count() == 2


class TestPruningBudgets:
    def make(self, days_ago: float | None, reserved: int = 0) -> None:
        ends_at = None if days_ago is None else datetime.now(UTC) - timedelta(days=days_ago)
        Budget.objects.create(
            counter=f"{days_ago}-{reserved}",
            starts_at=datetime(2020, 1, 1, tzinfo=UTC),
            ends_at=ends_at,
            amount=10,
            reserved=reserved,
        )

    def test_budgets_of_old_windows_are_deleted(
        self, maintenance: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(jobs, "BATCH", 2)
        maintenance(BUDGET_DAYS=30)
        for days_ago in (None, 29, 31, 32, 33):
            self.make(days_ago)
        self.make(34, reserved=5)
        assert run("prune_budgets") == "3 budgets were deleted."
        assert set(Budget.objects.values_list("counter", flat=True)) == {"None-0", "29-0", "34-5"}


class TestPruningResponses:
    @pytest.fixture(autouse=True)
    def four(self, transactional_db: None, settings: Any) -> None:
        set_responses(settings, DAYS=7)
        caller = make_user("alice")
        for days_ago in (1, 6, 8, 9):
            keep(caller, f"resp_{days_ago}", "one?", "one")
            KeptResponse.objects.filter(response_id=f"resp_{days_ago}").update(
                created_at=datetime.now(UTC) - timedelta(days=days_ago)
            )

    def test_those_that_are_too_old_are_deleted_with_their_items(self) -> None:
        assert run("prune_responses") == "2 kept responses were deleted."
        assert set(KeptResponse.objects.values_list("response_id", flat=True)) == {
            "resp_1",
            "resp_6",
        }
        assert KeptItem.objects.count() == 4

    def test_also_at_a_site_that_does_not_keep_any_more(self, settings: Any) -> None:
        set_responses(settings, STORE=False, DAYS=7)
        run("prune_responses")
        assert KeptResponse.objects.count() == 2

    def test_it_pauses_between_batches(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(kept_responses, "BATCH", 1)
        pauses: list[int] = []
        run("prune_responses", pause=lambda: pauses.append(1))
        assert len(pauses) == 2

    def test_native_prune_deletes_them_by_age(self) -> None:
        def prune(*arguments: str) -> str:
            output = StringIO()
            call_command("native_prune", "--responses", *arguments, stdout=output)
            return output.getvalue()

        assert prune("--older-than", "3d", "--dry-run") == "3 kept responses would be deleted.\n"
        assert KeptResponse.objects.count() == 4
        assert prune("--older-than", "3d") == "3 kept responses were deleted.\n"
        assert KeptResponse.objects.get().response_id == "resp_1"


class TestUpdatingPrices:
    def test_it_says_how_many_models_have_a_price(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(updates, "update", lambda url, minimum: 900)
        assert run("update_prices").startswith("Priced models: 900, from https://")

    def test_a_list_that_lost_most_models_is_not_used(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        document = json.loads(published.DATA.read_text())
        some = [each for each in document if each["id"] == "openai"]
        monkeypatch.setattr(updates, "fetch", lambda url: json.dumps(some))
        with pytest.raises(JobFailed, match=r"Only \d+ models .* native_update_prices"):
            run("update_prices")
        assert not PriceList.objects.exists()
        monkeypatch.setattr(updates, "fetch", lambda url: published.DATA.read_text())
        run("update_prices")
        assert PriceList.objects.exists()

    def test_a_failure_says_why(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(url: str, minimum: int) -> int:
            raise updates.UpdateFailed("https://prices.example answered 500.")

        monkeypatch.setattr(updates, "update", refuse)
        with pytest.raises(JobFailed, match="answered 500"):
            run("update_prices")


def test_a_long_day_is_compared_with_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not in SQLite, where a reader may keep others from writing."""
    monkeypatch.setattr(reconcile, "RECORDS_PER_READ", 2)
    write_records(1, count=5)
    pauses: list[int] = []
    day = DailyUsage.objects.get().day
    assert reconcile.compare(day, "default", lambda: pauses.append(1)).agrees
    assert len(pauses) == (0 if connection.vendor == "sqlite" else 2)
