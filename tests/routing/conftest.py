from __future__ import annotations

from collections.abc import Iterator

import pytest

from native_api.routing.pool import TargetPool
from tests.routing.routing_site import Site
from tests.routing.target_pools import Clock, pool_with
from tests.scripted_provider import Upstream, running_upstream


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pool(clock: Clock) -> TargetPool:
    return pool_with(clock)


@pytest.fixture
def requested_probes(pool: TargetPool) -> list[tuple[str, str]]:
    """The probes that were asked for."""
    requested: list[tuple[str, str]] = []
    pool.health.request_probe = lambda target, caller: requested.append((str(target), caller))
    return requested


@pytest.fixture(scope="module")
def server() -> Iterator[Upstream]:
    with running_upstream() as running:
        yield running


@pytest.fixture
def site(server: Upstream) -> Site:
    return Site(server)
