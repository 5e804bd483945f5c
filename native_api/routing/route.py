"""Routes: what a public model name stands for, and what can be worked out before any call.

`make_route` makes one when the catalog is read. Routes never change, and nothing here runs during a
call.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from hashlib import blake2b
from itertools import accumulate, groupby
from typing import Any, Final, Literal

from native_api.pricing import costs
from native_api.types import Target
from native_api.types.config import Strategy

TIERS: Final = ("simple", "moderate", "complex")
"""From the lowest to the highest. A tier is the route of that name."""

P95: Final = "p95"

HASH_BITS: Final = 30
"""The size of hashes: Python multiplies numbers of this size fastest."""

MIN_WEIGHT: Final = 1e-9
"""Stands for a weight of 0: such a target is chosen only if there is nothing else."""


@dataclass(frozen=True, slots=True, eq=False)
class PriorityGroup:
    """A route's targets of one priority. All tuples are parallel to `targets`."""

    targets: tuple[Target, ...]
    keys: tuple[str, ...]
    provider_keys: tuple[str, ...]
    """The identities of the targets' providers."""
    weights: tuple[float, ...]
    weight_sums: tuple[float, ...]
    """Running sums of the weights."""
    seeds: tuple[int, ...]
    """For rendezvous hashing, made from the targets' names, so every process has the same."""
    inverse_weights: tuple[float, ...]
    """For weighted rendezvous hashing: -1 / weight. Empty if all weights are equal."""


@dataclass(frozen=True, slots=True, eq=False)
class Route:
    """A public model name and who serves it.

    `groups` are in order of priority. `fallbacks` are names of routes to try if all targets fail,
    `context_fallbacks` if the conversation is too long. `hedge_after` is in seconds; "p95" means
    the route's own 95th percentile; None means never.
    """

    name: str
    groups: tuple[PriorityGroup, ...]
    strategy: Strategy = "ordered"
    fallbacks: tuple[str, ...] = ()
    context_fallbacks: tuple[str, ...] = ()
    hedge_after: float | Literal["p95"] | None = None

    @property
    def targets(self) -> tuple[Target, ...]:
        return tuple(target for group in self.groups for target in group.targets)


@dataclass(frozen=True, slots=True)
class AttemptLimits:
    """How many attempts one call may make over all targets, and for how many seconds it may start
    them."""

    max_attempts: int = 6
    start_within: float = 120.0


DEFAULT_ATTEMPT_LIMITS: Final = AttemptLimits()


def make_route(
    name: str, targets: Iterable[Target], strategy: Strategy | None = None, **options: Any
) -> Route:
    """The route of these targets. `options` are further fields of `Route`.

    Without a strategy it is `weighted` if the weights differ, else `ordered`. In a tier without a
    strategy, each weight is divided by the target's price, so cheaper targets are chosen more
    often.
    """
    by_priority = groupby(
        sorted(targets, key=lambda target: target.priority), key=lambda target: target.priority
    )
    members = [tuple(group) for _, group in by_priority]
    by_price = strategy is None and name in TIERS
    groups = tuple(_make_group(targets, strategy, by_price) for targets in members)
    weights_differ = any(len(set(group.weights)) > 1 for group in groups)
    return Route(name, groups, strategy or ("weighted" if weights_differ else "ordered"), **options)


def _make_group(
    targets: tuple[Target, ...], strategy: Strategy | None, by_price: bool
) -> PriorityGroup:
    if strategy == "cheapest":
        targets = tuple(sorted(targets, key=_price_order))
    weights = (
        _weights_per_price(targets)
        if by_price
        else tuple(float(target.weight) for target in targets)
    )
    return PriorityGroup(
        targets,
        keys=tuple(target.key for target in targets),
        provider_keys=tuple(target.provider.identity for target in targets),
        weights=weights,
        weight_sums=tuple(accumulate(weights)),
        seeds=tuple(hash_name(str(target)) | 1 for target in targets) if len(targets) > 1 else (1,),
        inverse_weights=(
            tuple(-1 / (weight or MIN_WEIGHT) for weight in weights)
            if len(set(weights)) > 1
            else ()
        ),
    )


def _weights_per_price(targets: tuple[Target, ...]) -> tuple[float, ...]:
    """Weights divided by prices.

    A target without a price counts as the dearest, a free one as a hundredth of the cheapest.
    """
    prices = [price for price in map(blended_price, targets) if price]
    if not prices:
        return tuple(float(target.weight) for target in targets)
    free, dearest = min(prices) / 100, max(prices)
    divisors = [
        dearest if price is None else price or free for price in map(blended_price, targets)
    ]
    return tuple(
        target.weight * float(dearest / price)
        for target, price in zip(targets, divisors, strict=True)
    )


def _price_order(target: Target) -> tuple[bool, Decimal]:
    """Sorts by price; targets without one come last."""
    price = blended_price(target)
    return price is None, price or Decimal(0)


def blended_price(target: Target) -> Decimal | None:
    """One price for comparing, in USD per million tokens; None if the price is unknown."""
    if target.cost is not None:
        return target.cost
    return costs.blended_price(target.price or target.provider.price or {})


def hash_name(name: str) -> int:
    """A number of `HASH_BITS` bits, the same for `name` in every process."""
    return int.from_bytes(
        blake2b(name.encode("utf-8", "surrogatepass"), digest_size=4).digest()
    ) >> (32 - HASH_BITS)
