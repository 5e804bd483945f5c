"""A wrong model name is answered with the nearest one that the caller may use, and no other."""

from __future__ import annotations

import pytest

from native_api.access.nearest_model import suggest_model
from native_api.catalog.catalog import Catalog
from native_api.routing.route import make_route
from native_api.types import Caller, Provider, Target

UP = Provider("openai", "openai", "https://example.com/v1")
CATALOG = Catalog(
    {"openai": UP},
    {name: make_route(name, (Target(UP, "m"),)) for name in ("fast", "gpt-5-mini", "gpt-5-nano")},
)


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("fsat", "fast"),
        ("Fast", "fast"),
        ("gpt5-mini", "gpt-5-mini"),
        ("opnai/gpt-4o", "openai/gpt-4o"),
        ("nobody/knows", ""),
        ("claude", ""),
        ("", ""),
        ("fast" * 10_000, ""),
    ],
)
def test_the_nearest_name_is_suggested(name: str, near: str) -> None:
    said = suggest_model(CATALOG, Caller(), name)
    assert said == (f" Did you mean '{near}'?" if near else "")


def test_no_name_is_suggested_that_the_caller_may_not_use() -> None:
    assert suggest_model(CATALOG, Caller(granted_models=("gpt-*",)), "fsat") == ""
    assert suggest_model(CATALOG, Caller(allowed_models=("fast",)), "opnai/gpt-4o") == ""
    bound = Caller(allowed_models=("gpt-5-nano",))
    assert suggest_model(CATALOG, bound, "gpt-5-minni") == " Did you mean 'gpt-5-nano'?"


def test_no_provider_is_suggested_if_its_models_are_not_addressed() -> None:
    catalog = Catalog({"openai": UP}, allow_direct=False)
    assert suggest_model(catalog, Caller(), "opnai/gpt-4o") == ""


def test_a_wrong_name_is_compared_with_a_bounded_number_of_names() -> None:
    names = [f"{number:05}" for number in range(600)] + ["fast"]
    catalog = Catalog({}, {name: make_route(name, (Target(UP, "m"),)) for name in names})
    assert suggest_model(catalog, Caller(), "fsat") == ""
