"""When the gateway itself calls a target: what one caller met alone is checked, and nobody can make
it check often."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from native_api.background.loop import run
from native_api.exceptions import UpstreamError
from native_api.gateway.connection_test import (
    CALLER_INTERVAL_SECONDS,
    TARGET_INTERVAL_SECONDS,
    HealthProbes,
)
from native_api.routing.health_states import TargetState
from native_api.routing.pool import TargetPool
from native_api.types import Provider, Target
from native_api.usage.entry import UsageEntry
from tests.routing.target_pools import Clock, pool_with, target
from tests.scripted_provider import Upstream, cuts, hello, running_upstream, says

A, B = target("p/a"), target("p/b")
ALICE, BOB = "user 1", "user 2"
ERROR = {"error": {"message": "out of sorts"}}


class Noted(HealthProbes):
    """Notes what it would probe."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(pool_with(clock), clock)
        self.probed: list[tuple[str, float]] = []

    async def _run(self, target: Target, wait: float = 0.0) -> None:
        self.probed.append((str(target), wait))

    def after(self, *asked: tuple[Target, str]) -> list[tuple[str, float]]:
        """What is probed, and after how many seconds."""
        for each in asked:
            self.schedule(*each)
        run(asyncio.sleep(0))  # behind what was asked for, on the same loop
        return self.probed


@pytest.fixture(autouse=True)
def _records_stay_here(records: list[UsageEntry]) -> None:
    """Probes are recorded. The recorder's thread would write into the tests that come later."""


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def noted(clock: Clock) -> Noted:
    return Noted(clock)


def test_a_target_is_probed_once_per_interval_over_all_callers(noted: Noted, clock: Clock) -> None:
    assert noted.after((A, ALICE), (A, BOB), (A, ALICE)) == [("p/a", 0)]
    clock.now += TARGET_INTERVAL_SECONDS - 0.1
    assert noted.after((A, BOB)) == [("p/a", 0)]
    clock.now += 0.2
    assert noted.after((A, BOB)) == [("p/a", 0), ("p/a", 0)]


def test_one_caller_causes_few_probes_and_does_not_delay_others(noted: Noted, clock: Clock) -> None:
    made_up = [(target(f"p/{number}"), ALICE) for number in range(100)]
    turns = [
        (f"p/{number}", pytest.approx(number * CALLER_INTERVAL_SECONDS)) for number in range(5)
    ]
    assert noted.after(*made_up, (B, BOB)) == [*turns, ("p/b", 0)]
    clock.now += CALLER_INTERVAL_SECONDS
    assert len(noted.after(*made_up)) == 7


def test_remembered_probes_are_bounded(noted: Noted) -> None:
    for number in range(5000):
        noted.schedule(target(f"p/{number}"), f"user {number}")
    assert len(noted._not_before) <= 4096


# --- over real HTTP ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server() -> Iterator[Upstream]:
    with running_upstream() as running:
        yield running


@pytest.fixture
def pool(clock: Clock) -> TargetPool:
    return pool_with(clock)


def probed(server: Upstream, pool: TargetPool, script: Any, **more: Any) -> Target:
    """A target that one caller found out of order, after the probe."""
    server.requests.clear()
    server.script("m", script)
    tried = Target(Provider("up", "openai", server.url, identity="up@1"), "m", **more)
    for _ in range(5):
        pool.health.record_failure(
            tried, TargetState.HEALTHY, UpstreamError("It failed.", upstream_status=500), ALICE
        )
    run(HealthProbes(pool)._run(tried))
    return tried


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "script",
    [says(ERROR, 500), says(b"nonsense"), says(ERROR), cuts],
    ids=["500", "nonsense", "error in a 200", "reset"],
)
def test_a_failed_probe_opens_the_circuit_for_all(
    server: Upstream, pool: TargetPool, script: Any
) -> None:
    tried = probed(server, pool, script)
    assert len(server.requests_for("m")) == 1
    assert pool.health.state(tried, BOB) is TargetState.OPEN


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("status", [401, 402, 403, 429])
def test_a_refused_probe_degrades_the_target_for_all(
    server: Upstream, pool: TargetPool, status: int
) -> None:
    assert pool.health.state(probed(server, pool, says(ERROR, status)), BOB) is TargetState.DEGRADED


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "script", [hello, says(ERROR, 400), says(ERROR, 404)], ids=["answer", "400", "404"]
)
def test_a_good_probe_keeps_the_target_healthy_for_all_other_callers(
    server: Upstream, pool: TargetPool, script: Any
) -> None:
    tried = probed(server, pool, script)
    assert [pool.health.state(tried, caller) for caller in (ALICE, BOB)] == [
        TargetState.OPEN,
        TargetState.HEALTHY,
    ]


def test_a_target_without_a_free_slot_is_not_probed(server: Upstream, pool: TargetPool) -> None:
    pool.concurrency.in_use["up@1/m"] = 1
    tried = probed(server, pool, says(ERROR, 500), max_concurrency_override=1)
    assert server.requests_for("m") == []
    assert pool.health.state(tried, BOB) is TargetState.HEALTHY
