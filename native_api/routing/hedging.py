"""Hedging: if the first walk over a route's targets takes too long, a second one starts. The first
answer wins.

This costs what it saves: the loser's provider may have worked for nothing. The loser is cancelled
at once, and noted in `AttemptLog.hedged`, so that its usage is recorded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from native_api.routing.latency import LatencyTracker
from native_api.routing.route import P95, Route

T = TypeVar("T")


def hedge_delay(route: Route, latency: LatencyTracker, stream: bool) -> float | None:
    """Seconds after which the route's calls are hedged; None if they are not, or if there are too
    few samples yet."""
    if route.hedge_after == P95:
        return latency.percentile_95(route.name, stream)
    return route.hedge_after


async def race(
    walk: Callable[[], Coroutine[Any, Any, T | None]],
    seconds: float,
    discard: Callable[[T], Awaitable[None]],
) -> T | None:
    """The first answer of a walk and, if that takes longer than `seconds`, of a second one.

    `discard` gets every answer that is not returned. Cancelling cancels both walks.
    """
    walks = [asyncio.create_task(walk())]
    winner: T | None = None
    try:
        await asyncio.wait(walks, timeout=seconds)
        if not walks[0].done():
            walks.append(asyncio.create_task(walk()))
        winner = await _first_answer(walks)
    finally:
        await _end_walks(walks, winner, discard)
    return winner


async def _first_answer(walks: list[asyncio.Task[T | None]]) -> T | None:
    pending = set(walks)
    while pending:
        _, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        for walk in walks:
            answer = walk.result() if walk.done() else None
            if answer is not None:
                return answer
    return None


async def _end_walks(
    walks: list[asyncio.Task[T | None]], winner: T | None, discard: Callable[[T], Awaitable[None]]
) -> None:
    for walk in walks:
        walk.cancel()
    try:
        for result in await asyncio.gather(*walks, return_exceptions=True):
            if (
                result is not None
                and result is not winner
                and not isinstance(result, BaseException)
            ):
                await discard(result)
    except BaseException:
        if winner is not None:
            await discard(winner)
        raise
