"""`native_maintain`: what it runs and prints, and its exit code."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from native_api.maintenance import leases
from native_api.management.commands import native_maintain
from native_api.models import DailyUsage, MaintenanceJob
from tests.maintenance.usage_factory import write_records

pytestmark = pytest.mark.usefixtures("transactional_db")


def maintain(*arguments: str) -> str:
    output = StringIO()
    call_command("native_maintain", *arguments, stdout=output, stderr=output)
    return output.getvalue()


def test_it_runs_what_is_due_once() -> None:
    assert maintain() == (
        "expire_reservations: 0 reservations expired.\n"
        "compare_totals: 3 days: the totals are correct.\n"
        "prune_responses: 0 kept responses were deleted.\n"
    )
    assert maintain() == "Nothing is due.\n"


@pytest.mark.parametrize("arguments", [["--all"], ["compare_totals"]])
def test_all_jobs_or_named_ones_run_even_if_they_are_not_due(arguments: list[str]) -> None:
    maintain()
    assert "compare_totals: 3 days" in maintain(*arguments)


def test_a_job_that_fails_makes_the_exit_code_1() -> None:
    write_records(1)
    DailyUsage.objects.update(requests=7)
    output = StringIO()
    with pytest.raises(CommandError, match=r"^compare_totals failed\.$"):
        call_command("native_maintain", stdout=output, stderr=output)
    assert "compare_totals: The totals differ from the usage records on 20" in output.getvalue()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("prune", r"There is no job 'prune'. Jobs: expire_reservations, "),
        ("prune_budgets", r"Set NATIVE_API\['MAINTENANCE'\]\['BUDGET_DAYS'\] first"),
    ],
)
def test_a_job_that_cannot_run_is_an_error(name: str, message: str) -> None:
    with pytest.raises(CommandError, match=message):
        maintain(name)


def test_a_job_that_another_process_took_at_the_last_moment_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(leases, "claim", lambda *arguments, **options: None)
    with pytest.raises(CommandError, match="compare_totals was taken over by another process"):
        maintain("compare_totals")
    assert maintain() == "Nothing is due.\n"


class TestBesideAnotherProcess:
    @pytest.fixture(autouse=True)
    def other(self, transactional_db: None) -> None:
        MaintenanceJob.objects.create(
            name="compare_totals",
            due_at=datetime.now(UTC),
            holder="web-1 4242 abc",
            lease_expires_at=leases.database_now("default") + leases.LEASE,
        )

    def test_it_says_who_runs_a_job(self) -> None:
        with pytest.raises(CommandError, match="run by another process \\(web-1 4242 abc\\)"):
            maintain("--wait", "0")
        assert "compare_totals: never done. Running in web-1 4242 abc, until" in maintain("--list")

    def test_it_says_who_died_while_running_a_job(self) -> None:
        MaintenanceJob.objects.update(lease_expires_at=datetime.now(UTC) - timedelta(minutes=1))
        listed = maintain("--list")
        assert "compare_totals: never done. web-1 4242 abc did not finish; due now." in listed

    def test_it_waits_until_the_other_has_done_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        class Clock:
            monotonic = staticmethod(lambda: 0.0)

            @staticmethod
            def sleep(seconds: float) -> None:
                MaintenanceJob.objects.update(
                    lease_expires_at=None, due_at=datetime.now(UTC) + timedelta(days=1)
                )

        monkeypatch.setattr(native_maintain, "time", Clock)
        assert maintain() == (
            "expire_reservations: 0 reservations expired.\n"
            "prune_responses: 0 kept responses were deleted.\n"
        )


def test_the_list_shows_every_job() -> None:
    assert maintain("--list").splitlines() == [
        "expire_reservations: never ran; due now",
        "compare_totals: never ran; due now",
        "prune_usage_records: off (MAINTENANCE['USAGE_RECORD_DAYS'])",
        "prune_budgets: off (MAINTENANCE['BUDGET_DAYS'])",
        "prune_responses: never ran; due now",
        "update_prices: off (MAINTENANCE['UPDATE_PRICES'])",
    ]
