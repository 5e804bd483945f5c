"""Half-open calls between callers."""

from __future__ import annotations

import pytest

from native_api.exceptions import ProviderFault
from native_api.routing.health_states import TargetState
from native_api.routing.pool import TargetPool
from tests.routing.faults import (
    BAD_REQUEST,
    keep_failing,
    provoked,
    unprovoked,
)
from tests.routing.target_pools import (
    ALICE,
    BOB,
    CAROL,
    A,
    Clock,
    admit,
    fail,
    failure,
    lost,
    open_circuit,
    open_for_all,
    state,
    succeed,
)


@provoked
def test_one_callers_half_open_calls_do_not_keep_a_circuit_open(
    pool: TargetPool, clock: Clock, fault: ProviderFault
) -> None:
    open_for_all(pool)
    clock.now += 31
    for _ in range(10):
        keep_failing(pool, fault, ALICE)
        assert state(pool, A, BOB) is TargetState.HALF_OPEN, "is left to others"
        clock.now += 301
    succeed(pool, caller=BOB)
    assert [state(pool, A, caller) for caller in (ALICE, BOB)] == [
        TargetState.HEALTHY,
        TargetState.HEALTHY,
    ]


@provoked
def test_half_open_calls_of_two_callers_keep_a_circuit_open(
    pool: TargetPool, clock: Clock, fault: ProviderFault
) -> None:
    open_for_all(pool)
    clock.now += 31
    fail(pool, fault, caller=ALICE)
    fail(pool, fault, caller=BOB)
    clock.now += 59
    assert state(pool, A, CAROL) is TargetState.OPEN, "for the next longer time"
    clock.now += 2
    assert state(pool, A, CAROL) is TargetState.HALF_OPEN


@unprovoked
def test_one_failed_connection_keeps_a_circuit_open(
    pool: TargetPool, clock: Clock, fault: ProviderFault
) -> None:
    open_for_all(pool)
    clock.now += 31
    fail(pool, fault)
    clock.now += 59
    assert state(pool, A, BOB) is TargetState.OPEN


@pytest.mark.parametrize(
    "fault",
    [BAD_REQUEST, failure(404), failure(429), failure(403), None],
    ids=["400", "404", "429", "403", "left"],
)
def test_an_inconclusive_half_open_call_leaves_the_next_to_others(
    pool: TargetPool, clock: Clock, fault: ProviderFault | None
) -> None:
    open_for_all(pool)
    clock.now += 31
    permit = admit(pool, A, ALICE)
    assert permit is not None
    if fault is not None:
        permit.record_failure(fault)
    permit.release()
    assert admit(pool, A, ALICE) is None, "others come first"
    assert state(pool, A, BOB) is TargetState.HALF_OPEN
    succeed(pool, caller=BOB)
    assert [state(pool, A, caller) for caller in (ALICE, BOB, CAROL)] == [TargetState.HEALTHY] * 3


def test_a_slow_caller_does_not_keep_the_half_open_call(pool: TargetPool, clock: Clock) -> None:
    open_for_all(pool)
    clock.now += 31
    permit = admit(pool, A, ALICE)
    assert permit is not None
    assert admit(pool, A, BOB) is None
    clock.now += 31
    assert admit(pool, A, ALICE) is None
    succeed(pool, caller=BOB)
    permit.record_failure(failure())
    permit.release()
    assert state(pool, A, BOB) is TargetState.HEALTHY


def test_a_stream_that_breaks_after_its_half_open_call_concerns_its_caller(
    pool: TargetPool, clock: Clock
) -> None:
    open_for_all(pool)
    clock.now += 31
    for _ in range(5):
        permit = admit(pool)
        if permit is not None:
            permit.record_first_chunk()
            permit.record_failure(lost())
            permit.release()
    assert [state(pool, A, caller) for caller in (ALICE, BOB)] == [
        TargetState.OPEN,
        TargetState.HEALTHY,
    ]


def test_the_end_of_an_outage_closes_the_circuits_of_single_callers(
    pool: TargetPool, clock: Clock
) -> None:
    """Whose own circuit was open for long, say."""
    open_circuit(pool)
    for _ in range(4):
        clock.now += 301
        fail(pool)
    for caller in (BOB, CAROL):
        fail(pool, caller=caller)
    assert state(pool, A, "anybody") is TargetState.OPEN
    clock.now += 31
    succeed(pool, caller=BOB)
    assert state(pool, A, ALICE) is TargetState.HEALTHY
