"""Slots of a target: counted, limited, queued for, and always released."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from native_api.routing.concurrency import ConcurrencyLimiter
from tests.routing.target_pools import target
from tests.waiting import auntil

FREE = target("p/free")
TWO = target("p/two", max_concurrency_override=2)


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


async def settled() -> None:
    """Wait until everything that can happen now has happened."""
    for _ in range(10):
        await asyncio.sleep(0)


def test_without_a_limit_requests_are_only_counted() -> None:
    limiter = ConcurrencyLimiter()
    assert all(run(limiter.acquire(FREE)) for _ in range(100))
    assert limiter.in_use == {FREE.key: 100}
    for _ in range(100):
        limiter.release(FREE.key)
    assert limiter.in_use == {}


def test_slots_are_handed_out_in_order() -> None:
    async def work() -> None:
        limiter, served = ConcurrencyLimiter(queue_seconds=60), list[int]()

        async def come(number: int) -> None:
            assert await limiter.acquire(TWO)
            served.append(number)

        tasks = [asyncio.create_task(come(number)) for number in range(4)]
        await settled()
        assert served == [0, 1]
        limiter.release(TWO.key)
        late = asyncio.create_task(limiter.acquire(TWO))
        await settled()
        assert served == [0, 1, 2]
        limiter.release(TWO.key)
        await settled()
        assert served == [0, 1, 2, 3]
        limiter.release(TWO.key)
        assert await late
        await asyncio.gather(*tasks)
        assert limiter.in_use == {TWO.key: 2}

    run(work())


def test_no_more_calls_wait_than_there_are_slots() -> None:
    async def work() -> None:
        limiter = ConcurrencyLimiter(queue_seconds=60)
        assert await limiter.acquire(TWO)
        assert await limiter.acquire(TWO)
        waiting = [asyncio.create_task(limiter.acquire(TWO)) for _ in range(2)]
        await settled()
        assert not await limiter.acquire(TWO)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

    run(work())


def test_a_call_that_waits_too_long_gets_no_slot() -> None:
    async def work() -> None:
        limiter = ConcurrencyLimiter(queue_seconds=0.01)
        assert await limiter.acquire(TWO)
        assert await limiter.acquire(TWO)
        assert not await limiter.acquire(TWO)
        limiter.release(TWO.key)
        limiter.release(TWO.key)
        assert limiter.in_use == {}

    run(work())


@pytest.mark.parametrize("handed_over_before", [False, True])
def test_a_cancelled_waiter_loses_no_slot(handed_over_before: bool) -> None:
    async def work() -> None:
        limiter = ConcurrencyLimiter(queue_seconds=60)
        assert await limiter.acquire(TWO)
        assert await limiter.acquire(TWO)
        waiting = asyncio.create_task(limiter.acquire(TWO))
        await settled()
        if handed_over_before:
            limiter.release(TWO.key)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        if not handed_over_before:
            limiter.release(TWO.key)
        assert limiter.in_use == {TWO.key: 1}

    run(work())


def test_two_event_loops_share_the_slots() -> None:
    async def work() -> None:
        limiter = ConcurrencyLimiter(queue_seconds=60)
        assert await limiter.acquire(TWO)
        assert await limiter.acquire(TWO)
        elsewhere = asyncio.create_task(asyncio.to_thread(asyncio.run, limiter.acquire(TWO)))
        await auntil(lambda: limiter._queues, "the other loop to wait for a slot")
        limiter.release(TWO.key)
        assert await elsewhere
        assert limiter.in_use == {TWO.key: 2}

    run(work())
