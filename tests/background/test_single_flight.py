"""Single flight: how many calls are made, who gets their outcome, and what ends them."""

from __future__ import annotations

import asyncio
import multiprocessing
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from native_api.background.single_flight import SingleFlight

WAIT_SECONDS = 10.0
"""For what happens at once."""


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Calls:
    """Calls that another thread would make: the test ends them. Each is submitted to `submit`."""

    def __init__(self) -> None:
        self.submitted: list[Future[str]] = []

    def submit(self) -> Future[str]:
        call: Future[str] = Future()
        call.set_running_or_notify_cancel()
        self.submitted.append(call)
        return call


@pytest.fixture
def calls() -> Calls:
    return Calls()


def result_of(call: Future[str]) -> str:
    return call.result(WAIT_SECONDS)


# --- calls in other threads ----------------------------------------------------------------------


def test_callers_of_one_key_share_a_call(calls: Calls) -> None:
    flights = SingleFlight[str, str]()
    first, second = flights.join("a", calls.submit), flights.join("a", calls.submit)
    [call] = calls.submitted
    call.set_result("found")
    assert (first.result(0), second.result(0)) == ("found", "found")


def test_callers_of_different_keys_do_not(calls: Calls) -> None:
    flights = SingleFlight[str, str]()
    flights.join("a", calls.submit)
    flights.join("b", calls.submit)
    assert len(calls.submitted) == 2


@pytest.mark.parametrize(
    "end",
    [lambda call: call.set_result("found"), lambda call: call.set_exception(OSError())],
    ids=["result", "error"],
)
def test_a_call_that_ended_is_not_joined(calls: Calls, end: Callable[[Future[str]], None]) -> None:
    flights = SingleFlight[str, str]()
    flights.join("a", calls.submit)
    end(calls.submitted[0])
    assert not flights._calls
    flights.join("a", calls.submit)
    assert len(calls.submitted) == 2


def test_an_error_goes_to_all(calls: Calls) -> None:
    flights = SingleFlight[str, str]()
    joined = [flights.join("a", calls.submit) for _ in range(3)]
    calls.submitted[0].set_exception(OSError("gone"))
    for call in joined:
        with pytest.raises(OSError, match="gone"):
            call.result(0)


def test_a_call_that_cannot_be_submitted_is_an_error_for_its_caller_alone(calls: Calls) -> None:
    flights = SingleFlight[str, str]()

    def fail() -> Future[str]:
        raise RuntimeError("no threads")

    with pytest.raises(RuntimeError, match="no threads"):
        flights.join("a", fail)
    assert flights.join("a", calls.submit) is calls.submitted[0]


def test_a_call_that_takes_too_long_is_taken_for_lost(calls: Calls) -> None:
    clock = Clock()
    flights = SingleFlight[str, str](max_seconds=5, clock=clock)
    lost = flights.join("a", calls.submit)
    clock.now += 4.9
    assert flights.join("a", calls.submit) is lost
    clock.now += 0.1
    second = flights.join("a", calls.submit)
    assert second is not lost
    calls.submitted[0].set_result("late")
    assert flights.join("a", calls.submit) is second


def test_calls_that_were_forgotten_are_not_joined_and_still_answer_those_who_wait(
    calls: Calls,
) -> None:
    flights = SingleFlight[str, str]()
    before = flights.join("a", calls.submit)
    flights.forget()
    after = flights.join("a", calls.submit)
    calls.submitted[0].set_result("old")
    assert flights.join("a", calls.submit) is after
    assert before.result(0) == "old"


# --- event loops ---------------------------------------------------------------------------------


def test_a_waiter_who_is_cancelled_cancels_nobody_else(calls: Calls) -> None:
    flights = SingleFlight[str, str]()

    async def ask() -> str:
        return await asyncio.wrap_future(flights.join("a", calls.submit))

    async def first_leaves() -> str:
        first, second = asyncio.create_task(ask()), asyncio.create_task(ask())
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.wait([first])
        assert first.cancelled()
        calls.submitted[0].set_result("found")
        return await second

    assert asyncio.run(first_leaves()) == "found"
    assert len(calls.submitted) == 1


def test_event_loops_share_a_call(calls: Calls) -> None:
    flights = SingleFlight[str, str]()
    joined = threading.Barrier(3)

    async def ask() -> str:
        call = flights.join("a", calls.submit)
        joined.wait(WAIT_SECONDS)
        return await asyncio.wrap_future(call)

    with ThreadPoolExecutor(2) as threads:
        loops = [threads.submit(asyncio.run, ask()) for _ in range(2)]
        joined.wait(WAIT_SECONDS)
        [call] = calls.submitted
        call.set_result("found")
        assert [loop.result(WAIT_SECONDS) for loop in loops] == ["found", "found"]


# --- calls in the caller's own thread ------------------------------------------------------------


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as threads:
        yield threads


class HeldCall:
    """A call that runs until it is let go. Counts how often it is made."""

    def __init__(self, outcome: str | Exception = "found") -> None:
        self.outcome, self.count = outcome, 0
        self.began, self.may_end = threading.Event(), threading.Event()

    def __call__(self) -> str:
        self.count += 1
        self.began.set()
        assert self.may_end.wait(WAIT_SECONDS)
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


def run_with_followers(
    threads: ThreadPoolExecutor, flights: SingleFlight[str, str], held: HeldCall
) -> list[Future[str]]:
    """One thread makes the call, four wait for it, and then it ends."""
    waiting = threading.Barrier(5)

    def wait(call: Future[str]) -> str:
        waiting.wait(WAIT_SECONDS)
        return result_of(call)

    first = threads.submit(flights.run, "a", held, wait)
    assert held.began.wait(WAIT_SECONDS)
    others = [threads.submit(flights.run, "a", held, wait) for _ in range(4)]
    waiting.wait(WAIT_SECONDS)
    held.may_end.set()
    return [first, *others]


def test_threads_share_a_call(threads: ThreadPoolExecutor) -> None:
    flights, held = SingleFlight[str, str](), HeldCall()
    outcomes = run_with_followers(threads, flights, held)
    assert [result_of(outcome) for outcome in outcomes] == ["found"] * 5
    assert held.count == 1
    assert not flights._calls


def test_threads_share_an_error(threads: ThreadPoolExecutor) -> None:
    flights, held = SingleFlight[str, str](), HeldCall(OSError("gone"))
    for outcome in run_with_followers(threads, flights, held):
        with pytest.raises(OSError, match="gone"):
            result_of(outcome)
    assert held.count == 1
    assert not flights._calls


def test_a_thread_and_an_event_loop_share_a_call(threads: ThreadPoolExecutor, calls: Calls) -> None:
    flights, held = SingleFlight[str, str](), HeldCall()
    first = threads.submit(flights.run, "a", held, result_of)
    assert held.began.wait(WAIT_SECONDS)

    async def ask() -> str:
        call = asyncio.wrap_future(flights.join("a", calls.submit))
        held.may_end.set()
        return await call

    assert (asyncio.run(ask()), result_of(first)) == ("found", "found")
    assert not calls.submitted


def test_a_call_that_a_waiter_tries_to_cancel_goes_on(threads: ThreadPoolExecutor) -> None:
    flights, held = SingleFlight[str, str](), HeldCall()
    first = threads.submit(flights.run, "a", held, result_of)
    assert held.began.wait(WAIT_SECONDS)
    assert not flights.join("a", Future[str]).cancel()
    held.may_end.set()
    assert result_of(first) == "found"


# --- processes -----------------------------------------------------------------------------------


def _ask_in_child(flights: SingleFlight[str, str], found: Any) -> None:
    found.put(flights.run("a", lambda: "of the child", result_of))


@pytest.mark.skipif(
    "fork" not in multiprocessing.get_all_start_methods(), reason="This system cannot fork."
)
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_does_not_wait_for_a_call_of_its_parent(calls: Calls) -> None:
    flights = SingleFlight[str, str]()
    flights.join("a", calls.submit)
    context: Any = multiprocessing.get_context("fork")
    found = context.SimpleQueue()
    with flights._lock:  # as another thread may hold it at the moment of the fork
        child = context.Process(target=_ask_in_child, args=(flights, found))
        child.start()
    child.join(WAIT_SECONDS)
    assert child.exitcode == 0
    assert found.get() == "of the child"
