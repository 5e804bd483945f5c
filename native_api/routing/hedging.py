"""Hedging: a second walk over a route's targets is started when the first takes too long. The first
answer wins.

It costs what it saves: the provider of the one that lost may have worked for nothing. The loser is
cancelled at once, and `AttemptLog.hedged` tells of it, so that its usage is recorded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from native_api.routing.latency import LatencyTracker
from native_api.routing.route import P95, Route

T = TypeVar("T")


def delay(route: Route, speeds: LatencyTracker, stream: bool) -> float | None:
    """Seconds after which the route's calls are hedged; None where they are not, or not yet enough
    is known."""
    if route.hedge_after == P95:
        return speeds.percentile_95(route.name, stream)
    return route.hedge_after


async def race(
    walk: Callable[[], Coroutine[Any, Any, T | None]],
    seconds: float,
    lose: Callable[[T], Awaitable[None]],
) -> T | None:
    """The first answer of a walk and, if that takes longer than `seconds`, of a second one.

    `lose` is given every answer that is not returned. Cancelling cancels both walks.
    """
    walks = [asyncio.create_task(walk())]
    winner: T | None = None
    try:
        await asyncio.wait(walks, timeout=seconds)
        if not walks[0].done():
            walks.append(asyncio.create_task(walk()))
        winner = await _first_answer(walks)
    finally:
        await _end(walks, winner, lose)
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


async def _end(
    walks: list[asyncio.Task[T | None]], winner: T | None, lose: Callable[[T], Awaitable[None]]
) -> None:
    for walk in walks:
        walk.cancel()
    try:
        for ended in await asyncio.gather(*walks, return_exceptions=True):
            if ended is not None and ended is not winner and not isinstance(ended, BaseException):
                await lose(ended)
    except BaseException:
        if winner is not None:
            await lose(winner)
        raise
