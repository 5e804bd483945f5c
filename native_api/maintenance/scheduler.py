"""Runs maintenance by itself in processes that serve: a thread that lives only while it works.

The recorder's thread asks once a minute whether something is due, with one query. Records and
requests never wait for a job.
"""

from __future__ import annotations

import atexit
import random
import threading
import time
from typing import Final

from django.db import connections

from native_api.background import test_environment
from native_api.conf import native_settings
from native_api.exceptions import SettingError
from native_api.forks import hold_during_forks, reset_after_fork
from native_api.logs import get_logger
from native_api.maintenance import leases, runner
from native_api.maintenance.jobs import enabled_jobs
from native_api.usage import recorder
from native_api.usage.journal import location

logger = get_logger("native_api.maintenance")

CHECK_SECONDS: Final = 60.0
STOP_SECONDS: Final = 5.0
"""How long the end of the process waits for the step that is being done."""


class Scheduler:
    """One per process. Only the recorder's thread calls `run_if_due`."""

    def __init__(self, check_seconds: float = CHECK_SECONDS) -> None:
        self.check_seconds = check_seconds
        # Processes that start together do not ask together.
        self._spread = random.uniform(0.5, 1.5)  # noqa: S311
        self._reset()
        hold_during_forks(self._current_step)
        reset_after_fork(self._reset)

    def _reset(self) -> None:
        self._checked_at = time.monotonic()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._step = threading.Lock()
        """Held during a step of a job."""

    def _current_step(self) -> threading.Lock:
        return self._step

    def run_if_due(self) -> None:
        """Start the thread if it is time to look and something is due. Never raises."""
        if not self._is_time_to_check() or self.is_running or self._stopping.is_set():
            return
        self._checked_at = time.monotonic()
        try:
            if is_automatic() and _is_any_due():
                self._thread = threading.Thread(
                    target=self._run, name="native-api-maintenance", daemon=True
                )
                self._thread.start()
        except Exception as error:
            logger.warning(
                "Whether maintenance is due cannot be found out (%s). It is tried again in a "
                "minute.",
                type(error).__name__,
            )

    def _is_time_to_check(self) -> bool:
        return time.monotonic() - self._checked_at >= self.check_seconds * self._spread

    @property
    def is_running(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def _run(self) -> None:
        try:
            with self._step:
                for _ in runner.run_jobs(enabled_jobs(), location.database_alias(), self._rest):
                    pass
        except Exception as error:
            logger.warning(
                "Maintenance was broken off (%s). It is tried again in some minutes.",
                type(error).__name__,
            )
        finally:
            connections.close_all()

    def _rest(self, seconds: float) -> bool:
        self._step.release()
        try:
            return self._stopping.wait(seconds)
        finally:
            self._step.acquire()

    def stop(self) -> None:
        """Interrupt the job that runs, after its current step."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(STOP_SECONDS)


def is_automatic() -> bool:
    """Whether this process takes part: it serves, outside of tests, and the site allows it."""
    try:
        return (
            recorder.is_serving()
            and not test_environment.is_set_up()
            and native_settings.MAINTENANCE["AUTOMATIC"]
        )
    except SettingError:  # reported where requests are refused
        return False


def _is_any_due() -> bool:
    return leases.is_any_due((job.name for job in enabled_jobs()), location.database_alias())


scheduler: Final = Scheduler()
atexit.register(scheduler.stop)
