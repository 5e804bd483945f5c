"""Routes as values: what a public model name stands for, and everything about choosing that can be
worked out beforehand.

`route` makes one, when the catalog's snapshot is made; nothing here happens during a call, and
nothing is ever changed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from hashlib import blake2b
from itertools import accumulate, groupby
from typing import Any, Final, Literal

from native_api.pricing import costs
from native_api.types import Strategy, Target

TIERS: Final = ("simple", "moderate", "complex")
"""From the lowest to the highest. A tier is the route of that name."""

P95: Final = "p95"

BITS: Final = 30
"""Of numbers for hashing: what Python multiplies fastest."""

NOTHING: Final = 1e-9
"""The weight of what has none: taken where there is nothing else."""


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """A route's targets of one priority."""

    targets: tuple[Target, ...]
    keys: tuple[str, ...]
    owners: tuple[str, ...]
    """The identities of the targets' providers."""
    weights: tuple[float, ...]
    sums: tuple[float, ...]
    """Running sums of the weights."""
    seeds: tuple[int, ...]
    """For rendezvous hashing, drawn from the targets' names, so that every process has the same."""
    pulls: tuple[float, ...]
    """For weighted rendezvous hashing: -1 / weight. Empty where all weights are equal."""


@dataclass(frozen=True, slots=True, eq=False)
class Route:
    """A public model name and who serves it.

    `groups` are in order of priority. `fallbacks` are names of routes to try when all targets
    failed, `context_fallbacks` when the conversation is too long. `hedge_after` is in seconds;
    "p95" means the route's own; None: never.
    """

    name: str
    groups: tuple[Group, ...]
    strategy: Strategy = "ordered"
    fallbacks: tuple[str, ...] = ()
    context_fallbacks: tuple[str, ...] = ()
    hedge_after: float | Literal["p95"] | None = None

    @property
    def targets(self) -> tuple[Target, ...]:
        return tuple(target for group in self.groups for target in group.targets)


@dataclass(frozen=True, slots=True)
class AttemptLimits:
    """What one call may spend on trying: so many attempts, none of them begun after so many
    seconds."""

    attempts: int = 6
    seconds: float = 120.0


ATTEMPT_LIMITS: Final = AttemptLimits()


def route(
    name: str, targets: Iterable[Target], strategy: Strategy | None = None, **more: Any
) -> Route:
    """The route of these targets. Without a strategy it is `weighted` where weights are there to
    choose by, else `ordered`.

    In a tier that names no strategy, a target's weight is divided by its price: the cheaper one is
    taken more often.
    """
    by_priority = groupby(
        sorted(targets, key=lambda target: target.priority), key=lambda target: target.priority
    )
    listed = [tuple(group) for _, group in by_priority]
    by_price = strategy is None and name in TIERS
    groups = tuple(_group(members, strategy, by_price) for members in listed)
    differ = any(len(set(group.weights)) > 1 for group in groups)
    return Route(name, groups, strategy or ("weighted" if differ else "ordered"), **more)


def _group(targets: tuple[Target, ...], strategy: Strategy | None, by_price: bool) -> Group:
    if strategy == "cheapest":
        targets = tuple(sorted(targets, key=_cost))
    weights = _per_price(targets) if by_price else tuple(float(target.weight) for target in targets)
    keys = tuple(target.key for target in targets)
    seeds = tuple(draw(str(target)) | 1 for target in targets) if len(targets) > 1 else (1,)
    owners = tuple(target.provider.identity for target in targets)
    pulls = tuple(-1 / (weight or NOTHING) for weight in weights) if len(set(weights)) > 1 else ()
    return Group(targets, keys, owners, weights, tuple(accumulate(weights)), seeds, pulls)


def _per_price(targets: tuple[Target, ...]) -> tuple[float, ...]:
    """Weights divided by prices. A target without a price counts as the dearest, a free one as a
    hundredth of the cheapest."""
    known = [price for price in map(blended, targets) if price]
    if not known:
        return tuple(float(target.weight) for target in targets)
    least, dearest = min(known) / 100, max(known)
    counted = [dearest if price is None else price or least for price in map(blended, targets)]
    return tuple(
        target.weight * float(dearest / price)
        for target, price in zip(targets, counted, strict=True)
    )


def _cost(target: Target) -> tuple[bool, Decimal]:
    """In order of price; those without one come last."""
    price = blended(target)
    return price is None, price or Decimal(0)


def blended(target: Target) -> Decimal | None:
    """One price for comparing, in USD per million tokens; None where the target's price is not
    known."""
    if target.cost is not None:
        return target.cost
    return costs.blended_price(target.price or target.provider.price or {})


def draw(name: str) -> int:
    """A number of BITS bits that stands for `name` in every process."""
    return int.from_bytes(
        blake2b(name.encode("utf-8", "surrogatepass"), digest_size=4).digest()
    ) >> (32 - BITS)
