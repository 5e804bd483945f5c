"""Runs one job in this process, if this process gets its lease."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple

from native_api.logs import get_logger
from native_api.maintenance import leases
from native_api.maintenance.jobs import Job, JobFailed
from native_api.maintenance.leases import Lease, LeaseLost

logger = get_logger("native_api.maintenance")

REST_PER_SECOND_OF_WORK: Final = 2.5
"""Seconds. A job takes at most a third of a core, so that requests get the interpreter."""

MAX_REST_SECONDS: Final = leases.RENEWAL_SECONDS
"""After a long step, so that the lease does not expire in the rest."""


class Interrupted(Exception):
    """The process stops. The job is still due."""


class Outcome(NamedTuple):
    job: Job
    succeeded: bool
    result: str


Rest = Callable[[float], bool]
"""Waits so many seconds; returns True if the job has to stop."""


def never_rest(seconds: float) -> bool:
    """For a process that has nothing else to do."""
    return False


def run_jobs(
    jobs: Iterable[Job], alias: str, rest: Rest = never_rest, *, even_if_not_due: bool = False
) -> Iterator[Outcome]:
    """Run those of the jobs that are due and that no other process runs."""
    for job in jobs:
        lease = leases.claim(job.name, alias, even_if_not_due=even_if_not_due)
        if lease is not None:
            outcome = run(job, lease, rest)
            if outcome is None:
                return
            yield outcome


def run(job: Job, lease: Lease, rest: Rest = never_rest) -> Outcome | None:
    """Run the job under its lease. None if it was interrupted."""
    try:
        outcome = Outcome(job, True, job.run(lease.alias, _Pace(lease, rest).pause))
    except Interrupted:
        lease.release()
        return None
    except KeyboardInterrupt:
        lease.release()
        raise
    except LeaseLost:
        logger.warning("%s: stopped, because another process has taken it over.", job.name)
        return None
    except Exception as error:
        outcome = Outcome(job, False, _describe(job, error))
    due_in = job.interval if outcome.succeeded else job.retry
    lease.finish(succeeded=outcome.succeeded, result=outcome.result, due_in=due_in)
    if outcome.succeeded:
        logger.info("%s: %s", job.name, outcome.result)
    return outcome


def _describe(job: Job, error: Exception) -> str:
    """The result of a job that failed. Only the job's own messages are known to have no secrets."""
    if isinstance(error, JobFailed):
        logger.error("%s: %s", job.name, error)
        return str(error)
    logger.error("%s failed (%s).", job.name, type(error).__name__, exc_info=error)
    return f"{type(error).__name__}. The log has more."


class _Pace:
    """What happens between two steps of a job."""

    def __init__(self, lease: Lease, rest: Rest) -> None:
        self._lease, self._rest = lease, rest
        self._worked_until = time.thread_time()

    def pause(self) -> None:
        """Give way to requests, and keep the lease. Raises Interrupted or LeaseLost."""
        worked = time.thread_time() - self._worked_until
        if self._rest(min(worked * REST_PER_SECOND_OF_WORK, MAX_REST_SECONDS)):
            raise Interrupted
        self._worked_until = time.thread_time()
        self._lease.renew_if_due()
