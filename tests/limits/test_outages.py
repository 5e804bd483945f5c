"""Limits while the database or the cache is down: budgets are enforced, rates are not."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from tests.limits.api_client import (
    avoid_end_of_hour,
    call,
    error_of,
    get,
    get_limits,
    limit,
    limit_and_remaining,
    running_call,
)
from tests.limits.conftest import (
    REDIS,
    Sites,
    answer_after,
    answer_with_usage,
    native_api,
    postgres_sites,
)
from tests.scripted_provider import Exchange, Upstream
from tests.servers import Site, environment_for, free_port, populate, running_site, until
from tests.usage.conftest import refusing_connections

LIMITS = [
    limit("budget", "cost", "1", "month"),
    limit("rate", "requests", 100, "hour"),
    limit("tight", "requests", 1, "hour"),
    limit("flushed", "requests", 2, "hour"),
    limit("flushed", "tokens", 100, "hour"),
    limit("slot", "concurrent_requests", 1),
]


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[Sites]:
    with postgres_sites(
        tmp_path_factory.mktemp("outages"), native_api(upstream, LIMITS), count=1
    ) as running:
        yield running


@pytest.fixture
def site(sites: Sites) -> Site:
    return sites.processes[0]


@pytest.fixture(autouse=True)
def scripts(upstream: Upstream) -> None:
    upstream.scripts.clear()
    upstream.default_script = answer_with_usage


def test_without_the_database_only_calls_with_a_budget_are_refused(
    sites: Sites, site: Site, upstream: Upstream
) -> None:
    avoid_end_of_hour()
    assert [call(site, model).status_code for model in ("up/budget", "up/rate", "up/free")] == [
        200,
        200,
        200,
    ]
    with refusing_connections(sites.url):
        seen = len(upstream.requests_for("budget"))
        refused = call(site, "up/budget")
        assert (refused.status_code, error_of(refused)["code"], refused.headers["retry-after"]) == (
            503,
            "database_unavailable",
            "5",
        )
        assert len(upstream.requests_for("budget")) == seen
        answers = [call(site, model) for model in ("up/rate", "up/free")]
        assert [answer.status_code for answer in answers] == [200, 200]
        assert limit_and_remaining(answers[0], "requests") == ("100", "98")
        limit_status = get(site, "usage")
        assert (
            limit_status.status_code,
            error_of(limit_status)["code"],
            limit_status.headers["retry-after"],
        ) == (
            503,
            "database_unavailable",
            "5",
        )
    until(lambda: call(site, "up/budget").status_code == 200, "the budget")
    until(
        lambda: sites.ask("SELECT count(*) FROM native_api_reservation") == [(0,)],
        "the reservations",
    )


def test_connections_that_the_database_dropped_cost_no_call_an_error(
    sites: Sites, site: Site
) -> None:
    for _ in range(3):
        assert [call(site, model).status_code for model in ("up/budget", "up/rate")] == [200, 200]
        assert get(site, "usage").status_code == 200
        sites.ask(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        assert [get(site, "usage").status_code for _ in range(5)] == [200] * 5
        assert call(site, "up/budget").status_code == 200


def test_a_flushed_cache_counts_from_zero(site: Site, upstream: Upstream) -> None:
    """A call that runs during the flush and fails gives nothing back."""
    avoid_end_of_hour()
    assert [call(site, "up/flushed").status_code for _ in range(3)] == [200, 200, 429]
    flush(site)
    gate = upstream.gate()

    async def fail_after(exchange: Exchange) -> None:
        await gate(exchange)
        await exchange.json({"error": {"message": "no"}}, 400)

    upstream.script("flushed", fail_after)
    with running_call(site, "up/flushed", upstream, status=400):
        flush(site)
        gate.open()
    upstream.scripts.clear()
    assert [call(site, "up/flushed").status_code for _ in range(3)] == [200, 200, 429]
    assert used(site, "up/flushed") == {"requests": 2, "tokens": 24}


def test_a_flushed_slot_is_held_again(site: Site, upstream: Upstream) -> None:
    gate = upstream.gate()
    upstream.script("slot", answer_after(gate))
    with running_call(site, "up/slot", upstream):
        flush(site)
        with running_call(site, "up/slot", upstream):
            until(lambda: upstream.answering.count("slot") == 2, "the second call")
            assert call(site, "up/slot").status_code == 429
            gate.open()
    upstream.scripts.clear()
    until(lambda: call(site, "up/slot").status_code == 200, "the slot")
    until(lambda: get_limits(site, "up/slot")[0]["used"] == 0, "the slot")


def used(site: Site, model: str) -> dict[str, int]:
    """The used units of the limits on this model, by metric."""
    return {status["metric"]: status["used"] for status in get_limits(site, model)}


def flush(site: Site) -> None:
    """Delete this site's keys only: other tests use the same server."""
    client = redis.Redis.from_url(REDIS)
    for key in client.scan_iter(f"{site.environment['CACHE_PREFIX']}*"):
        client.delete(key)


def test_without_the_cache_only_budgets_are_enforced(tmp_path: Path, upstream: Upstream) -> None:
    more = {"CACHE_URL": f"redis://127.0.0.1:{free_port()}/0", "CACHE_PREFIX": secrets.token_hex(4)}
    key = populate(environment_for(tmp_path, {}, **more))
    settings = native_api(upstream, [*LIMITS, limit("bound", "requests", 1, "day")])
    with running_site("uvicorn", tmp_path, tmp_path, key, settings, **more) as running:
        assert [call(running, "up/tight").status_code for _ in range(3)] == [200, 200, 200]
        assert [call(running, "up/bound").status_code for _ in range(3)] == [200, 429, 429]
        until(lambda: running.usage(model="up/bound", status="ok"), "the record")
        rate, budget = get_limits(running, "up/tight")[0], get_limits(running, "up/bound")[0]
        assert (rate["limit"], rate["used"], rate["left"], rate["has_room"]) == (
            1,
            None,
            None,
            True,
        )
        assert (budget["used"] + budget["reserved"], budget["left"], budget["has_room"]) == (
            1,
            0,
            False,
        )
        assert running.log().count("limits of short windows are not enforced") == 1


def test_a_file_cache_counts_exactly(tmp_path: Path, upstream: Upstream) -> None:
    avoid_end_of_hour()
    more = {"CACHE_URL": str(tmp_path / "cache")}
    key = populate(environment_for(tmp_path, {}, **more))
    with running_site(
        "uvicorn", tmp_path, tmp_path, key, native_api(upstream, LIMITS), **more
    ) as running:
        assert [call(running, "up/flushed").status_code for _ in range(3)] == [200, 200, 429]
        assert used(running, "up/flushed") == {"requests": 2, "tokens": 24}
