"""Of all processes one runs a job: the others do not get its lease before it expires."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection, connections, transaction

from native_api.maintenance import leases
from native_api.maintenance.leases import LeaseLost, claim, is_any_due
from native_api.models import MaintenanceJob

pytestmark = pytest.mark.usefixtures("transactional_db")

PROCESSES = 8


def row() -> MaintenanceJob:
    return MaintenanceJob.objects.get(pk="job")


@pytest.fixture
def as_process(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Makes this one pretend to be another process."""
    return lambda name: monkeypatch.setattr(leases, "holder_name", lambda: name)


@pytest.fixture
def own_names(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each thread pretends to be a process."""
    monkeypatch.setattr(leases, "holder_name", lambda: threading.current_thread().name)
    return


@pytest.mark.usefixtures("own_names")
def test_of_concurrent_processes_one_gets_the_lease() -> None:
    barrier = threading.Barrier(PROCESSES)

    def compete(number: int) -> bool:
        barrier.wait(60)
        try:
            return claim("job", "default") is not None
        finally:
            connections.close_all()

    with ThreadPoolExecutor(PROCESSES) as processes:
        assert sum(processes.map(compete, range(PROCESSES))) == 1


def test_a_job_is_due_when_it_never_ran_and_again_after_its_interval() -> None:
    lease = claim("job", "default")
    assert lease is not None
    lease.finish(succeeded=True, result="done", due_in=timedelta(hours=1))
    assert (row().succeeded, row().result, row().lease_expires_at) == (True, "done", None)
    assert row().due_at - row().finished_at == timedelta(hours=1)
    assert claim("job", "default") is None
    assert claim("job", "default", even_if_not_due=True) is not None


def test_a_released_lease_can_be_claimed_at_once(as_process: Any) -> None:
    as_process("a")
    lease = claim("job", "default")
    assert lease is not None
    as_process("b")
    assert claim("job", "default", even_if_not_due=True) is None
    as_process("a")
    lease.release()
    as_process("b")
    assert claim("job", "default") is not None


def test_what_was_written_while_the_clock_was_far_ahead_does_not_count() -> None:
    assert claim("job", "default") is not None
    future = datetime.now(UTC) + timedelta(days=400)
    MaintenanceJob.objects.update(due_at=future, lease_expires_at=future)
    assert is_any_due(["job"], "default")
    assert leases.running("job", "default") is None
    assert claim("job", "default") is not None


class TestAKilledHolder:
    @pytest.fixture
    def lease(self, as_process: Any) -> Any:
        """A lease that expired, because its holder was killed, or only slow."""
        as_process("killed")
        lease = claim("job", "default")
        MaintenanceJob.objects.update(lease_expires_at=datetime.now(UTC) - timedelta(seconds=5))
        return lease

    def test_its_lease_expires(self, lease: Any, as_process: Any) -> None:
        as_process("next")
        assert claim("job", "default") is not None
        assert row().holder == "next"

    def test_if_it_lives_it_notices(
        self, lease: Any, as_process: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        as_process("next")
        claim("job", "default")
        monkeypatch.setattr(leases, "RENEWAL_SECONDS", 0)
        as_process("killed")
        with pytest.raises(LeaseLost):
            lease.renew_if_due()
        lease.finish(succeeded=True, result="too late", due_in=timedelta(hours=1))
        assert (row().holder, row().result) == ("next", "")


class TestRenewal:
    def test_a_lease_is_renewed_when_that_is_due(self, monkeypatch: pytest.MonkeyPatch) -> None:
        lease = claim("job", "default")
        assert lease is not None
        before = row().lease_expires_at
        lease.renew_if_due()
        assert row().lease_expires_at == before
        MaintenanceJob.objects.update(lease_expires_at=datetime(2020, 1, 1, tzinfo=UTC))
        monkeypatch.setattr(leases, "RENEWAL_SECONDS", 0)
        lease.renew_if_due()
        expires_at = row().lease_expires_at
        assert expires_at is not None
        assert before is not None
        assert expires_at >= before

    @pytest.mark.skipif(
        connection.vendor == "sqlite", reason="in SQLite a transaction keeps others from writing"
    )
    def test_in_a_transaction_too_where_others_see_it(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lease = claim("job", "default")
        assert lease is not None
        MaintenanceJob.objects.update(lease_expires_at=datetime(2020, 1, 1, tzinfo=UTC))
        monkeypatch.setattr(leases, "RENEWAL_SECONDS", 0)
        with transaction.atomic():
            lease.renew_if_due()
            transaction.set_rollback(True)
        assert leases.running("job", "default") is not None

    @pytest.mark.skipif(connection.vendor == "sqlite", reason="as above")
    def test_a_lost_lease_is_noticed_in_a_transaction(
        self, as_process: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lease = claim("job", "default")
        assert lease is not None
        as_process("next")
        monkeypatch.setattr(leases, "RENEWAL_SECONDS", 0)
        with pytest.raises(LeaseLost), transaction.atomic():
            lease.renew_if_due()

    def test_not_if_it_was_claimed_in_a_transaction_that_others_do_not_see(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(leases, "RENEWAL_SECONDS", 0)
        with transaction.atomic():
            lease = claim("job", "default")
            assert lease is not None
            MaintenanceJob.objects.all().delete()
            lease.renew_if_due()

    def test_not_in_a_transaction_of_sqlite(self, monkeypatch: pytest.MonkeyPatch) -> None:
        lease = claim("job", "default")
        assert lease is not None
        monkeypatch.setattr(leases, "RENEWAL_SECONDS", 0)
        if connection.vendor == "sqlite":
            with transaction.atomic():
                MaintenanceJob.objects.all().delete()
                lease.renew_if_due()


class TestIsAnyDue:
    def test_a_job_that_never_ran(self) -> None:
        assert is_any_due(["job"], "default")
        assert not is_any_due([], "default")

    def test_a_job_that_runs_is_not(self) -> None:
        claim("job", "default")
        assert not is_any_due(["job"], "default")
        assert is_any_due(["job", "other"], "default")

    def test_a_job_that_ran_is_due_later(self) -> None:
        lease = claim("job", "default")
        assert lease is not None
        lease.finish(succeeded=True, result="", due_in=timedelta(minutes=5))
        assert not is_any_due(["job"], "default")
        MaintenanceJob.objects.update(due_at=datetime.now(UTC))
        assert is_any_due(["job"], "default")


def test_the_clock_is_the_databases(settings: Any) -> None:
    for use_tz in (True, False):
        settings.USE_TZ = use_tz
        assert abs(leases.database_now("default") - datetime.now(UTC)) < timedelta(hours=1)


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/New_York"])
def test_sites_without_use_tz(settings: Any, zone: str) -> None:
    settings.TIME_ZONE = zone
    settings.USE_TZ = False
    lease = claim("job", "default")
    assert lease is not None
    assert claim("job", "default") is None
    lease.release()
    assert is_any_due(["job"], "default")
