"""200 calls at once against limits that admit exactly 37, from four processes with PostgreSQL and
Redis, and from one with SQLite.

And the same with one process killed in the middle.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from native_api.limits import counters, reservations
from native_api.usage import tokens
from tests.limits.api_client import COST, away_from_the_end_of, units
from tests.limits.conftest import (
    CHAT,
    PROMPT_TOKENS,
    Sites,
    at_once,
    held_by,
    native_api,
    on_postgres,
    on_sqlite,
    tells_what_was_used,
)
from tests.scripted_provider import Upstream
from tests.servers import until

ADMITTED, CALLS = 37, 200
BUDGET = {
    "SUBJECT": "each_user",
    "METRIC": "cost",
    "AMOUNT": str(COST * ADMITTED),
    "WINDOW": "month",
    "MODELS": "up/budget",
}
RATE = {
    "SUBJECT": "everyone",
    "METRIC": "requests",
    "AMOUNT": ADMITTED,
    "WINDOW": "minute",
    "MODELS": "up/rate",
}
TOKENS = {
    "SUBJECT": "each_user",
    "METRIC": "tokens",
    "AMOUNT": ADMITTED * (PROMPT_TOKENS + 3),
    "WINDOW": "hour",
    "MODELS": "up/tokens",
}
SLOTS = {
    "SUBJECT": "everyone",
    "METRIC": "concurrent_requests",
    "AMOUNT": ADMITTED,
    "MODELS": "up/slots",
}


@pytest.fixture(autouse=True)
def scripts(upstream: Upstream) -> None:
    upstream.otherwise = tells_what_was_used


@pytest.fixture(scope="module", params=["postgres_and_redis", "sqlite"])
def sites(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, upstream: Upstream
) -> Iterator[Sites]:
    start = on_postgres if request.param == "postgres_and_redis" else on_sqlite
    with start(
        tmp_path_factory.mktemp(request.param), native_api(upstream, [BUDGET, RATE, TOKENS, SLOTS])
    ) as running:
        yield running


def test_the_calls_reserve_what_they_use() -> None:
    chat: Any = CHAT
    assert tokens.prompt_tokens(chat) == PROMPT_TOKENS


def test_a_budget_admits_exactly_its_amount(sites: Sites) -> None:
    statuses = Counter(asyncio.run(at_once(sites.processes, "up/budget", CALLS)))
    assert statuses == {200: ADMITTED, 402: CALLS - ADMITTED}
    until(lambda: recorded(sites, "up/budget") == CALLS, "the records")
    assert budget(sites) == (units(COST * ADMITTED), 0, 0)
    assert spent(sites, "up/budget") == COST * ADMITTED


@pytest.mark.parametrize("model", ["up/rate", "up/tokens"])
def test_a_rate_admits_exactly_its_amount(sites: Sites, model: str) -> None:
    away_from_the_end_of("minute")
    statuses = Counter(asyncio.run(at_once(sites.processes, model, CALLS)))
    assert statuses == {200: ADMITTED, 429: CALLS - ADMITTED}


def test_as_many_calls_run_as_there_are_slots(
    sites: Sites, upstream: Upstream
) -> None:
    for _ in range(2):
        statuses = asyncio.run(in_their_slots(sites, upstream))
        assert statuses == {200: ADMITTED, 429: CALLS - ADMITTED}


async def in_their_slots(running: Sites, upstream: Upstream) -> Counter[int]:
    """The ones that are let in end when all others were answered."""
    gate = upstream.gate()
    upstream.script("slots", held_by(gate))
    calls = asyncio.ensure_future(at_once(running.processes, "up/slots", CALLS))
    seen = len(upstream.seen("slots"))
    while upstream.answering.count("slots") < ADMITTED:
        await asyncio.sleep(0.02)
    assert len(upstream.seen("slots")) - seen <= ADMITTED
    await asyncio.sleep(1)
    gate.open()
    return Counter(await calls)


@pytest.mark.slow
def test_limits_are_exact_when_a_process_is_killed(tmp_path: Path, upstream: Upstream) -> None:
    settings = native_api(
        upstream,
        [BUDGET, SLOTS, RATE],
        TIMEOUTS={"CONNECT": 5, "FIRST_TOKEN": 6, "BETWEEN_TOKENS": 6, "TOTAL": 6},
    )
    with on_postgres(tmp_path, settings) as running:
        away_from_the_end_of("minute")
        killed = asyncio.run(killing_one(running, upstream))
        rest = running.processes[1:]
        assert Counter(asyncio.run(at_once(rest, "up/rate", CALLS))) == {429: CALLS}
        until(lambda: budget(running)[1] == units(COST * killed), "the records of the others")
        assert budget(running)[0] == units(COST * (ADMITTED - killed))
        until(
            lambda: expired(running),
            "the reservations of the dead",
            1 + 6 + reservations.EXPIRY_GRACE_SECONDS + 5,
        )
        assert Counter(asyncio.run(at_once(rest, "up/budget", CALLS))) == {
            200: killed,
            402: CALLS - killed,
        }
        until(lambda: budget(running)[1] == 0, "all records")
        assert budget(running) == (units(COST * ADMITTED), 0, units(COST * killed))
        assert spent(running, "up/budget") == COST * ADMITTED
        time.sleep(max(0.0, counters.SLOT_TTL_SECONDS - reservations.EXPIRY_GRACE_SECONDS))
        assert asyncio.run(in_their_slots(Sites(rest, running.url), upstream)) == {
            200: ADMITTED,
            429: CALLS - ADMITTED,
        }


MODELS = ("budget", "slots", "rate")
FIRST = 10
"""Calls that the process to be killed lets in before the others come."""


async def killing_one(running: Sites, upstream: Upstream) -> int:
    """Calls to all; the first process is killed while its calls wait for the provider. How many it
    had let in under the budget."""
    gate = upstream.gate()
    for model in MODELS:
        upstream.script(model, held_by(gate))
    calls = [
        asyncio.ensure_future(at_once(running.processes[:1], f"up/{model}", FIRST))
        for model in MODELS
    ]
    await answering(upstream, FIRST)
    calls += [
        asyncio.ensure_future(at_once(running.processes, f"up/{model}", CALLS - FIRST))
        for model in MODELS
    ]
    await answering(upstream, ADMITTED)
    running.processes[0].process.kill()
    gate.open()
    answered = [statuses.count(200) for statuses in await asyncio.gather(*calls)]
    for model in MODELS:
        upstream.scripts.pop(model)
    assert answered[: len(MODELS)] == [0] * len(MODELS)
    return ADMITTED - answered[len(MODELS)]


async def answering(upstream: Upstream, count: int) -> None:
    """Wait until so many calls of each model are with the provider."""
    while any(upstream.answering.count(model) < count for model in MODELS):
        await asyncio.sleep(0.02)


def expired(running: Sites) -> bool:
    return running.ask("SELECT count(*) FROM native_api_reservation WHERE expires_at > now()") == [
        (0,)
    ]


# --- what the database says -----------------------------------------------------------------------


def budget(running: Sites) -> tuple[int, int, int]:
    (found,) = running.ask("SELECT used, reserved, lost FROM native_api_budget")
    return int(found[0]), int(found[1]), int(found[2])


def recorded(running: Sites, model: str) -> int:
    return int(
        running.ask(f"SELECT count(*) FROM native_api_usagerecord WHERE model = '{model}'")[0][0]
    )


def spent(running: Sites, model: str) -> Decimal:
    costs = running.ask(
        f"SELECT cost FROM native_api_usagerecord WHERE model = '{model}' AND cost IS NOT NULL"
    )
    return sum((Decimal(cost) for (cost,) in costs), Decimal(0))
