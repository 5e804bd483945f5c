"""What one caller meets concerns that caller, until it is shown to concern all."""

from __future__ import annotations

import errno
import ssl

import aiohttp
import pytest

from native_api.exceptions import ProviderFault
from native_api.routing.caller_circuits import MAX_CALLERS, MAX_INCIDENTS_PER_CALLER
from native_api.routing.failure_streaks import MAX_STREAKS
from native_api.routing.health_states import TargetState
from native_api.routing.pool import TargetPool
from native_api.upstream import transport
from tests.cases import each
from tests.routing.faults import (
    KEY,
    REQUEST_STATUSES,
    STATUSES,
    UNPROVOKED,
    keep_failing,
    provoked,
    unprovoked,
)
from tests.routing.target_pools import (
    ALICE,
    BOB,
    CAROL,
    OTHER,
    A,
    B,
    Clock,
    fail,
    failure,
    open_circuit,
    pool_with,
    state,
    succeed,
    target,
)


@each("status", range(400, 600))
def test_no_status_for_one_caller_opens_the_circuit_for_another(status: int) -> None:
    clock = Clock()
    pool = pool_with(clock)
    for _ in range(5):
        keep_failing(pool, failure(status), ALICE)
        clock.now += 70
        assert state(pool, A, BOB) is TargetState.HEALTHY
        assert state(pool, B, BOB) is TargetState.HEALTHY
        succeed(pool, A, BOB)


@each("status", REQUEST_STATUSES)
def test_a_status_about_the_request_never_counts(status: int) -> None:
    pool = pool_with(Clock())
    for caller in (ALICE, BOB, CAROL) * 20:
        fail(pool, failure(status), caller=caller)
    assert pool.health.incidents == {}
    assert state(pool) is TargetState.HEALTHY


@each("status", [status for status in STATUSES if status >= 500 or status in (407, 408)])
def test_every_other_status_opens_the_circuit_for_its_caller(status: int) -> None:
    pool = pool_with(Clock())
    keep_failing(pool, failure(status), ALICE)
    assert state(pool, A, ALICE) is TargetState.OPEN


@provoked
def test_a_callers_own_faults_divert_that_caller_alone(
    pool: TargetPool, fault: ProviderFault
) -> None:
    keep_failing(pool, fault, ALICE)
    assert [state(pool, A, caller) for caller in (ALICE, BOB, "")] == [
        TargetState.OPEN,
        TargetState.HEALTHY,
        TargetState.HEALTHY,
    ]
    assert pool.health.unhealthy_names(ALICE) == ({A.key}, frozenset())
    assert pool.health.unhealthy_names(BOB) == (frozenset(), frozenset())
    assert pool.health.seconds_until_half_open([A], ALICE) == 30
    assert pool.health.seconds_until_half_open([A], BOB) is None


@provoked
def test_three_callers_open_the_circuit_for_all(pool: TargetPool, fault: ProviderFault) -> None:
    for caller in (ALICE, BOB, ALICE, BOB, ALICE):
        fail(pool, fault, caller=caller)
    assert state(pool, A, "anybody") is TargetState.HEALTHY, "there were two"
    fail(pool, fault, caller=CAROL)
    assert state(pool, A, "anybody") is TargetState.OPEN


def test_a_success_of_any_caller_ends_the_streak(pool: TargetPool) -> None:
    for caller in (ALICE, BOB, CAROL, "user 4") * 4:
        fail(pool, caller=caller)
        if caller == "user 4":
            succeed(pool, caller="user 5")
    assert state(pool, A, "anybody") is TargetState.HEALTHY


@unprovoked
def test_failed_connections_concern_all_callers(pool: TargetPool, fault: ProviderFault) -> None:
    for _ in range(5):
        fail(pool, fault, caller=ALICE)
    assert state(pool, A, BOB) is TargetState.OPEN


@pytest.mark.parametrize(
    ("error", "concerns_all"),
    [
        (
            aiohttp.ClientConnectorError(
                KEY, ConnectionRefusedError(errno.ECONNREFUSED, "refused")
            ),
            True,
        ),
        (aiohttp.ClientConnectorDNSError(KEY, OSError(-2, "unknown host")), True),
        (aiohttp.ClientConnectorSSLError(KEY, ssl.SSLError(1, "no TLS")), True),
        (aiohttp.ClientConnectorCertificateError(KEY, ssl.CertificateError("expired")), True),
        (aiohttp.ConnectionTimeoutError(), True),
        (aiohttp.ClientConnectorError(KEY, OSError(errno.EMFILE, "no files left")), False),
        (aiohttp.ClientConnectorError(KEY, OSError(errno.EADDRNOTAVAIL, "no ports left")), False),
        (aiohttp.ServerDisconnectedError(), False),
        (aiohttp.ClientPayloadError(), False),
        (TimeoutError(), False),
    ],
    ids=lambda value: (
        type(value).__name__ + (f" {value.errno}" if isinstance(value, OSError) else "")
    ),
)
def test_which_connection_errors_concern_all_callers(
    pool: TargetPool, error: Exception, concerns_all: bool
) -> None:
    """Many calls at once may leave this machine without files or ports: that is not the provider's
    fault."""
    for _ in range(5):
        fail(pool, transport.fault_from_error(error))
    assert state(pool, A, BOB) is (TargetState.OPEN if concerns_all else TargetState.HEALTHY)


def test_one_callers_failures_do_not_add_up_with_a_failed_connection(pool: TargetPool) -> None:
    for _ in range(4):
        fail(pool)
    fail(pool, UNPROVOKED[0], caller=BOB)
    assert state(pool, A, BOB) is TargetState.HEALTHY


def test_one_callers_429_degrades_a_target_for_all_ten_seconds_a_minute(
    pool: TargetPool, clock: Clock
) -> None:
    limited = 0
    for _ in range(600):
        keep_failing(pool, failure(429, retry_after=300), ALICE, 1)
        limited += state(pool, A, BOB) is TargetState.DEGRADED
        assert state(pool, A, ALICE) is TargetState.DEGRADED
        clock.now += 1
    assert limited == 100


def test_three_callers_429_degrade_a_target_for_the_full_retry_after(
    pool: TargetPool, clock: Clock
) -> None:
    for caller in (ALICE, BOB, CAROL):
        fail(pool, failure(429, retry_after=100), caller=caller)
    clock.now += 99
    assert state(pool, A, "anybody") is TargetState.DEGRADED
    keep_failing(pool, failure(429, retry_after=300), ALICE)
    clock.now += 11
    assert state(pool, A, "anybody") is TargetState.HEALTHY


def test_a_retry_after_of_one_callers_500_concerns_that_caller(pool: TargetPool) -> None:
    fail(pool, failure(503, retry_after=20))
    assert [state(pool, A, caller) for caller in (ALICE, BOB)] == [
        TargetState.DEGRADED,
        TargetState.HEALTHY,
    ]


@pytest.mark.parametrize("status", [401, 402, 403])
def test_a_key_refused_for_one_caller_degrades_the_target_for_that_caller(
    pool: TargetPool, status: int
) -> None:
    keep_failing(pool, failure(status), ALICE)
    assert [state(pool, A, caller) for caller in (ALICE, BOB)] == [
        TargetState.DEGRADED,
        TargetState.HEALTHY,
    ]


@pytest.mark.parametrize("status", [401, 402, 403])
def test_a_key_refused_for_three_callers_degrades_the_target_for_all(
    pool: TargetPool, status: int
) -> None:
    for caller in (ALICE, BOB, CAROL):
        fail(pool, failure(status), caller=caller)
    others = TargetState.DEGRADED if status == 401 else TargetState.HEALTHY
    assert [state(pool, each, "anybody") for each in (A, B, OTHER)] == [
        TargetState.DEGRADED,
        others,
        TargetState.HEALTHY,
    ]


def test_the_number_of_callers_is_bounded_and_the_latest_are_kept(pool: TargetPool) -> None:
    for number in range(MAX_CALLERS + 100):
        pool.health.record_failure(
            A, TargetState.HEALTHY, failure(429, retry_after=60), f"user {number}"
        )
    assert len(pool.health._callers) == MAX_CALLERS
    assert next(iter(pool.health._callers)) == "user 100"


def test_the_incidents_of_one_caller_are_bounded(pool: TargetPool) -> None:
    for number in range(1000):
        for status in (403, 429, 500, 500, 500, 500, 500):
            pool.health.record_failure(
                target(f"p/{number}"), TargetState.HEALTHY, failure(status), ALICE
            )
    own = pool.health._callers.get_or_add(ALICE)
    tables = [own.incidents, own._failures, own._levels, own._spoke_for_all_until]
    assert max(len(each) for each in tables) <= MAX_INCIDENTS_PER_CALLER
    assert len(pool.health._breaker.streaks) <= MAX_STREAKS


def test_a_caller_without_incidents_is_forgotten(pool: TargetPool, clock: Clock) -> None:
    open_circuit(pool)
    clock.now += 31
    succeed(pool)
    assert not pool.health._callers
    assert not pool.health._breaker.streaks
