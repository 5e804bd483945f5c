"""Targets and target pools for tests, with a clock that tests move."""

from __future__ import annotations

from typing import Any

from native_api.exceptions import ProviderFault, UpstreamError, UpstreamTimeout
from native_api.routing.health_states import SharedHealth, TargetState
from native_api.routing.pool import TargetPermit, TargetPool
from native_api.routing.route import Route, make_route
from native_api.types import Provider, Target


class Clock:
    """The wall clock and the steady clock. Only sleeping, or a test, moves it."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def pool_with(clock: Clock, shared: SharedHealth | None = None) -> TargetPool:
    return TargetPool(shared, clock, clock, clock.sleep)


def target(name: str, **options: Any) -> Target:
    """`p/m`: model m at provider p."""
    provider, _, model = name.partition("/")
    return Target(
        Provider(provider, "openai", "http://127.0.0.1:9/v1", identity=f"{provider}@1"),
        model,
        **options,
    )


def route_of(*targets: Target, strategy: Any = None, **options: Any) -> Route:
    return make_route(options.pop("name", "r"), targets, strategy, **options)


def failure(status: int = 500, retry_after: float | None = None) -> ProviderFault:
    return UpstreamError(
        "It failed.",
        upstream_status=status,
        status=429 if status == 429 else 502,
        retry_after=retry_after,
    )


def lost() -> ProviderFault:
    return UpstreamError("It is gone.", code="connection_lost")


def slow() -> ProviderFault:
    return UpstreamTimeout()


# --- calls by callers ----------------------------------------------------------------------------

A, B, OTHER = target("p/a"), target("p/b"), target("q/a")
ALICE, BOB, CAROL = "user 1", "user 2", "user 3"


def admit(pool: TargetPool, which: Target = A, caller: str = ALICE) -> TargetPermit | None:
    """The permit, without an event loop: without other processes and limits nothing waits."""
    try:
        pool.admit(which, caller).send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("The call waits.")


def fail(
    pool: TargetPool, fault: ProviderFault | None = None, which: Target = A, caller: str = ALICE
) -> None:
    permit = admit(pool, which, caller)
    assert permit is not None
    permit.record_failure(fault or failure())
    permit.release()


def succeed(pool: TargetPool, which: Target = A, caller: str = ALICE) -> None:
    permit = admit(pool, which, caller)
    assert permit is not None
    permit.record_success()
    permit.release()


def open_circuit(pool: TargetPool) -> None:
    for _ in range(5):
        fail(pool)
    assert state(pool) is TargetState.OPEN


def open_for_all(pool: TargetPool, which: Target = A) -> None:
    for caller in (ALICE, BOB, CAROL, ALICE, BOB):
        fail(pool, which=which, caller=caller)
    assert state(pool, which, "anybody") is TargetState.OPEN


def state(pool: TargetPool, which: Target = A, caller: str = ALICE) -> TargetState:
    return pool.health.state(which, caller)
