"""The prices that vendors publish, as the project genai-prices collects them: which list a provider
has, and which model on it.

Rules:
1. The preset of a provider determines its list. It is never guessed from a model's name.
2. The lists of this release are in `data/`, made by `python -m scripts.price_data`. They have the
   format of the published document, without what is not read here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, Final

from native_api.pricing import conversion, listed_prices, model_match
from native_api.pricing.listed_prices import STANDARD, Context, ListedPrices, StartDate

DATA: Final = Path(__file__).with_name("data") / "prices.json"

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
"""Preset -> the id of its list."""


@dataclass(frozen=True, slots=True, eq=False)
class ListedModel:
    match: model_match.Match
    prices: Any
    variants: Any
    """As in the document: of two thousand models, few are ever looked up."""

    def parse_prices(self) -> ListedPrices:
        """Raises ValueError."""
        return listed_prices.parse(self.prices, self.variants)


@dataclass(frozen=True, slots=True, eq=False)
class PriceList:
    """The models of one vendor."""

    id: str
    models: tuple[ListedModel, ...]
    fallbacks: tuple[str, ...]
    """The ids of lists of other vendors, whose models this one serves too."""

    def find_model(self, name: str) -> ListedModel | None:
        return next((model for model in self.models if model.match.matches(name)), None)


class Edition:
    """One edition of all lists. Immutable."""

    def __init__(self, lists: Iterable[PriceList]) -> None:
        self.lists: Mapping[str, PriceList] = {each.id: each for each in lists}

    def count_models(self) -> int:
        return sum(len(each.models) for each in self.lists.values())

    def find_model(self, vendor: str, name: str) -> ListedModel | None:
        """The model of this name on the vendor's list, or None. Some milliseconds at worst."""
        own = self.lists.get(LISTS.get(vendor, ""))
        if own is None or len(name) > model_match.MAX_NAME:
            return None
        name = name.lower()
        found = self._find_model(own, name)
        if found is None and (dashed := model_match.write_dates_with_dashes(name)) != name:
            found = self._find_model(own, dashed)
        return found

    def _find_model(self, own: PriceList, name: str) -> ListedModel | None:
        fallbacks = (self.lists[each] for each in own.fallbacks if each in self.lists)
        found = (each.find_model(name) for each in (own, *fallbacks))
        return next((model for model in found if model is not None), None)

    def is_on_own_list(self, vendor: str, model: ListedModel) -> bool:
        """Whether the model is on the vendor's own list.

        Otherwise it is on the list of another vendor, whose models this one serves too.
        """
        return model in self.lists[LISTS[vendor]].models


# --- reading -------------------------------------------------------------------------------------


@cache
def bundled() -> Edition:
    """The edition of this release. The first call takes some hundredths of a second."""
    return read(DATA.read_text(encoding="utf-8"))


def read(text: str) -> Edition:
    """The edition in a document that `check` found to be good: prices are not looked at yet.

    Raises ValueError if there is no list in it.
    """
    edition = Edition(map(_parse_list, _parse_json(text)))
    if not edition.lists:
        raise ValueError("it has no list of prices")
    return edition


def check(text: str) -> int:
    """The number of models that have a price, in a document as genai-prices publishes it.

    Raises ValueError if any part of it cannot be used.
    """
    try:
        priced = sum(map(_count_priced, _parse_json(text)))
        read(text)
    except ValueError:
        raise
    except Exception as error:
        raise ValueError(f"it is not a list of prices ({type(error).__name__})") from error
    if not priced:
        raise ValueError("no model in it has a price")
    return priced


def _parse_json(text: str) -> Any:
    return json.loads(text, parse_float=Decimal, parse_constant=_reject_constant)


def _reject_constant(constant: str) -> Any:
    raise ValueError(f"{constant} is not a price")


def _parse_list(definition: Any) -> PriceList:
    fallbacks = tuple(definition.get("fallback_model_providers") or ())
    for name in (definition["id"], *fallbacks):
        if not isinstance(name, str):
            raise ValueError(f"{name!r:.100} is not the id of a list")
    return PriceList(
        definition["id"], tuple(map(_parse_model, definition.get("models") or ())), fallbacks
    )


def _parse_model(definition: Any) -> ListedModel:
    return ListedModel(
        model_match.parse(definition["match"]),
        definition["prices"],
        definition.get("price_variants"),
    )


# --- checking ------------------------------------------------------------------------------------

OTHER_CONTEXTS: Final[tuple[Context, ...]] = (
    {"speed": "fast"},
    {"service_tier": "flex"},
    {"service_tier": "priority"},
    {"service_tier": "fast"},
)


def _count_priced(definition: Any) -> int:
    """The number of a list's models that have a price.

    Raises ValueError if anything in the list cannot be used.
    """
    vendor = definition["id"]
    return sum(_is_priced(vendor, model) for model in definition.get("models") or ())


def _is_priced(vendor: str, definition: Any) -> bool:
    """Whether the model has a price in any case.

    Evaluates every condition and converts every price, to find those that cannot be used.
    """
    try:
        prices = _parse_model(definition).parse_prices()
        found = [conversion.table_of(prices, *case) for case in _cases(prices)]
    except Exception as error:
        name = definition.get("id") if isinstance(definition, dict) else definition
        reason = error if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
        raise ValueError(f"{vendor}, model {name!r:.100}: {reason}") from error
    return any(found)


def _cases(prices: ListedPrices) -> Iterator[tuple[Context, datetime]]:
    """Each context at a moment in each period with other prices, and now."""
    today = datetime.now(UTC)
    moments = {today}
    for each in (*prices.standard, *prices.variants):
        if isinstance(each.constraint, StartDate):
            moments.add(datetime.combine(each.constraint.day, time(), tzinfo=UTC))
        elif each.constraint is not None:
            for hour in (each.constraint.start, each.constraint.end):
                moments.add(datetime.combine(today, hour, tzinfo=UTC))
    for moment in moments:
        yield from ((context, moment) for context in (STANDARD, *OTHER_CONTEXTS))
