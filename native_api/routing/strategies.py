"""Chooses the next target of a route. Reads health, concurrency and latency; changes nothing and
waits for nothing.

Rules:
1. Priorities come first: a target of a later group is chosen only if no target of an earlier one is
   available to this call.
2. A target is available if it is healthy or half-open. One that is rate-limited (429) or whose key
   was refused is degraded and tried last, after the fallbacks, so the client sees the provider's
   own error if nothing else works. One whose circuit is open is not called: each call would waste
   its timeout. Health may differ from caller to caller.
3. A conversation goes to the target that rendezvous hashing selects among the group's available
   ones, by weight. So every process chooses the same one without asking, and only conversations of
   a lost target move. This takes precedence over the route's strategy.
4. Choosing is lazy: the first target costs one look at each of its group, the others nothing until
   they are needed.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import log
from random import choices, random
from typing import Final

from native_api.routing.health_states import TargetState
from native_api.routing.pool import TargetPool
from native_api.routing.route import HASH_BITS, MIN_WEIGHT, PriorityGroup, Route, hash_name
from native_api.types import Target
from native_api.types.config import Strategy

HASH_MASK: Final = 2**HASH_BITS - 1
LOG_OF_HASH_RANGE: Final = HASH_BITS * log(2)

AVAILABLE: Final = frozenset({TargetState.HEALTHY, TargetState.HALF_OPEN})
DEGRADED: Final = frozenset({TargetState.DEGRADED})


@dataclass(frozen=True, slots=True)
class RequestTraits:
    """What of a call matters for the choice.

    `conversation` is a hash of its name (`hash_conversation`), or None. `caller` is
    `Caller.identity`.
    """

    stream: bool = False
    conversation: int | None = None
    caller: str = ""


def hash_conversation(name: str) -> int:
    """The number of a conversation, the same in every process."""
    return hash_name(name)


def candidates(
    route: Route,
    pool: TargetPool,
    traits: RequestTraits,
    tried: set[str],
    states: frozenset[TargetState],
) -> Iterator[Target]:
    """The targets in these states, best first. Each is chosen when it is needed, and added to
    `tried`."""
    while (target := next_target(route, pool, traits, tried, states)) is not None:
        tried.add(target.key)
        yield target


def next_target(
    route: Route,
    pool: TargetPool,
    traits: RequestTraits,
    tried: set[str],
    states: frozenset[TargetState],
) -> Target | None:
    """The best target in these states that is not in `tried`; None if there is none."""
    open_, degraded = pool.health.unhealthy_names(traits.caller)
    for group in route.groups:
        if not tried and not open_ and not degraded:
            indexes: Sequence[int] = range(len(group.targets)) if states is AVAILABLE else ()
        elif states is AVAILABLE:
            indexes = _indexes_without(group, tried | open_ | degraded)
        else:
            indexes = [
                index
                for index in _indexes_without(group, tried | open_)
                if group.keys[index] in degraded or group.provider_keys[index] in degraded
            ]
        if indexes:
            return group.targets[_choose(route.strategy, group, indexes, pool, traits)]
    return None


def _indexes_without(group: PriorityGroup, names: Collection[str]) -> list[int]:
    """The indexes of the group's targets that are not named, nor their providers."""
    provider_keys = group.provider_keys
    return [
        index
        for index, key in enumerate(group.keys)
        if key not in names and provider_keys[index] not in names
    ]


def _choose(
    strategy: Strategy,
    group: PriorityGroup,
    indexes: Sequence[int],
    pool: TargetPool,
    traits: RequestTraits,
) -> int:
    if len(indexes) == 1:
        return indexes[0]
    if traits.conversation is not None:
        return choose_by_conversation(traits.conversation, group, indexes)
    return CHOOSERS[strategy](group, indexes, pool, traits)


def choose_by_conversation(conversation: int, group: PriorityGroup, indexes: Sequence[int]) -> int:
    """The index with the highest score: a hash of conversation and target, to the power of 1 over
    the weight, in logarithms.

    https://en.wikipedia.org/wiki/Rendezvous_hashing#Weighted_rendezvous_hash (read 2026-11).
    """
    seeds, inverse_weights = group.seeds, group.inverse_weights
    if inverse_weights:
        scores = [
            (LOG_OF_HASH_RANGE - log((conversation * seeds[index] & HASH_MASK) + 1))
            * inverse_weights[index]
            for index in indexes
        ]
    else:
        scores = [float(conversation * seeds[index] & HASH_MASK) for index in indexes]
    return indexes[scores.index(max(scores))]


# --- strategies ----------------------------------------------------------------------------------


def _first(
    group: PriorityGroup, indexes: Sequence[int], pool: TargetPool, traits: RequestTraits
) -> int:
    """As listed. For `cheapest` too: `route` lists those by price."""
    return indexes[0]


def _weighted(
    group: PriorityGroup, indexes: Sequence[int], pool: TargetPool, traits: RequestTraits
) -> int:
    """At random, in proportion to the weights. As listed if all weights are 0."""
    if len(indexes) == len(group.targets):
        if not group.weight_sums[-1]:
            return indexes[0]
        point = random() * group.weight_sums[-1]  # noqa: S311
        return min(bisect_right(group.weight_sums, point), len(indexes) - 1)
    weights = [group.weights[index] for index in indexes]
    return choices(indexes, weights)[0] if any(weights) else indexes[0]  # noqa: S311


def _least_busy(
    group: PriorityGroup, indexes: Sequence[int], pool: TargetPool, traits: RequestTraits
) -> int:
    """The fewest requests under way in proportion to the weight. Among equals, one by weight."""
    in_use, keys, weights = pool.concurrency.in_use, group.keys, group.weights
    best = [index for index in indexes if keys[index] not in in_use]
    if not best:
        loads = [in_use.get(keys[index], 0) / (weights[index] or MIN_WEIGHT) for index in indexes]
        lowest = min(loads)
        best = [index for index, load in zip(indexes, loads, strict=True) if load == lowest]
    return best[0] if len(best) == 1 else _weighted(group, best, pool, traits)


def _fastest(
    group: PriorityGroup, indexes: Sequence[int], pool: TargetPool, traits: RequestTraits
) -> int:
    """The shortest average. A target without a recent measurement is tried, by one request at a
    time."""
    averages, keys, outdated_before = (
        pool.latency.averages(traits.stream),
        group.keys,
        pool.latency.outdated_before(),
    )
    in_use, best, shortest = pool.concurrency.in_use, indexes[0], float("inf")
    for index in indexes:
        average = averages.get(keys[index])
        if (average is None or average.measured_at < outdated_before) and keys[index] not in in_use:
            return index
        if average is not None and average.seconds < shortest:
            best, shortest = index, average.seconds
    return best


CHOOSERS: Final[
    Mapping[Strategy, Callable[[PriorityGroup, Sequence[int], TargetPool, RequestTraits], int]]
] = {
    "ordered": _first,
    "cheapest": _first,
    "weighted": _weighted,
    "least_busy": _least_busy,
    "fastest": _fastest,
}
