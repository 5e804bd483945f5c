"""The prices that vendors publish, as the package genai-prices collects them, read into our tables.

Rules:
1. Which list a provider's prices stand in is told by its preset, never guessed from a model's name.
2. A model with a price that our tables cannot say, and that would change a chat's cost, has none:
   unknown is better than wrong.
3. The package is imported late, since that is slow, and only here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from typing import Any, Final, Protocol

from native_api.pricing import tables as prices

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
"""Preset -> the package's name for the list of its prices."""

MEMBERS: Final[Mapping[str, tuple[str, int]]] = {
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
"""The package's name for a price -> ours, and for how many of ours it is, as a power of ten."""

NOT_OF_A_CHAT: Final = frozenset({"storage_searches_kcount"})
"""Prices of what no reply's usage tells: left out."""

OF_EVERY_CHAT: Final = frozenset({"input_mtok", "output_mtok", "requests_kcount"})
"""Without any of these there is no price."""

Context = Mapping[str, str]
"""What a call's price depends on beside its model: `speed`, `service_tier`."""

STANDARD: Final[Context] = {}
OTHERS: Final[tuple[Context, ...]] = (
    {"speed": "fast"},
    {"service_tier": "flex"},
    {"service_tier": "priority"},
)


class Model(Protocol):
    """The package's `ModelInfo`."""

    prices: Any
    price_variants: Any

    def get_prices(
        self, request_timestamp: datetime, price_context: Context | None = None
    ) -> Any: ...


class Published:
    """One edition of all lists. It is never changed."""

    def __init__(self, providers: list[Any], priced: int = 0) -> None:
        self.providers = providers
        self.priced = priced
        """How many models have a price, where that was counted."""
        self._by_id = {provider.id: provider for provider in providers}

    def model(self, vendor: str, name: str) -> Model | None:
        """The model of this name on the vendor's list; None where there is no such list or model.
        Some milliseconds at worst."""
        provider = self._by_id.get(LISTS.get(vendor, ""))
        found: Model | None = provider and provider.find_model(name, all_providers=self.providers)
        return found

    def is_its_own(self, vendor: str, model: Model) -> bool:
        """Whether the model stands on the vendor's own list, not on that of one whose models it
        serves too."""
        return any(model is each for each in self._by_id[LISTS[vendor]].models)


def table_of(
    model: Model, context: Context = STANDARD, moment: datetime | None = None
) -> prices.Table | None:
    """The model's prices as they are now, or at `moment`; None where they cannot be said in a
    table, or there are none."""
    if not model.prices:
        return None
    told = vars(model.get_prices(moment or datetime.now(UTC), context or None))
    known = {
        name: price
        for name, price in told.items()
        if price is not None and name not in NOT_OF_A_CHAT
    }
    can_be_said = known.keys() <= MEMBERS.keys() and known.keys() & OF_EVERY_CHAT
    return prices.parse(_written(known)) if can_be_said else None


def varies(model: Model) -> bool:
    """Whether the prices depend on the day or its hour."""
    return (isinstance(model.prices, list) and len(model.prices) > 1) or any(
        each.constraint for each in model.price_variants or ()
    )


def _written(told: Mapping[str, Any]) -> dict[str, Any]:
    """The prices as a site would write them: a step holds every price that has one at or below
    it."""
    table: dict[str, Any] = {
        MEMBERS[name][0]: _amount(name, _base(price)) for name, price in told.items()
    }
    tiered = {name: price for name, price in told.items() if not isinstance(price, Decimal)}
    starts = sorted({tier.start for price in tiered.values() for tier in price.tiers})
    steps = {
        start: {
            MEMBERS[name][0]: _amount(name, _at(price, start)) for name, price in tiered.items()
        }
        for start in starts
    }
    return {**table, prices.ABOVE: steps} if steps else table


def _base(price: Any) -> Any:
    return price if isinstance(price, Decimal) else price.base


def _at(price: Any, start: int) -> Any:
    return next((tier.price for tier in reversed(price.tiers) if tier.start <= start), price.base)


def _amount(name: str, price: Any) -> Decimal:
    if not isinstance(price, Decimal):
        raise ValueError(f"the price {name} is not a decimal number: {price!r}")
    return price.scaleb(-MEMBERS[name][1]).normalize() if MEMBERS[name][1] else price


@cache
def bundled() -> Published:
    """The edition in the package itself. The first call takes some tenths of a second."""
    from genai_prices.data import providers

    return Published(providers)


def read(text: str) -> Published:
    """The edition in a document of the package's own format. Raises ValueError where any part of it
    cannot be used."""
    from genai_prices.types import _providers_from_raw

    try:
        told = json.loads(text, parse_float=Decimal, parse_constant=_refused)
        edition = Published(_providers_from_raw(told))
        edition.priced = sum(_check(edition, provider) for provider in edition.providers)
    except ValueError:
        raise
    except Exception as error:
        raise ValueError(f"it is no list of prices ({type(error).__name__})") from error
    if not edition.priced:
        raise ValueError("no model in it has a price")
    return edition


def _refused(constant: str) -> Any:
    raise ValueError(f"{constant} is no price")


def _check(edition: Published, provider: Any) -> int:
    """How many of its models have prices; every condition and price is looked at once."""
    provider.find_model("no such model", all_providers=edition.providers)
    tables = (
        [
            table_of(model, context, moment)
            for moment in _moments(model)
            for context in (STANDARD, *OTHERS)
        ]
        for model in provider.models
    )
    return sum(any(of_model) for of_model in tables)


def _moments(model: Any) -> Iterator[datetime]:
    """One in each time that the model's prices differ by, and now."""
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
