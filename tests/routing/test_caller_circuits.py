"""Between callers: what one meets concerns that one, until it is shown that it concerns all."""

from __future__ import annotations

import errno
import ssl

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey

from native_api.exceptions import ProviderFault, UpstreamError, UpstreamTimeout
from native_api.routing.caller_circuits import MAX_CALLERS, MAX_OF_A_CALLER, MAX_ROWS
from native_api.routing.health_states import Standing
from native_api.routing.pool import Fleet
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
    fleet_with,
    lost,
    open_circuit,
    open_for_all,
    slow,
    standing,
    succeed,
    target,
)

BAD_REQUEST = UpstreamError("bad", status=400, upstream_status=400)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def fleet(clock: Clock) -> Fleet:
    return fleet_with(clock)


# --- circuits, for all callers ---------------------------------------------------------------------------------------

STATUSES = [status for status in range(400, 600) if status not in (401, 402, 403, 429)]
SPEAK_OF_THE_REQUEST = [400, 404, 405, 406, 409, 410, 411, 412, 413, 414, 415, 416, 417, 422, 423, 424, 428, 431, 451]
MAY_BE_PROVOKED = [failure(407), failure(408), failure(500), failure(503), failure(529), lost(), slow(), UpstreamError("nonsense in a 200")]
UNPROVOKED = [UpstreamError("refused", code="connection_failed"), UpstreamTimeout("late", code="connect_timeout")]

provoked = pytest.mark.parametrize("fault", MAY_BE_PROVOKED, ids=lambda fault: f"{fault.upstream_status or fault.code}")
unprovoked = pytest.mark.parametrize("fault", UNPROVOKED, ids=lambda fault: fault.code)


def keep_failing(fleet: Fleet, fault: ProviderFault, caller: str, calls: int = 20) -> None:
    """As often as the caller is let through."""
    for _ in range(calls):
        lease = admit(fleet, A, caller)
        if lease is not None:
            lease.failed(fault)
            lease.release()


@pytest.mark.parametrize("status", range(400, 600))
def test_no_status_that_one_caller_meets_puts_a_target_out_of_order_for_another(fleet: Fleet, clock: Clock, status: int) -> None:
    for _ in range(5):
        keep_failing(fleet, failure(status), ALICE)
        clock.now += 70
        assert standing(fleet, A, BOB) is Standing.GOOD
        assert standing(fleet, B, BOB) is Standing.GOOD
        succeed(fleet, A, BOB)


@pytest.mark.parametrize("status", SPEAK_OF_THE_REQUEST)
def test_a_status_that_speaks_of_the_request_counts_for_nobody(fleet: Fleet, status: int) -> None:
    for caller in (ALICE, BOB, CAROL) * 20:
        fail(fleet, failure(status), caller=caller)
    assert fleet.health.troubles == {}
    assert standing(fleet) is Standing.GOOD


@pytest.mark.parametrize("status", [status for status in STATUSES if status >= 500 or status in (407, 408)])
def test_every_other_status_opens_the_circuit_of_who_meets_it(fleet: Fleet, status: int) -> None:
    keep_failing(fleet, failure(status), ALICE)
    assert standing(fleet, A, ALICE) is Standing.OUT


@provoked
def test_a_callers_own_faults_divert_that_caller_alone(fleet: Fleet, fault: ProviderFault) -> None:
    keep_failing(fleet, fault, ALICE)
    assert [standing(fleet, A, caller) for caller in (ALICE, BOB, "")] == [Standing.OUT, Standing.GOOD, Standing.GOOD]
    assert fleet.health.not_open(ALICE) == ({A.key}, frozenset())
    assert fleet.health.not_open(BOB) == (frozenset(), frozenset())
    assert fleet.health.wait_for([A], ALICE) == 30
    assert fleet.health.wait_for([A], BOB) is None


@provoked
def test_three_callers_open_it_for_all(fleet: Fleet, fault: ProviderFault) -> None:
    for caller in (ALICE, BOB, ALICE, BOB, ALICE):
        fail(fleet, fault, caller=caller)
    assert standing(fleet, A, "anybody") is Standing.GOOD, "there were two"
    fail(fleet, fault, caller=CAROL)
    assert standing(fleet, A, "anybody") is Standing.OUT


def test_but_not_with_a_success_of_anybody_between(fleet: Fleet) -> None:
    for caller in (ALICE, BOB, CAROL, "user 4") * 4:
        fail(fleet, caller=caller)
        if caller == "user 4":
            succeed(fleet, caller="user 5")
    assert standing(fleet, A, "anybody") is Standing.GOOD


@unprovoked
def test_connections_that_fail_concern_all_whoever_asked_for_them(fleet: Fleet, fault: ProviderFault) -> None:
    for _ in range(5):
        fail(fleet, fault, caller=ALICE)
    assert standing(fleet, A, BOB) is Standing.OUT


KEY = ConnectionKey("h", 443, True, True, None, None, None, None)


@pytest.mark.parametrize(
    ("error", "concerns_all"),
    [
        (aiohttp.ClientConnectorError(KEY, ConnectionRefusedError(errno.ECONNREFUSED, "refused")), True),
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
    ids=lambda value: type(value).__name__ + (f" {value.errno}" if isinstance(value, OSError) else ""),
)
def test_what_no_caller_can_bring_about(fleet: Fleet, error: Exception, concerns_all: bool) -> None:
    """Many calls at once may leave this machine without files or ports: that is not the provider's fault."""
    for _ in range(5):
        fail(fleet, transport.fault(error))
    assert standing(fleet, A, BOB) is (Standing.OUT if concerns_all else Standing.GOOD)


def test_failures_of_one_caller_do_not_make_few_connections_count(fleet: Fleet) -> None:
    for _ in range(4):
        fail(fleet)
    fail(fleet, UNPROVOKED[0], caller=BOB)
    assert standing(fleet, A, BOB) is Standing.GOOD


# --- trials for all --------------------------------------------------------------------------------------------------


@provoked
def test_one_callers_trials_do_not_keep_a_circuit_open(fleet: Fleet, clock: Clock, fault: ProviderFault) -> None:
    open_for_all(fleet)
    clock.now += 31
    for _ in range(10):
        keep_failing(fleet, fault, ALICE)
        assert standing(fleet, A, BOB) is Standing.TRIAL, "is left to others"
        clock.now += 301
    succeed(fleet, caller=BOB)
    assert [standing(fleet, A, caller) for caller in (ALICE, BOB)] == [Standing.GOOD, Standing.GOOD]


@provoked
def test_trials_of_two_callers_do(fleet: Fleet, clock: Clock, fault: ProviderFault) -> None:
    open_for_all(fleet)
    clock.now += 31
    fail(fleet, fault, caller=ALICE)
    fail(fleet, fault, caller=BOB)
    clock.now += 59
    assert standing(fleet, A, CAROL) is Standing.OUT, "for the next longer time"
    clock.now += 2
    assert standing(fleet, A, CAROL) is Standing.TRIAL


@unprovoked
def test_and_so_does_one_connection_that_fails(fleet: Fleet, clock: Clock, fault: ProviderFault) -> None:
    open_for_all(fleet)
    clock.now += 31
    fail(fleet, fault)
    clock.now += 59
    assert standing(fleet, A, BOB) is Standing.OUT


@pytest.mark.parametrize("fault", [BAD_REQUEST, failure(404), failure(429), failure(403), None], ids=["400", "404", "429", "403", "left"])
def test_a_trial_that_shows_nothing_leaves_the_next_to_others(fleet: Fleet, clock: Clock, fault: ProviderFault | None) -> None:
    open_for_all(fleet)
    clock.now += 31
    lease = admit(fleet, A, ALICE)
    assert lease is not None
    if fault is not None:
        lease.failed(fault)
    lease.release()
    assert admit(fleet, A, ALICE) is None, "others come first"
    assert standing(fleet, A, BOB) is Standing.TRIAL
    succeed(fleet, caller=BOB)
    assert [standing(fleet, A, caller) for caller in (ALICE, BOB, CAROL)] == [Standing.GOOD] * 3


def test_a_caller_who_is_slow_on_purpose_does_not_keep_the_trial(fleet: Fleet, clock: Clock) -> None:
    open_for_all(fleet)
    clock.now += 31
    held = admit(fleet, A, ALICE)
    assert held is not None
    assert admit(fleet, A, BOB) is None
    clock.now += 31
    assert admit(fleet, A, ALICE) is None
    succeed(fleet, caller=BOB)
    held.failed(failure())
    held.release()
    assert standing(fleet, A, BOB) is Standing.GOOD


def test_a_stream_that_breaks_after_the_trial_concerns_its_caller(fleet: Fleet, clock: Clock) -> None:
    open_for_all(fleet)
    clock.now += 31
    for _ in range(5):
        lease = admit(fleet)
        if lease is not None:
            lease.began()
            lease.failed(lost())
            lease.release()
    assert [standing(fleet, A, caller) for caller in (ALICE, BOB)] == [Standing.OUT, Standing.GOOD]


def test_an_outage_of_all_leaves_no_caller_behind(fleet: Fleet, clock: Clock) -> None:
    """Whose own circuit was open for long, say."""
    open_circuit(fleet)
    for _ in range(4):
        clock.now += 301
        fail(fleet)
    for caller in (BOB, CAROL):
        fail(fleet, caller=caller)
    assert standing(fleet, A, "anybody") is Standing.OUT
    clock.now += 31
    succeed(fleet, caller=BOB)
    assert standing(fleet, A, ALICE) is Standing.GOOD


# --- limits and keys, for all ----------------------------------------------------------------------------------------


def test_one_callers_429_makes_a_last_resort_for_all_for_ten_seconds_in_a_minute(fleet: Fleet, clock: Clock) -> None:
    limited = 0
    for _ in range(600):
        keep_failing(fleet, failure(429, retry_after=300), ALICE, 1)
        limited += standing(fleet, A, BOB) is Standing.LAST_RESORT
        assert standing(fleet, A, ALICE) is Standing.LAST_RESORT
        clock.now += 1
    assert limited == 100


def test_three_callers_429_holds_in_full_and_no_longer_for_one_of_them(fleet: Fleet, clock: Clock) -> None:
    for caller in (ALICE, BOB, CAROL):
        fail(fleet, failure(429, retry_after=100), caller=caller)
    clock.now += 99
    assert standing(fleet, A, "anybody") is Standing.LAST_RESORT
    keep_failing(fleet, failure(429, retry_after=300), ALICE)
    clock.now += 11
    assert standing(fleet, A, "anybody") is Standing.GOOD


def test_a_retry_after_of_one_callers_500_concerns_that_caller(fleet: Fleet) -> None:
    fail(fleet, failure(503, retry_after=20))
    assert [standing(fleet, A, caller) for caller in (ALICE, BOB)] == [Standing.LAST_RESORT, Standing.GOOD]


@pytest.mark.parametrize("status", [401, 402, 403])
def test_a_key_that_is_refused_to_one_caller_is_a_last_resort_for_that_one(fleet: Fleet, status: int) -> None:
    keep_failing(fleet, failure(status), ALICE)
    assert [standing(fleet, A, caller) for caller in (ALICE, BOB)] == [Standing.LAST_RESORT, Standing.GOOD]


@pytest.mark.parametrize("status", [401, 402, 403])
def test_and_to_three_for_all(fleet: Fleet, status: int) -> None:
    for caller in (ALICE, BOB, CAROL):
        fail(fleet, failure(status), caller=caller)
    others = Standing.LAST_RESORT if status == 401 else Standing.GOOD
    assert [standing(fleet, each, "anybody") for each in (A, B, OTHER)] == [Standing.LAST_RESORT, others, Standing.GOOD]


# --- probes ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def doubts(fleet: Fleet) -> list[tuple[str, str]]:
    """The probes that were asked for."""
    asked: list[tuple[str, str]] = []
    fleet.health.doubt = lambda target, caller: asked.append((str(target), caller))
    return asked


@provoked
def test_a_probe_is_asked_for_when_a_callers_circuit_opens(fleet: Fleet, doubts: list[tuple[str, str]], fault: ProviderFault) -> None:
    keep_failing(fleet, fault, ALICE)
    assert doubts == [("p/a", ALICE)]


@pytest.mark.parametrize("status", [401, 402, 403])
def test_and_when_a_key_is_refused(fleet: Fleet, doubts: list[tuple[str, str]], status: int) -> None:
    keep_failing(fleet, failure(status), ALICE)
    assert doubts == [("p/a", ALICE)]


@pytest.mark.parametrize("status", [*SPEAK_OF_THE_REQUEST, 429])
def test_but_not_for_what_says_nothing(fleet: Fleet, doubts: list[tuple[str, str]], status: int) -> None:
    keep_failing(fleet, failure(status), ALICE)
    assert doubts == []


@pytest.mark.parametrize("fault", [*MAY_BE_PROVOKED, *UNPROVOKED], ids=lambda fault: f"{fault.upstream_status or fault.code}")
def test_a_probe_that_fails_too_opens_it_for_all_and_for_longer_each_time(fleet: Fleet, clock: Clock, fault: ProviderFault) -> None:
    for seconds in (30, 60, 120, 240, 300, 300):
        keep_failing(fleet, failure(), ALICE)
        fleet.health.probed(A, fault)
        assert standing(fleet, A, BOB) is Standing.OUT
        clock.now += seconds - 0.1
        assert standing(fleet, A, BOB) is Standing.OUT
        clock.now += 0.2
        assert [standing(fleet, A, caller) for caller in (ALICE, BOB)] == [Standing.TRIAL, Standing.TRIAL]


def test_a_second_probe_in_a_cool_down_does_not_make_it_longer(fleet: Fleet, clock: Clock) -> None:
    open_for_all(fleet)
    fleet.health.probed(A, failure())
    clock.now += 31
    assert standing(fleet, A, BOB) is Standing.TRIAL


def test_a_good_probe_leaves_the_circuit_of_the_caller_open_and_ends_that_of_all(fleet: Fleet, clock: Clock) -> None:
    open_circuit(fleet)
    fleet.health.probed(A, None)
    assert [standing(fleet, A, caller) for caller in (ALICE, BOB)] == [Standing.OUT, Standing.GOOD]
    open_for_all(fleet, B)
    fleet.health.probed(B, None)
    assert [standing(fleet, B, caller) for caller in (ALICE, BOB)] == [Standing.GOOD, Standing.GOOD]


@pytest.mark.parametrize(
    ("status", "others"), [(401, Standing.LAST_RESORT), (403, Standing.LAST_RESORT), (429, Standing.LAST_RESORT), (404, Standing.GOOD)]
)
def test_a_probe_that_is_refused_shows_that_the_target_is_there(fleet: Fleet, clock: Clock, status: int, others: Standing) -> None:
    open_for_all(fleet)
    clock.now += 31
    fleet.health.probed(A, failure(status))
    assert standing(fleet, A, BOB) is (Standing.GOOD if status in SPEAK_OF_THE_REQUEST else Standing.LAST_RESORT)


# --- bounds ----------------------------------------------------------------------------------------------------------


def test_what_is_remembered_of_callers_is_bounded_and_the_latest_is_kept(fleet: Fleet) -> None:
    for number in range(MAX_CALLERS + 100):
        fleet.health.failed(A, Standing.GOOD, failure(429, retry_after=60), f"user {number}")
    assert len(fleet.health._callers) == MAX_CALLERS
    assert next(iter(fleet.health._callers)) == "user 100"


def test_what_is_remembered_of_one_caller_is_bounded(fleet: Fleet) -> None:
    for number in range(1000):
        for status in (403, 429, 500, 500, 500, 500, 500):
            fleet.health.failed(target(f"p/{number}"), Standing.GOOD, failure(status), ALICE)
    own = fleet.health._callers[ALICE]
    kept = [own.troubles, own._failures, own._levels, own._spoke_for_all]
    assert max(len(each) for each in kept) <= MAX_OF_A_CALLER
    assert len(fleet.health._incidents.rows) <= MAX_ROWS


def test_a_caller_who_is_in_order_again_is_forgotten(fleet: Fleet, clock: Clock) -> None:
    open_circuit(fleet)
    clock.now += 31
    succeed(fleet)
    assert not fleet.health._callers
    assert not fleet.health._incidents.rows
