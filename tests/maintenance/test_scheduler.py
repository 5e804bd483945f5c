"""Maintenance that runs by itself: in processes that serve, and nowhere else."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import DatabaseError, connections

from native_api import forks
from native_api.background import test_environment
from native_api.maintenance import leases, runner
from native_api.maintenance import scheduler as scheduler_module
from native_api.maintenance.jobs import Job, enabled_jobs
from native_api.maintenance.scheduler import Scheduler, is_automatic
from native_api.models import MaintenanceJob
from native_api.usage import recorder
from tests.servers import environment_for, make_template, manage, running_site, until


@pytest.fixture
def serving(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process serves, outside of tests."""
    monkeypatch.setattr(recorder, "is_serving", lambda: True)
    monkeypatch.setattr(test_environment, "is_set_up", lambda: False)


def finish(scheduler: Scheduler) -> None:
    if scheduler._thread is not None:
        scheduler._thread.join(60)


@pytest.mark.usefixtures("serving", "transactional_db")
class TestScheduler:
    def test_what_is_due_runs_in_a_thread_that_ends(self) -> None:
        scheduler = Scheduler(check_seconds=0)
        scheduler.run_if_due()
        finish(scheduler)
        assert not scheduler.is_running
        assert set(MaintenanceJob.objects.values_list("name", "succeeded")) == {
            ("expire_reservations", True),
            ("compare_totals", True),
            ("prune_responses", True),
        }

    def test_the_thread_closes_its_connections(self, monkeypatch: pytest.MonkeyPatch) -> None:
        closed: list[str] = []
        close_all = type(connections).close_all

        def note(handler: Any) -> None:
            closed.append(threading.current_thread().name)
            close_all(handler)

        monkeypatch.setattr(type(connections), "close_all", note)
        scheduler = Scheduler(check_seconds=0)
        scheduler.run_if_due()
        finish(scheduler)
        assert closed == ["native-api-maintenance"]

    def test_nothing_due_starts_no_thread(self) -> None:
        for job in enabled_jobs():
            MaintenanceJob.objects.create(
                name=job.name, due_at=datetime.now(UTC) + timedelta(hours=1)
            )
        scheduler = Scheduler(check_seconds=0)
        scheduler.run_if_due()
        assert scheduler._thread is None

    def test_it_asks_at_most_once_in_a_while(
        self, django_assert_num_queries: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Scheduler, "_is_time_to_check", lambda self: False)
        with django_assert_num_queries(0):
            Scheduler().run_if_due()

    def test_processes_that_start_together_do_not_ask_together(self) -> None:
        assert len({Scheduler()._spread for _ in range(10)}) == 10

    def test_a_process_that_stops_starts_nothing(self) -> None:
        scheduler = Scheduler(check_seconds=0)
        scheduler.stop()
        scheduler.run_if_due()
        assert scheduler._thread is None

    def test_without_the_database_it_only_warns(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def fail(*arguments: Any) -> bool:
            raise DatabaseError("down")

        monkeypatch.setattr(leases, "is_any_due", fail)
        Scheduler(check_seconds=0).run_if_due()
        [line] = caplog.records
        assert "cannot be found out (DatabaseError)" in line.getMessage()


@pytest.mark.usefixtures("serving", "transactional_db")
class TestForks:
    """A child would inherit the locks of a step's transaction in SQLite."""

    @pytest.fixture
    def step_ends(self, monkeypatch: pytest.MonkeyPatch) -> threading.Event:
        """A job of two steps: the first lasts until this is set, and then the job rests until it is
        stopped."""
        event = threading.Event()

        def run(alias: str, pause: Any) -> str:
            event.wait(60)
            pause()
            return ""

        job = Job("job", "", run)
        monkeypatch.setattr(scheduler_module, "enabled_jobs", lambda: [job])
        monkeypatch.setattr(runner, "REST_PER_SECOND_OF_WORK", 1e12)
        return event

    def test_a_fork_waits_for_the_end_of_a_step(
        self, step_ends: threading.Event, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        scheduler = Scheduler(check_seconds=0)
        monkeypatch.setattr(forks, "_awaited", [(lambda: scheduler._current_step, 60)])
        scheduler.run_if_due()
        until(scheduler._step.locked, "the step", 60)
        held: list[Any] = []

        def fork() -> None:
            forks.before_fork()
            held.extend(forks._held.locks)
            forks.after_fork_in_parent()

        waiting = threading.Thread(target=fork)
        waiting.start()
        assert not held
        step_ends.set()
        waiting.join(60)
        assert held == [scheduler._step]
        assert not scheduler._step.locked()
        scheduler.stop()
        assert not scheduler.is_running

    def test_the_child_is_reset(self) -> None:
        scheduler = Scheduler(check_seconds=0)
        scheduler._step.acquire()
        scheduler._reset()
        assert not scheduler._step.locked()

    def test_forks_know_of_each_scheduler(self) -> None:
        scheduler = Scheduler()
        awaited = [lock_of() for lock_of, _seconds in forks._awaited]
        assert scheduler._current_step in awaited


class TestWhere:
    @pytest.mark.usefixtures("serving")
    def test_in_a_process_that_serves(self) -> None:
        assert is_automatic()

    @pytest.mark.usefixtures("serving")
    def test_not_where_the_site_turned_it_off(self, settings: Any) -> None:
        settings.NATIVE_API = {"MAINTENANCE": {"AUTOMATIC": False}}
        assert not is_automatic()

    @pytest.mark.usefixtures("serving")
    def test_not_while_the_setting_is_invalid(self, settings: Any) -> None:
        settings.NATIVE_API = {"MAINTENANCE": {"AUTOMATIC": "yes"}}
        assert not is_automatic()

    @pytest.mark.usefixtures("serving")
    def test_not_in_a_command(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(recorder, "is_serving", lambda: False)
        assert not is_automatic()

    def test_not_in_djangos_test_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(recorder, "is_serving", lambda: True)
        assert not is_automatic()


def test_a_server_does_what_is_due_and_a_command_sees_it(tmp_path: Path) -> None:
    key = make_template(tmp_path)
    with closing(sqlite3.connect(tmp_path / "db.sqlite3", timeout=60)) as database, database:
        database.execute(
            "INSERT INTO native_api_reservation (record_id, budget_id, amount, expires_at)"
            " VALUES ('00000000000000000000000000000001', 1, 5, '2020-01-01 00:00:00')"
        )
    native_api = {"MAINTENANCE": {}}
    with running_site(
        "uvicorn", tmp_path, tmp_path, key, native_api, MAINTENANCE_CHECK_SECONDS="0.1"
    ) as site:
        until(
            lambda: site.rows(
                "SELECT 1 FROM native_api_maintenancejob WHERE name = 'compare_totals'"
                " AND succeeded AND lease_expires_at IS NULL"
            ),
            "the jobs",
            60,
        )
        assert site.rows("SELECT * FROM native_api_reservation") == []
        listed = manage(environment_for(tmp_path, native_api), "native_maintain", "--list")
    assert "compare_totals: last run" in listed
    assert "3 days: the totals are correct." in listed
    assert "prune_usage_records: off (MAINTENANCE['USAGE_RECORD_DAYS'])" in listed
