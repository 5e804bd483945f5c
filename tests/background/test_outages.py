"""One memory of an outage: who notices it, who is released and refused, and how it ends."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from native_api.background import CallTimeout, ResourceUnavailable, outages
from native_api.background.executors import Executor, Lane
from native_api.background.outages import Outage
from native_api.logs import LogInterval
from tests.background.conftest import Gate, MakeExecutor
from tests.clocks import clock_mover
from tests.servers import until

PATIENCE = 0.05


class Resource:
    """What the executor's calls use: it answers, fails or hangs."""

    def __init__(self) -> None:
        self.is_up, self.may_answer, self.probes = False, threading.Event(), 0
        self.may_answer.set()

    def probe(self) -> None:
        self.probes += 1
        self.may_answer.wait(30)
        self.call()

    def call(self) -> int:
        if not self.is_up:
            raise ConnectionError("password=secret" * 100)
        return 5


@pytest.fixture
def resource(monkeypatch: pytest.MonkeyPatch) -> Iterator[Resource]:
    monkeypatch.setattr(outages, "PROBE_SECONDS", 0.01)
    resource = Resource()
    yield resource
    resource.may_answer.set()
    resource.is_up = True


@pytest.fixture
def executor(make_executor: MakeExecutor, resource: Resource) -> Executor:
    return make_executor(
        size=2,
        outage=Outage("resource", "Others wait.", resource.probe),
        patience=PATIENCE,
        is_outage=lambda error: isinstance(error, ConnectionError),
    )


@pytest.fixture
def lane(executor: Executor) -> Lane:
    return executor.lane()


def test_a_connection_error_is_an_outage_for_all_lanes(
    executor: Executor, lane: Lane, resource: Resource
) -> None:
    resource.may_answer.clear()
    with pytest.raises((ConnectionError, ResourceUnavailable)):
        lane.run_sync(30, resource.call)
    made: list[int] = []
    with pytest.raises(ResourceUnavailable, match=r"the resource does not answer \(ConnectionE"):
        executor.lane(1).run_sync(30, made.append, 1)
    with pytest.raises(ResourceUnavailable):
        asyncio.run(executor.lane(1, is_evidence=False).run(30, made.append, 1))
    assert made == []


def test_any_other_error_is_none(lane: Lane) -> None:
    with pytest.raises(ZeroDivisionError):
        lane.run_sync(30, lambda: 1 // 0)
    assert not lane.is_down


def test_silence_is_an_outage_which_releases_all_who_wait(lane: Lane, gate: Gate) -> None:
    """The last ones wait in the queue, and would do so for 30 seconds."""
    made: list[int] = []

    async def wait_together() -> list[Any]:
        running = [lane.run(30, gate) for _ in range(2)]
        queued = [lane.run(30, made.append, 1) for _ in range(20)]
        return await asyncio.gather(*running, *queued, return_exceptions=True)

    errors = asyncio.run(wait_together())
    assert [type(error) for error in errors] == [ResourceUnavailable] * 22
    assert {error.evidence for error in errors} == {"CallTimeout"}
    gate.open()
    assert made == [], "a queued call is not made any more"


def test_synchronous_callers_notice_silence_too(lane: Lane, gate: Gate) -> None:
    with pytest.raises(ResourceUnavailable):
        lane.run_sync(30, gate)
    assert lane.is_down


def test_so_does_somebody_who_only_looks_now_and_then(lane: Lane, gate: Gate) -> None:
    call = lane.submit(gate)
    assert not lane.is_down

    def look() -> bool:
        lane.note_silence(call)
        return lane.is_down

    until(look, "the silence to be noticed")


def test_busy_is_not_down(
    executor: Executor, lane: Lane, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call hangs, but the others return: it waits as long as its caller wants."""
    executor.patience = 100
    pass_time = clock_mover(monkeypatch)

    async def wait_beside_others() -> Any:
        hanging = asyncio.ensure_future(lane.run(10_000, gate, 7))
        for _ in range(20):
            await lane.run(10_000, lambda: 5)
            pass_time(25)
        assert not lane.is_down
        gate.open()
        return await hanging

    assert asyncio.run(wait_beside_others()) == 7


def test_a_process_that_is_late_itself_knows_nothing_of_the_resource(
    executor: Executor, lane: Lane, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The event loop had no time to look for longer than the patience. Nor had the threads."""
    executor.patience = 100
    pass_time = clock_mover(monkeypatch)

    async def be_late() -> Any:
        call = asyncio.ensure_future(lane.run(10_000, gate, 7))
        await asyncio.sleep(0)
        pass_time(300)
        await asyncio.sleep(0)
        assert not lane.is_down
        gate.open()
        return await call

    assert asyncio.run(be_late()) == 7


def test_a_lane_for_what_takes_long_gives_no_evidence(executor: Executor, gate: Gate) -> None:
    slow = executor.lane(1, is_evidence=False)
    with pytest.raises(CallTimeout):
        slow.run_sync(3 * PATIENCE, gate)
    assert not slow.is_down


def test_the_first_probe_that_succeeds_ends_it(lane: Lane, resource: Resource) -> None:
    with pytest.raises((ConnectionError, ResourceUnavailable)):
        lane.run_sync(30, resource.call)
    until(lambda: resource.probes >= 2, "probes that fail")
    assert lane.is_down
    resource.is_up = True
    until(lambda: not lane.is_down, "a probe that succeeds")
    assert lane.run_sync(30, resource.call) == 5


def test_a_probe_that_hangs_stays_the_only_one(
    lane: Lane, executor: Executor, resource: Resource
) -> None:
    resource.may_answer.clear()
    for _ in range(3):
        with pytest.raises((ConnectionError, ResourceUnavailable)):
            lane.run_sync(30, resource.call)
        until(lambda: resource.probes == 1, "the probe")
        assert executor.outage is not None
        executor.outage.end()  # a new outage begins while the probe of the last one hangs
    assert resource.probes == 1


def test_a_probe_that_hangs_for_long_is_left_alone(
    lane: Lane, resource: Resource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server may be gone without a word, and another one in its place."""
    resource.may_answer.clear()
    pass_time = clock_mover(monkeypatch)

    most = 1 + outages.MAX_HANGING_PROBES

    def call_until_probed(probes: int) -> None:
        with pytest.raises((ConnectionError, ResourceUnavailable)):
            lane.run_sync(30, resource.call)
        until(lambda: resource.probes >= probes, f"probe {probes}")
        pass_time(outages.MAX_PROBE_SECONDS)

    for number in range(1, 121):
        call_until_probed(min(number, most))
    assert resource.probes == most
    resource.is_up = True
    resource.may_answer.set()
    until(lambda: not lane.is_down, "a probe that succeeds")
    until(lambda: not probers(), "the probers to end")
    assert resource.probes == most


def probers() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == "native-api-resource-probe"]


def test_an_outage_begins_only_if_somebody_can_end_it(
    executor: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    assert executor.outage is not None
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError):
            executor.outage.begin(ConnectionError())
    assert not executor.is_down


def test_an_outage_that_begins_while_another_is_forgotten_is_probed(
    executor: Executor, resource: Resource, monkeypatch: pytest.MonkeyPatch
) -> None:
    outage = executor.outage
    assert outage is not None
    beginning = threading.Thread(target=outage.begin, args=(ConnectionError(),))

    def begin_meanwhile() -> None:
        beginning.start()
        beginning.join(0.05)
        outage.is_active = False

    with monkeypatch.context() as patch:
        patch.setattr(outage._log_interval, "reset", begin_meanwhile)
        outage.reset()
    beginning.join()
    assert outage.is_active
    until(lambda: resource.probes > 0, "a probe")


def test_after_an_outage_calls_that_hang_do_not_keep_the_threads(
    lane: Lane, resource: Resource, gate: Gate
) -> None:
    calls = [lane.submit(gate, number) for number in range(2)]
    gate.wait_for_calls(2)
    with pytest.raises(ResourceUnavailable):
        lane.run_sync(30, resource.call)
    resource.is_up = True
    until(lambda: not lane.is_down, "the end of the outage")
    assert lane.run_sync(30, resource.call) == 5
    gate.open()
    assert [call.result(30) for call in calls] == [0, 1]


def test_who_comes_after_an_outage_is_not_refused_with_those_who_met_it(
    executor: Executor, lane: Lane, resource: Resource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread that found the outage may be slower than the probe which ends it."""
    outage, narrow, gate = executor.outage, executor.lane(1), Gate()
    assert outage
    begin, answers = outage.begin, []

    def begin_and_be_late(evidence: BaseException) -> None:
        begin(evidence)
        resource.is_up = True
        until(lambda: not lane.is_down, "the end of the outage")
        calls = [narrow.submit(gate, number) for number in range(2)]  # the second is queued
        answers.extend(executor.answers.answer_to(call) for call in calls)

    monkeypatch.setattr(outage, "begin", begin_and_be_late)
    with pytest.raises((ConnectionError, ResourceUnavailable)):
        lane.run_sync(30, resource.call)
    gate.open()
    assert [answer.result(30) for answer in answers] == [0, 1]


def test_who_comes_during_an_outage_does_not_wait_for_a_call_that_hangs(
    executor: Executor, lane: Lane, resource: Resource, gate: Gate
) -> None:
    """Several callers may share one call, which was made before."""
    resource.may_answer.clear()
    shared = lane.submit(gate)
    gate.wait_for_calls(1)
    with pytest.raises((ConnectionError, ResourceUnavailable)):
        lane.run_sync(30, resource.call)
    with pytest.raises(ResourceUnavailable):
        executor.lane(1, is_evidence=False).wait_for_sync(30, shared)
    assert not executor.answers._pending, "what was refused is not kept"


def test_the_late_error_of_a_call_that_was_given_up_begins_no_new_outage(
    lane: Lane, resource: Resource, gate: Gate
) -> None:
    def fail_late() -> None:
        gate()
        raise ConnectionError

    late = lane.submit(fail_late)
    gate.wait_for_calls(1)
    with pytest.raises(ResourceUnavailable):
        lane.run_sync(30, resource.call)
    resource.is_up = True
    until(lambda: not lane.is_down, "the end of the outage")
    gate.open()
    assert isinstance(late.exception(30), ConnectionError)
    assert not lane.is_down


def test_it_is_logged_again_as_long_as_it_lasts(
    executor: Executor,
    lane: Lane,
    resource: Resource,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    moment = 0.0
    monkeypatch.setattr(executor.outage, "_log_interval", LogInterval(lambda: moment))
    with caplog.at_level(logging.WARNING, "native_api.background"):
        for _ in range(6):
            with pytest.raises((ConnectionError, ResourceUnavailable)):
                lane.run_sync(30, resource.call)
            moment += 30
    assert len({record.getMessage() for record in caplog.records}) == 1
    assert len(caplog.records) == 3


def test_it_is_logged_once_a_minute(
    executor: Executor, resource: Resource, caplog: pytest.LogCaptureFixture
) -> None:
    assert executor.outage is not None
    with caplog.at_level(logging.WARNING, "native_api.background"):
        for _ in range(5):
            executor.outage.begin(ConnectionError("refused"))
            executor.outage.end()
    assert [record.getMessage() for record in caplog.records] == [
        "The resource does not answer (ConnectionError: refused). Others wait."
    ]
