"""Circuits, rate limits and refused keys, with a clock that tests move."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

import pytest

from native_api.exceptions import ProviderFault, UpstreamError
from native_api.routing.health_states import Incident, TargetState, UnsharedHealth
from native_api.routing.pool import TargetPermit, TargetPool
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

# --- circuits, as a caller meets them ------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [failure(500), failure(503), failure(408), lost(), slow(), UpstreamError("nonsense in a 200")],
)
def test_five_consecutive_failures_open_the_circuit(pool: TargetPool, fault: ProviderFault) -> None:
    for _ in range(4):
        fail(pool, fault)
    assert state(pool) is TargetState.HEALTHY
    fail(pool, fault)
    assert state(pool) is TargetState.OPEN
    assert admit(pool) is None
    assert state(pool, B) is TargetState.HEALTHY


def test_a_success_resets_the_count(pool: TargetPool) -> None:
    for _ in range(3):
        for _ in range(4):
            fail(pool)
        succeed(pool)
    assert state(pool) is TargetState.HEALTHY


BAD_REQUEST = UpstreamError("bad", status=400, upstream_status=400)
TOO_LONG = UpstreamError("long", status=400, code="context_length_exceeded", upstream_status=400)
IN_A_200 = UpstreamError("filtered", status=400, code="content_policy_violation")
NO_SOCKET = UpstreamError("none left", code="no_connection_left")


@pytest.mark.parametrize(
    "fault", [BAD_REQUEST, TOO_LONG, IN_A_200, NO_SOCKET], ids=lambda fault: fault.code
)
def test_a_fault_that_is_not_the_targets_does_not_count(
    pool: TargetPool, fault: ProviderFault
) -> None:
    for caller in (ALICE, BOB, CAROL) * 20:
        fail(pool, fault, caller=caller)
    assert [state(pool, A, caller) for caller in (ALICE, BOB, CAROL)] == [TargetState.HEALTHY] * 3


def test_the_cool_down_doubles_up_to_five_minutes(pool: TargetPool, clock: Clock) -> None:
    open_circuit(pool)
    for seconds in (30, 60, 120, 240, 300, 300):
        clock.now += seconds - 0.1
        assert state(pool) is TargetState.OPEN
        clock.now += 0.2
        assert state(pool) is TargetState.HALF_OPEN
        fail(pool)


@pytest.mark.parametrize("fault", [failure(500), failure(401)])
def test_an_outage_may_last_for_days(pool: TargetPool, clock: Clock, fault: ProviderFault) -> None:
    for _ in range(5):
        fail(pool, fault)
    for _ in range(1200):
        clock.now += 301
        assert state(pool) is TargetState.HALF_OPEN
        fail(pool, fault)


def test_a_successful_half_open_call_closes_the_circuit_and_resets_the_cool_down(
    pool: TargetPool, clock: Clock
) -> None:
    open_circuit(pool)
    clock.now += 31
    fail(pool)
    clock.now += 61
    succeed(pool)
    assert state(pool) is TargetState.HEALTHY
    open_circuit(pool)
    clock.now += 31
    assert state(pool) is TargetState.HALF_OPEN


def test_there_is_one_half_open_call_at_a_time(pool: TargetPool, clock: Clock) -> None:
    open_circuit(pool)
    clock.now += 31

    async def many() -> list[TargetPermit | None]:
        return await asyncio.gather(*(pool.admit(A, ALICE) for _ in range(50)))

    [half_open] = [permit for permit in asyncio.run(many()) if permit is not None]
    assert admit(pool) is None
    half_open.release()
    assert admit(pool) is not None, "it was inconclusive, so there is another"


def test_the_first_chunk_ends_a_half_open_call_but_one_failure_reopens_the_circuit(
    pool: TargetPool, clock: Clock
) -> None:
    open_circuit(pool)
    clock.now += 31
    permit = admit(pool)
    assert permit is not None
    permit.record_first_chunk()
    assert state(pool) is TargetState.HEALTHY
    permit.record_failure(lost())
    assert state(pool) is TargetState.OPEN
    clock.now += 59
    assert state(pool) is TargetState.OPEN, "for the next longer time"
    clock.now += 2
    assert state(pool) is TargetState.HALF_OPEN


def test_a_stream_is_a_success_only_at_its_end(pool: TargetPool) -> None:
    for _ in range(5):
        permit = admit(pool)
        assert permit is not None
        permit.record_first_chunk()
        permit.record_failure(lost())
        permit.release()
    assert state(pool) is TargetState.OPEN


def test_calls_that_began_earlier_neither_close_nor_extend_an_incident(
    pool: TargetPool, clock: Clock
) -> None:
    early = [admit(pool) for _ in range(3)]
    open_circuit(pool)
    for permit in early:
        assert permit is not None
        permit.record_failure(failure())
    clock.now += 29
    late = admit(pool, B)
    assert late is not None
    for permit in early:
        assert permit is not None
        permit.record_success()
    assert state(pool) is TargetState.OPEN
    clock.now += 2
    assert state(pool) is TargetState.HALF_OPEN


@pytest.mark.parametrize("fault", [failure(429, retry_after=7), failure(401), BAD_REQUEST])
def test_any_answer_to_a_half_open_call_closes_the_circuit(
    pool: TargetPool, clock: Clock, fault: ProviderFault
) -> None:
    open_circuit(pool)
    clock.now += 31
    fail(pool, fault)
    assert state(pool) in (TargetState.HEALTHY, TargetState.DEGRADED)


def test_a_clock_that_was_set_back_does_not_keep_a_circuit_open(
    pool: TargetPool, clock: Clock
) -> None:
    open_circuit(pool)
    clock.now -= 3600
    assert state(pool) is TargetState.HALF_OPEN


def test_the_wait_ends_with_the_first_circuit_that_is_half_open(
    pool: TargetPool, clock: Clock
) -> None:
    open_circuit(pool)
    clock.now += 10
    for _ in range(5):
        fail(pool, which=B)
    assert pool.health.seconds_until_half_open([A, B], ALICE) == 20
    assert pool.health.seconds_until_half_open([A, B, OTHER], ALICE) is None


# --- limits --------------------------------------------------------------------------------------


def test_a_429_degrades_a_target_for_its_retry_after(pool: TargetPool, clock: Clock) -> None:
    fail(pool, failure(429, retry_after=20))
    assert state(pool) is TargetState.DEGRADED
    clock.now += 20.1
    assert state(pool) is TargetState.HEALTHY


def test_an_absurd_retry_after_is_capped(pool: TargetPool, clock: Clock) -> None:
    fail(pool, failure(429, retry_after=9e9))
    clock.now += 300.1
    assert state(pool) is TargetState.HEALTHY


def test_a_429_without_retry_after_degrades_a_target_for_five_seconds(
    pool: TargetPool, clock: Clock
) -> None:
    fail(pool, failure(429))
    clock.now += 4.9
    assert state(pool) is TargetState.DEGRADED
    clock.now += 0.2
    assert state(pool) is TargetState.HEALTHY


def test_a_longer_429_extends_a_rate_limit_and_a_shorter_one_changes_nothing(
    pool: TargetPool, clock: Clock
) -> None:
    fail(pool, failure(429, retry_after=20))
    fail(pool, failure(429, retry_after=60))
    fail(pool, failure(429, retry_after=2))
    clock.now += 59
    assert state(pool) is TargetState.DEGRADED


def test_a_rate_limit_does_not_count_as_a_failure(pool: TargetPool, clock: Clock) -> None:
    for _ in range(20):
        fail(pool, failure(429, retry_after=0))
    assert state(pool) is TargetState.HEALTHY


# --- keys ----------------------------------------------------------------------------------------


def test_401_concerns_all_of_the_provider(pool: TargetPool) -> None:
    fail(pool, failure(401))
    assert [state(pool, each) for each in (A, B, OTHER)] == [
        TargetState.DEGRADED,
        TargetState.DEGRADED,
        TargetState.HEALTHY,
    ]


@pytest.mark.parametrize("status", [402, 403])
def test_402_and_403_concern_one_target(pool: TargetPool, status: int) -> None:
    fail(pool, failure(status))
    assert [state(pool, each) for each in (A, B)] == [TargetState.DEGRADED, TargetState.HEALTHY]


def test_a_success_with_the_key_ends_a_refusal(pool: TargetPool) -> None:
    fail(pool, failure(401))
    succeed(pool, B)
    assert state(pool) is TargetState.HEALTHY


def test_a_new_key_or_address_has_no_incidents(pool: TargetPool) -> None:
    fail(pool, failure(401))
    fresh = target("p/a")
    changed = type(fresh.provider)("p", "openai", "http://127.0.0.1:9/v1", identity="p@2")
    assert state(pool, type(fresh)(changed, "a")) is TargetState.HEALTHY


def test_a_refused_key_is_tried_again_after_a_cool_down(pool: TargetPool, clock: Clock) -> None:
    fail(pool, failure(401))
    for seconds in (30, 60):
        clock.now += seconds + 0.1
        assert state(pool) is TargetState.HALF_OPEN
        fail(pool, failure(401))
        assert state(pool) is TargetState.DEGRADED


# --- shared --------------------------------------------------------------------------------------


class FakeSharedHealth(UnsharedHealth):
    """Shared health that tests read and write."""

    def __init__(self) -> None:
        self.published: list[tuple[str, str | None]] = []
        self.others: dict[str, Incident | None] = {}
        self.claims = True
        self.withdrawn: list[str] = []

    async def pull(self, names: Iterable[str]) -> Mapping[str, Incident | None]:
        incidents, self.others = self.others, {}
        return incidents

    def publish(self, name: str, incident: Incident | None) -> None:
        self.published.append((name, incident and incident.kind))

    def withdraw(self, name: str) -> None:
        self.withdrawn.append(name)

    async def claim(self, name: str, seconds: float) -> bool:
        return self.claims


@pytest.fixture
def shared() -> FakeSharedHealth:
    return FakeSharedHealth()


@pytest.fixture
def sharing(clock: Clock, shared: FakeSharedHealth) -> TargetPool:
    return pool_with(clock, shared)


def test_only_what_holds_for_all_callers_is_published(
    sharing: TargetPool, shared: FakeSharedHealth, clock: Clock
) -> None:
    succeed(sharing)
    fail(sharing)
    succeed(sharing)
    open_circuit(sharing)
    assert shared.published == []
    open_for_all(sharing, which=OTHER)
    clock.now += 31
    succeed(sharing, which=OTHER)
    fail(sharing, failure(429, retry_after=9), B)
    for caller in (ALICE, BOB, CAROL):
        fail(sharing, failure(401), OTHER, caller)
    assert shared.published == [
        (OTHER.key, "circuit_open"),
        (OTHER.key, None),
        (B.key, "rate_limited"),
        (OTHER.provider.identity, "auth_failed"),
    ]


def test_incidents_of_other_processes_are_taken_over(
    sharing: TargetPool, shared: FakeSharedHealth, clock: Clock
) -> None:
    shared.others = {A.key: Incident("circuit_open", clock.now + 30)}
    asyncio.run(sharing.health.pull())
    assert state(sharing) is TargetState.OPEN
    shared.others = {A.key: None}
    asyncio.run(sharing.health.pull())
    assert state(sharing) is TargetState.HEALTHY


def test_another_processs_half_open_call_is_waited_for(
    sharing: TargetPool, shared: FakeSharedHealth, clock: Clock
) -> None:
    open_for_all(sharing)
    clock.now += 31
    shared.claims = False
    assert admit(sharing) is None
    assert state(sharing) is TargetState.OPEN
    assert sharing.concurrency.in_use == {}
    shared.claims = True
    clock.now += 1.1
    succeed(sharing)
    assert state(sharing) is TargetState.HEALTHY


def test_an_inconclusive_half_open_call_withdraws_its_claim(
    sharing: TargetPool, shared: FakeSharedHealth, clock: Clock
) -> None:
    open_for_all(sharing)
    clock.now += 31
    permit = admit(sharing)
    assert permit is not None
    permit.release()
    assert shared.withdrawn == [A.key]
