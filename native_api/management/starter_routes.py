"""Routes for the models that `native_quickstart` finds, so that `v1/models` shows them. Rows and
settings that are there stay as they are."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from django.db import transaction

from native_api.catalog import catalog
from native_api.catalog.presets import PRESETS
from native_api.management.model_lists import MAX_NAME
from native_api.models import ModelRoute, Target
from native_api.pricing import lookup


def add_routes(provider: str, models: Iterable[str], snapshot: catalog.Catalog) -> list[str]:
    """Make a route of each model that has none. Returns the names under which clients can call
    them."""
    reserved = {name.lower() for name in (*PRESETS, *snapshot.providers)}
    rows = {
        route.name: {(target.provider, target.model) for target in route.targets.all()}
        for route in ModelRoute.objects.prefetch_related("targets")
    }
    taken = rows | {
        name: {(target.provider.name, target.model) for target in route.targets}
        for name, route in snapshot.routes.items()
    }
    taken |= {name: set() for name in snapshot.aliases}
    with transaction.atomic():
        names = [_add_route(provider, model, reserved, taken) for model in models]
    return [name for name in names if name]


def _add_route(
    provider: str, model: str, reserved: Collection[str], taken: dict[str, set[tuple[str, str]]]
) -> str:
    """The model's own name, or `provider/model` if that name means something else. "" if both
    do."""
    for name in public_names(provider, model, reserved):
        if (provider, model) in taken.get(name, ()):
            return name
        if name not in taken:
            route = ModelRoute.objects.create(name=name)
            Target.objects.create(route=route, provider=provider, model=model)
            taken[name] = {(provider, model)}
            return name
    return ""


def public_names(provider: str, model: str, reserved: Collection[str]) -> list[str]:
    """The names that a route of this model may have, the best first.

    `openai/gpt-5` of an aggregator must not become the route of that name: it would take the calls
    that are meant for the provider `openai`.
    """
    owner, slash, _ = model.partition("/")
    names = [f"{provider}/{model}"]
    if not slash or owner.lower() not in reserved:
        names.insert(0, model)
    return [name for name in names if len(name) <= MAX_NAME]


def choose_example(names: Iterable[str], snapshot: catalog.Catalog) -> str:
    """The model to try first: the cheapest whose price is known, else the first; "" without any."""
    names = [name for name in names if name in snapshot.routes]
    prices = {name: lookup.blended_price(snapshot.routes[name].targets[0]) for name in names}
    known = [name for name in names if prices[name]]
    return min(known, key=lambda name: prices[name] or 0) if known else next(iter(names), "")
