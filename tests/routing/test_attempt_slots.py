"""Slots, cancellation and latency of attempts."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from native_api.exceptions import (
    NoTargetAvailable,
)
from native_api.routing import attempts
from native_api.routing.call_plan import CallPlan
from tests.routing.routing_site import (
    HI,
    Site,
    begins_then,
    both,
)
from tests.routing.target_pools import route_of
from tests.scripted_provider import (
    HELLO,
    completion,
    hello,
    stalls,
    streams,
)
from tests.servers import until


@both
def test_a_full_target_passes_calls_to_the_next_and_then_refuses(site: Site, stream: bool) -> None:
    gate = site.server.gate()
    script = streams(gate, *HELLO) if stream else (lambda exchange: _after(gate, exchange))
    first, second = (
        site.target("first", script, max_concurrency_override=1),
        site.target("second", script, max_concurrency_override=1),
    )
    site.pool.concurrency._queue_seconds = 0.01

    async def calls() -> list[Any]:
        one = asyncio.create_task(site.acall(first, second, stream=stream))
        await asyncio.to_thread(until, lambda: site.request_counts["first"], "the first call")
        two = asyncio.create_task(site.acall(first, second, stream=stream))
        await asyncio.to_thread(until, lambda: site.request_counts["second"], "the second call")
        with pytest.raises(NoTargetAvailable) as caught:
            await site.acall(first, second, stream=stream)
        gate.open()
        return [await one, await two, caught.value.headers["retry-after"]]

    assert site.run(calls) == ["Hello there", "Hello there", "1"]
    assert site.pool.concurrency.in_use == {}


async def _after(gate: Any, exchange: Any) -> None:
    await gate(exchange)
    await exchange.json(completion())


@both
def test_a_call_that_is_cancelled_leaves_nothing_behind(site: Site, stream: bool) -> None:
    first = site.target("first", stalls, max_concurrency_override=1)

    async def call() -> None:
        before = site.server.open_connections
        task = asyncio.create_task(site.acall(first, site.target("second"), stream=stream))
        await asyncio.to_thread(until, lambda: site.request_counts["first"], "the call")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert site.pool.concurrency.in_use == {}
        await asyncio.to_thread(
            until, lambda: site.server.open_connections <= before, "the connection to be closed"
        )

    site.run(call)
    assert site.request_counts == {"first": 1, "second": 0}


def test_a_closed_stream_releases_its_slot(site: Site) -> None:
    first = site.target("first", begins_then(stalls), max_concurrency_override=1)

    async def call() -> None:
        opened = await attempts.open_stream(
            {**HI, "stream": True}, CallPlan(route_of(first)), site.attempts, site.pool
        )
        async for _ in opened:
            break
        assert site.pool.concurrency.in_use == {first.key: 1}
        await opened.aclose()
        assert site.pool.concurrency.in_use == {}

    site.run(call)


def test_the_unread_deltas_of_a_stream_are_known(site: Site) -> None:
    async def call() -> None:
        opened = await attempts.open_stream(
            {**HI, "stream": True},
            CallPlan(route_of(site.target("first", begins_then(stalls)))),
            site.attempts,
            site.pool,
        )
        waiting = "".join(delta.get("content") or "" for delta in opened.unread_deltas())
        async for batch in opened:
            assert (
                waiting
                == "".join(
                    choice["delta"].get("content") or ""
                    for chunk in batch
                    for choice in chunk["choices"]
                )
                != ""
            )
            break
        assert not any(delta.get("content") for delta in opened.unread_deltas())
        await opened.aclose()

    site.run(call)


def test_the_fastest_target_is_found_by_measuring(site: Site) -> None:
    async def takes_a_second(exchange: Any) -> None:
        site.clock.now += 1
        await hello(exchange)

    slow, quick = site.target("slow", takes_a_second), site.target("quick")
    route: dict[str, Any] = {"strategy": "fastest"}
    for _ in range(6):
        site.call(slow, quick, stream=True, route=route)
    assert site.request_counts == {"slow": 1, "quick": 5}
