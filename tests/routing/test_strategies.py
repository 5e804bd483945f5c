"""Which target is next."""

from __future__ import annotations

import random
from collections import Counter
from decimal import Decimal
from typing import Any

import pytest

from native_api.routing.health_states import Trouble
from native_api.routing.pool import Fleet
from native_api.routing.route import Route, blended
from native_api.routing.strategies import LAST_RESORT, OPEN, Wish, candidates, conversation_of
from tests.routing.target_pools import Clock, fleet_with, route_of, target

ANY = Wish()
A, B, C = target("p/a"), target("p/b"), target("q/c")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def fleet(clock: Clock) -> Fleet:
    random.seed(4)
    return fleet_with(clock)


def order(route: Route, fleet: Fleet, wish: Wish = ANY, standings: Any = OPEN) -> list[str]:
    return [each.model for each in candidates(route, fleet, wish, set(), standings)]


def first(route: Route, fleet: Fleet, wish: Wish = ANY) -> str:
    return next(candidates(route, fleet, wish, set(), OPEN)).model


def shares(route: Route, fleet: Fleet, calls: int = 4000) -> dict[str, float]:
    found = Counter(first(route, fleet) for _ in range(calls))
    return {model: found[model] / calls for model in sorted(found)}


def trouble(fleet: Fleet, name: str, kind: Any, seconds: float = 30.0) -> None:
    fleet.health.take({name: Trouble(kind, fleet.clock() + seconds)})


def test_targets_come_as_listed_and_each_once(fleet: Fleet) -> None:
    assert order(route_of(A, B, C), fleet) == ["a", "b", "c"]


def test_the_lower_priority_comes_first(fleet: Fleet) -> None:
    assert order(route_of(target("p/late", priority=2), target("p/b", priority=1), target("p/a")), fleet) == ["a", "b", "late"]


def test_weights_share_the_calls_of_a_priority(fleet: Fleet) -> None:
    route = route_of(target("p/a", weight=3), target("p/b", weight=1), target("p/c", weight=0), target("p/never", priority=1, weight=9))
    assert route.strategy == "weighted"
    assert shares(route, fleet) == {"a": pytest.approx(0.75, abs=0.03), "b": pytest.approx(0.25, abs=0.03)}
    assert sorted(order(route, fleet)[:3]) == ["a", "b", "c"]
    assert order(route, fleet)[3] == "never"


def test_weights_share_what_an_absent_target_leaves(fleet: Fleet) -> None:
    trouble(fleet, A.key, "failing")
    route = route_of(A, target("p/b", weight=3), target("q/c", weight=1), strategy="weighted")
    assert shares(route, fleet) == {"b": pytest.approx(0.75, abs=0.03), "c": pytest.approx(0.25, abs=0.03)}


def test_the_least_busy_for_its_weight(fleet: Fleet) -> None:
    route = route_of(target("p/a", weight=3), B, C, strategy="least_busy")
    fleet.slots.taken.update({A.key: 2, B.key: 1, C.key: 1})
    assert first(route, fleet) == "a"
    fleet.slots.taken.update({A.key: 4, C.key: 0})
    assert first(route, fleet) == "c"


def test_equally_busy_targets_take_turns(fleet: Fleet) -> None:
    assert shares(route_of(A, B, strategy="least_busy"), fleet) == {"a": pytest.approx(0.5, abs=0.03), "b": pytest.approx(0.5, abs=0.03)}


def test_the_fastest_once_all_were_measured(fleet: Fleet, clock: Clock) -> None:
    route = route_of(A, B, C, strategy="fastest")
    for each, seconds in ((A, 0.9), (B, 0.2)):
        fleet.speeds.add(each.key, True, seconds)
    assert first(route, fleet, Wish(stream=True)) == "c"
    fleet.speeds.add(C.key, True, 0.5)
    assert first(route, fleet, Wish(stream=True)) == "b"
    assert first(route, fleet, Wish(stream=False)) == "a", "complete replies are measured apart"


def test_one_call_at_a_time_measures_what_is_out_of_date(fleet: Fleet, clock: Clock) -> None:
    route = route_of(A, B, strategy="fastest")
    fleet.speeds.add(A.key, False, 5.0)
    clock.now += 61
    fleet.speeds.add(B.key, False, 0.1)
    assert first(route, fleet) == "a"
    fleet.slots.taken[A.key] = 1
    assert first(route, fleet) == "b"


def test_an_average_follows_the_newest(fleet: Fleet) -> None:
    fleet.speeds.add(A.key, True, 1.0)
    for _ in range(10):
        fleet.speeds.add(A.key, True, 0.1)
    assert fleet.speeds.averages(True)[A.key].seconds == pytest.approx(0.1, abs=0.05)


PRICES = {"INPUT": Decimal("1"), "OUTPUT": Decimal("5")}


def test_the_cheapest_first_and_those_without_a_price_last(fleet: Fleet) -> None:
    cheap, dear = {"INPUT": Decimal("0.1"), "OUTPUT": Decimal("0.4")}, PRICES
    route = route_of(target("p/unknown"), target("p/dear", price=dear), target("p/cheap", price=cheap), strategy="cheapest")
    assert order(route, fleet) == ["cheap", "dear", "unknown"]


def test_prices_are_compared_at_three_tokens_in_for_one_out() -> None:
    assert blended(target("p/a", price=PRICES)) == Decimal("2.00")
    assert blended(target("p/a", price={"OUTPUT": Decimal(3)})) == Decimal(3)
    assert blended(target("p/a")) is None


def test_a_tier_takes_the_cheaper_target_more_often(fleet: Fleet) -> None:
    targets = [target("p/cheap", price={"INPUT": Decimal(1)}), target("p/dear", price={"INPUT": Decimal(4)}), target("p/unknown")]
    shared = shares(route_of(*targets, name="simple"), fleet)
    assert shared == {
        "cheap": pytest.approx(4 / 6, abs=0.03),
        "dear": pytest.approx(1 / 6, abs=0.03),
        "unknown": pytest.approx(1 / 6, abs=0.03),
    }
    assert order(route_of(*targets, name="other"), fleet) == ["cheap", "dear", "unknown"], "only a tier weighs by price by itself"


# --- health ----------------------------------------------------------------------------------------------------


def test_an_open_circuit_is_not_called(fleet: Fleet) -> None:
    trouble(fleet, A.key, "failing")
    assert order(route_of(A, B), fleet) == ["b"]
    assert order(route_of(A, B), fleet, standings=LAST_RESORT) == []


def test_a_lower_priority_steps_in(fleet: Fleet) -> None:
    trouble(fleet, A.key, "failing")
    assert first(route_of(A, target("q/b", priority=1)), fleet) == "b"


@pytest.mark.parametrize(("name", "kind"), [(A.key, "limited"), (A.key, "refused"), (A.provider.identity, "refused")])
def test_a_limit_or_a_refused_key_makes_a_target_a_last_resort(fleet: Fleet, name: str, kind: Any) -> None:
    trouble(fleet, name, kind)
    assert order(route_of(A, C), fleet) == ["c"]
    assert order(route_of(A, C), fleet, standings=LAST_RESORT) == ["a"]


def test_a_trial_takes_its_usual_place(fleet: Fleet) -> None:
    trouble(fleet, A.key, "failing", seconds=-1)
    assert order(route_of(A, B), fleet) == ["a", "b"]


# --- conversations -----------------------------------------------------------------------------------------------


def conversations(route: Route, fleet: Fleet, count: int = 2000) -> dict[int, str]:
    return {number: first(route, fleet, Wish(conversation=conversation_of(f"user:{number}"))) for number in range(count)}


@pytest.mark.parametrize("strategy", ["ordered", "weighted", "least_busy", "fastest", "cheapest"])
def test_a_conversation_stays_whatever_the_strategy(fleet: Fleet, strategy: Any) -> None:
    route = route_of(A, B, C, strategy=strategy)
    assert conversations(route, fleet, 50) == conversations(route, fleet_with(Clock()), 50)


def test_every_process_version_and_machine_agrees_on_a_conversation(fleet: Fleet) -> None:
    found = [first(route_of(A, B, C), fleet, Wish(conversation=conversation_of(name))) for name in ("x", "y", "z", "w")]
    assert found == ["c", "c", "b", "b"]


def test_conversations_are_shared_by_weight(fleet: Fleet) -> None:
    found = Counter(conversations(route_of(target("p/a", weight=3), B, C), fleet, 5000).values())
    assert [found[model] / 5000 for model in "abc"] == pytest.approx([0.6, 0.2, 0.2], abs=0.03)


@pytest.mark.parametrize("weights", [(1, 1, 1), (1, 2, 3)])
def test_only_the_conversations_of_a_lost_target_move_and_they_spread(fleet: Fleet, weights: tuple[int, ...]) -> None:
    route = route_of(*(target(f"p/{model}", weight=weight) for model, weight in zip("abc", weights, strict=True)))
    before = conversations(route, fleet)
    trouble(fleet, A.key, "failing")
    after = conversations(route, fleet)
    assert {number for number in before if before[number] != after[number]} == {number for number in before if before[number] == "a"}
    moved = Counter(after[number] for number in before if before[number] == "a")
    assert moved["b"] / sum(moved.values()) == pytest.approx(weights[1] / (weights[1] + weights[2]), abs=0.1)
    fleet.health.take({A.key: None})
    assert conversations(route, fleet) == before


def test_a_conversation_keeps_to_the_priority(fleet: Fleet) -> None:
    assert set(conversations(route_of(A, B, target("q/c", priority=1)), fleet, 200).values()) == {"a", "b"}


def test_a_route_without_targets_has_none(fleet: Fleet) -> None:
    assert order(route_of(), fleet) == []


def test_what_is_alike_in_two_routes_is_one_target() -> None:
    assert target("p/a", weight=3).key == A.key
