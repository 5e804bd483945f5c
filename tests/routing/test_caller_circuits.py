"""Between callers: what one meets concerns that one, until it is shown that it concerns all."""

from __future__ import annotations

import errno
import ssl

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey

from native_api.exceptions import ProviderFault, UpstreamError, UpstreamTimeout
from native_api.routing.caller_circuits import MAX_CALLERS, MAX_INCIDENTS_PER_CALLER
from native_api.routing.failure_streaks import MAX_STREAKS
from native_api.routing.health_states import TargetState
from native_api.routing.pool import TargetPool
from native_api.upstream import transport
from tests.routing.target_pools import (
    ALICE,
    BOB,
    CAROL,
    OTHER,
    A,
    B,
    Clock,
    admit,
    fail,
    failure,
    lost,
    open_circuit,
    open_for_all,
    pool_with,
    slow,
    state,
    succeed,
    target,
)

BAD_REQUEST = UpstreamError("bad", status=400, upstream_status=400)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pool(clock: Clock) -> TargetPool:
    return pool_with(clock)


# --- circuits, for all callers ---------------------------------------------------------------------------------------

STATUSES = [status for status in range(400, 600) if status not in (401, 402, 403, 429)]
SPEAK_OF_THE_REQUEST = [
    400,
    404,
    405,
    406,
    409,
    410,
    411,
    412,
    413,
    414,
    415,
    416,
    417,
    422,
    423,
    424,
    428,
    431,
    451,
]
MAY_BE_PROVOKED = [
    failure(407),
    failure(408),
    failure(500),
    failure(503),
    failure(529),
    lost(),
    slow(),
    UpstreamError("nonsense in a 200"),
]
UNPROVOKED = [
    UpstreamError("refused", code="connection_failed"),
    UpstreamTimeout("late", code="connect_timeout"),
]

provoked = pytest.mark.parametrize(
    "fault", MAY_BE_PROVOKED, ids=lambda fault: f"{fault.upstream_status or fault.code}"
)
unprovoked = pytest.mark.parametrize("fault", UNPROVOKED, ids=lambda fault: fault.code)


def keep_failing(pool: TargetPool, fault: ProviderFault, caller: str, calls: int = 20) -> None:
    """As often as the caller is let through."""
    for _ in range(calls):
        permit = admit(pool, A, caller)
        if permit is not None:
            permit.record_failure(fault)
            permit.release()


@pytest.mark.parametrize("status", range(400, 600))
def test_no_status_that_one_caller_meets_puts_a_target_out_of_order_for_another(
    pool: TargetPool, clock: Clock, status: int
) -> None:
    for _ in range(5):
        keep_failing(pool, failure(status), ALICE)
        clock.now += 70
        assert state(pool, A, BOB) is TargetState.HEALTHY
        assert state(pool, B, BOB) is TargetState.HEALTHY
        succeed(pool, A, BOB)


@pytest.mark.parametrize("status", SPEAK_OF_THE_REQUEST)
def test_a_status_that_speaks_of_the_request_counts_for_nobody(
    pool: TargetPool, status: int
) -> None:
    for caller in (ALICE, BOB, CAROL) * 20:
        fail(pool, failure(status), caller=caller)
    assert pool.health.incidents == {}
    assert state(pool) is TargetState.HEALTHY


@pytest.mark.parametrize(
    "status", [status for status in STATUSES if status >= 500 or status in (407, 408)]
)
def test_every_other_status_opens_the_circuit_of_who_meets_it(
    pool: TargetPool, status: int
) -> None:
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
def test_three_callers_open_it_for_all(pool: TargetPool, fault: ProviderFault) -> None:
    for caller in (ALICE, BOB, ALICE, BOB, ALICE):
        fail(pool, fault, caller=caller)
    assert state(pool, A, "anybody") is TargetState.HEALTHY, "there were two"
    fail(pool, fault, caller=CAROL)
    assert state(pool, A, "anybody") is TargetState.OPEN


def test_but_not_with_a_success_of_anybody_between(pool: TargetPool) -> None:
    for caller in (ALICE, BOB, CAROL, "user 4") * 4:
        fail(pool, caller=caller)
        if caller == "user 4":
            succeed(pool, caller="user 5")
    assert state(pool, A, "anybody") is TargetState.HEALTHY


@unprovoked
def test_connections_that_fail_concern_all_whoever_asked_for_them(
    pool: TargetPool, fault: ProviderFault
) -> None:
    for _ in range(5):
        fail(pool, fault, caller=ALICE)
    assert state(pool, A, BOB) is TargetState.OPEN


KEY = ConnectionKey("h", 443, True, True, None, None, None, None)


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
def test_what_no_caller_can_bring_about(
    pool: TargetPool, error: Exception, concerns_all: bool
) -> None:
    """Many calls at once may leave this machine without files or ports: that is not the provider's
    fault."""
    for _ in range(5):
        fail(pool, transport.fault_from_error(error))
    assert state(pool, A, BOB) is (TargetState.OPEN if concerns_all else TargetState.HEALTHY)


def test_failures_of_one_caller_do_not_make_few_connections_count(pool: TargetPool) -> None:
    for _ in range(4):
        fail(pool)
    fail(pool, UNPROVOKED[0], caller=BOB)
    assert state(pool, A, BOB) is TargetState.HEALTHY


# --- trials for all --------------------------------------------------------------------------------------------------


@provoked
def test_one_callers_trials_do_not_keep_a_circuit_open(
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
def test_trials_of_two_callers_do(pool: TargetPool, clock: Clock, fault: ProviderFault) -> None:
    open_for_all(pool)
    clock.now += 31
    fail(pool, fault, caller=ALICE)
    fail(pool, fault, caller=BOB)
    clock.now += 59
    assert state(pool, A, CAROL) is TargetState.OPEN, "for the next longer time"
    clock.now += 2
    assert state(pool, A, CAROL) is TargetState.HALF_OPEN


@unprovoked
def test_and_so_does_one_connection_that_fails(
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
def test_a_trial_that_shows_nothing_leaves_the_next_to_others(
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


def test_a_caller_who_is_slow_on_purpose_does_not_keep_the_trial(
    pool: TargetPool, clock: Clock
) -> None:
    open_for_all(pool)
    clock.now += 31
    held = admit(pool, A, ALICE)
    assert held is not None
    assert admit(pool, A, BOB) is None
    clock.now += 31
    assert admit(pool, A, ALICE) is None
    succeed(pool, caller=BOB)
    held.record_failure(failure())
    held.release()
    assert state(pool, A, BOB) is TargetState.HEALTHY


def test_a_stream_that_breaks_after_the_trial_concerns_its_caller(
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


def test_an_outage_of_all_leaves_no_caller_behind(pool: TargetPool, clock: Clock) -> None:
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


# --- limits and keys, for all ----------------------------------------------------------------------------------------


def test_one_callers_429_makes_a_last_resort_for_all_for_ten_seconds_in_a_minute(
    pool: TargetPool, clock: Clock
) -> None:
    limited = 0
    for _ in range(600):
        keep_failing(pool, failure(429, retry_after=300), ALICE, 1)
        limited += state(pool, A, BOB) is TargetState.DEGRADED
        assert state(pool, A, ALICE) is TargetState.DEGRADED
        clock.now += 1
    assert limited == 100


def test_three_callers_429_holds_in_full_and_no_longer_for_one_of_them(
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
def test_a_key_that_is_refused_to_one_caller_is_a_last_resort_for_that_one(
    pool: TargetPool, status: int
) -> None:
    keep_failing(pool, failure(status), ALICE)
    assert [state(pool, A, caller) for caller in (ALICE, BOB)] == [
        TargetState.DEGRADED,
        TargetState.HEALTHY,
    ]


@pytest.mark.parametrize("status", [401, 402, 403])
def test_and_to_three_for_all(pool: TargetPool, status: int) -> None:
    for caller in (ALICE, BOB, CAROL):
        fail(pool, failure(status), caller=caller)
    others = TargetState.DEGRADED if status == 401 else TargetState.HEALTHY
    assert [state(pool, each, "anybody") for each in (A, B, OTHER)] == [
        TargetState.DEGRADED,
        others,
        TargetState.HEALTHY,
    ]


# --- probes ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def doubts(pool: TargetPool) -> list[tuple[str, str]]:
    """The probes that were asked for."""
    asked: list[tuple[str, str]] = []
    pool.health.request_probe = lambda target, caller: asked.append((str(target), caller))
    return asked


@provoked
def test_a_probe_is_asked_for_when_a_callers_circuit_opens(
    pool: TargetPool, doubts: list[tuple[str, str]], fault: ProviderFault
) -> None:
    keep_failing(pool, fault, ALICE)
    assert doubts == [("p/a", ALICE)]


@pytest.mark.parametrize("status", [401, 402, 403])
def test_and_when_a_key_is_refused(
    pool: TargetPool, doubts: list[tuple[str, str]], status: int
) -> None:
    keep_failing(pool, failure(status), ALICE)
    assert doubts == [("p/a", ALICE)]


@pytest.mark.parametrize("status", [*SPEAK_OF_THE_REQUEST, 429])
def test_but_not_for_what_says_nothing(
    pool: TargetPool, doubts: list[tuple[str, str]], status: int
) -> None:
    keep_failing(pool, failure(status), ALICE)
    assert doubts == []


@pytest.mark.parametrize(
    "fault",
    [*MAY_BE_PROVOKED, *UNPROVOKED],
    ids=lambda fault: f"{fault.upstream_status or fault.code}",
)
def test_a_probe_that_fails_too_opens_it_for_all_and_for_longer_each_time(
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


def test_a_second_probe_in_a_cool_down_does_not_make_it_longer(
    pool: TargetPool, clock: Clock
) -> None:
    open_for_all(pool)
    pool.health.record_probe(A, failure())
    clock.now += 31
    assert state(pool, A, BOB) is TargetState.HALF_OPEN


def test_a_good_probe_leaves_the_circuit_of_the_caller_open_and_ends_that_of_all(
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
def test_a_probe_that_is_refused_shows_that_the_target_is_there(
    pool: TargetPool, clock: Clock, status: int, others: TargetState
) -> None:
    open_for_all(pool)
    clock.now += 31
    pool.health.record_probe(A, failure(status))
    assert state(pool, A, BOB) is (
        TargetState.HEALTHY if status in SPEAK_OF_THE_REQUEST else TargetState.DEGRADED
    )


# --- bounds ----------------------------------------------------------------------------------------------------------


def test_what_is_remembered_of_callers_is_bounded_and_the_latest_is_kept(pool: TargetPool) -> None:
    for number in range(MAX_CALLERS + 100):
        pool.health.record_failure(
            A, TargetState.HEALTHY, failure(429, retry_after=60), f"user {number}"
        )
    assert len(pool.health._callers) == MAX_CALLERS
    assert next(iter(pool.health._callers)) == "user 100"


def test_what_is_remembered_of_one_caller_is_bounded(pool: TargetPool) -> None:
    for number in range(1000):
        for status in (403, 429, 500, 500, 500, 500, 500):
            pool.health.record_failure(
                target(f"p/{number}"), TargetState.HEALTHY, failure(status), ALICE
            )
    own = pool.health._callers[ALICE]
    kept = [own.incidents, own._failures, own._levels, own._spoke_for_all_until]
    assert max(len(each) for each in kept) <= MAX_INCIDENTS_PER_CALLER
    assert len(pool.health._tracker.streaks) <= MAX_STREAKS


def test_a_caller_who_is_in_order_again_is_forgotten(pool: TargetPool, clock: Clock) -> None:
    open_circuit(pool)
    clock.now += 31
    succeed(pool)
    assert not pool.health._callers
    assert not pool.health._tracker.streaks
