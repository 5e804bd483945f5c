"""The lists of the release say what genai-prices says, which they are made from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import pytest
from genai_prices import types
from genai_prices.data import providers
from hypothesis import given
from hypothesis import strategies as st

from native_api.catalog.presets import PRESETS
from native_api.pricing import conversion, published
from native_api.pricing.listed_prices import Prices, Tiered
from scripts import price_data

THEIRS: Final = {provider.id: provider for provider in providers}
OURS: Final = published.bundled()

NUMBER_OF: Final = {
    id(model): (provider.id, number)
    for provider in providers
    for number, model in enumerate(provider.models)
} | {
    id(model): (each.id, number)
    for each in OURS.lists.values()
    for number, model in enumerate(each.models)
}
"""A model of theirs or of ours -> its list and its place in it."""

MOMENTS: Final = [
    datetime(2024, 2, 29, 0, 0, tzinfo=UTC),
    datetime(2025, 6, 9, 16, 29, 59, 999_999, tzinfo=UTC),
    datetime(2026, 3, 13, 0, 0, tzinfo=UTC),
    datetime(2026, 10, 18, 23, 59, 59, tzinfo=UTC),
    datetime(2026, 10, 19, 0, 30, tzinfo=UTC),
    datetime(2026, 11, 29, 4, 0, tzinfo=UTC),
    datetime(2026, 11, 29, 12, 0, tzinfo=UTC),
    datetime(2027, 1, 1, 16, 30, tzinfo=UTC),
]
CONTEXTS: Final = [
    {},
    {"speed": "fast"},
    *({"service_tier": tier} for tier in ("flex", "priority", "fast", "default", "unknown")),
    {"speed": "fast", "service_tier": "priority"},
]

names = st.text("abcdefgiklmnoprstuvxyz0123456789-.:/@ _ABCDİΣſ٣\n", max_size=40)
listed_names = st.sampled_from(
    sorted(
        {text for each in providers for model in each.models for text in price_data.texts(model)}
    )
)


def test_the_file_and_its_licence_are_made_from_the_package() -> None:
    made = (price_data.document(), price_data.license_text())
    assert (published.DATA.read_text(), price_data.LICENSE.read_text()) == made, (
        "run python -m scripts.price_data"
    )


@pytest.mark.parametrize("preset", published.LISTS)
def test_a_preset_that_has_a_list_exists(preset: str) -> None:
    assert preset in PRESETS
    assert published.LISTS[preset] in OURS.lists


def test_the_file_can_be_read_like_an_update() -> None:
    assert published.read(published.DATA.read_text()).priced > 1000


# --- the same model ------------------------------------------------------------------------------


def place(model: object | None) -> tuple[str, int] | None:
    return model and NUMBER_OF[id(model)]


def assert_same_model(preset: str, name: str) -> None:
    theirs = THEIRS[published.LISTS[preset]].find_model(name, all_providers=providers)
    ours = OURS.find_model(preset, name)
    assert place(ours) == place(theirs), (preset, name)
    if ours is not None:
        is_on_own_list = place(ours)[0] == published.LISTS[preset]
        assert OURS.is_on_own_list(preset, ours) == is_on_own_list


def spellings(models: list[types.ModelInfo]) -> Iterator[str]:
    """All names that the lists have, and some of them as callers may write them."""
    texts = sorted({text for model in models for text in price_data.texts(model)})
    yield from texts
    for text in texts[::20]:
        yield from (text.upper(), f"{text}-20251231", f"{text}-20250231:x", f"x/{text}-x")


@pytest.mark.parametrize("preset", published.LISTS)
def test_every_listed_name_means_the_same_model(preset: str) -> None:
    own = THEIRS[published.LISTS[preset]]
    lists = [own, *(THEIRS[name] for name in own.fallback_model_providers or ())]
    for name in spellings([model for each in lists for model in each.models]):
        assert_same_model(preset, name)


@given(st.sampled_from(sorted(published.LISTS)), names, listed_names, names)
def test_any_name_means_the_same_model(preset: str, before: str, listed: str, after: str) -> None:
    for name in (before, listed, listed + after, before + listed, before + listed + after):
        assert_same_model(preset, name)


# --- the same prices -----------------------------------------------------------------------------


def their_prices(prices: types.ModelPrice) -> Mapping[str, Any]:
    return {
        name: (price.base, tuple((tier.start, tier.price) for tier in price.tiers))
        if isinstance(price, types.TieredPrices)
        else price
        for name, price in vars(prices).items()
        if price is not None
    }


def our_prices(prices: Prices) -> Mapping[str, Any]:
    return {
        name: tuple(price) if isinstance(price, Tiered) else price for name, price in prices.items()
    }


@pytest.mark.parametrize("list_id", OURS.lists)
def test_every_model_costs_the_same_at_any_time(list_id: str) -> None:
    models = zip(THEIRS[list_id].models, OURS.lists[list_id].models, strict=True)
    for theirs, ours in models:
        prices = ours.parse_prices()
        for moment in MOMENTS:
            for context in CONTEXTS:
                expected = their_prices(theirs.get_prices(moment, context)) if theirs.prices else {}
                assert our_prices(prices.at(moment, context)) == expected, (theirs.id, moment)


def test_every_price_that_a_call_can_have_becomes_a_table() -> None:
    """The others are those of other counts than a chat's."""
    for each in OURS.lists.values():
        for model in each.models:
            prices = model.parse_prices()
            current = prices.at(MOMENTS[-2])
            if current.keys() <= {"input_mtok", "output_mtok"} and current:
                assert conversion.table_of(prices, moment=MOMENTS[-2]) is not None
