"""Shows how many database connections one process needs: while calls are at work, and after.

    python -m benchmarks.connections [--calls 60]

One uvicorn process on PostgreSQL, with Redis for short windows if it runs, a budget and a limit of a
group. Three times, `--calls` calls begin at once on a chat model and as many on another one. The
server's own list of sessions is read every 20 ms meanwhile, and five seconds later.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psycopg

from benchmarks.gateway import mock_provider
from benchmarks.limits import REDIS, has_redis, postgres
from tests.servers import Site, environment_for, populate, running_site

MAX_AT_WORK = 6
MAX_AFTERWARDS = 1
SECONDS_AFTERWARDS = 5.0
ROUNDS = 3
MODELS = ("one", "two")
LIMITS = [
    {"SUBJECT": "everyone", "METRIC": "cost", "AMOUNT": "1000000", "WINDOW": "month"},
    {"SUBJECT": "group:staff", "METRIC": "requests", "AMOUNT": 10**6, "WINDOW": "minute"},
    {"SUBJECT": "each_user", "METRIC": "requests", "AMOUNT": 10**6, "WINDOW": "hour"},
]
CHAT = {"messages": [{"role": "user", "content": "Hi"}], "max_completion_tokens": 5}


@contextmanager
def running_gateway(folder: Path, database: str, provider: str) -> Iterator[Site]:
    shared = {"TEST_DATABASE_URL": database}
    if has_redis():
        shared |= {"CACHE_URL": REDIS, "CACHE_PREFIX": f"benchmark-{folder.name}"}
    key = populate(environment_for(folder, {}, **shared))
    price = {"INPUT": "1", "OUTPUT": "2"}
    settings = {
        "PROVIDERS": {
            "mock": {"DIALECT": "openai", "BASE_URL": provider, "API_KEY": "k", "PRICE": price}
        },
        "LIMITS": LIMITS,
        "THROTTLE_RATES": {"caller": "1000000/m", "failed_auth": "1000000/m"},
    }
    with running_site("uvicorn", folder, folder, key, settings, **shared) as site:
        yield site


class Sessions:
    """The gateway's sessions, as PostgreSQL lists them."""

    def __init__(self, database: str) -> None:
        self._connection = psycopg.connect(database, autocommit=True)
        self.most = 0

    def count(self) -> int:
        rows = self._connection.execute(
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        row = rows.fetchone()
        assert row is not None
        return int(row[0])

    async def watch(self) -> None:
        while True:
            self.most = max(self.most, self.count())
            await asyncio.sleep(0.02)


async def call(client: httpx.AsyncClient, site: Site, model: str) -> int:
    answer = await client.post(
        f"{site.url}/v1/chat/completions",
        headers=site.headers,
        json={"model": f"mock/{model}", **CHAT},
    )
    return answer.status_code


async def fire(site: Site, calls: int, sessions: Sessions) -> float:
    """All calls at once; the seconds until the last reply."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    async with httpx.AsyncClient(timeout=120, trust_env=False, limits=limits) as client:
        watching = asyncio.create_task(sessions.watch())
        began = time.perf_counter()
        statuses = await asyncio.gather(
            *(call(client, site, model) for model in MODELS for _ in range(calls))
        )
        seconds = time.perf_counter() - began
        watching.cancel()
    assert set(statuses) == {200}, statuses
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=60)
    calls = parser.parse_args().calls
    with tempfile.TemporaryDirectory() as folder, postgres() as database, mock_provider() as url:
        if not database:
            raise SystemExit("PostgreSQL is not running.")
        with running_gateway(Path(folder), database, url) as site:
            sessions = Sessions(database)
            asyncio.run(fire(site, 1, sessions))  # what a process does once
            seconds = [asyncio.run(fire(site, calls, sessions)) for _ in range(ROUNDS)]
            time.sleep(SECONDS_AFTERWARDS)
            print(f"at work:    {sessions.most:3} connections (at most {MAX_AT_WORK})")
            print(f"afterwards: {sessions.count():3} connections (at most {MAX_AFTERWARDS})")
            rates = ", ".join(f"{len(MODELS) * calls / each:.0f}" for each in seconds)
            print(f"speed:      {rates} calls/s")


if __name__ == "__main__":
    main()
