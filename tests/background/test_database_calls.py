"""Database connections of worker threads: kept while calls come, closed soon after, replaced when
the server dropped them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import DatabaseError, OperationalError, connection, transaction

from native_api.background import database_calls, threads
from native_api.background.executors import Executor, Lane
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


def open_connection() -> Any:
    """The connection that answers."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return connection.connection


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
