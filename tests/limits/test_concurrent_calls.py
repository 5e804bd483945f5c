"""200 concurrent calls against limits that admit exactly 37: from four processes with PostgreSQL
and Redis, from one process with SQLite, and with one process killed half way.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from native_api.usage import tokens
from tests.limits.api_client import COST, avoid_end_of_hour, get_limits, units
from tests.limits.conftest import (
    CHAT,
    PROMPT_TOKENS,
    Sites,
    answer_after,
    answer_with_usage,
    call_concurrently,
    native_api,
    postgres_sites,
    sqlite_site,
)
from tests.scripted_provider import Upstream
from tests.servers import Site
from tests.waiting import auntil, until

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
    "WINDOW": "hour",
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
    upstream.default_script = answer_with_usage


@pytest.fixture(scope="module", params=["postgres_and_redis", "sqlite"])
def sites(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, upstream: Upstream
) -> Iterator[Sites]:
    start = postgres_sites if request.param == "postgres_and_redis" else sqlite_site
    with start(
        tmp_path_factory.mktemp(request.param), native_api(upstream, [BUDGET, RATE, TOKENS, SLOTS])
    ) as sites:
        yield sites


def test_the_calls_reserve_what_they_use() -> None:
    chat: Any = CHAT
    assert tokens.prompt_tokens(chat) == PROMPT_TOKENS


def test_a_budget_admits_exactly_its_amount(sites: Sites) -> None:
    statuses = Counter(asyncio.run(call_concurrently(sites.processes, "up/budget", CALLS)))
    assert statuses == {200: ADMITTED, 402: CALLS - ADMITTED}
    until(lambda: recorded(sites, "up/budget") == CALLS, "the records")
    assert budget(sites) == (units(COST * ADMITTED), 0, 0)
    assert spent(sites, "up/budget") == COST * ADMITTED


@pytest.mark.parametrize("model", ["up/rate", "up/tokens"])
def test_a_rate_admits_exactly_its_amount(sites: Sites, model: str) -> None:
    avoid_end_of_hour()
    statuses = Counter(asyncio.run(call_concurrently(sites.processes, model, CALLS)))
    assert statuses == {200: ADMITTED, 429: CALLS - ADMITTED}


def test_as_many_calls_run_as_there_are_slots(sites: Sites, upstream: Upstream) -> None:
    for _ in range(2):
        statuses = asyncio.run(fill_slots(sites, upstream))
        assert statuses == {200: ADMITTED, 429: CALLS - ADMITTED}


async def fill_slots(sites: Sites, upstream: Upstream) -> Counter[int]:
    """The admitted calls end after all others were refused."""
    gate = upstream.gate()
    upstream.script("slots", answer_after(gate))
    answered: list[int] = []
    calls = asyncio.ensure_future(call_concurrently(sites.processes, "up/slots", CALLS, answered))
    await auntil(
        lambda: upstream.answering.count("slots") + len(answered) == CALLS,
        "each call to be admitted or refused",
    )
    gate.open()
    return Counter(await calls)


@pytest.mark.slow
def test_limits_are_exact_when_a_process_is_killed(tmp_path: Path, upstream: Upstream) -> None:
    with postgres_sites(tmp_path, native_api(upstream, [BUDGET, SLOTS, RATE])) as sites:
        avoid_end_of_hour()
        killed = asyncio.run(kill_one_process(sites, upstream))
        rest = sites.processes[1:]
        assert Counter(asyncio.run(call_concurrently(rest, "up/rate", CALLS))) == {429: CALLS}
        until(lambda: budget(sites)[1] == units(COST * killed), "the records of the others")
        assert budget(sites)[0] == units(COST * (ADMITTED - killed))
        sites.ask("UPDATE native_api_reservation SET expires_at = now()")
        assert Counter(asyncio.run(call_concurrently(rest, "up/budget", CALLS))) == {
            200: killed,
            402: CALLS - killed,
        }
        until(lambda: budget(sites)[1] == 0, "all records")
        assert budget(sites) == (units(COST * ADMITTED), 0, units(COST * killed))
        assert spent(sites, "up/budget") == COST * ADMITTED
        until(lambda: used_slots(rest[0]) == 0, "the slots of the dead to expire")
        assert asyncio.run(fill_slots(Sites(rest, sites.url), upstream)) == {
            200: ADMITTED,
            429: CALLS - ADMITTED,
        }


MODELS = ("budget", "slots", "rate")
FIRST = 10
"""Calls that the process to be killed admits before the others begin."""


async def kill_one_process(sites: Sites, upstream: Upstream) -> int:
    """Call all processes, and kill the first one while its calls wait for the provider. Returns how
    many calls it had admitted under the budget."""
    gate = upstream.gate()
    for model in MODELS:
        upstream.script(model, answer_after(gate))
    calls = [
        asyncio.ensure_future(call_concurrently(sites.processes[:1], f"up/{model}", FIRST))
        for model in MODELS
    ]
    await auntil(lambda: has_calls(upstream, FIRST), "the first calls")
    calls += [
        asyncio.ensure_future(call_concurrently(sites.processes, f"up/{model}", CALLS - FIRST))
        for model in MODELS
    ]
    await auntil(lambda: has_calls(upstream, ADMITTED), "all calls that are admitted")
    sites.processes[0].process.kill()
    gate.open()
    answered = [statuses.count(200) for statuses in await asyncio.gather(*calls)]
    for model in MODELS:
        upstream.scripts.pop(model)
    assert answered[: len(MODELS)] == [0] * len(MODELS)
    return ADMITTED - answered[len(MODELS)]


def has_calls(upstream: Upstream, count: int) -> bool:
    """Whether the provider has this many calls of each model."""
    return all(upstream.answering.count(model) >= count for model in MODELS)


def used_slots(site: Site) -> int:
    return int(get_limits(site, "up/slots")[0]["used"])


# --- what the database says ----------------------------------------------------------------------


def budget(sites: Sites) -> tuple[int, int, int]:
    (row,) = sites.ask("SELECT used, reserved, lost FROM native_api_budget")
    return int(row[0]), int(row[1]), int(row[2])


def recorded(sites: Sites, model: str) -> int:
    return int(
        sites.ask(f"SELECT count(*) FROM native_api_usagerecord WHERE model = '{model}'")[0][0]
    )


def spent(sites: Sites, model: str) -> Decimal:
    costs = sites.ask(
        f"SELECT cost FROM native_api_usagerecord WHERE model = '{model}' AND cost IS NOT NULL"
    )
    return sum((Decimal(cost) for (cost,) in costs), Decimal(0))
