"""Worker threads that keep their database connections, for calls that may hang."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import OperationalError, connection

from native_api import background
from native_api.background import executors as module
from tests.servers import until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def make_threads() -> Iterator[Callable[..., background.WorkerThreads]]:
    """Makes threads that end with the test."""
    made: list[background.WorkerThreads] = []

    def make(size: int = 1, keep_connections: bool = True) -> background.WorkerThreads:
        made.append(background.WorkerThreads("native-api-test", size, keep_connections))
        return made[-1]

    yield make
    for each in made:
        each.replace_threads()
    until(lambda: not workers(), "the threads to end")


def workers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("native-api-test")]


def open_connection() -> Any:
    """The connection that answers."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return connection.connection


def current_connection() -> Any:
    """The connection that is open, if any."""
    return connection.connection


def test_a_connection_is_kept_between_calls_whatever_conn_max_age_says(
    make_threads: Callable[..., background.WorkerThreads],
) -> None:
    threads = make_threads()
    assert connection.settings_dict["CONN_MAX_AGE"] == 0
    first = threads.run_sync(10, open_connection)
    assert threads.run_sync(10, current_connection) is first
    assert threads.run_sync(10, open_connection) is first


def test_without_keep_connections_it_is_closed_after_each_call(
    make_threads: Callable[..., background.WorkerThreads],
) -> None:
    threads = make_threads(keep_connections=False)
    assert threads.run_sync(10, open_connection)
    assert threads.run_sync(10, current_connection) is None


def test_a_connection_is_closed_after_idle_time(
    make_threads: Callable[..., background.WorkerThreads], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert module.IDLE_SECONDS == 1.0
    monkeypatch.setattr(module, "IDLE_SECONDS", 0.05)
    threads = make_threads()
    wrapper: Any = threads.run_sync(
        10, lambda: (open_connection(), connection._connections[connection._alias])[1]
    )  # type: ignore[attr-defined]
    until(lambda: wrapper.connection is None, "the connection to be closed")
    assert threads.run_sync(10, open_connection)
    assert len(workers()) == 1


def test_a_broken_connection_is_replaced(
    make_threads: Callable[..., background.WorkerThreads],
) -> None:
    if connection.vendor == "sqlite":
        pytest.skip("Connections to SQLite do not break; set TEST_DATABASE_URL.")
    threads = make_threads()

    def break_it() -> None:
        open_connection().close()
        open_connection()

    with pytest.raises(Exception, match="closed"):
        threads.run_sync(10, break_it)
    assert threads.run_sync(10, open_connection)


def test_calls_run_in_parallel_up_to_the_size(
    make_threads: Callable[..., background.WorkerThreads],
) -> None:
    threads = make_threads(size=3)
    gate, running = threading.Event(), threading.Semaphore(0)
    together = threading.Barrier(3)

    def meet() -> None:
        together.wait(60)
        running.release()
        gate.wait(60)

    calls = [threads.submit(meet) for _ in range(3)]
    for _ in calls:
        assert running.acquire(timeout=60)
    fourth = threads.submit(running.release)
    assert not running.acquire(timeout=0.1), "it waits for one of them"
    gate.set()
    fourth.result(60)
    assert len(workers()) == 3


def test_no_more_threads_are_started_than_are_needed(
    make_threads: Callable[..., background.WorkerThreads],
) -> None:
    threads = make_threads(size=4)
    for _ in range(20):
        until(lambda: threads.run_sync(10, threading.get_ident), "an answer")
    assert len(workers()) <= 2, "a thread may not have said yet that it is idle"


def test_an_exception_is_raised_to_the_caller(
    make_threads: Callable[..., background.WorkerThreads],
) -> None:
    threads = make_threads()

    def fail() -> None:
        raise OperationalError("gone")

    with pytest.raises(OperationalError, match="gone"):
        threads.run_sync(10, fail)
    with pytest.raises(OperationalError, match="gone"):
        asyncio.run(threads.run(10, fail))
    assert threads.run_sync(10, lambda: 5) == 5


def test_a_call_that_hangs_times_out_and_others_go_on(
    make_threads: Callable[..., background.WorkerThreads],
) -> None:
    threads = make_threads()
    gate = threading.Event()
    hanging = threads.submit(gate.wait, 60)
    with pytest.raises(background.CallTimeout, match=r"no answer in 0\.05 s"):
        asyncio.run(threads.wait_for(0.05, hanging))
    assert threads.run_sync(10, open_connection)
    gate.set()
    assert hanging.result(60), "it goes on to its end"
    until(lambda: len(workers()) == 1, "the thread that hung to end")


def test_calls_that_wait_behind_one_that_hangs_are_made_when_it_ends(
    make_threads: Callable[..., background.WorkerThreads],
) -> None:
    threads = make_threads()
    gate = threading.Event()
    threads.submit(gate.wait, 60)
    waiting = threads.submit(lambda: 5)
    threads.replace_threads()
    gate.set()
    assert waiting.result(60) == 5


def test_a_call_that_is_cancelled_before_it_begins_is_not_made(
    make_threads: Callable[..., background.WorkerThreads],
) -> None:
    threads = make_threads()
    gate, made = threading.Event(), []
    threads.submit(gate.wait, 60)
    waiting = threads.submit(made.append, 1)
    assert waiting.cancel()
    gate.set()
    assert threads.run_sync(10, lambda: 5) == 5
    assert made == []


def test_a_forked_process_has_threads_of_its_own(
    make_threads: Callable[..., background.WorkerThreads],
) -> None:
    threads = make_threads()
    threads.run_sync(10, lambda: 5)
    child = os.fork()
    if not child:  # no test runner from here on
        status = 1
        try:
            status = 0 if threads.run_sync(10, os.getpid) == os.getpid() else 1
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert threads.run_sync(10, lambda: 5) == 5, "those of the parent go on"
