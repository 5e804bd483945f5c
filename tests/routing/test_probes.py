"""Probes that show whether what one caller met concerns all."""

from __future__ import annotations

import pytest

from native_api.exceptions import ProviderFault
from native_api.routing.health_states import TargetState
from native_api.routing.pool import TargetPool
from tests.routing.faults import (
    PROVOKED,
    REQUEST_STATUSES,
    UNPROVOKED,
    keep_failing,
    provoked,
)
from tests.routing.target_pools import (
    ALICE,
    BOB,
    A,
    B,
    Clock,
    failure,
    open_circuit,
    open_for_all,
    state,
)


@provoked
def test_a_probe_is_requested_when_a_callers_circuit_opens(
    pool: TargetPool, requested_probes: list[tuple[str, str]], fault: ProviderFault
) -> None:
    keep_failing(pool, fault, ALICE)
    assert requested_probes == [("p/a", ALICE)]


@pytest.mark.parametrize("status", [401, 402, 403])
def test_a_probe_is_requested_when_a_key_is_refused(
    pool: TargetPool, requested_probes: list[tuple[str, str]], status: int
) -> None:
    keep_failing(pool, failure(status), ALICE)
    assert requested_probes == [("p/a", ALICE)]


@pytest.mark.parametrize("status", [*REQUEST_STATUSES, 429])
def test_no_probe_is_requested_for_a_status_about_the_request(
    pool: TargetPool, requested_probes: list[tuple[str, str]], status: int
) -> None:
    keep_failing(pool, failure(status), ALICE)
    assert requested_probes == []


@pytest.mark.parametrize(
    "fault",
    [*PROVOKED, *UNPROVOKED],
    ids=lambda fault: f"{fault.upstream_status or fault.code}",
)
def test_a_failed_probe_opens_the_circuit_for_all_and_longer_each_time(
    pool: TargetPool, clock: Clock, fault: ProviderFault
) -> None:
    for seconds in (30, 60, 120, 240, 300, 300):
        keep_failing(pool, failure(), ALICE)
        pool.health.record_probe(A, fault)
        assert state(pool, A, BOB) is TargetState.OPEN
        clock.now += seconds - 0.1
        assert state(pool, A, BOB) is TargetState.OPEN
        clock.now += 0.2
        assert [state(pool, A, caller) for caller in (ALICE, BOB)] == [
            TargetState.HALF_OPEN,
            TargetState.HALF_OPEN,
        ]


def test_a_second_failed_probe_does_not_extend_a_cool_down(pool: TargetPool, clock: Clock) -> None:
    open_for_all(pool)
    pool.health.record_probe(A, failure())
    clock.now += 31
    assert state(pool, A, BOB) is TargetState.HALF_OPEN


def test_a_successful_probe_closes_the_circuit_for_all_but_not_for_the_caller(
    pool: TargetPool, clock: Clock
) -> None:
    open_circuit(pool)
    pool.health.record_probe(A, None)
    assert [state(pool, A, caller) for caller in (ALICE, BOB)] == [
        TargetState.OPEN,
        TargetState.HEALTHY,
    ]
    open_for_all(pool, B)
    pool.health.record_probe(B, None)
    assert [state(pool, B, caller) for caller in (ALICE, BOB)] == [
        TargetState.HEALTHY,
        TargetState.HEALTHY,
    ]


@pytest.mark.parametrize(
    ("status", "others"),
    [
        (401, TargetState.DEGRADED),
        (403, TargetState.DEGRADED),
        (429, TargetState.DEGRADED),
        (404, TargetState.HEALTHY),
    ],
)
def test_a_refused_probe_closes_the_circuit(
    pool: TargetPool, clock: Clock, status: int, others: TargetState
) -> None:
    open_for_all(pool)
    clock.now += 31
    pool.health.record_probe(A, failure(status))
    assert state(pool, A, BOB) is (
        TargetState.HEALTHY if status in REQUEST_STATUSES else TargetState.DEGRADED
    )
