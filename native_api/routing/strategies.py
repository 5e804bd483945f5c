"""Which target is next. Asks what is known of the targets and chance; changes nothing and waits for
nobody.

Rules:
1. Priorities come first: a target of a later group is taken only when none of the earlier ones is
   open to this call.
2. A target is open while it is in good health, or when a trial is due after a cool-down. One that
   is limited (429) or whose key was refused is a last resort, after the fallbacks: a limit is not
   an outage, and the provider's own word on it is the plainest answer. One whose circuit is open is
   not called at all: it would cost each call its patience. Health may differ from caller to caller.
3. A conversation goes to the target that rendezvous hashing gives it among the open ones of the
   group, by weight, so every process agrees without asking, and only conversations of a lost target
   move. It goes before the route's strategy.
4. Choosing is lazy: the first target costs no more than a look at each of its group, the others
   nothing until they are needed.
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
from native_api.routing.route import BITS, NOTHING, Group, Route, draw
from native_api.types import Strategy, Target

MASK: Final = 2**BITS - 1
LOG_OF_ALL: Final = BITS * log(2)

AVAILABLE: Final = frozenset({TargetState.HEALTHY, TargetState.HALF_OPEN})
DEGRADED: Final = frozenset({TargetState.DEGRADED})


@dataclass(frozen=True, slots=True)
class RequestTraits:
    """What a call asks of the choice. `conversation` is a number drawn from its name; None where
    there is none. `caller` is who asks."""

    stream: bool = False
    conversation: int | None = None
    caller: str = ""


def conversation_of(name: str) -> int:
    """The number that stands for a conversation in every process."""
    return draw(name)


def candidates(
    route: Route,
    pool: TargetPool,
    traits: RequestTraits,
    tried: set[str],
    states: frozenset[TargetState],
) -> Iterator[Target]:
    """The targets that stand so, best first. Each is looked for when it is asked for, and noted in
    `tried`."""
    while (target := following(route, pool, traits, tried, states)) is not None:
        tried.add(target.key)
        yield target


def following(
    route: Route,
    pool: TargetPool,
    traits: RequestTraits,
    tried: set[str],
    states: frozenset[TargetState],
) -> Target | None:
    """The best target of these standings that is not among `tried`; None where there is none."""
    out, last_resorts = pool.health.not_open(traits.caller)
    for group in route.groups:
        if not tried and not out and not last_resorts:
            places: Sequence[int] = range(len(group.targets)) if states is AVAILABLE else ()
        elif states is AVAILABLE:
            places = _places(group, tried | out | last_resorts)
        else:
            places = [
                place
                for place in _places(group, tried | out)
                if group.keys[place] in last_resorts or group.owners[place] in last_resorts
            ]
        if places:
            return group.targets[_choose(route.strategy, group, places, pool, traits)]
    return None


def _places(group: Group, without: Collection[str]) -> list[int]:
    """Where the group has targets that are not named here, nor their providers."""
    owners = group.owners
    return [
        place
        for place, key in enumerate(group.keys)
        if key not in without and owners[place] not in without
    ]


def _choose(
    strategy: Strategy, group: Group, places: Sequence[int], pool: TargetPool, traits: RequestTraits
) -> int:
    if len(places) == 1:
        return places[0]
    if traits.conversation is not None:
        return rendezvous(traits.conversation, group, places)
    return STRATEGIES[strategy](group, places, pool, traits)


def rendezvous(conversation: int, group: Group, places: Sequence[int]) -> int:
    """The place with the highest score, where a score is a draw from conversation and target,
    raised to one over the weight.

    https://en.wikipedia.org/wiki/Rendezvous_hashing#Weighted_rendezvous_hash (read 2026-11). In
    logarithms.
    """
    seeds, pulls = group.seeds, group.pulls
    if pulls:
        scores = [
            (LOG_OF_ALL - log((conversation * seeds[place] & MASK) + 1)) * pulls[place]
            for place in places
        ]
    else:
        scores = [float(conversation * seeds[place] & MASK) for place in places]
    return places[scores.index(max(scores))]


# --- strategies --------------------------------------------------------------------------------------------


def _first(group: Group, places: Sequence[int], pool: TargetPool, traits: RequestTraits) -> int:
    """As listed. `cheapest` too: `routes` has listed those by price."""
    return places[0]


def _weighted(group: Group, places: Sequence[int], pool: TargetPool, traits: RequestTraits) -> int:
    """By chance, in proportion to the weights. Without any weight: as listed."""
    if len(places) == len(group.targets):
        if not group.sums[-1]:
            return places[0]
        drawn = random() * group.sums[-1]  # noqa: S311
        return min(bisect_right(group.sums, drawn), len(places) - 1)
    weights = [group.weights[place] for place in places]
    return choices(places, weights)[0] if any(weights) else places[0]  # noqa: S311


def _least_busy(
    group: Group, places: Sequence[int], pool: TargetPool, traits: RequestTraits
) -> int:
    """The fewest requests under way for its weight. Of equals, one by weight."""
    busy, keys, weights = pool.slots.taken, group.keys, group.weights
    least = [place for place in places if keys[place] not in busy]
    if not least:
        loads = [busy.get(keys[place], 0) / (weights[place] or NOTHING) for place in places]
        fewest = min(loads)
        least = [place for place, load in zip(places, loads, strict=True) if load == fewest]
    return least[0] if len(least) == 1 else _weighted(group, least, pool, traits)


def _fastest(group: Group, places: Sequence[int], pool: TargetPool, traits: RequestTraits) -> int:
    """The one with the shortest average. One that was not measured lately is, by one request at a
    time."""
    averages, keys, measured_before = (
        pool.speeds.averages(traits.stream),
        group.keys,
        pool.speeds.outdated(),
    )
    busy, best, shortest = pool.slots.taken, places[0], float("inf")
    for place in places:
        average = averages.get(keys[place])
        if (average is None or average.measured_at < measured_before) and keys[place] not in busy:
            return place
        if average is not None and average.seconds < shortest:
            best, shortest = place, average.seconds
    return best


STRATEGIES: Final[
    Mapping[Strategy, Callable[[Group, Sequence[int], TargetPool, RequestTraits], int]]
] = {
    "ordered": _first,
    "cheapest": _first,
    "weighted": _weighted,
    "least_busy": _least_busy,
    "fastest": _fastest,
}
