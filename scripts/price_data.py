"""Writes native_api/pricing/data/: the lists of genai-prices, reduced to what the app reads.

Each model is one line, so that updates are easy to review. Amounts are text, so that they stay
exact. After installing another version of the package run `python -m scripts.price_data`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from importlib.metadata import distribution
from typing import Any, Final

from genai_prices import types
from genai_prices.data import providers

from native_api.pricing.published import DATA, LISTS

LICENSE: Final = DATA.with_name("LICENSE")

CONTEXT_NAMES: Final = frozenset({"speed", "service_tier"})
"""What the app knows of a call. Prices that depend on anything else are left out."""


def main() -> None:
    DATA.write_text(document(), encoding="utf-8")
    LICENSE.write_text(license_text(), encoding="utf-8")


def license_text() -> str:
    text = distribution("genai-prices").read_text("licenses/LICENSE")
    assert text
    return f"prices.json is made from https://github.com/pydantic/genai-prices:\n\n{text}"


def document() -> str:
    lists = ",\n".join(map(_list_text, needed_lists()))
    return f"[\n{lists}\n]\n"


def needed_lists() -> list[types.Provider]:
    """The presets' own lists, and those of the vendors whose models they serve too."""
    own = [each for each in providers if each.id in LISTS.values()]
    fallbacks = {name for each in own for name in each.fallback_model_providers or ()}
    return [each for each in providers if each in own or each.id in fallbacks]


def _list_text(each: types.Provider) -> str:
    head = {"id": each.id, "fallback_model_providers": each.fallback_model_providers or []}
    models = ",\n".join(_json(_model(model)) for model in each.models)
    return f'{_json(head)[:-1]},"models":[\n{models}\n]}}'


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _model(model: types.ModelInfo) -> dict[str, Any]:
    prices = model.prices
    variants = [each for each in model.price_variants or () if each.when.keys() <= CONTEXT_NAMES]
    return {
        "id": model.id,
        "match": _match(model.match),
        "prices": [*map(_conditional, prices)] if isinstance(prices, list) else _prices(prices),
        **({"price_variants": [*map(_conditional, variants)]} if variants else {}),
    }


def _match(clause: Any) -> dict[str, Any]:
    ((kind, value),) = vars(clause).items()
    parts = [*map(_match, value)] if isinstance(value, list) else value
    return {kind.rstrip("_"): parts}


def texts(model: types.ModelInfo) -> Iterator[str]:
    """Its id and all texts that its match compares names with."""
    yield model.id
    clauses = [model.match]
    while clauses:
        ((_, value),) = vars(clauses.pop()).items()
        if isinstance(value, str):
            yield value
        else:
            clauses += value


def _conditional(each: types.ConditionalPrice | types.PriceVariant) -> dict[str, Any]:
    members = {
        "when": getattr(each, "when", None),
        "constraint": each.constraint and _constraint(each.constraint),
        "prices": _prices(each.prices),
    }
    return {name: value for name, value in members.items() if value is not None}


def _constraint(constraint: Any) -> dict[str, str]:
    return {name: value.isoformat() for name, value in vars(constraint).items()}


def _prices(prices: types.ModelPrice) -> dict[str, Any]:
    return {name: _price(price) for name, price in vars(prices).items() if price is not None}


def _price(price: Decimal | types.TieredPrices) -> Any:
    if isinstance(price, Decimal):
        return str(price)
    tiers = [{"start": tier.start, "price": str(tier.price)} for tier in price.tiers]
    return {"base": str(price.base), "tiers": tiers}


if __name__ == "__main__":
    main()
