"""The names of the routes that quickstart makes."""

from __future__ import annotations

import pytest
from django.test import override_settings

from native_api.catalog import catalog
from native_api.management.starter_routes import add_routes, choose_example
from native_api.models import ModelRoute, Provider, Target

pytestmark = pytest.mark.django_db


def snapshot() -> catalog.Catalog:
    return catalog.merge_with_settings(*catalog.read_rows())


def targets() -> dict[str, list[str]]:
    return {
        route.name: [str(target) for target in route.targets.all()]
        for route in ModelRoute.objects.all()
    }


@pytest.fixture(autouse=True)
def providers() -> None:
    for name in ("openai", "azure", "openrouter"):
        options = {"endpoint": "https://a.example"} if name == "azure" else {}
        row = Provider(name=name, options=options)
        row.api_key = "sk"
        row.save()


def test_each_model_is_called_by_its_own_name() -> None:
    assert add_routes("openai", ["gpt-5", "gpt-5-nano"], snapshot()) == ["gpt-5", "gpt-5-nano"]
    assert targets() == {"gpt-5": ["openai/gpt-5"], "gpt-5-nano": ["openai/gpt-5-nano"]}


def test_a_second_run_adds_nothing() -> None:
    for _ in range(2):
        assert add_routes("openai", ["gpt-5"], snapshot()) == ["gpt-5"]
    assert Target.objects.count() == 1


def test_of_two_providers_with_one_model_the_second_is_named() -> None:
    add_routes("openai", ["gpt-5"], snapshot())
    assert add_routes("azure", ["gpt-5"], snapshot()) == ["azure/gpt-5"]
    assert targets()["gpt-5"] == ["openai/gpt-5"]


def test_an_aggregator_does_not_take_another_provider_s_names() -> None:
    names = add_routes("openrouter", ["openai/gpt-5", "OpenAI/gpt-6", "qwen9/q"], snapshot())
    assert names == ["openrouter/openai/gpt-5", "openrouter/OpenAI/gpt-6", "qwen9/q"]


def test_what_the_site_has_named_itself_stays() -> None:
    route = ModelRoute.objects.create(name="gpt-5", enabled=False)
    Target.objects.create(route=route, provider="openai", model="gpt-5")
    mine = {"gpt-6": {"TARGETS": [{"PROVIDER": "openai", "MODEL": "gpt-5"}]}}
    with override_settings(NATIVE_API={"MODELS": mine}):
        assert add_routes("openai", ["gpt-5", "gpt-6"], snapshot()) == ["gpt-5", "openai/gpt-6"]
    assert not ModelRoute.objects.get(name="gpt-5").enabled


def test_the_model_to_try_is_the_cheapest_whose_price_is_known() -> None:
    names = add_routes("openai", ["nobody-knows", "gpt-5", "gpt-5-nano"], snapshot())
    assert choose_example(names, snapshot()) == "gpt-5-nano"
    assert choose_example(names[:1], snapshot()) == "nobody-knows"
    assert choose_example([], snapshot()) == ""
