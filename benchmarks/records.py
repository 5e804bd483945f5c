"""Recording into PostgreSQL: two processes write a thousand records a second, with daily totals.

    python -m benchmarks.records --seconds 10

Each process stands for a server, with various callers, models and statuses. The output is the
number of records that reach the database per second, the backlog at the end, and the share of one
core that each recorder's thread used; all rows and totals are compared afterwards.
TEST_POSTGRES_URL is the server, in which a database is created for the benchmark.
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
RECORDS_PER_SECOND = 500
TICKS_PER_SECOND = 50
"""Records are spread over the second, like the requests of a server."""


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
    """In a child process: record at an even pace, and measure the recorder's thread."""
    import django

    django.setup()
    from django.contrib.auth import get_user_model

    from native_api.usage import recorder
    from native_api.usage.entry import UsageEntry

    user = get_user_model().objects.get().pk
    recorder.record(UsageEntry(model="warm-up", user_id=user))
    recorder.flush()
    began, cpu, recorded = time.perf_counter(), thread_seconds(), 0
    while (now := time.perf_counter() - began) < seconds:
        for _ in range(int(now * RECORDS_PER_SECOND) - recorded):
            recorder.record(UsageEntry(**random_request(user)))
            recorded += 1
        time.sleep(1 / TICKS_PER_SECOND)
    thread_time = thread_seconds() - cpu
    backlog = recorder.health()["backlog"]
    began = time.perf_counter()
    assert recorder.flush(60)
    return {
        "recorded": recorded,
        "share": thread_time / seconds,
        "backlog": backlog,
        "flush": time.perf_counter() - began,
    }


def random_request(user: int) -> dict[str, Any]:
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
    """The processor time of the recorder's thread."""
    import threading

    [thread] = [each for each in threading.enumerate() if each.name == "native-api-usage"]
    clock = time.pthread_getcpuclockid(thread.ident)  # type: ignore[arg-type]
    return time.clock_gettime(clock)


def measure(url: str, directory: Path, seconds: float) -> None:
    environment = environment_for(directory, {}, TEST_DATABASE_URL=url, PYTHONWARNINGS="ignore")
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
    _report(url, environment, results, seconds)


def _report(
    url: str, environment: dict[str, str], results: list[dict[str, Any]], seconds: float
) -> None:
    for number, result in enumerate(results, 1):
        print(
            f"{f'process {number}':24} {result['recorded'] / seconds:>8.0f} /s   "
            f"thread {result['share']:>6.1%} of a core (below 30%)   "
            f"{result['backlog']} waiting at the end, written in {result['flush']:.2f} s"
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
