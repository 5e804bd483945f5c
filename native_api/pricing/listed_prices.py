"""What a model costs at a moment, as a published list says it: prices with conditions.

Amounts and their names are those of the list; `conversion` makes a table of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from operator import itemgetter
from typing import Any, Final, NamedTuple

Context = Mapping[str, str]
"""What a call's price depends on apart from its model: `speed`, `service_tier`."""

STANDARD: Final[Context] = {}

ANY_DAY: Final = date(2000, 1, 1)


class Tiered(NamedTuple):
    """An amount for each size of the prompt."""

    base: Decimal
    tiers: tuple[tuple[int, Decimal], ...]
    """(more tokens than this, the amount), the smallest first."""

    def amount_at(self, start: int) -> Decimal:
        """The amount in the tier that begins at `start`."""
        reached = [amount for tier_start, amount in self.tiers if tier_start <= start]
        return reached[-1] if reached else self.base


Prices = Mapping[str, Decimal | Tiered]
"""By the list's names, such as `input_mtok`."""


class StartDate(NamedTuple):
    day: date

    def is_met(self, moment: datetime) -> bool:
        return moment.date() >= self.day


class TimeOfDay(NamedTuple):
    start: time
    end: time

    def is_met(self, moment: datetime) -> bool:
        now = moment.time()
        if self.end < self.start:
            return now >= self.start or now < self.end
        return self.start <= now < self.end


@dataclass(frozen=True, slots=True)
class ConditionalPrices:
    prices: Prices
    constraint: StartDate | TimeOfDay | None
    when: Context

    def apply_at(self, moment: datetime) -> bool:
        return self.constraint is None or self.constraint.is_met(moment)


@dataclass(frozen=True, slots=True)
class ListedPrices:
    """All prices of one model."""

    standard: tuple[ConditionalPrices, ...]
    """The last that applies counts; the first if none does."""
    variants: tuple[ConditionalPrices, ...]
    """Prices that replace the others in a context. For each name, the first that applies counts."""

    def at(self, moment: datetime, context: Context = STANDARD) -> Prices:
        """The prices at a moment in UTC; empty if there are none."""
        prices = dict(self._standard_at(moment))
        for variant in reversed(self.variants):
            if variant.when.items() <= context.items() and variant.apply_at(moment):
                prices.update(variant.prices)
        return prices

    def _standard_at(self, moment: datetime) -> Prices:
        applicable = [each.prices for each in self.standard if each.apply_at(moment)]
        return (applicable or [each.prices for each in self.standard[:1]] or [{}])[-1]

    def is_time_dependent(self) -> bool:
        """Whether the prices depend on the day or its hour."""
        return len(self.standard) > 1 or any(each.constraint for each in self.variants)


def parse(prices: Any, variants: Any) -> ListedPrices:
    """The members `prices` and `price_variants` of a model. Raises ValueError."""
    standard = prices if isinstance(prices, list) else [{"prices": prices}]
    return ListedPrices(
        tuple(_parse_conditional(each) for each in standard),
        tuple(_parse_variant(each) for each in variants or ()),
    )


def _parse_variant(definition: Any) -> ConditionalPrices:
    when = definition["when"]
    if not when or not all(isinstance(value, str) for value in when.values()):
        raise ValueError(f"{when!r:.100} is not a context")
    return _parse_conditional(definition)


def _parse_conditional(definition: Any) -> ConditionalPrices:
    return ConditionalPrices(
        {
            name: _parse_price(name, price)
            for name, price in definition["prices"].items()
            if price is not None
        },
        _parse_constraint(definition.get("constraint")),
        definition.get("when", STANDARD),
    )


def _parse_constraint(definition: Any) -> StartDate | TimeOfDay | None:
    if definition is None:
        return None
    if "start_date" in definition:
        return StartDate(date.fromisoformat(definition["start_date"]))
    return TimeOfDay(_parse_time(definition["start_time"]), _parse_time(definition["end_time"]))


def _parse_time(text: str) -> time:
    """In UTC, which is meant if the text has no offset."""
    parsed = time.fromisoformat(text)
    moment = datetime.combine(ANY_DAY, parsed, tzinfo=parsed.tzinfo or UTC)
    return moment.astimezone(UTC).time()


def _parse_price(name: str, price: Any) -> Decimal | Tiered:
    if not isinstance(price, dict):
        return _parse_amount(name, price)
    tiers = [_parse_tier(name, tier) for tier in price["tiers"]]
    return Tiered(_parse_amount(name, price["base"]), tuple(sorted(tiers, key=itemgetter(0))))


def _parse_tier(name: str, tier: Any) -> tuple[int, Decimal]:
    start = tier["start"]
    if not isinstance(start, int):
        raise ValueError(
            f"a tier of {name} must start at a number of tokens, unlike {start!r:.100}"
        )
    return start, _parse_amount(name, tier["price"])


def _parse_amount(name: str, amount: Any) -> Decimal:
    if isinstance(amount, str | int | Decimal) and not isinstance(amount, bool):
        try:
            return Decimal(amount)
        except InvalidOperation:
            pass
    raise ValueError(f"the price {name} must be a decimal number, unlike {amount!r:.100}")
