"""Circuits, limits and refused keys, in a time that passes only when a test says so."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

import pytest

from native_api.exceptions import ProviderFault, UpstreamError
from native_api.routing.health_states import NotShared, Standing, Trouble
from native_api.routing.pool import Fleet, Lease
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


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def fleet(clock: Clock) -> Fleet:
    return fleet_with(clock)


# --- circuits, as a caller meets them -----------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [failure(500), failure(503), failure(408), lost(), slow(), UpstreamError("nonsense in a 200")])
def test_five_failures_in_a_row_open_the_circuit(fleet: Fleet, fault: ProviderFault) -> None:
    for _ in range(4):
        fail(fleet, fault)
    assert standing(fleet) is Standing.GOOD
    fail(fleet, fault)
    assert standing(fleet) is Standing.OUT
    assert admit(fleet) is None
    assert standing(fleet, B) is Standing.GOOD


def test_a_success_in_between_begins_the_count_anew(fleet: Fleet) -> None:
    for _ in range(3):
        for _ in range(4):
            fail(fleet)
        succeed(fleet)
    assert standing(fleet) is Standing.GOOD


BAD_REQUEST = UpstreamError("bad", status=400, upstream_status=400)
TOO_LONG = UpstreamError("long", status=400, code="context_length_exceeded", upstream_status=400)
IN_A_200 = UpstreamError("filtered", status=400, code="content_policy_violation")
NO_SOCKET = UpstreamError("none left", code="no_connection_left")


@pytest.mark.parametrize("fault", [BAD_REQUEST, TOO_LONG, IN_A_200, NO_SOCKET], ids=lambda fault: fault.code)
def test_what_says_nothing_of_the_target_is_not_counted(fleet: Fleet, fault: ProviderFault) -> None:
    for caller in (ALICE, BOB, CAROL) * 20:
        fail(fleet, fault, caller=caller)
    assert [standing(fleet, A, caller) for caller in (ALICE, BOB, CAROL)] == [Standing.GOOD] * 3


def test_the_cool_down_doubles_up_to_five_minutes(fleet: Fleet, clock: Clock) -> None:
    open_circuit(fleet)
    for seconds in (30, 60, 120, 240, 300, 300):
        clock.now += seconds - 0.1
        assert standing(fleet) is Standing.OUT
        clock.now += 0.2
        assert standing(fleet) is Standing.TRIAL
        fail(fleet)


@pytest.mark.parametrize("fault", [failure(500), failure(401)])
def test_an_outage_may_last_for_days(fleet: Fleet, clock: Clock, fault: ProviderFault) -> None:
    for _ in range(5):
        fail(fleet, fault)
    for _ in range(1200):
        clock.now += 301
        assert standing(fleet) is Standing.TRIAL
        fail(fleet, fault)


def test_success_of_the_trial_closes_the_circuit_and_the_next_cool_down_is_short_again(fleet: Fleet, clock: Clock) -> None:
    open_circuit(fleet)
    clock.now += 31
    fail(fleet)
    clock.now += 61
    succeed(fleet)
    assert standing(fleet) is Standing.GOOD
    open_circuit(fleet)
    clock.now += 31
    assert standing(fleet) is Standing.TRIAL


def test_there_is_one_trial_at_a_time(fleet: Fleet, clock: Clock) -> None:
    open_circuit(fleet)
    clock.now += 31

    async def many() -> list[Lease | None]:
        return await asyncio.gather(*(fleet.admit(A, ALICE) for _ in range(50)))

    [trial] = [lease for lease in asyncio.run(many()) if lease is not None]
    assert admit(fleet) is None
    trial.release()
    assert admit(fleet) is not None, "a trial that was left shows nothing, so there is another"


def test_the_first_chunk_ends_a_trial_but_one_failure_opens_the_circuit_again(fleet: Fleet, clock: Clock) -> None:
    open_circuit(fleet)
    clock.now += 31
    lease = admit(fleet)
    assert lease is not None
    lease.began()
    assert standing(fleet) is Standing.GOOD
    lease.failed(lost())
    assert standing(fleet) is Standing.OUT
    clock.now += 59
    assert standing(fleet) is Standing.OUT, "for the next longer time"
    clock.now += 2
    assert standing(fleet) is Standing.TRIAL


def test_a_stream_is_a_success_only_at_its_end(fleet: Fleet) -> None:
    for _ in range(5):
        lease = admit(fleet)
        assert lease is not None
        lease.began()
        lease.failed(lost())
        lease.release()
    assert standing(fleet) is Standing.OUT


def test_calls_from_before_neither_close_nor_prolong(fleet: Fleet, clock: Clock) -> None:
    early = [admit(fleet) for _ in range(3)]
    open_circuit(fleet)
    for lease in early:
        assert lease is not None
        lease.failed(failure())
    clock.now += 29
    late = admit(fleet, B)
    assert late is not None
    for lease in early:
        assert lease is not None
        lease.succeeded()
    assert standing(fleet) is Standing.OUT
    clock.now += 2
    assert standing(fleet) is Standing.TRIAL


@pytest.mark.parametrize("fault", [failure(429, retry_after=7), failure(401), BAD_REQUEST])
def test_a_target_that_answers_a_trial_at_all_is_not_out_of_order(fleet: Fleet, clock: Clock, fault: ProviderFault) -> None:
    open_circuit(fleet)
    clock.now += 31
    fail(fleet, fault)
    assert standing(fleet) in (Standing.GOOD, Standing.LAST_RESORT)


def test_a_clock_that_was_put_back_does_not_keep_a_target_out(fleet: Fleet, clock: Clock) -> None:
    open_circuit(fleet)
    clock.now -= 3600
    assert standing(fleet) is Standing.TRIAL


def test_the_wait_is_that_of_the_first_to_come_back(fleet: Fleet, clock: Clock) -> None:
    open_circuit(fleet)
    clock.now += 10
    for _ in range(5):
        fail(fleet, which=B)
    assert fleet.health.wait_for([A, B], ALICE) == 20
    assert fleet.health.wait_for([A, B, OTHER], ALICE) is None


# --- limits ------------------------------------------------------------------------------------------------------


def test_a_429_makes_a_last_resort_for_its_retry_after(fleet: Fleet, clock: Clock) -> None:
    fail(fleet, failure(429, retry_after=20))
    assert standing(fleet) is Standing.LAST_RESORT
    clock.now += 20.1
    assert standing(fleet) is Standing.GOOD


def test_an_absurd_retry_after_is_cut(fleet: Fleet, clock: Clock) -> None:
    fail(fleet, failure(429, retry_after=9e9))
    clock.now += 300.1
    assert standing(fleet) is Standing.GOOD


def test_a_429_without_one_cools_for_five_seconds(fleet: Fleet, clock: Clock) -> None:
    fail(fleet, failure(429))
    clock.now += 4.9
    assert standing(fleet) is Standing.LAST_RESORT
    clock.now += 0.2
    assert standing(fleet) is Standing.GOOD


def test_a_later_429_prolongs_and_an_earlier_end_does_not_shorten(fleet: Fleet, clock: Clock) -> None:
    fail(fleet, failure(429, retry_after=20))
    fail(fleet, failure(429, retry_after=60))
    fail(fleet, failure(429, retry_after=2))
    clock.now += 59
    assert standing(fleet) is Standing.LAST_RESORT


def test_limits_are_no_failures(fleet: Fleet, clock: Clock) -> None:
    for _ in range(20):
        fail(fleet, failure(429, retry_after=0))
    assert standing(fleet) is Standing.GOOD


# --- keys --------------------------------------------------------------------------------------------------------


def test_401_concerns_all_of_the_provider(fleet: Fleet) -> None:
    fail(fleet, failure(401))
    assert [standing(fleet, each) for each in (A, B, OTHER)] == [Standing.LAST_RESORT, Standing.LAST_RESORT, Standing.GOOD]


@pytest.mark.parametrize("status", [402, 403])
def test_402_and_403_concern_one_target(fleet: Fleet, status: int) -> None:
    fail(fleet, failure(status))
    assert [standing(fleet, each) for each in (A, B)] == [Standing.LAST_RESORT, Standing.GOOD]


def test_a_success_with_the_key_ends_that(fleet: Fleet) -> None:
    fail(fleet, failure(401))
    succeed(fleet, B)
    assert standing(fleet) is Standing.GOOD


def test_another_key_or_address_is_another_matter(fleet: Fleet) -> None:
    fail(fleet, failure(401))
    fresh = target("p/a")
    changed = type(fresh.provider)("p", "openai", "http://127.0.0.1:9/v1", identity="p@2")
    assert standing(fleet, type(fresh)(changed, "a")) is Standing.GOOD


def test_a_refused_key_is_tried_in_its_usual_place_now_and_then(fleet: Fleet, clock: Clock) -> None:
    fail(fleet, failure(401))
    for seconds in (30, 60):
        clock.now += seconds + 0.1
        assert standing(fleet) is Standing.TRIAL
        fail(fleet, failure(401))
        assert standing(fleet) is Standing.LAST_RESORT


# --- shared ------------------------------------------------------------------------------------------------------


class Notices(NotShared):
    """A shared state in which tests read and write."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str | None]] = []
        self.others: dict[str, Trouble | None] = {}
        self.claims = True
        self.given_up: list[str] = []

    async def changes(self, names: Iterable[str]) -> Mapping[str, Trouble | None]:
        found, self.others = self.others, {}
        return found

    def tell(self, name: str, trouble: Trouble | None) -> None:
        self.told.append((name, trouble and trouble.kind))

    def give_up(self, name: str) -> None:
        self.given_up.append(name)

    async def claim(self, name: str, seconds: float) -> bool:
        return self.claims


@pytest.fixture
def notices() -> Notices:
    return Notices()


@pytest.fixture
def sharing(clock: Clock, notices: Notices) -> Fleet:
    return fleet_with(clock, notices)


def test_other_processes_are_told_of_every_change_for_all_and_of_nothing_else(sharing: Fleet, notices: Notices, clock: Clock) -> None:
    succeed(sharing)
    fail(sharing)
    succeed(sharing)
    open_circuit(sharing)
    assert notices.told == []
    open_for_all(sharing, which=OTHER)
    clock.now += 31
    succeed(sharing, which=OTHER)
    fail(sharing, failure(429, retry_after=9), B)
    for caller in (ALICE, BOB, CAROL):
        fail(sharing, failure(401), OTHER, caller)
    assert notices.told == [(OTHER.key, "failing"), (OTHER.key, None), (B.key, "limited"), (OTHER.provider.identity, "refused")]


def test_what_others_found_counts_here(sharing: Fleet, notices: Notices, clock: Clock) -> None:
    notices.others = {A.key: Trouble("failing", clock.now + 30)}
    asyncio.run(sharing.health.listen())
    assert standing(sharing) is Standing.OUT
    notices.others = {A.key: None}
    asyncio.run(sharing.health.listen())
    assert standing(sharing) is Standing.GOOD


def test_a_trial_of_another_process_is_waited_for(sharing: Fleet, notices: Notices, clock: Clock) -> None:
    open_for_all(sharing)
    clock.now += 31
    notices.claims = False
    assert admit(sharing) is None
    assert standing(sharing) is Standing.OUT
    assert sharing.slots.taken == {}
    notices.claims = True
    clock.now += 1.1
    succeed(sharing)
    assert standing(sharing) is Standing.GOOD


def test_a_trial_that_shows_nothing_gives_its_claim_up(sharing: Fleet, notices: Notices, clock: Clock) -> None:
    open_for_all(sharing)
    clock.now += 31
    lease = admit(sharing)
    assert lease is not None
    lease.release()
    assert notices.given_up == [A.key]
