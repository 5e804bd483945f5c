"""Hedged calls: two walks, one answer."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from native_api.routing.route import Route
from tests.routing.routing_site import (
    ERROR,
    QUICK,
    Site,
    both,
)
from tests.scripted_provider import (
    hello,
    says,
    stalls,
)
from tests.waiting import auntil, until

HEDGED: dict[str, Any] = {"hedge_after": 0.05}


@both
def test_a_late_first_token_starts_a_second_target_and_the_loser_is_cancelled(
    site: Site, stream: bool
) -> None:
    before = site.server.open_connections
    first, second = site.target("first", stalls), site.target("second")

    async def call() -> str:
        text = await site.acall(first, second, stream=stream, route=HEDGED)
        await asyncio.to_thread(
            until, lambda: site.server.open_connections <= before + 1, "the loser to be closed"
        )
        return text

    assert site.run(call) == "Hello there"
    assert site.attempts.count == 2
    assert site.attempts.target is second
    assert site.attempts.hedged == [(first, None)]
    assert site.pool.concurrency.in_use == {}


def test_the_first_target_may_still_win(site: Site) -> None:
    gate = site.server.gate()

    async def late(exchange: Any) -> None:
        await gate(exchange)
        await hello(exchange)

    async def asked_too(exchange: Any) -> None:
        gate.open()
        await stalls(exchange)

    first, second = site.target("first", late), site.target("second", asked_too)
    assert site.call(first, second, route=HEDGED) == "Hello there"
    assert site.attempts.target is first
    assert site.attempts.hedged == [(second, None)]


def test_a_quick_answer_is_not_hedged(site: Site) -> None:
    assert (
        site.call(site.target("first"), site.target("second"), route={"hedge_after": 60})
        == "Hello there"
    )
    assert site.request_counts == {"first": 1, "second": 0}


def test_if_one_walk_fails_the_other_goes_on(site: Site) -> None:
    first, second, third = (
        site.target("first", stalls, timeouts=QUICK),
        site.target("second", says(ERROR, 404)),
        site.target("third"),
    )
    assert site.call(first, second, third, route=HEDGED) == "Hello there"
    assert site.attempts.count == 3


def test_if_both_walks_fail_the_call_fails(site: Site) -> None:
    gate = site.server.gate()

    async def after_the_second(exchange: Any) -> None:
        await gate(exchange)
        await auntil(lambda: site.pool.concurrency.in_use == {first.key: 1}, "the second to fail")
        await exchange.json({"error": {"message": "the last word"}}, 404)

    async def before_the_first(exchange: Any) -> None:
        await exchange.json(ERROR, 404)
        gate.open()

    first = site.target("first", after_the_second)
    error = site.call_error(first, site.target("second", before_the_first), route=HEDGED)
    assert "the last word" in error.message


def test_a_hedged_call_that_is_cancelled_leaves_nothing_behind(site: Site) -> None:
    first, second = site.target("first", stalls), site.target("second", stalls)

    async def call() -> None:
        before = site.server.open_connections
        task = asyncio.create_task(site.acall(first, second, stream=True, route=HEDGED))
        await asyncio.to_thread(until, lambda: site.request_counts["second"], "the second target")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.to_thread(
            until, lambda: site.server.open_connections <= before, "both connections to be closed"
        )

    site.run(call)
    assert site.pool.concurrency.in_use == {}
    assert (site.attempts.target, site.attempts.hedged) == (second, [(first, None)])


def test_the_routes_own_percentile_is_used_once_there_is_one(site: Site) -> None:
    first, second = site.target("first", *[hello] * 20, stalls), site.target("second")
    route: dict[str, Any] = {"hedge_after": "p95"}
    for _ in range(20):
        site.call(first, second, route=route)
    assert site.request_counts == {"first": 20, "second": 0}
    assert site.pool.latency.percentile_95("r", False) == 0.0, "the clock stood still"
    assert site.call(first, second, route=route) == "Hello there"
    assert site.request_counts == {"first": 21, "second": 1}


def test_hedging_is_off_by_default() -> None:
    assert Route("r", ()).hedge_after is None
