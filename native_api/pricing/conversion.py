"""The prices that a list has of a model, as a table of ours.

If a model has a price that our tables do not have, and that would change a chat's cost, its price
is unknown: that is better than wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from native_api.pricing import tables
from native_api.pricing.listed_prices import STANDARD, Context, ListedPrices, Prices, Tiered

PRICE_NAMES: Final[Mapping[str, tuple[str, int]]] = {
    "input_mtok": ("INPUT", 0),
    "output_mtok": ("OUTPUT", 0),
    "cache_read_mtok": ("CACHED", 0),
    "cache_write_mtok": ("CACHE_WRITE", 0),
    "cache_write_1h_mtok": ("CACHE_WRITE_1H", 0),
    "output_reasoning_mtok": ("REASONING", 0),
    "input_audio_mtok": ("INPUT_AUDIO", 0),
    "output_audio_mtok": ("OUTPUT_AUDIO", 0),
    "cache_audio_read_mtok": ("CACHED_AUDIO", 0),
    "input_image_mtok": ("INPUT_IMAGE", 0),
    "output_image_mtok": ("OUTPUT_IMAGE", 0),
    "cache_image_read_mtok": ("CACHED_IMAGE", 0),
    "requests_kcount": ("REQUEST", 3),
    "web_searches_kcount": ("WEB_SEARCH", 3),
}
"""The lists' name for a price -> ours, and the power of ten by which its unit is larger."""

IGNORED_PRICES: Final = frozenset({"storage_searches_kcount"})
"""Prices of counts that no reply contains."""

REQUIRED_PRICES: Final = frozenset({"input_mtok", "output_mtok", "requests_kcount"})
"""A model without any of these has no price."""


def table_of(
    listed: ListedPrices, context: Context = STANDARD, moment: datetime | None = None
) -> tables.Table | None:
    """The prices now, or at `moment`.

    None if there are none, or one that a table does not have.
    """
    current = listed.at(moment.astimezone(UTC) if moment else datetime.now(UTC), context)
    prices = {name: price for name, price in current.items() if name not in IGNORED_PRICES}
    is_convertible = prices.keys() <= PRICE_NAMES.keys() and prices.keys() & REQUIRED_PRICES
    return tables.parse(_to_definition(prices)) if is_convertible else None


def _to_definition(prices: Prices) -> dict[str, Any]:
    """The prices as a site would write them.

    A step contains all tiered prices, each at its highest tier up to that step.
    """
    table: dict[str, Any] = {
        PRICE_NAMES[name][0]: _convert(name, price.base if isinstance(price, Tiered) else price)
        for name, price in prices.items()
    }
    tiered = {name: price for name, price in prices.items() if isinstance(price, Tiered)}
    starts = sorted({start for price in tiered.values() for start, _ in price.tiers})
    steps = {
        start: {
            PRICE_NAMES[name][0]: _convert(name, price.amount_at(start))
            for name, price in tiered.items()
        }
        for start in starts
    }
    return {**table, tables.ABOVE: steps} if steps else table


def _convert(name: str, price: Decimal) -> Decimal:
    exponent = PRICE_NAMES[name][1]
    return price.scaleb(-exponent).normalize() if exponent else price
