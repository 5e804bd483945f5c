"""Sites with limits: real server processes that share a database and a cache, in front of one
scripted provider."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
import redis
from django.test import override_settings

from native_api.background import executors
from native_api.limits import budgets, estimates, reservations, rules, signals
from native_api.limits.counters import client, memory_store
from tests.scripted_provider import Exchange, Gate, Script, Upstream, hello, running_upstream
from tests.servers import Site, environment_for, populate, running_site, until
from tests.usage.conftest import POSTGRES, ask_postgres, templates  # noqa: F401  a fixture

REDIS = "redis://127.0.0.1:6379/9"
CHAT: dict[str, Any] = {"messages": [{"role": "user", "content": "Hi"}], "max_completion_tokens": 3}
PROMPT_TOKENS = 9
"""What the gateway estimates for CHAT and the scripted provider reports: so calls use what they
reserve."""


@pytest.fixture
def as_a_new_process() -> None:
    """Nothing is cached."""
    budgets._keys.clear()
    signals._reached.clear()


@pytest.fixture
def no_reservations() -> Iterator[None]:
    """Nothing is held before and after the test, and nothing of other tests is cached."""
    forget_reservations()
    reservations._threads.cache_clear()
    yield
    until(lambda: not client._pending_releases, "everything to be given back")
    executors.database.reset()
    forget_reservations()
    rules._current.clear()


def forget_reservations() -> None:
    memory_store.reset()
    budgets._keys.clear()


@pytest.fixture
def fresh_rules() -> Iterator[None]:
    """The rules are read again in this test, and after it."""
    rules.forget()
    yield
    rules._current.clear()


@pytest.fixture
def nothing_learned() -> Iterator[None]:
    """No target has answered in this process."""
    estimates._mean_output_tokens.clear()
    yield
    estimates._mean_output_tokens.clear()


@pytest.fixture
def set_limits() -> Iterator[Callable[..., None]]:
    """Sets the site's LIMITS."""
    with contextlib.ExitStack() as stack:

        def set_limits(*limits: dict[str, Any]) -> None:
            stack.enter_context(override_settings(NATIVE_API={"LIMITS": list(limits)}))

        yield set_limits


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with running_upstream() as server:
        yield server


def native_api(upstream: Upstream, limits: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    return {
        "PROVIDERS": {
            "up": {
                "DIALECT": "openai",
                "BASE_URL": upstream.url,
                "API_KEY": "sk-upstream",
                "PRICE": {"INPUT": "1.1", "OUTPUT": "2.3"},
            },
            "unpriced": {"DIALECT": "openai", "BASE_URL": upstream.url, "API_KEY": "sk-upstream"},
        },
        "LIMITS": limits,
        "ATTEMPTS": {"RETRIES": 0, "MAX": 1, "START_WITHIN": 100},
        "TIMEOUTS": {"CONNECT": 100, "FIRST_TOKEN": 100, "BETWEEN_TOKENS": 100, "TOTAL": 100},
        "THROTTLE_RATES": {"caller": "100000/m", "failed_auth": "100000/m"},
        **more,
    }


@dataclass
class Sites:
    """Processes of one site."""

    processes: list[Site]
    url: str
    """Of the database."""

    def ask(self, statement: str) -> list[tuple[Any, ...]]:
        if self.url.startswith("postgres"):
            return ask_postgres(self.url, statement)
        return [tuple(row) for row in self.processes[0].rows(statement)]


@contextlib.contextmanager
def postgres_sites(tmp_path: Path, settings: dict[str, Any], count: int = 4) -> Iterator[Sites]:
    """Processes that share PostgreSQL and Redis. Skips the test if there is none."""
    name, prefix = f"native_limits_{secrets.token_hex(4)}", f"limits-{secrets.token_hex(4)}"
    try:
        ask_postgres(POSTGRES, f"CREATE DATABASE {name}")
        redis.Redis.from_url(REDIS).ping()
    except (psycopg.OperationalError, redis.ConnectionError):
        pytest.skip("Needs PostgreSQL on port 5432 and Redis on port 6379.")
    url = f"{POSTGRES.rpartition('/')[0]}/{name}"
    shared = {"TEST_DATABASE_URL": url, "CACHE_URL": REDIS, "CACHE_PREFIX": prefix}
    try:
        key = populate(environment_for(tmp_path, {}, **shared))
        with contextlib.ExitStack() as stack:
            starting = [
                stack.enter_context(
                    running_site("uvicorn", tmp_path, tmp_path, key, settings, **shared)
                )
                for _ in range(count)
            ]
            yield Sites(starting, url)
    finally:
        ask_postgres(POSTGRES, f"DROP DATABASE {name} WITH (FORCE)")


@contextlib.contextmanager
def sqlite_site(tmp_path: Path, settings: dict[str, Any]) -> Iterator[Sites]:
    """One process with SQLite that counts in its memory."""
    key = populate(environment_for(tmp_path, {}))
    with running_site("uvicorn", tmp_path, tmp_path, key, settings) as site:
        yield Sites([site], "sqlite")


def completion(prompt_tokens: int, completion_tokens: int, **details: Any) -> dict[str, Any]:
    """A complete reply with this usage."""
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": "Hello there"},
        "finish_reason": "stop",
    }
    usage = {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
        **details,
    }
    return {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [choice],
        "usage": usage,
    }


async def answer_with_usage(exchange: Exchange) -> None:
    """Answer with the usage that the gateway reserves for CHAT."""
    await exchange.json(completion(PROMPT_TOKENS, 3))


async def answer_or_stream(exchange: Exchange) -> None:
    """Answer with usage, or stream if the request asks for it."""
    await (hello if exchange.received.body.get("stream") else answer_with_usage)(exchange)


def answer_after(gate: Gate) -> Script:
    """Answer with usage once the test opens the gate."""

    async def script(exchange: Exchange) -> None:
        await gate(exchange)
        await answer_with_usage(exchange)

    return script


async def post(client: httpx.AsyncClient, site: Site, model: str, **more: Any) -> int:
    """Return the status; 0 if the process has died."""
    try:
        answer = await client.post(
            f"{site.url}/v1/chat/completions",
            headers=site.headers,
            json={"model": model, **CHAT, **more},
        )
    except httpx.HTTPError:
        return 0
    return answer.status_code


async def call_concurrently(
    sites: list[Site], model: str, count: int, answered: list[int] | None = None, **more: Any
) -> list[int]:
    """Return the statuses of concurrent calls, spread over the processes. `answered` has them as
    they come."""
    statuses = [] if answered is None else answered
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    async with httpx.AsyncClient(timeout=100, trust_env=False, limits=limits) as client:

        async def one(number: int) -> None:
            statuses.append(await post(client, sites[number % len(sites)], model, **more))

        await asyncio.gather(*map(one, range(count)))
    return statuses


from tests.limits.stores import kind, store  # noqa: E402, F401  fixtures
