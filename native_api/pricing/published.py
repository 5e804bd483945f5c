"""The prices that vendors publish, from the package genai-prices, converted to our tables.

Rules:
1. The preset of a provider determines its list. It is never guessed from a model's name.
2. If a model has a price that our tables do not have, and that would change a chat's cost, its
   price is unknown: that is better than wrong.
3. The package is imported late, because that is slow, and only in this module.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from typing import Any, Final, Protocol

from native_api.pricing import tables

LISTS: Final[Mapping[str, str]] = {
    "anthropic": "anthropic",
    "azure": "azure",
    "azure-deployments": "azure",
    "baseten": "baseten",
    "bedrock": "aws",
    "cerebras": "cerebras",
    "cloudflare": "cloudflare",
    "cohere": "cohere",
    "databricks": "databricks",
    "deepseek": "deepseek",
    "fireworks": "fireworks",
    "gemini": "google",
    "groq": "groq",
    "minimax": "minimax",
    "mistral": "mistral",
    "moonshot": "moonshotai",
    "novita": "novita",
    "openai": "openai",
    "openrouter": "openrouter",
    "ovhcloud": "ovhcloud",
    "perplexity": "perplexity",
    "together": "together",
    "vertex": "google",
    "vertex-anthropic": "google",
    "xai": "x-ai",
    "zai": "zai",
}
"""Preset -> the id of its list in the package."""

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
"""The package's name for a price -> ours, and the power of ten by which its unit is larger."""

IGNORED_PRICES: Final = frozenset({"storage_searches_kcount"})
"""Prices of counts that no reply contains."""

REQUIRED_PRICES: Final = frozenset({"input_mtok", "output_mtok", "requests_kcount"})
"""A model without any of these has no price."""

Context = Mapping[str, str]
"""What a call's price depends on apart from its model: `speed`, `service_tier`."""

STANDARD: Final[Context] = {}
OTHER_CONTEXTS: Final[tuple[Context, ...]] = (
    {"speed": "fast"},
    {"service_tier": "flex"},
    {"service_tier": "priority"},
)


class ListedModel(Protocol):
    """The package's `ModelInfo`."""

    prices: Any
    price_variants: Any

    def get_prices(
        self, request_timestamp: datetime, price_context: Context | None = None
    ) -> Any: ...


class Edition:
    """One edition of all lists. Immutable."""

    def __init__(self, providers: list[Any], priced: int = 0) -> None:
        self.providers = providers
        self.priced = priced
        """The number of models that have a price, if they were counted."""
        self._by_id = {provider.id: provider for provider in providers}

    def find_model(self, vendor: str, name: str) -> ListedModel | None:
        """The model of this name on the vendor's list, or None. Some milliseconds at worst."""
        provider = self._by_id.get(LISTS.get(vendor, ""))
        model: ListedModel | None = provider and provider.find_model(
            name, all_providers=self.providers
        )
        return model

    def is_on_own_list(self, vendor: str, model: ListedModel) -> bool:
        """Whether the model is on the vendor's own list.

        Otherwise it is on the list of another vendor, whose models this one serves too.
        """
        return any(model is each for each in self._by_id[LISTS[vendor]].models)


def table_of(
    model: ListedModel, context: Context = STANDARD, moment: datetime | None = None
) -> tables.Table | None:
    """The model's prices now, or at `moment`.

    None if it has none, or one that a table does not have.
    """
    if not model.prices:
        return None
    members = vars(model.get_prices(moment or datetime.now(UTC), context or None))
    prices = {
        name: price
        for name, price in members.items()
        if price is not None and name not in IGNORED_PRICES
    }
    is_convertible = prices.keys() <= PRICE_NAMES.keys() and prices.keys() & REQUIRED_PRICES
    return tables.parse(_to_definition(prices)) if is_convertible else None


def is_time_dependent(model: ListedModel) -> bool:
    """Whether the prices depend on the day or its hour."""
    return (isinstance(model.prices, list) and len(model.prices) > 1) or any(
        each.constraint for each in model.price_variants or ()
    )


def _to_definition(prices: Mapping[str, Any]) -> dict[str, Any]:
    """The prices as a site would write them.

    A step contains all tiered prices, each at its highest tier up to that step.
    """
    table: dict[str, Any] = {
        PRICE_NAMES[name][0]: _convert(name, _base_price(price)) for name, price in prices.items()
    }
    tiered = {name: price for name, price in prices.items() if not isinstance(price, Decimal)}
    starts = sorted({tier.start for price in tiered.values() for tier in price.tiers})
    steps = {
        start: {
            PRICE_NAMES[name][0]: _convert(name, _price_at(price, start))
            for name, price in tiered.items()
        }
        for start in starts
    }
    return {**table, tables.ABOVE: steps} if steps else table


def _base_price(price: Any) -> Any:
    return price if isinstance(price, Decimal) else price.base


def _price_at(price: Any, start: int) -> Any:
    return next((tier.price for tier in reversed(price.tiers) if tier.start <= start), price.base)


def _convert(name: str, price: Any) -> Decimal:
    if not isinstance(price, Decimal):
        raise ValueError(f"the price {name} is not a decimal number: {price!r}")
    exponent = PRICE_NAMES[name][1]
    return price.scaleb(-exponent).normalize() if exponent else price


@cache
def bundled() -> Edition:
    """The edition in the package itself. The first call takes some tenths of a second."""
    from genai_prices.data import providers

    return Edition(providers)


def read(text: str) -> Edition:
    """The edition in a document of the package's format.

    Raises ValueError if any part of it cannot be used.
    """
    from genai_prices.types import _providers_from_raw

    try:
        document = json.loads(text, parse_float=Decimal, parse_constant=_reject_constant)
        edition = Edition(_providers_from_raw(document))
        edition.priced = sum(_count_priced(edition, provider) for provider in edition.providers)
    except ValueError:
        raise
    except Exception as error:
        raise ValueError(f"it is not a list of prices ({type(error).__name__})") from error
    if not edition.priced:
        raise ValueError("no model in it has a price")
    return edition


def _reject_constant(constant: str) -> Any:
    raise ValueError(f"{constant} is not a price")


def _count_priced(edition: Edition, provider: Any) -> int:
    """The number of its models that have prices.

    Evaluates every condition and converts every price, to find those that cannot be used.
    """
    provider.find_model("no such model", all_providers=edition.providers)
    tables_of_models = (
        [
            table_of(model, context, moment)
            for moment in _moments_of_prices(model)
            for context in (STANDARD, *OTHER_CONTEXTS)
        ]
        for model in provider.models
    )
    return sum(any(of_model) for of_model in tables_of_models)


def _moments_of_prices(model: Any) -> Iterator[datetime]:
    """A moment in each period in which the model has other prices, and now."""
    yield datetime.now(UTC)
    for each in (
        *(model.prices if isinstance(model.prices, list) else ()),
        *(model.price_variants or ()),
    ):
        day, hour = (
            getattr(each.constraint, "start_date", None),
            getattr(each.constraint, "start_time", None),
        )
        if day is not None:
            yield datetime(day.year, day.month, day.day, tzinfo=UTC)
        if hour is not None:
            yield datetime.combine(datetime.now(UTC), hour)
