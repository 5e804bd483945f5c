"""A Redis and a PostgreSQL that hang: both are waited for once, and then by nobody."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
import redis

from tests.hanging_proxy import HangingProxy, hanging_proxy
from tests.limits.api_client import call, get, limit
from tests.limits.conftest import REDIS, answer_with_usage, call_concurrently, native_api
from tests.scripted_provider import Upstream
from tests.servers import Site, environment_for, populate, running_site, until
from tests.usage.conftest import POSTGRES, ask_postgres

LIMITS = [
    limit("budget", "cost", "100", "month"),
    limit("rate", "requests", 10_000, "hour"),
    limit("rate", "concurrent_requests", 1000),
]
MODELS = ("up/budget", "up/rate", "up/free")


def proxy_of(url: str) -> Any:
    parts = urlsplit(url)
    return hanging_proxy(parts.hostname or "", parts.port or 0)


def through(proxy: HangingProxy, url: str) -> str:
    parts = urlsplit(url)
    return url.replace(f"{parts.hostname}:{parts.port}", f"127.0.0.1:{proxy.port}")


class HangingServers:
    def __init__(self, database: HangingProxy, cache: HangingProxy) -> None:
        self.database, self.cache = database, cache
        self.both = (database, cache)

    def waiting_counts(self) -> list[int]:
        return [each.waiting_count for each in self.both]


@pytest.fixture(scope="module")
def servers() -> Iterator[HangingServers]:
    try:
        ask_postgres(POSTGRES, "SELECT 1")
        redis.Redis.from_url(REDIS).ping()
    except (psycopg.OperationalError, redis.ConnectionError):
        pytest.skip("Needs PostgreSQL on port 5432 and Redis on port 6379.")
    with proxy_of(POSTGRES) as database, proxy_of(REDIS) as cache:
        yield HangingServers(database, cache)


@pytest.fixture(scope="module")
def site(
    tmp_path_factory: pytest.TempPathFactory, upstream: Upstream, servers: HangingServers
) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("hanging")
    name = f"native_hanging_{secrets.token_hex(4)}"
    ask_postgres(POSTGRES, f"CREATE DATABASE {name}")
    url = f"{POSTGRES.rpartition('/')[0]}/{name}"
    try:
        key = populate(environment_for(folder, {}, TEST_DATABASE_URL=url))
        shared = {
            "TEST_DATABASE_URL": through(servers.database, url),
            "CACHE_URL": through(servers.cache, REDIS),
            "CACHE_PREFIX": name,
            "PATIENCE": "production",
        }
        settings = native_api(upstream, LIMITS)
        with running_site("uvicorn", folder, folder, key, settings, **shared) as running:
            yield running
            for each in servers.both:
                each.go_on()
    finally:
        ask_postgres(POSTGRES, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def running(site: Site, servers: HangingServers, upstream: Upstream) -> Iterator[Site]:
    upstream.default_script = answer_with_usage
    until(lambda: statuses(site) == [200, 200, 200], "a working site")
    yield site
    for each in servers.both:
        each.go_on()
    until(lambda: get(site, "../health/ready").json()["status"] == "ok", "the end of the outage")


def statuses(site: Site) -> list[int]:
    return [call(site, model).status_code for model in MODELS]


def many_statuses(site: Site) -> set[int]:
    """Of 20 calls at once of each model that needs no database."""
    return {
        status
        for model in MODELS[1:]
        for status in asyncio.run(call_concurrently([site], model, 20))
    }


def test_a_cache_that_hangs_is_waited_for_once(running: Site, servers: HangingServers) -> None:
    servers.cache.hang()
    assert statuses(running) == [200, 200, 200]
    until(lambda: servers.cache.waiting_count >= 2, "the probe to wait")
    waiting = servers.cache.waiting_count
    assert waiting <= 3, "one call, the probe, and the health of targets"
    assert statuses(running) == [200, 200, 200]
    assert many_statuses(running) == {200}
    assert servers.cache.waiting_count == waiting
    assert running.log().count("The cache does not answer") == 1


def test_a_database_that_hangs_is_waited_for_once(running: Site, servers: HangingServers) -> None:
    servers.database.hang()
    assert statuses(running) == [503, 200, 200]
    waiting = servers.database.waiting_count
    assert statuses(running) == [503, 200, 200]
    assert many_statuses(running) == {200}
    assert asyncio.run(call_concurrently([running], "up/budget", 20)) == [503] * 20
    assert get(running, "usage").status_code == 503
    assert servers.database.waiting_count <= waiting + 2, "the probe and the recorder"
    assert running.log().count("The database does not answer") == 1


def test_if_both_hang_each_is_waited_for_once(running: Site, servers: HangingServers) -> None:
    for each in servers.both:
        each.hang()
    assert statuses(running) == [503, 200, 200]
    database, cache = servers.waiting_counts()
    for _ in range(3):
        assert statuses(running) == [503, 200, 200]
    assert many_statuses(running) == {200}
    assert asyncio.run(call_concurrently([running], "up/budget", 20)) == [503] * 20
    later = servers.waiting_counts()
    assert later[0] <= database + 2, "the probe and the recorder"
    assert later[1] <= cache + 1, "the probe"
