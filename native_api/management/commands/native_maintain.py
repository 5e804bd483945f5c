"""Runs maintenance now: all jobs that are due, all jobs, or those that are named.

The exit code is 1 if a job failed, or if another process was still running one.
"""

from __future__ import annotations

import time
from argparse import ArgumentParser
from collections.abc import Sequence
from typing import Any, Final

from django.core.management import CommandError
from django.utils import timezone

from native_api.maintenance import leases, runner
from native_api.maintenance.jobs import JOBS, Job, enabled_jobs
from native_api.management.database_errors import DatabaseCommand
from native_api.models import MaintenanceJob
from native_api.usage.journal import location

POLL_SECONDS: Final = 1.0


class Command(DatabaseCommand):
    help = (
        "Run the jobs of maintenance that are due. The gateway's servers do this by themselves, "
        'unless NATIVE_API["MAINTENANCE"]["AUTOMATIC"] is False.'
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "jobs", nargs="*", metavar="JOB", help="Run these jobs, also if they are not due."
        )
        parser.add_argument(
            "--all", action="store_true", help="Run all jobs that are on, also if not due."
        )
        parser.add_argument(
            "--list", action="store_true", help="Show the jobs and their last results; run none."
        )
        parser.add_argument(
            "--wait",
            type=float,
            default=60.0,
            metavar="SECONDS",
            help="How long to wait for another process that runs a job (%(default)g).",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        alias = location.database_alias()
        if options["list"]:
            return self._list(alias)
        jobs = _chosen(options["jobs"])
        is_forced = bool(options["jobs"] or options["all"])
        failed = self._run(jobs, alias, is_forced, options["wait"])
        if failed:
            raise CommandError(f"{', '.join(failed)} failed.")
        return None

    def _run(
        self, jobs: Sequence[Job], alias: str, even_if_not_due: bool, wait_seconds: float
    ) -> list[str]:
        """The names of the jobs that failed."""
        failed, has_run = [], False
        for job in jobs:
            self._wait_for_others(job, alias, wait_seconds)
            outcomes = list(runner.run_jobs([job], alias, even_if_not_due=even_if_not_due))
            if even_if_not_due and not outcomes:
                raise CommandError(f"{job.name} was taken over by another process.")
            for outcome in outcomes:
                has_run = True
                stream = self.stdout if outcome.succeeded else self.stderr
                stream.write(f"{job.name}: {outcome.result}")
                failed += [] if outcome.succeeded else [job.name]
        if not has_run:
            self.stdout.write("Nothing is due.")
        return failed

    def _wait_for_others(self, job: Job, alias: str, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while row := leases.running(job.name, alias):
            if time.monotonic() >= deadline:
                raise CommandError(
                    f"{job.name} is being run by another process ({row.holder}). "
                    "Run this command again later."
                )
            time.sleep(POLL_SECONDS)

    def _list(self, alias: str) -> None:
        rows = MaintenanceJob._base_manager.using(alias).in_bulk()
        for job in JOBS.values():
            is_running = leases.running(job.name, alias) is not None
            self.stdout.write(f"{job.name}: {_state(job, rows.get(job.name), is_running)}")


def _chosen(names: Sequence[str]) -> list[Job]:
    for name in names:
        if name not in JOBS:
            raise CommandError(f"There is no job {name!r}. Jobs: {', '.join(JOBS)}.")
        if not JOBS[name].is_on:
            raise CommandError(
                f"{name} is off. Set NATIVE_API['MAINTENANCE']['{JOBS[name].setting}'] first."
            )
    return [JOBS[name] for name in names] or enabled_jobs()


def _state(job: Job, row: MaintenanceJob | None, is_running: bool) -> str:
    if not job.is_on:
        return f"off (MAINTENANCE['{job.setting}'])"
    if row is None:
        return "never ran; due now"
    last = "never done."
    if row.finished_at:
        last = f"last run {_moment(row.finished_at)}: {row.result}"
    if is_running and row.lease_expires_at is not None:
        return f"{last} Running in {row.holder}, until {_moment(row.lease_expires_at)} at most."
    if row.lease_expires_at is not None:
        return f"{last} {row.holder} did not finish; due now."
    return f"{last} Due {_moment(row.due_at)}."


def _moment(moment: Any) -> str:
    return f"{timezone.localtime(moment, timezone.get_default_timezone()):%Y-%m-%d %H:%M:%S}"
