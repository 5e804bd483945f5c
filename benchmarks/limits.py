"""What limits cost a call: milliseconds to reserve before it and to settle after it, for four
limits of which one is a budget. And what estimates cost: microseconds for a body of 100 messages on
each wire, compared with building and encoding it.

    python -m benchmarks.limits [--calls 500]

All kinds take turns in one process, so other load on the machine affects all of them. The time that
a call waits is measured, including the hop to the database's thread. Its record is written after
the answer, as in production. A kind whose server does not run is left out.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import secrets
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import dj_database_url

TARGET_MILLISECONDS = 1.5
POSTGRES = os.environ.get("TEST_POSTGRES_URL", "postgres://postgres@127.0.0.1:5432/postgres")
REDIS = os.environ.get("TEST_REDIS_URL", "redis://127.0.0.1:6379/9")
SHORT = [
    {"SUBJECT": "each_user", "METRIC": "requests", "AMOUNT": 10**9, "WINDOW": "minute"},
    {"SUBJECT": "each_user", "METRIC": "tokens", "AMOUNT": 10**11, "WINDOW": "minute"},
    {"SUBJECT": "everyone", "METRIC": "requests", "AMOUNT": 10**9, "WINDOW": "hour"},
]
BUDGET = {"SUBJECT": "each_user", "METRIC": "cost", "AMOUNT": "1000000", "WINDOW": "month"}

KINDS: dict[str, tuple[list[dict[str, Any]], str, str]] = {
    "no limit": ([], "memory", "sqlite"),
    "3 short windows in memory": (SHORT, "memory", "sqlite"),
    "3 short windows in Redis": (SHORT, "redis", "sqlite"),
    "the same in memory, 1 budget in SQLite": ([*SHORT, BUDGET], "memory", "sqlite"),
    "the same in memory, 1 budget in PostgreSQL": ([*SHORT, BUDGET], "memory", "postgres"),
    "the same in Redis, 1 budget in SQLite": ([*SHORT, BUDGET], "redis", "sqlite"),
    "the same in Redis, 1 budget in PostgreSQL": ([*SHORT, BUDGET], "redis", "postgres"),
}
"""Name -> limits, cache, database."""


@contextmanager
def postgres() -> Iterator[str]:
    """Yield the URL of a new database; "" if there is no server."""
    import psycopg

    name = f"native_benchmark_{secrets.token_hex(4)}"
    try:
        with psycopg.connect(POSTGRES, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
    except psycopg.OperationalError:
        yield ""
        return
    try:
        yield f"{POSTGRES.rpartition('/')[0]}/{name}"
    finally:
        with psycopg.connect(POSTGRES, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def has_redis() -> bool:
    import redis

    try:
        return bool(redis.Redis.from_url(REDIS).ping())
    except redis.ConnectionError:
        return False


class Router:
    """Routes everything to one database at a time."""

    alias = "sqlite"

    def db_for_read(self, model: Any, **hints: Any) -> str:
        return Router.alias

    db_for_write = db_for_read


def set_up(folder: Path, url: str) -> None:
    """Load the gateway's settings and create its databases."""
    os.environ.update(
        DJANGO_SETTINGS_MODULE="gatewayproject.settings",
        JOURNAL_DIR=str(folder / "journal"),
        LOG_LEVEL="ERROR",
    )
    import django
    from django.conf import settings

    sqlite = {"default": settings.DATABASES["default"] | {"NAME": str(folder / "default.sqlite3")}}
    sqlite["sqlite"] = sqlite["default"] | {"NAME": str(folder / "db.sqlite3")}
    settings.DATABASES = sqlite | (
        {"postgres": dj_database_url.parse(url, conn_max_age=60, conn_health_checks=True)}
        if url
        else {}
    )
    settings.DATABASE_ROUTERS = [Router()]
    django.setup()
    migrate(settings.DATABASES)


def migrate(aliases: Iterable[str]) -> None:
    from django.core.management import call_command

    for Router.alias in aliases:
        call_command("migrate", database=Router.alias, verbosity=0)


def use(kind: str) -> None:
    """Use the limits, cache and database of this kind, with nothing cached of the last one."""
    from django.test.utils import override_settings

    from native_api.limits import budgets, reservations, rules

    limits, cache, Router.alias = KINDS[kind]
    override_settings(
        NATIVE_API={"LIMITS": limits, "JOURNAL_DIR": os.environ["JOURNAL_DIR"]},
        CACHES={"default": CACHES[cache]},
    ).enable()
    rules.forget()
    budgets._keys.clear()
    reservations._database_threads.cache_clear()


CACHES = {
    "memory": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
    "redis": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS,
        "KEY_PREFIX": secrets.token_hex(8),
    },
}


def make_call() -> Callable[[], Awaitable[float]]:
    """Return a function that makes a call as the gateway does and returns the milliseconds that its
    limits took."""
    from native_api.limits.reservations import CallReservation
    from native_api.routing.call_plan import CallPlan
    from native_api.routing.route import make_route
    from native_api.types import Caller, Provider, Target
    from native_api.upstream.prepared_request import prepare
    from native_api.usage import recorder
    from native_api.usage.entry import UsageEntry

    price = {"INPUT": Decimal("0.15"), "OUTPUT": Decimal("0.60")}
    target = Target(Provider("p", "openai", "http://127.0.0.1:9/v1"), "m", price=price)
    plan = CallPlan(make_route("m", [target]))
    caller = Caller(user_id=1, user_name="u")
    chat: Any = {
        "model": "m",
        "messages": [{"role": "user", "content": "Hello there. " * 50}],
        "max_tokens": 200,
    }

    async def call() -> float:
        entry = UsageEntry(
            model="m", provider="p", provider_model="m", completion_tokens=100, total_tokens=300
        )
        entry.cost = Decimal("0.0001")
        prepared = prepare(chat, target)
        started = time.perf_counter()
        reservation = CallReservation(chat, plan, entry.id)
        await reservation.load_rules(caller)
        await reservation.reserve(plan.route, prepared)
        reservation.settle([entry], "m")
        milliseconds = (time.perf_counter() - started) * 1000
        recorder.record(entry)
        return milliseconds

    return call


async def time_calls(calls: int) -> list[float]:
    """Return the milliseconds of these calls, with a pause before each."""
    call, milliseconds = make_call(), []
    for _ in range(WARM_UP_CALLS + calls):
        await asyncio.sleep(PAUSE_SECONDS)
        milliseconds.append(await call())
    return milliseconds[WARM_UP_CALLS:]


def time_commits(alias: str, count: int) -> list[float]:
    """Return the milliseconds of committed one-row updates: reserving cannot be faster."""
    from django.db import connections

    from native_api.models import Budget

    milliseconds = []
    with connections[alias].cursor() as cursor:
        for _ in range(count):
            time.sleep(PAUSE_SECONDS)
            started = time.perf_counter()
            cursor.execute(f"UPDATE {Budget._meta.db_table} SET lost = lost + 1")
            milliseconds.append((time.perf_counter() - started) * 1000)
    return milliseconds


COMPARISON = "for comparison: one UPDATE, committed, in {}"
WARM_UP_CALLS = 5
PAUSE_SECONDS = 0.002
CALLS_PER_TURN = 50


def measure(kinds: Sequence[str], calls: int) -> dict[str, list[float]]:
    from native_api.background import run
    from native_api.usage import recorder

    aliases = {kind: KINDS[kind][2] for kind in kinds if BUDGET in KINDS[kind][0]}
    results: dict[str, list[float]] = {
        kind: [] for kind in [*kinds, *map(COMPARISON.format, aliases.values())]
    }
    for _ in range(-(-calls // CALLS_PER_TURN)):
        for kind in kinds:
            use(kind)
            results[kind] += run(time_calls(CALLS_PER_TURN))
            recorder.flush(30)
        for alias in sorted(set(aliases.values())):
            results[COMPARISON.format(alias)] += time_commits(alias, CALLS_PER_TURN)
    return results


def show_estimates() -> None:
    """Print the time to estimate text, and a body that is searched for media."""
    from benchmarks.translation import DIALECTS, MESSAGES, best, conversation, target_for
    from native_api.upstream.prepared_request import prepare
    from native_api.usage.tokens import may_hold_media, sent_tokens

    chat = conversation()
    print(f"Estimating a request of {MESSAGES} messages, processor time")
    for name in DIALECTS:
        target = target_for(name)
        prepared = prepare(chat, target)
        building = best(lambda: prepare(chat, target), 0.2)  # noqa: B023  called at once
        text = best(lambda: sent_tokens(prepared.body, prepared.content, may_hold_media(chat)), 0.2)  # noqa: B023
        media = best(lambda: sent_tokens(prepared.body, prepared.content), 0.2)  # noqa: B023
        print(
            f"  {name:18} building and encoding {building:>7.1f} µs   text {text:>6.1f} µs"
            f"   with media {media:>6.1f} µs"
        )


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--calls", type=int, default=500)
    calls = arguments.parse_args().calls
    with tempfile.TemporaryDirectory() as folder, postgres() as url:
        set_up(Path(folder), url)
        available = {
            "sqlite",
            "memory",
            *(["postgres"] if url else []),
            *(["redis"] if has_redis() else []),
        }
        show_estimates()
        kinds = [kind for kind, (_, *servers) in KINDS.items() if available.issuperset(servers)]
        show(measure(kinds, calls))
        from django.db import connections

        connections.close_all()


def show(results: dict[str, list[float]]) -> None:
    without_limits = median(results["no limit"])
    print(
        f"What limits add to a call, {len(results['no limit'])} calls of each kind "
        f"(target below {TARGET_MILLISECONDS:g} ms at the median)"
    )
    for kind, milliseconds in results.items():
        added = median(milliseconds) - without_limits * (kind in KINDS)
        p95 = quantiles(milliseconds, n=20)[-1]
        print(f"  {kind:52} {added:>7.3f} ms   p95 {p95:>8.3f} ms")


if __name__ == "__main__":
    main()
