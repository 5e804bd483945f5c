"""Running jobs: results, failures, interruptions, and who may run them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from native_api.maintenance import leases, runner
from native_api.maintenance.jobs import Job, JobFailed
from native_api.maintenance.runner import run_jobs
from native_api.models import MaintenanceJob
from native_api.usage.reconcile import Pause

pytestmark = pytest.mark.usefixtures("transactional_db")


def job(run: Callable[[str, Pause], str], name: str = "job") -> Job:
    return Job(name, "", run, interval=timedelta(days=1), retry=timedelta(hours=1))


def raising(error: Exception) -> Callable[[str, Pause], str]:
    def run(alias: str, pause: Pause) -> str:
        raise error

    return run


def two_steps(alias: str, pause: Pause) -> str:
    pause()
    return "two steps"


def row(name: str = "job") -> MaintenanceJob:
    return MaintenanceJob.objects.get(pk=name)


def due_in() -> timedelta:
    finished_at = row().finished_at
    assert finished_at is not None
    return row().due_at - finished_at


def test_a_job_that_succeeds_is_due_after_its_interval() -> None:
    [outcome] = run_jobs([job(two_steps)], "default")
    assert (outcome.succeeded, outcome.result) == (True, "two steps")
    assert (row().succeeded, row().result, due_in()) == (True, "two steps", timedelta(days=1))
    assert list(run_jobs([job(two_steps)], "default")) == []


def test_a_job_that_fails_is_tried_again_sooner(caplog: pytest.LogCaptureFixture) -> None:
    [outcome] = run_jobs([job(raising(JobFailed("A day differs.")))], "default")
    assert (outcome.succeeded, outcome.result) == (False, "A day differs.")
    assert (row().succeeded, row().result, due_in()) == (
        False,
        "A day differs.",
        timedelta(hours=1),
    )
    [line] = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert (line.getMessage(), line.exc_info) == ("job: A day differs.", None)


def test_an_unexpected_error_does_not_stop_the_others_and_its_words_are_not_stored(
    caplog: pytest.LogCaptureFixture,
) -> None:
    jobs = [job(raising(ValueError("postgres://user:secret@host"))), job(two_steps, "other")]
    assert [outcome.succeeded for outcome in run_jobs(jobs, "default")] == [False, True]
    assert row().result == "ValueError. The log has more."
    [line] = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert line.getMessage() == "job failed (ValueError)."
    assert line.exc_info is not None


def test_an_interrupted_job_is_still_due_and_the_rest_do_not_run() -> None:
    jobs = [job(two_steps), job(two_steps, "other")]
    assert list(run_jobs(jobs, "default", rest=lambda seconds: True)) == []
    assert (row().finished_at, row().lease_expires_at) == (None, None)
    assert not MaintenanceJob.objects.filter(pk="other").exists()
    assert [outcome.job for outcome in run_jobs(jobs, "default")] == jobs


def test_a_job_that_lost_its_lease_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "RENEWAL_SECONDS", 0)

    def run(alias: str, pause: Pause) -> str:
        MaintenanceJob.objects.update(holder="another process")
        pause()
        raise AssertionError("It should have stopped.")

    assert list(run_jobs([job(run)], "default")) == []
    assert (row().holder, row().result) == ("another process", "")


def test_a_job_that_runs_elsewhere_is_left_out() -> None:
    def compete(alias: str, pause: Pause) -> str:
        return f"{len(list(run_jobs([job(two_steps)], alias, even_if_not_due=True)))} others"

    [outcome] = run_jobs([job(compete)], "default")
    assert outcome.result == "0 others"


def test_between_steps_a_job_rests_in_proportion_to_its_work() -> None:
    rests: list[float] = []

    def rest(seconds: float) -> bool:
        rests.append(seconds)
        return False

    def run(alias: str, pause: Pause) -> str:
        sum(range(200_000))
        pause()
        pause()
        return ""

    list(run_jobs([job(run)], "default", rest))
    assert rests[0] > rests[1] >= 0


def test_a_long_step_is_followed_by_a_rest_that_the_lease_outlasts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rests: list[float] = []
    worked = iter((0.0, 3600.0, 3600.0))
    monkeypatch.setattr(runner.time, "thread_time", lambda: next(worked))
    list(run_jobs([job(two_steps)], "default", lambda seconds: bool(rests.append(seconds))))
    assert rests == [leases.RENEWAL_SECONDS]


def test_results_are_cut_to_what_the_column_holds() -> None:
    list(run_jobs([job(lambda alias, pause: "x" * 900)], "default"))
    assert row().result == "x" * 500


def test_moments_are_aware(settings: Any) -> None:
    settings.USE_TZ = False
    list(run_jobs([job(two_steps)], "default"))
    assert abs(row().due_at - datetime.now(UTC)) < timedelta(days=1, hours=1)
