"""Health shared between processes through Django's cache. Two instances over one cache stand for
two processes."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from django.core.cache import caches
from django.core.cache.backends.filebased import FileBasedCache
from django.test import override_settings

from native_api.background import ResourceUnavailable, executors
from native_api.background.threads import Call
from native_api.routing import health_sync, shared_cache
from native_api.routing.circuit_states import POSTPONE_SECONDS
from native_api.routing.conversation_tiers import ConversationTiers
from native_api.routing.health_states import TargetState
from native_api.routing.health_sync import HealthSync
from native_api.routing.pool import TargetPool
from native_api.routing.shared_cache import SharedCache
from tests.access.concurrent_requests import redis_cache
from tests.routing.target_pools import Clock, failure, pool_with, target
from tests.servers import until
from tests.waiting import auntil

REDIS = "redis://127.0.0.1:6379/2"
A = target("p/a")


def cache_of(kind: str, folder: Path, prefix: str) -> dict[str, Any]:
    if kind == "redis":
        return redis_cache(REDIS, prefix)
    return {
        "BACKEND": "django.core.cache.backends.filebased.FileBasedCache",
        "LOCATION": str(folder),
    }


@pytest.fixture(params=["redis", "files"])
def cache(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, Any]]:
    prefix = f"native-api-test-{uuid.uuid4().hex}"
    client = redis.Redis.from_url(REDIS)
    if request.param == "redis":
        try:
            client.ping()
        except redis.ConnectionError:
            pytest.skip("There is no Redis at 127.0.0.1:6379.")
    chosen = cache_of(request.param, tmp_path, prefix)
    with override_settings(CACHES={"default": chosen}):
        yield chosen
        flush(chosen)
        caches["default"].close()
    client.close()


def flush(chosen: dict[str, Any]) -> None:
    """Empty the cache, but for what other tests keep in the same Redis."""
    if "KEY_PREFIX" not in chosen:
        caches["default"].clear()
        return
    with redis.Redis.from_url(REDIS) as client:
        for name in client.scan_iter(f"*{chosen['KEY_PREFIX']}*"):
            client.delete(name)


class Process:
    """The health of one process, and its clock."""

    def __init__(self, wall: Clock) -> None:
        self.steady = Clock()
        cache = SharedCache(self.steady)
        self.sync, self.tiers = HealthSync(cache), ConversationTiers(cache)
        self.pool: TargetPool = pool_with(wall, self.sync)
        self.pool.health.watch((A.key, A.provider.identity))

    def fail(self, times: int, status: int = 500) -> None:
        """Each for another caller, until what there is to publish is published."""

        async def calls() -> None:
            for number in range(times):
                permit = await self.pool.admit(A, f"user {number}")
                assert permit is not None
                permit.record_failure(failure(status))
                permit.release()

        asyncio.run(calls())
        until(self._has_published, "the end of publishing")

    def _has_published(self) -> bool:
        publishing = self.sync._publishing
        return publishing is None or publishing.done()

    def state(self) -> TargetState:
        """As a call finds it that comes a while after the last one."""
        self.steady.now += health_sync.STALE_SECONDS + 1
        asyncio.run(self.pool.health.pull())
        return self.pool.health.state(A)

    def comes_to(self, state: TargetState) -> None:
        until(lambda: self.state() is state, f"{state!r}")


@pytest.fixture
def wall() -> Clock:
    return Clock()


@pytest.fixture
def two(cache: Any, wall: Clock) -> tuple[Process, Process]:
    return Process(wall), Process(wall)


def test_an_incident_is_shared_with_other_processes(two: tuple[Process, Process]) -> None:
    one, other = two
    one.fail(5)
    other.comes_to(TargetState.OPEN)


def test_an_incident_of_one_caller_is_not_shared(two: tuple[Process, Process]) -> None:
    one, other = two

    for _ in range(5):
        one.pool.health.record_failure(A, TargetState.HEALTHY, failure(), "user 1")
    assert one.pool.health.state(A, "user 1") is TargetState.OPEN
    assert one.sync._unpublished == {}
    assert other.state() is TargetState.HEALTHY
    one.pool.health.record_probe(A, failure())
    other.comes_to(TargetState.OPEN)


def test_the_end_of_an_incident_is_shared(two: tuple[Process, Process], wall: Clock) -> None:
    one, other = two
    one.fail(5)
    other.comes_to(TargetState.OPEN)
    wall.now += 31

    async def half_open_call() -> None:
        permit = await other.pool.admit(A)
        assert permit is not None
        permit.record_success()
        permit.release()

    asyncio.run(half_open_call())
    one.comes_to(TargetState.HEALTHY)


def test_a_new_process_knows_incidents_at_its_first_call(
    two: tuple[Process, Process], wall: Clock
) -> None:
    one, _ = two
    one.fail(3, status=401)
    late = Process(wall)
    until(lambda: not one.sync._publishing, "the incident to be published")
    late.comes_to(TargetState.DEGRADED)


@pytest.mark.parametrize("cache", ["redis"], indirect=True)
def test_one_process_makes_the_half_open_call(two: tuple[Process, Process], wall: Clock) -> None:
    one, other = two
    one.fail(5)
    other.comes_to(TargetState.OPEN)
    wall.now += 31

    async def both() -> list[bool]:
        return [
            permit is not None
            for permit in await asyncio.gather(*(each.pool.admit(A) for each in (*two, *two)))
        ]

    assert sum(asyncio.run(both())) == 1


def test_another_process_may_make_a_half_open_call_that_was_inconclusive(
    two: tuple[Process, Process], wall: Clock
) -> None:
    one, other = two
    one.fail(5)
    other.comes_to(TargetState.OPEN)
    wall.now += 31

    async def leave() -> None:
        permit = await one.pool.admit(A)
        assert permit is not None
        permit.release()

    def after_another_second() -> bool:
        wall.now += POSTPONE_SECONDS + 0.1
        return asyncio.run(other.pool.admit(A)) is not None

    asyncio.run(leave())
    until(after_another_second, "the half-open call")


def test_incidents_are_pulled_at_most_once_a_second(
    two: tuple[Process, Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, _ = two
    reads: list[Any] = []
    real = HealthSync._read
    monkeypatch.setattr(
        HealthSync, "_read", lambda self, names: reads.append(names) or real(self, names)
    )
    monkeypatch.setattr(executors.cache, "patience", 1e9)

    async def many() -> None:
        for _ in range(1000):
            one.steady.now += 0.01
            await one.pool.health.pull()
            assert one.sync._pulling is not None
            await asyncio.wrap_future(one.sync._pulling)

    asyncio.run(many())
    assert len(reads) == 10


def test_a_flushed_cache_does_not_end_known_incidents(
    two: tuple[Process, Process], cache: dict[str, Any]
) -> None:
    one, other = two
    one.fail(5)
    other.comes_to(TargetState.OPEN)
    flush(cache)
    assert one.state() is TargetState.OPEN
    assert other.state() is TargetState.OPEN


def test_a_value_of_another_version_is_ignored(two: tuple[Process, Process]) -> None:
    one, _ = two
    caches["default"].set(health_sync._key(A.key), {"kind": "new"}, 60)
    caches["default"].set(health_sync.CHANGE_KEY, "x", 60)
    assert one.state() is TargetState.HEALTHY


def test_a_conversations_tier_only_goes_up_in_every_process(two: tuple[Process, Process]) -> None:
    one, other = two
    assert asyncio.run(one.tiers.raise_tier("u:1", 1, 2)) == 1
    assert asyncio.run(other.tiers.raise_tier("u:1", 0, 2)) == 1
    assert asyncio.run(other.tiers.raise_tier("u:1", 2, 2)) == 2
    assert asyncio.run(one.tiers.raise_tier("u:1", 0, 2)) == 2
    assert asyncio.run(one.tiers.raise_tier("u:2", 0, 2)) == 0


# --- without a shared cache ----------------------------------------------------------------------


def test_a_cache_in_memory_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_cache, "threads", None)
    alone = Process(Clock())
    alone.fail(5)
    assert alone.state() is TargetState.OPEN
    assert asyncio.run(alone.tiers.raise_tier("u:1", 1, 2)) == 1
    assert asyncio.run(alone.tiers.raise_tier("u:1", 0, 2)) == 1


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_dead_cache_means_local_state_and_one_warning(
    wall: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    dead = redis_cache(f"redis://127.0.0.1:{closed_port()}/0", "x")
    with (
        override_settings(CACHES={"default": dead}),
        caplog.at_level(logging.WARNING, "native_api.background"),
    ):
        alone = Process(wall)
        alone.fail(5)
        assert alone.state() is TargetState.OPEN
        wall.now += 31
        alone.fail(2)
        assert alone.state() is TargetState.OPEN
        assert asyncio.run(alone.tiers.raise_tier("u:1", 1, 2)) == 1
        until(lambda: "cache does not answer" in caplog.text, "the warning")
    assert caplog.text.count("cache does not answer") == 1


@pytest.fixture
def hanging_cache(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """The reads of the cache, none of which is answered."""
    monkeypatch.setattr(executors.cache, "patience", 0.05)
    reads: list[Any] = []
    real = HealthSync._read
    monkeypatch.setattr(
        HealthSync, "_read", lambda self, names: reads.append(names) or real(self, names)
    )
    with socket.create_server(("127.0.0.1", 0)) as silent:
        hanging = redis_cache(f"redis://127.0.0.1:{silent.getsockname()[1]}/0", "x")
        hanging["OPTIONS"] = {"socket_timeout": 3}
        with override_settings(CACHES={"default": hanging}):
            yield reads


def test_a_hanging_cache_delays_no_call(wall: Clock, hanging_cache: list[Any]) -> None:
    alone = Process(wall)

    async def call() -> None:
        await alone.pool.health.pull()
        permit = await alone.pool.admit(A)
        assert permit is not None
        permit.release()
        alone.steady.now += 0.3

    async def outage_is_known() -> bool:
        await call()
        return executors.cache.is_down

    async def calls() -> None:
        await auntil(outage_is_known, "the outage to be known")
        for _ in range(20):
            await call()

    asyncio.run(calls())
    assert len(hanging_cache) == 1


def test_a_hanging_cache_delays_the_admin_once(wall: Clock, hanging_cache: list[Any]) -> None:
    alone = Process(wall)
    assert [alone.sync.pull_now([A.key]) for _ in range(5)] == [{}] * 5
    assert len(hanging_cache) == 1


def test_incidents_are_published_when_the_cache_is_back(wall: Clock, tmp_path: Path) -> None:
    flaky = {
        "default": {
            "BACKEND": "tests.routing.test_health_sync.FlakyCache",
            "LOCATION": str(tmp_path),
        }
    }
    with override_settings(CACHES=flaky):
        one, other = Process(wall), Process(wall)
        FlakyCache.broken.set()
        one.fail(5)
        until(lambda: one.sync._publishing is None and one.sync._unpublished, "the failure to tell")
        FlakyCache.broken.clear()
        assert other.state() is TargetState.HEALTHY
        until(
            lambda: {one.state(), other.state()} == {TargetState.OPEN},
            "both to know, while calls go on",
        )


def test_incidents_that_an_outage_kept_from_being_published_are_published_after_it(
    two: tuple[Process, Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It begins between the question whether the cache is down and the attempt to publish."""
    one, other = two

    def refuse(lane: Any, function: Any, *args: Any) -> Call[Any]:
        call = Call[Any](lane, function)
        call.set_exception(ResourceUnavailable("the cache does not answer"))
        return call

    with monkeypatch.context() as patch:
        patch.setattr(executors.cache, "submit", refuse)
        one.fail(5)
    assert other.state() is TargetState.HEALTHY
    until(
        lambda: {one.state(), other.state()} == {TargetState.OPEN},
        "both to know, while calls go on",
    )


class FlakyCache(FileBasedCache):
    broken = threading.Event()

    def set(self, *args: Any, **options: Any) -> None:
        if self.broken.is_set():
            raise OSError("broken")
        super().set(*args, **options)
