"""Records into PostgreSQL: two processes record a thousand a second, with their daily totals, and
what that takes.

    python -m benchmarks.records --seconds 10

Each process stands for a server with callers, models and ends of all kinds. Told are the records
that reach the database a second, the backlog at the end, and the share of one core that each
recorder's thread took; all rows and totals are compared afterwards. TEST_POSTGRES_URL names the
server, in which a database is made for the time.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg

from tests.servers import ROOT, environment_for, manage

SERVER = os.environ.get("TEST_POSTGRES_URL", "postgres://postgres@127.0.0.1:5432/postgres")
PROCESSES = 2
EACH_PER_SECOND = 500
TICKS = 50
"""A second: a server's requests do not end all at once."""


@contextmanager
def database() -> Iterator[str]:
    name = f"native_benchmark_{secrets.token_hex(4)}"
    with psycopg.connect(SERVER, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        try:
            yield f"{SERVER.rpartition('/')[0]}/{name}"
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def record_for(seconds: float) -> dict[str, Any]:
    """In a process of its own: record at an even pace, and say what its thread took meanwhile."""
    import django

    django.setup()
    from django.contrib.auth import get_user_model

    from native_api.usage import recorder
    from native_api.usage.entry import UsageEntry

    user = get_user_model().objects.get().pk
    recorder.record(UsageEntry(model="warm", user_id=user))
    recorder.flush()
    began, cpu, recorded = time.perf_counter(), thread_seconds(), 0
    while (now := time.perf_counter() - began) < seconds:
        for _ in range(int(now * EACH_PER_SECOND) - recorded):
            recorder.record(UsageEntry(**some_request(user)))
            recorded += 1
        time.sleep(1 / TICKS)
    took = thread_seconds() - cpu
    backlog = recorder.health()["backlog"]
    began = time.perf_counter()
    assert recorder.flush(60)
    return {
        "recorded": recorded,
        "share": took / seconds,
        "backlog": backlog,
        "flush": time.perf_counter() - began,
    }


def some_request(user: int) -> dict[str, Any]:
    number = random.randrange(100)
    tokens = {"prompt_tokens": number, "completion_tokens": number, "total_tokens": 2 * number}
    names = {
        "user_id": user,
        "user_name": f"user {number}",
        "model": f"model-{number % 7}",
        "provider": f"p{number % 3}",
    }
    status = "ok" if number else "upstream_error"
    metadata = {"team": "research", "trace": secrets.token_hex(8)}
    return (
        {
            "request_id": secrets.token_hex(16),
            "status": status,
            "cost": Decimal("0.000123456789"),
            "metadata": metadata,
        }
        | names
        | tokens
    )


def thread_seconds() -> float:
    """Processor time of the recorder's thread, as the system counts it."""
    import threading

    [thread] = [each for each in threading.enumerate() if each.name == "native-api-usage"]
    clock = time.pthread_getcpuclockid(thread.ident)  # type: ignore[arg-type]
    return time.clock_gettime(clock)


def measure(url: str, folder: Path, seconds: float) -> None:
    environment = environment_for(folder, {}, TEST_DATABASE_URL=url, PYTHONWARNINGS="ignore")
    manage(environment, "migrate", "--verbosity", "0")
    manage(
        {**environment, "DJANGO_SUPERUSER_PASSWORD": "a"},
        "createsuperuser",
        "--noinput",
        "--username",
        "a",
        "--email",
        "a@b.example",
    )
    command = [sys.executable, "-m", "benchmarks.records", "--seconds", str(seconds), "--child"]
    started = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, cwd=ROOT)
        for _ in range(PROCESSES)
    ]
    results = [json.loads(process.communicate()[0]) for process in started]
    for number, result in enumerate(results, 1):
        per_second, waiting = (
            result["recorded"] / seconds,
            f"{result['backlog']} waiting at the end, written in {result['flush']:.2f} s",
        )
        print(
            f"{f'process {number}':24} {per_second:>8.0f} /s   thread {result['share']:>6.1%} of a core (below 30%)   {waiting}"
        )
    sustained = sum(result["recorded"] - result["backlog"] for result in results) / seconds
    print(f"{'written':24} {sustained:>8.0f} /s   (at least 950)")
    with psycopg.connect(url) as connection:
        [rows] = connection.execute("SELECT count(*) FROM native_api_usagerecord").fetchall()
        [totals] = connection.execute(
            "SELECT sum(requests), count(*) FROM native_api_dailyusage"
        ).fetchall()
    print(f"{'records, in totals':24} {rows[0]:>8}, {totals[0]} in {totals[1]} rows")
    print(manage(environment, "native_totals"))


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--seconds", type=float, default=10.0)
    arguments.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = arguments.parse_args()
    if options.child:
        print(json.dumps(record_for(options.seconds)))
        return
    with tempfile.TemporaryDirectory() as name, database() as url:
        measure(url, Path(name), options.seconds)


if __name__ == "__main__":
    main()
