"""Database connections of worker threads: kept while calls come, closed soon after, replaced when
the server dropped them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from django.db import DatabaseError, OperationalError, connection, connections, transaction

from native_api.background import database_calls, threads
from native_api.background.executors import Executor, Lane
from native_api.background.outages import Outage
from tests.background.conftest import MakeExecutor, workers
from tests.servers import until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def executor(make_executor: MakeExecutor) -> Executor:
    return make_executor(keeps_connections=True)


@pytest.fixture
def lane(executor: Executor) -> Lane:
    return executor.lane()


@pytest.fixture
def as_server() -> Iterator[Any]:
    """Statements of somebody else. Skips the test for a database without connections."""
    if connection.vendor != "postgresql":
        pytest.skip("Connections to SQLite do not break; set TEST_DATABASE_URL.")
    with connection.cursor() as cursor:
        yield cursor.execute
    connection.close()


def open_connection(alias: str = "default") -> Any:
    """The connection that answers."""
    connections[alias].alias = "default"  # the only one that Django lets tests use
    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT 1")
    return connections[alias].connection


def current_connection() -> Any:
    """The connection that is open, if any."""
    return connection.connection


def drop_others(execute: Any) -> None:
    execute(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )


def test_a_connection_is_kept_between_calls_whatever_conn_max_age_says(lane: Lane) -> None:
    assert connection.settings_dict["CONN_MAX_AGE"] == 0
    first = lane.run_sync(30, open_connection)
    assert lane.run_sync(30, current_connection) is first
    assert lane.run_sync(30, open_connection) is first


def test_other_executors_close_it_after_each_call(make_executor: MakeExecutor) -> None:
    lane = make_executor().lane()
    assert lane.run_sync(30, open_connection)
    assert lane.run_sync(30, current_connection) is None


def test_a_connection_is_closed_after_idle_time(
    lane: Lane, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert threads.IDLE_SECONDS == 1.0
    monkeypatch.setattr(threads, "IDLE_SECONDS", 0.05)

    def open_wrapper() -> Any:
        open_connection()
        return connection._connections[connection._alias]  # type: ignore[attr-defined]

    wrapper = lane.run_sync(30, open_wrapper)
    until(lambda: wrapper.connection is None, "the connection to be closed")
    assert lane.run_sync(30, open_connection)
    assert len(workers()) == 1


def test_a_call_that_finds_a_dropped_connection_is_made_again(lane: Lane, as_server: Any) -> None:
    first = lane.run_sync(30, open_connection)
    drop_others(as_server)
    second = lane.run_sync(30, open_connection)
    assert second is not None
    assert second is not first


def test_a_call_with_a_new_connection_is_not_made_again(lane: Lane, as_server: Any) -> None:
    made: list[int] = []

    def lose_connection() -> None:
        made.append(1)
        open_connection()
        drop_others(as_server)
        open_connection()

    with pytest.raises(OperationalError):
        lane.run_sync(30, lose_connection)
    assert made == [1]


def test_a_call_that_fails_with_a_sound_connection_is_not_made_again(lane: Lane) -> None:
    made: list[int] = []

    def fail() -> None:
        made.append(1)
        open_connection()
        raise OperationalError("a lock")

    lane.run_sync(30, open_connection)
    with pytest.raises(OperationalError, match="a lock"):
        lane.run_sync(30, fail)
    assert made == [1]


def test_only_a_lost_connection_is_evidence_of_an_outage(lane: Lane, as_server: Any) -> None:
    def deadlock() -> bool:
        open_connection()
        return database_calls.is_connection_error(OperationalError("deadlock detected"))

    def lose_connection() -> bool:
        open_connection()
        drop_others(as_server)
        try:
            open_connection()
        except OperationalError as error:
            connection.close_if_unusable_or_obsolete()
            return database_calls.is_connection_error(error)
        return False

    assert not lane.run_sync(30, deadlock)
    assert lane.run_sync(30, lose_connection)
    assert not database_calls.is_connection_error(ValueError())


@pytest.fixture
def other_alias(monkeypatch: pytest.MonkeyPatch) -> str:
    """Another database of the site."""
    monkeypatch.setitem(connections.settings, "other", connections.settings["default"])
    return "other"


def fail_at_a_lock() -> None:
    open_connection()
    raise OperationalError("database is locked")


def refuse(self: Any, parameters: Any) -> None:
    raise self.Database.OperationalError("refused")


@pytest.mark.parametrize("is_lost", [False, True])
@pytest.mark.parametrize("is_own_thread", [False, True])
def test_a_lock_is_no_outage_if_another_database_is_closed_or_was_lost(
    is_lost: bool,
    is_own_thread: bool,
    make_executor: MakeExecutor,
    other_alias: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun: list[int] = []
    outage = Outage("resource", "", lambda: begun.append(1))
    lane = make_executor(
        keeps_connections=True, outage=outage, is_outage=database_calls.is_connection_error
    ).lane()
    make = lane.run_here if is_own_thread else lambda *args: lane.run_sync(30, *args)

    def close_other() -> None:
        open_connection(other_alias)
        connections[other_alias].close()
        if is_lost:
            with monkeypatch.context() as patch, suppress(OperationalError):
                patch.setattr(type(connections[other_alias]), "get_new_connection", refuse)
                open_connection(other_alias)

    make(close_other)
    with pytest.raises(OperationalError, match="locked"):
        make(fail_at_a_lock)
    assert (lane.is_down, begun) == (False, [])
    connection.close()


def test_a_call_is_made_again_with_all_connections_that_were_dropped(
    lane: Lane, other_alias: str, as_server: Any
) -> None:
    def use_both() -> tuple[Any, Any]:
        return open_connection(), open_connection(other_alias)

    first = lane.run_sync(30, use_both)
    drop_others(as_server)
    second = lane.run_sync(30, use_both)
    assert not {*first} & {*second}


def test_a_transaction_of_the_site_outlives_an_error() -> None:
    """One that it began without `atomic`."""
    open_connection()
    transaction.set_autocommit(False)
    connection.errors_occurred = True
    began = connection.connection
    with pytest.raises(OperationalError):
        database_calls.call_in_own_thread(fail_at_a_lock)
    assert connection.connection is began
    transaction.rollback()
    transaction.set_autocommit(True)


def test_a_probe_asks_the_databases_that_calls_have_used(
    lane: Lane, monkeypatch: pytest.MonkeyPatch
) -> None:
    lane.run_sync(30, open_connection)
    lane.run_sync(30, database_calls.probe)

    def refuse(self: Any) -> None:
        raise DatabaseError

    monkeypatch.setattr(type(connection._connections[connection._alias]), "connect", refuse)  # type: ignore[attr-defined]
    with pytest.raises(DatabaseError):
        lane.run_sync(30, database_calls.probe)


def test_a_transaction_is_one_of_the_call(lane: Lane) -> None:
    """A connection is kept, an open transaction is not."""

    def leave_transaction_open() -> None:
        open_connection()
        transaction.set_autocommit(False)

    lane.run_sync(30, leave_transaction_open)
    assert lane.run_sync(30, transaction.get_autocommit)
