"""Elects the process that runs a job: a row of the database is the lease of each job.

Rules:
1. A lease is claimed, renewed and given back by one conditional UPDATE each, so that of all
   processes one gets it, in every database.
2. The lease of a process that died expires. Only the database's clock decides when, because the
   clocks of machines differ.
3. Whoever lost a lease notices when renewing it, and stops. Jobs are safe to run twice, so nothing
   is lost if two processes run one for a moment.
4. A moment that lies too far ahead was written while a clock was wrong. It does not count, so that
   no job waits for it.
5. In a transaction of the job, another connection renews the lease, because others do not see what
   the transaction changes.
"""

from __future__ import annotations

import os
import secrets
import socket
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Final

from django.db import connections
from django.db.models import Q, QuerySet

from native_api.models import MaintenanceJob

LEASE: Final = timedelta(minutes=10)
RENEWAL_SECONDS: Final = 60.0

MAX_AHEAD: Final = timedelta(days=2)
"""Longer than any lease, and any interval of a job."""

CLOCKS: Final = {
    "postgresql": "SELECT EXTRACT(EPOCH FROM CLOCK_TIMESTAMP())",
    "mysql": "SELECT UNIX_TIMESTAMP()",
}
"""Vendor -> the query for the seconds since 1970. SQLite is on this machine and has its clock."""


class LeaseLost(Exception):
    """Another process has the lease, because this one did not renew it in time."""


@dataclass
class Lease:
    """The right to run the job `name`."""

    name: str
    alias: str
    is_visible: bool = True
    """Whether others see it: it was not claimed in a transaction of the caller."""
    renewed_at: float = field(default_factory=time.monotonic)

    def renew_if_due(self) -> None:
        """Raises LeaseLost."""
        if not self.is_visible or time.monotonic() - self.renewed_at < RENEWAL_SECONDS:
            return
        connection = connections[self.alias]
        if connection.in_atomic_block and connection.vendor == "sqlite":
            return  # no other connection can write
        self.renewed_at = time.monotonic()
        renew = self._renew_elsewhere if connection.in_atomic_block else self._renew
        if not renew():
            raise LeaseLost

    def _renew(self) -> bool:
        return bool(self._update(lease_expires_at=database_now(self.alias) + LEASE))

    def _renew_elsewhere(self) -> bool:
        """Renew with the connection of another thread."""
        with ThreadPoolExecutor(1, "native-api-lease") as thread:
            try:
                return thread.submit(self._renew).result()
            finally:
                thread.submit(connections.close_all).result()

    def release(self) -> None:
        """Give the lease back before the job is done. It stays due."""
        self._update(lease_expires_at=None)

    def finish(self, *, succeeded: bool, result: str, due_in: timedelta) -> None:
        """Record how the job ended, and give the lease back."""
        now = database_now(self.alias)
        self._update(
            lease_expires_at=None,
            finished_at=now,
            succeeded=succeeded,
            result=result[:500],
            due_at=now + due_in,
        )

    def _update(self, **values: Any) -> int:
        held = _rows(self.alias).filter(pk=self.name, holder=holder_name())
        return held.exclude(lease_expires_at=None).update(**values)


def claim(name: str, alias: str, *, even_if_not_due: bool = False) -> Lease | None:
    """The lease of the job; None if it is not due, or another process runs it."""
    is_visible = not connections[alias].in_atomic_block
    _create_missing([name], alias)
    now = database_now(alias)
    is_free = Q(lease_expires_at=None) | ~_lies_ahead("lease_expires_at", now)
    is_due = Q() if even_if_not_due else ~_lies_ahead("due_at", now)
    claimed = (
        _rows(alias)
        .filter(is_free, is_due, pk=name)
        .update(holder=holder_name(), lease_expires_at=now + LEASE)
    )
    return Lease(name, alias, is_visible) if claimed else None


def is_any_due(names: Iterable[str], alias: str) -> bool:
    """Whether it is worth trying to claim any of these jobs. One cheap query.

    It compares with this machine's clock; `claim` decides with the database's.
    """
    wanted = set(names)
    now = datetime.now(UTC)
    waits = _lies_ahead("due_at", now) | _lies_ahead("lease_expires_at", now)
    waiting = _rows(alias).filter(waits, pk__in=wanted).values_list("pk", flat=True)
    return bool(wanted.difference(waiting))


def running(name: str, alias: str) -> MaintenanceJob | None:
    """The job's row if a process has its lease now."""
    return (
        _rows(alias).filter(_lies_ahead("lease_expires_at", database_now(alias)), pk=name).first()
    )


@cache
def _token(pid: int) -> str:
    return secrets.token_hex(4)


def holder_name() -> str:
    """A name of this process that no other one has: its host, its id, and a random token, because
    ids repeat in containers."""
    pid = os.getpid()
    return f"{socket.gethostname()[:150]} {pid} {_token(pid)}"


def database_now(alias: str) -> datetime:
    """The database's clock, which is the same for all processes."""
    query = CLOCKS.get(connections[alias].vendor)
    if query is None:
        return datetime.now(UTC)
    with connections[alias].cursor() as cursor:
        cursor.execute(query)
        return datetime.fromtimestamp(float(cursor.fetchone()[0]), UTC)


def _lies_ahead(field_name: str, now: datetime) -> Q:
    return Q((f"{field_name}__gt", now), (f"{field_name}__lte", now + MAX_AHEAD))


def _create_missing(names: Iterable[str], alias: str) -> None:
    """Rows of jobs that never ran: they are due."""
    existing = set(_rows(alias).filter(pk__in=names).values_list("pk", flat=True))
    missing = [
        MaintenanceJob(name=name, due_at=database_now(alias))
        for name in names
        if name not in existing
    ]
    if missing:
        _rows(alias).bulk_create(missing, ignore_conflicts=True)


def _rows(alias: str) -> QuerySet[MaintenanceJob]:
    return MaintenanceJob._base_manager.using(alias)
