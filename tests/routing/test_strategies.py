"""Which target is next."""

from __future__ import annotations

import random
from collections import Counter
from decimal import Decimal
from typing import Any

import pytest

from native_api.routing.health_states import Incident
from native_api.routing.pool import TargetPool
from native_api.routing.route import Route, blended_price
from native_api.routing.strategies import (
    AVAILABLE,
    DEGRADED,
    RequestTraits,
    candidates,
    hash_conversation,
)
from tests.routing.target_pools import Clock, pool_with, route_of, target

ANY = RequestTraits()
A, B, C = target("p/a"), target("p/b"), target("q/c")


@pytest.fixture
def pool(clock: Clock) -> TargetPool:
    random.seed(4)
    return pool_with(clock)


def order(
    route: Route, pool: TargetPool, traits: RequestTraits = ANY, states: Any = AVAILABLE
) -> list[str]:
    return [each.model for each in candidates(route, pool, traits, set(), states)]


def first(route: Route, pool: TargetPool, traits: RequestTraits = ANY) -> str:
    return next(candidates(route, pool, traits, set(), AVAILABLE)).model


def shares(route: Route, pool: TargetPool, calls: int = 4000) -> dict[str, float]:
    counts = Counter(first(route, pool) for _ in range(calls))
    return {model: counts[model] / calls for model in sorted(counts)}


def incident(pool: TargetPool, name: str, kind: Any, seconds: float = 30.0) -> None:
    pool.health.apply({name: Incident(kind, pool.clock() + seconds)})


def test_targets_come_as_listed_and_each_once(pool: TargetPool) -> None:
    assert order(route_of(A, B, C), pool) == ["a", "b", "c"]


def test_the_lower_priority_comes_first(pool: TargetPool) -> None:
    assert order(
        route_of(target("p/late", priority=2), target("p/b", priority=1), target("p/a")), pool
    ) == ["a", "b", "late"]


def test_weights_share_the_calls_of_a_priority(pool: TargetPool) -> None:
    route = route_of(
        target("p/a", weight=3),
        target("p/b", weight=1),
        target("p/c", weight=0),
        target("p/never", priority=1, weight=9),
    )
    assert route.strategy == "weighted"
    assert shares(route, pool) == {
        "a": pytest.approx(0.75, abs=0.03),
        "b": pytest.approx(0.25, abs=0.03),
    }
    assert sorted(order(route, pool)[:3]) == ["a", "b", "c"]
    assert order(route, pool)[3] == "never"


def test_weights_share_what_an_absent_target_leaves(pool: TargetPool) -> None:
    incident(pool, A.key, "circuit_open")
    route = route_of(A, target("p/b", weight=3), target("q/c", weight=1), strategy="weighted")
    assert shares(route, pool) == {
        "b": pytest.approx(0.75, abs=0.03),
        "c": pytest.approx(0.25, abs=0.03),
    }


def test_the_least_busy_target_in_proportion_to_its_weight_is_chosen(pool: TargetPool) -> None:
    route = route_of(target("p/a", weight=3), B, C, strategy="least_busy")
    pool.concurrency.in_use.update({A.key: 2, B.key: 1, C.key: 1})
    assert first(route, pool) == "a"
    pool.concurrency.in_use.update({A.key: 4, C.key: 0})
    assert first(route, pool) == "c"


def test_equally_busy_targets_take_turns(pool: TargetPool) -> None:
    assert shares(route_of(A, B, strategy="least_busy"), pool) == {
        "a": pytest.approx(0.5, abs=0.03),
        "b": pytest.approx(0.5, abs=0.03),
    }


def test_the_fastest_target_is_chosen_once_all_were_measured(
    pool: TargetPool, clock: Clock
) -> None:
    route = route_of(A, B, C, strategy="fastest")
    for each, seconds in ((A, 0.9), (B, 0.2)):
        pool.latency.add(each.key, True, seconds)
    assert first(route, pool, RequestTraits(stream=True)) == "c"
    pool.latency.add(C.key, True, 0.5)
    assert first(route, pool, RequestTraits(stream=True)) == "b"
    assert first(route, pool, RequestTraits(stream=False)) == "a", (
        "complete replies are measured apart"
    )


def test_one_call_at_a_time_measures_an_outdated_target(pool: TargetPool, clock: Clock) -> None:
    route = route_of(A, B, strategy="fastest")
    pool.latency.add(A.key, False, 5.0)
    clock.now += 61
    pool.latency.add(B.key, False, 0.1)
    assert first(route, pool) == "a"
    pool.concurrency.in_use[A.key] = 1
    assert first(route, pool) == "b"


def test_an_average_follows_the_newest_samples(pool: TargetPool) -> None:
    pool.latency.add(A.key, True, 1.0)
    for _ in range(10):
        pool.latency.add(A.key, True, 0.1)
    average = pool.latency.averages(True).get(A.key)
    assert average
    assert average.seconds == pytest.approx(0.1, abs=0.05)


PRICES = {"INPUT": Decimal("1"), "OUTPUT": Decimal("5")}


def test_the_cheapest_target_comes_first_and_those_without_a_price_last(pool: TargetPool) -> None:
    cheap, dear = {"INPUT": Decimal("0.1"), "OUTPUT": Decimal("0.4")}, PRICES
    route = route_of(
        target("p/unknown"),
        target("p/dear", price=dear),
        target("p/cheap", price=cheap),
        strategy="cheapest",
    )
    assert order(route, pool) == ["cheap", "dear", "unknown"]


def test_prices_are_blended_of_three_input_tokens_and_one_output_token() -> None:
    assert blended_price(target("p/a", price=PRICES)) == Decimal("2.00")
    assert blended_price(target("p/a", price={"OUTPUT": Decimal(3)})) == Decimal(3)
    assert blended_price(target("p/a")) is None


def test_a_tier_chooses_the_cheaper_target_more_often(pool: TargetPool) -> None:
    targets = [
        target("p/cheap", price={"INPUT": Decimal(1)}),
        target("p/dear", price={"INPUT": Decimal(4)}),
        target("p/unknown"),
    ]
    shared = shares(route_of(*targets, name="simple"), pool)
    assert shared == {
        "cheap": pytest.approx(4 / 6, abs=0.03),
        "dear": pytest.approx(1 / 6, abs=0.03),
        "unknown": pytest.approx(1 / 6, abs=0.03),
    }
    assert order(route_of(*targets, name="other"), pool) == ["cheap", "dear", "unknown"], (
        "only a tier weighs by price by itself"
    )


# --- health --------------------------------------------------------------------------------------


def test_an_open_circuit_is_not_called(pool: TargetPool) -> None:
    incident(pool, A.key, "circuit_open")
    assert order(route_of(A, B), pool) == ["b"]
    assert order(route_of(A, B), pool, states=DEGRADED) == []


def test_the_next_priority_replaces_an_open_target(pool: TargetPool) -> None:
    incident(pool, A.key, "circuit_open")
    assert first(route_of(A, target("q/b", priority=1)), pool) == "b"


@pytest.mark.parametrize(
    ("name", "kind"),
    [(A.key, "rate_limited"), (A.key, "auth_failed"), (A.provider.identity, "auth_failed")],
)
def test_a_degraded_target_is_not_available(pool: TargetPool, name: str, kind: Any) -> None:
    incident(pool, name, kind)
    assert order(route_of(A, C), pool) == ["c"]
    assert order(route_of(A, C), pool, states=DEGRADED) == ["a"]


def test_a_half_open_target_keeps_its_order(pool: TargetPool) -> None:
    incident(pool, A.key, "circuit_open", seconds=-1)
    assert order(route_of(A, B), pool) == ["a", "b"]


# --- conversations -------------------------------------------------------------------------------


def conversations(route: Route, pool: TargetPool, count: int = 2000) -> dict[int, str]:
    return {
        number: first(route, pool, RequestTraits(conversation=hash_conversation(f"user:{number}")))
        for number in range(count)
    }


@pytest.mark.parametrize("strategy", ["ordered", "weighted", "least_busy", "fastest", "cheapest"])
def test_a_conversation_keeps_its_target_with_every_strategy(
    pool: TargetPool, strategy: Any
) -> None:
    route = route_of(A, B, C, strategy=strategy)
    assert conversations(route, pool, 50) == conversations(route, pool_with(Clock()), 50)


def test_every_process_version_and_machine_agrees_on_a_conversation(pool: TargetPool) -> None:
    models = [
        first(route_of(A, B, C), pool, RequestTraits(conversation=hash_conversation(name)))
        for name in ("x", "y", "z", "w")
    ]
    assert models == ["c", "c", "b", "b"]


def test_conversations_are_shared_by_weight(pool: TargetPool) -> None:
    counts = Counter(conversations(route_of(target("p/a", weight=3), B, C), pool, 5000).values())
    assert [counts[model] / 5000 for model in "abc"] == pytest.approx([0.6, 0.2, 0.2], abs=0.03)


@pytest.mark.parametrize("weights", [(1, 1, 1), (1, 2, 3)])
def test_only_the_conversations_of_a_lost_target_move_and_they_spread(
    pool: TargetPool, weights: tuple[int, ...]
) -> None:
    route = route_of(
        *(target(f"p/{model}", weight=weight) for model, weight in zip("abc", weights, strict=True))
    )
    before = conversations(route, pool)
    incident(pool, A.key, "circuit_open")
    after = conversations(route, pool)
    assert {number for number in before if before[number] != after[number]} == {
        number for number in before if before[number] == "a"
    }
    moved = Counter(after[number] for number in before if before[number] == "a")
    assert moved["b"] / sum(moved.values()) == pytest.approx(
        weights[1] / (weights[1] + weights[2]), abs=0.1
    )
    pool.health.apply({A.key: None})
    assert conversations(route, pool) == before


def test_a_conversation_stays_within_the_priority(pool: TargetPool) -> None:
    assert set(conversations(route_of(A, B, target("q/c", priority=1)), pool, 200).values()) == {
        "a",
        "b",
    }


def test_a_route_without_targets_has_none(pool: TargetPool) -> None:
    assert order(route_of(), pool) == []


def test_the_same_target_in_two_routes_has_one_key() -> None:
    assert target("p/a", weight=3).key == A.key
