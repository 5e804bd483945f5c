"""Shows what routing costs: microseconds a request with 100 targets, and what a dead first target
adds once its circuit is open.

    python -m benchmarks.routing [--seconds 3]

The first part is everything that routing does for a call, with a provider that answers at once:
pulling health, choosing, taking a slot, measuring, recording the outcome, releasing the slot. The
second is over real HTTP: a route whose first target refuses connections, compared with one that has
only the second.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.gateway import CHAT, load, mock_provider
from native_api.routing.attempts import AttemptLoop
from native_api.routing.call_plan import CallPlan
from native_api.routing.health_states import Incident
from native_api.routing.pool import TargetPermit, TargetPool
from native_api.routing.route import Route, make_route
from native_api.routing.strategies import hash_conversation
from native_api.types import Json, Provider, Target, Usage
from native_api.types.config import STRATEGIES
from native_api.upstream.attempt_log import AttemptLog
from native_api.upstream.prepared_request import PreparedRequest
from tests.servers import make_template, running_site

TARGETS = 100
ROUNDS = 5000
LIMIT_MICROSECONDS = 50.0
LIMIT_MILLISECONDS = 5.0


def route_of_hundred(strategy: Any, weights: bool = False) -> Route:
    providers = [
        Provider(f"p{number}", "openai", "http://127.0.0.1:9/v1", identity=f"p{number}@1")
        for number in range(10)
    ]
    targets = [
        Target(providers[number % 10], f"m{number}", 1 + number % 7 * weights)
        for number in range(TARGETS)
    ]
    return make_route("r", targets, strategy)


@dataclass(slots=True)
class EmptyReply:
    """A reply without content."""

    target: Target
    usage: Usage | None = None

    def unread_deltas(self) -> list[Json]:
        return []

    async def aclose(self) -> None:
        pass


async def reply_at_once(
    prepared: PreparedRequest, permit: TargetPermit, attempts: AttemptLog
) -> EmptyReply:
    permit.record_success()
    permit.release()
    return EmptyReply(permit.target)


async def routing_cost(route: Route, pool: TargetPool, conversations: bool = False) -> float:
    """Microseconds of one call's routing in the fastest of five runs; the others show what else the
    machine did."""
    runs = []
    for _ in range(5):
        started = time.perf_counter()
        for number in range(ROUNDS // 5):
            plan = CallPlan(
                route, conversation=hash_conversation(f"user:{number}") if conversations else None
            )
            await AttemptLoop(CHAT, plan, AttemptLog(), pool, reply_at_once).run()
        runs.append((time.perf_counter() - started) / (ROUNDS // 5) * 1e6)
    return min(runs)


def pool_with_incidents() -> TargetPool:
    """Ten circuits are open and ten targets rate-limited."""
    pool = TargetPool()
    for number in range(20):
        kind: Any = "circuit_open" if number % 2 else "rate_limited"
        pool.health.apply({f"p{number % 10}@1/m{number}": Incident(kind, time.time() + 300)})
    return pool


async def measure_choosing() -> dict[str, float]:
    rows = {
        f"{strategy}, all healthy": await routing_cost(
            route_of_hundred(strategy, strategy == "weighted"), TargetPool()
        )
        for strategy in STRATEGIES
    }
    rows |= {
        f"{strategy}, 20 unhealthy": await routing_cost(
            route_of_hundred(strategy, strategy == "weighted"), pool_with_incidents()
        )
        for strategy in STRATEGIES
    }
    rows["conversation, equal weights"] = await routing_cost(
        route_of_hundred("ordered"), TargetPool(), conversations=True
    )
    rows["conversation, different weights"] = await routing_cost(
        route_of_hundred("weighted", weights=True), TargetPool(), conversations=True
    )
    rows["conversation, 20 unhealthy"] = await routing_cost(
        route_of_hundred("weighted", weights=True), pool_with_incidents(), conversations=True
    )
    return rows


def measure_calls(seconds: float) -> dict[str, dict[str, float]]:
    with tempfile.TemporaryDirectory() as name, mock_provider() as upstream:
        folder = Path(name)
        (folder / "template").mkdir()
        key = make_template(folder / "template")
        second = {"PROVIDER": "mock", "MODEL": "mock", "PRIORITY": 1}
        native_api = {
            "PROVIDERS": {
                "mock": {"DIALECT": "openai", "BASE_URL": upstream, "API_KEY": "k"},
                "dead": {"DIALECT": "openai", "BASE_URL": "http://127.0.0.1:9/v1", "API_KEY": "k"},
            },
            "MODELS": {
                "fine": {"TARGETS": [second]},
                "lame": {"TARGETS": [{"PROVIDER": "dead", "MODEL": "x"}, second]},
            },
            "THROTTLE_RATES": {"caller": "10000000/m"},
        }
        with running_site(
            "uvicorn", folder, folder / "template", key, native_api, LOG_LEVEL="ERROR"
        ) as site:
            url = f"{site.url}/v1/chat/completions"
            load(url, 4, 2.0, headers=site.headers, body={**CHAT, "model": "lame"})
            return {
                model: load(url, 1, seconds, headers=site.headers, body={**CHAT, "model": model})
                for model in ("fine", "lame")
            }


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--seconds", type=float, default=3.0)
    seconds = arguments.parse_args().seconds
    print(f"Routing one request among {TARGETS} targets (limit {LIMIT_MICROSECONDS:g} µs)")
    for name, microseconds in asyncio.run(measure_choosing()).items():
        print(f"  {name:40} {microseconds:>7.1f} µs")
    rows = measure_calls(seconds)
    print("A call at the median, 1 in flight")
    for model, label in (
        ("fine", "one target"),
        ("lame", "a dead target before it, its circuit open"),
    ):
        median, p99 = rows[model]["median_ms"], rows[model]["p99_ms"]
        print(f"  {label:45} {median:>7.3f} ms   p99 {p99:>8.3f} ms")
    added = rows["lame"]["median_ms"] - rows["fine"]["median_ms"]
    print(f"  {'added':45} {added:>7.3f} ms (limit {LIMIT_MILLISECONDS:g} ms)")


if __name__ == "__main__":
    main()
