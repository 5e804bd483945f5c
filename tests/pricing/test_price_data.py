"""The lists of the release say what genai-prices says, which they are made from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from native_api.catalog.presets import PRESETS
from native_api.pricing import conversion, published
from native_api.pricing.listed_prices import Prices, Tiered

if TYPE_CHECKING:
    from genai_prices import types

OURS: Final = published.bundled()

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


@cache
def their_lists() -> dict[str, types.Provider]:
    """Imported late, because that is slow."""
    from genai_prices.data import providers

    return {provider.id: provider for provider in providers}


def script() -> ModuleType:
    from scripts import price_data

    return price_data


@cache
def listed_texts() -> list[str]:
    models = (model for each in their_lists().values() for model in each.models)
    return sorted({text for model in models for text in script().texts(model)})


@cache
def places() -> dict[int, tuple[str, int]]:
    """The id() of a model of theirs or of ours -> its list and its place in it."""
    lists: Iterable[Any] = (*their_lists().values(), *OURS.lists.values())
    return {
        id(model): (each.id, number) for each in lists for number, model in enumerate(each.models)
    }


names = st.text("abcdefgiklmnoprstuvxyz0123456789-.:/@ _ABCDİΣſ٣\n", max_size=40)
listed_names = st.deferred(lambda: st.sampled_from(listed_texts()))


def test_the_file_and_its_licence_are_made_from_the_package() -> None:
    price_data = script()
    made = (price_data.document(), price_data.license_text())
    assert (published.DATA.read_text(), price_data.LICENSE.read_text()) == made, (
        "run python -m scripts.price_data"
    )


@pytest.mark.parametrize("preset", published.LISTS)
def test_a_preset_that_has_a_list_exists(preset: str) -> None:
    assert preset in PRESETS
    assert published.LISTS[preset] in OURS.lists


def test_the_file_passes_the_check_of_an_update() -> None:
    assert published.check(published.DATA.read_text()) > 1000


# --- the same model ------------------------------------------------------------------------------


def place(model: object | None) -> tuple[str, int] | None:
    return model and places()[id(model)]


def assert_same_model(preset: str, name: str) -> None:
    lists = their_lists()
    own = lists[published.LISTS[preset]]
    theirs = own.find_model(name, all_providers=list(lists.values()))
    ours = OURS.find_model(preset, name)
    assert place(ours) == place(theirs), (preset, name)
    if ours is not None:
        is_on_own_list = place(ours)[0] == published.LISTS[preset]
        assert OURS.is_on_own_list(preset, ours) == is_on_own_list


def spellings(models: list[types.ModelInfo]) -> Iterator[str]:
    """All names that the lists have, and some of them as callers may write them."""
    texts = sorted({text for model in models for text in script().texts(model)})
    yield from texts
    for text in texts[::20]:
        yield from (text.upper(), f"{text}-20251231", f"{text}-20250231:x", f"x/{text}-x")


@pytest.mark.parametrize("preset", published.LISTS)
def test_every_listed_name_means_the_same_model(preset: str) -> None:
    own = their_lists()[published.LISTS[preset]]
    lists = [own, *(their_lists()[name] for name in own.fallback_model_providers or ())]
    for name in spellings([model for each in lists for model in each.models]):
        assert_same_model(preset, name)


@given(st.sampled_from(sorted(published.LISTS)), names, listed_names, names)
def test_any_name_means_the_same_model(preset: str, before: str, listed: str, after: str) -> None:
    for name in (before, listed, listed + after, before + listed, before + listed + after):
        assert_same_model(preset, name)


# --- the same prices -----------------------------------------------------------------------------


def their_prices(prices: Any) -> Mapping[str, Any]:
    return {
        name: (price.base, tuple((tier.start, tier.price) for tier in price.tiers))
        if hasattr(price, "tiers")
        else price
        for name, price in vars(prices).items()
        if price is not None
    }


def our_prices(prices: Prices) -> Mapping[str, Any]:
    return {
        name: tuple(price) if isinstance(price, Tiered) else price for name, price in prices.items()
    }


def is_conditional(model: types.ModelInfo) -> bool:
    return isinstance(model.prices, list) or bool(model.price_variants)


@pytest.mark.parametrize("list_id", OURS.lists)
def test_every_model_costs_the_same_at_any_time(list_id: str) -> None:
    models = zip(their_lists()[list_id].models, OURS.lists[list_id].models, strict=True)
    for theirs, ours in models:
        prices = ours.parse_prices()
        for moment in MOMENTS if is_conditional(theirs) else MOMENTS[:1]:
            for context in CONTEXTS if theirs.price_variants else CONTEXTS[:2]:
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
