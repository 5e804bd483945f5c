"""Threads that make calls: lanes, what is given up, and what becomes of results."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
from contextvars import ContextVar
from typing import Any, NamedTuple

import pytest
from asgiref.sync import async_to_sync

from native_api.background import CallTimeout, threads
from native_api.background.executors import foreign_to_async
from native_api.background.threads import Call, ThreadPool
from tests.background.conftest import Gate, MakeExecutor, workers
from tests.servers import until

# --- threads and lanes ---------------------------------------------------------------------------


def test_calls_run_in_parallel_up_to_the_size(make_executor: MakeExecutor, gate: Gate) -> None:
    lane = make_executor(size=3).lane()
    calls = [lane.submit(gate) for _ in range(4)]
    gate.wait_for_calls(3)
    assert len(workers()) == 3
    assert [call.running() for call in calls] == [True, True, True, False]
    gate.open()
    assert calls[3].result(30) is None


def test_no_more_threads_are_started_than_are_needed(make_executor: MakeExecutor) -> None:
    lane = make_executor(size=4).lane()
    for _ in range(20):
        lane.run_sync(30, threading.get_ident)
    assert len(workers()) == 1


def test_the_thread_that_was_used_last_makes_the_next_call(
    make_executor: MakeExecutor, gate: Gate
) -> None:
    """Each thread keeps memory and connections of its calls."""
    lane = make_executor(size=4).lane()
    calls = [lane.submit(gate) for _ in range(4)]
    gate.wait_for_calls(4)
    gate.open()
    for call in calls:
        call.result(30)
    until(lambda: len(lane._executor._pool._resting) == 4, "all threads to be idle")
    threads_used = set()
    for _ in range(20):
        threads_used.add(lane.run_sync(30, threading.get_ident))
        until(lambda: len(lane._executor._pool._resting) == 4, "the thread to be idle again")
    assert len(threads_used) == 1


def test_a_lane_takes_no_more_threads_than_its_size(
    make_executor: MakeExecutor, gate: Gate
) -> None:
    executor = make_executor(size=4)
    narrow, wide = executor.lane(2), executor.lane()
    calls = [narrow.submit(gate) for _ in range(50)]
    gate.wait_for_calls(2)
    assert wide.run_sync(30, lambda: 5) == 5, "it does not wait behind them"
    assert sum(call.running() for call in calls) == 2
    gate.open()
    for call in calls:
        call.result(30)


def test_calls_are_made_in_the_order_in_which_they_came(make_executor: MakeExecutor) -> None:
    executor = make_executor(size=1)
    lanes, made, gate = [executor.lane(), executor.lane()], [], Gate()
    executor.lane().submit(gate)
    gate.wait_for_calls(1)
    calls = [lanes[number % 2].submit(made.append, number) for number in range(10)]
    gate.open()
    for call in calls:
        call.result(30)
    assert made == list(range(10))


def test_a_forked_process_has_threads_of_its_own(make_executor: MakeExecutor) -> None:
    lane = make_executor().lane()
    lane.run_sync(30, lambda: 5)
    child = os.fork()
    if not child:  # no test runner from here on
        status = 1
        try:
            status = 0 if lane.run_sync(30, os.getpid) == os.getpid() else 1
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert lane.run_sync(30, lambda: 5) == 5, "those of the parent go on"


def test_calls_are_waited_for_at_the_end(make_executor: MakeExecutor, gate: Gate) -> None:
    executor = make_executor()
    calls = [executor.lane().submit(gate), executor.lane().submit(lambda: 5)]
    gate.wait_for_calls(1)
    executor.finish(0.01)
    assert not calls[1].done(), "but not for longer than was asked for"
    gate.open()
    executor.finish(30)
    assert [call.done() for call in calls] == [True, True]
    assert not workers(), "they have closed what they had open"


class Sized(NamedTuple):
    size: int


def test_a_thread_that_cannot_close_something_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as a connection whose server is gone."""
    monkeypatch.setattr(threads, "IDLE_SECONDS", 0.01)
    failed = threading.Event()

    def fail_to_close() -> None:
        failed.set()
        raise LookupError

    pool = ThreadPool("native-api-test", 1, 0, lambda call: call.function(), fail_to_close)
    lane = Sized(1)
    for _ in range(2):
        call = Call(lane, lambda: 5)
        pool.submit(call)
        assert call.result(30) == 5
        assert failed.wait(30)
        failed.clear()
    pool.close()
    until(lambda: not workers(), "the thread to end")


def test_a_thread_that_cannot_be_started_takes_no_place(
    make_executor: MakeExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    lane = make_executor(size=1).lane()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError):
            lane.submit(lambda: 5)
    assert lane.run_sync(30, lambda: 5) == 5


def test_calls_that_hang_do_not_collect_those_that_nobody_waits_for(
    make_executor: MakeExecutor, gate: Gate
) -> None:
    executor = make_executor(max_given_up=0)
    lane = executor.lane()
    lane.submit(gate)
    gate.wait_for_calls(1)
    for _ in range(10):
        with pytest.raises(CallTimeout):
            lane.run_sync(0.001, lambda: 5)
    assert len(executor._pool.pending_calls()) <= 2


# --- results -------------------------------------------------------------------------------------


def fail() -> None:
    raise LookupError("gone")


def test_an_exception_is_raised_to_everybody_who_waits(make_executor: MakeExecutor) -> None:
    lane = make_executor().lane()
    with pytest.raises(LookupError, match="gone"):
        lane.run_sync(30, fail)
    failing = lane.submit(fail)

    async def wait_twice() -> list[Any]:
        waits = (lane.wait_for(30, failing) for _ in range(2))
        return await asyncio.gather(*waits, return_exceptions=True)

    assert [type(error) for error in asyncio.run(wait_twice())] == [LookupError, LookupError]
    assert lane.run_sync(30, lambda: 5) == 5


def test_a_call_that_hangs_times_out_and_another_thread_takes_its_place(
    make_executor: MakeExecutor, gate: Gate
) -> None:
    lane = make_executor().lane()
    hanging = lane.submit(gate, 7)
    gate.wait_for_calls(1)
    with pytest.raises(CallTimeout, match=r"no answer in 0\.01 s"):
        asyncio.run(lane.wait_for(0.01, hanging))
    assert lane.run_sync(30, lambda: 5) == 5
    gate.open()
    assert hanging.result(30) == 7, "it goes on to its end"
    until(lambda: len(workers()) == 1, "the thread that hung to end")


def test_what_hangs_takes_a_limited_number_of_threads(
    make_executor: MakeExecutor, gate: Gate
) -> None:
    lane = make_executor(size=1, max_given_up=2).lane()
    for _ in range(10):
        with pytest.raises(CallTimeout):
            lane.run_sync(0.01, gate)
    gate.wait_for_calls(3)
    assert len(workers()) == 3
    gate.open()
    assert lane.run_sync(30, lambda: 5) == 5


def test_a_call_that_nobody_waits_for_any_more_is_not_begun(
    make_executor: MakeExecutor, gate: Gate
) -> None:
    lane, made = make_executor(max_given_up=0).lane(), []

    async def leave() -> None:
        call = asyncio.ensure_future(lane.run(30, made.append, "cancelled"))
        await asyncio.sleep(0)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)

    lane.submit(gate)
    gate.wait_for_calls(1)
    with pytest.raises(CallTimeout):
        lane.run_sync(0.01, made.append, "too late")
    asyncio.run(leave())
    gate.open()
    lane.run_sync(30, made.append, "awaited")
    assert made == ["awaited"]


def test_an_error_that_comes_too_late_is_consumed_quietly(
    make_executor: MakeExecutor, gate: Gate
) -> None:
    lane = make_executor().lane()
    reported: list[Any] = []

    def fail_late() -> None:
        gate()
        fail()

    async def leave() -> None:
        asyncio.get_running_loop().set_exception_handler(
            lambda loop, report: reported.append(report)
        )
        late = lane.submit(fail_late)
        await lane.wait_briefly(0.01, late)
        with pytest.raises(CallTimeout):
            await lane.wait_for(0.01, late)
        gate.open()
        await asyncio.to_thread(late.exception, 30)
        await asyncio.sleep(0)
        gc.collect()

    asyncio.run(leave())
    gc.collect()
    assert reported == []


# --- what a request needs of Django and the site -------------------------------------------------

tenant: ContextVar[str] = ContextVar("tenant", default="nobody")


def test_foreign_code_sees_and_changes_its_callers_context() -> None:
    def greet() -> str:
        greeting = f"{tenant.get()} in {threading.current_thread().name}"
        tenant.set("greeted")
        return greeting

    async def request() -> tuple[str, str]:
        tenant.set("acme")
        return await foreign_to_async(greet)(), tenant.get()

    greeting, afterwards = asyncio.run(request())
    assert greeting.startswith("acme in native-api-foreign_")
    assert afterwards == "greeted"


def test_async_code_that_foreign_code_calls_runs_on_the_callers_loop() -> None:
    async def running_loop() -> Any:
        return asyncio.get_running_loop()

    async def request() -> bool:
        found = await foreign_to_async(async_to_sync(running_loop))()
        return found is asyncio.get_running_loop()

    assert asyncio.run(request())
