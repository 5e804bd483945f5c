"""Names that lead to a route of another name, and names that are patterns."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import pytest
from django.test import override_settings

from native_api import gateway
from native_api.access.nearest_model import suggest_model
from native_api.catalog import catalog
from native_api.exceptions import ModelNotAllowed, ModelNotFound, RateLimited
from native_api.models import ModelRoute, Target
from native_api.types import Caller
from native_api.types.model_names import Named
from native_api.usage import recorder
from native_api.usage.entry import UsageEntry
from tests.cases import each

LOCAL = {"DIALECT": "openai", "BASE_URL": "http://127.0.0.1:1/v1/", "API_KEY": "k"}
PROVIDERS = {"p": LOCAL}


def route(model: str = "m", **options: Any) -> dict[str, Any]:
    return {"TARGETS": [{"PROVIDER": "p", "MODEL": model}], **options}


MODELS = {
    "fast": route("small"),
    "claude-opus-4-8": route("exact"),
    "claude-*": route("claude"),
    "claude-*-haiku-*": {"ALIAS": "fast"},
    "claude-haiku-*": {"ALIAS": "p/tiny"},
    "gpt-4": {"ALIAS": "fast"},
    "*-mini": {"ALIAS": "fast"},
}
BUILT = catalog.build(PROVIDERS, MODELS)


def problems(**models: Any) -> list[tuple[str, str, str]]:
    built = catalog.build(PROVIDERS, models)
    return [(problem.path, problem.message, problem.kind) for problem in built.problems]


def test_the_catalog_has_no_problems() -> None:
    assert BUILT.problems == ()


@each(
    "model, target, name",
    [
        ("fast", "p/small", "fast"),
        ("gpt-4", "p/small", "fast"),
        ("claude-opus-4-8", "p/exact", "claude-opus-4-8"),
        ("claude-opus-4-7", "p/claude", "claude-*"),
        ("claude-haiku-4-5-20251001", "p/tiny", "p/tiny"),
        ("claude-3-5-haiku-20241022", "p/small", "fast"),
        ("claude-haiku-haiku-1", "p/small", "fast"),
        ("gpt-5-mini", "p/small", "fast"),
        ("claude-", "p/claude", "claude-*"),
        ("p/claude-opus", "p/claude-opus", "p/claude-opus"),
        ("p/x-mini", "p/x-mini", "p/x-mini"),
        ("claude-*", "p/claude", "claude-*"),
    ],
)
def test_a_name_leads_to_its_route(model: str, target: str, name: str) -> None:
    """An exact name wins, then `provider/model`, then the pattern with the most letters."""
    assert [str(each) for each in BUILT.targets(model)] == [target]
    assert BUILT.route(model).name == name
    assert BUILT.named(model).name == name


@each("model", ["Claude-opus", "xclaude-1", "", "gpt-4.1", "mini"])
def test_other_names_lead_nowhere(model: str) -> None:
    assert not BUILT.named(model).is_known
    with pytest.raises(ModelNotFound):
        BUILT.route(model)


def test_only_stars_mean_something_in_a_pattern() -> None:
    built = catalog.build(PROVIDERS, {"a[bc]?*": route()})
    assert built.has_model("a[bc]?d")
    assert not built.has_model("abxd")


def test_a_pattern_takes_direct_names_if_they_are_not_allowed() -> None:
    built = catalog.build(PROVIDERS, {"*": route("any")}, allow_direct=False)
    assert str(built.targets("p/other")[0]) == "p/any"


def test_no_spelling_of_a_model_bypasses_its_alias() -> None:
    built = catalog.build(PROVIDERS, {"fast": route("small"), "p/big": {"ALIAS": "fast"}})
    for model in ("p/big", "p/BIG", "p/models/big"):
        assert built.named(model) == Named("fast")


def test_clients_are_shown_names_that_they_can_choose() -> None:
    assert BUILT.model_names == ["claude-opus-4-8", "fast", "gpt-4"]
    assert suggest_model(BUILT, Caller(), "gpt-5") == " Did you mean 'gpt-4'?"
    assert "*" not in suggest_model(BUILT, Caller(), "claude-")


def test_fallbacks_may_be_aliases() -> None:
    models = {**MODELS, "first": route("one", FALLBACKS=["gpt-4", "claude-haiku-1", "fast"])}
    built = catalog.build(PROVIDERS, models)
    assert [each.name for each in built.fallback_routes("first")] == ["fast", "p/tiny"]


def test_an_alias_that_leads_nowhere_is_a_problem_that_a_row_may_solve() -> None:
    assert problems(a={"ALIAS": "gone"}) == [
        ("MODELS['a']['ALIAS']", "there is no model 'gone'", "fallback")
    ]
    assert not catalog.build(PROVIDERS, {"a": {"ALIAS": "gone"}}).has_model("a")


@each(
    "models, path, message",
    [
        ({"a": {"ALIAS": "b"}, "b": {"ALIAS": "m"}, "m": route()}, "a", "leads to another alias"),
        ({"a": {"ALIAS": "a"}}, "a", "leads to another alias"),
        ({"a": {**route(), "ALIAS": "m"}, "m": route()}, "a", "unknown key 'TARGETS'"),
        ({"a": {"ALIAS": ["m"]}, "m": route()}, "a", "ALIAS must be a string"),
        ({"a": {"ALIAS": ""}}, "a", "no ALIAS"),
        ({"a*": route(), "a**": route()}, "a**", "means the same as 'a*'"),
        ({"p/a*": route()}, "p/a*", "is never used"),
    ],
)
def test_a_mistake_is_a_problem(models: dict[str, Any], path: str, message: str) -> None:
    [(found_path, found, kind)] = problems(**models)
    assert found_path == f"MODELS[{path!r}]"
    assert found.startswith(message)
    assert kind == "definition"


def test_aliases_never_lead_in_a_circle() -> None:
    models = {"x": {"ALIAS": "claude-1"}, "claude-*": {"ALIAS": "x"}}
    assert [kind for _, _, kind in problems(**models)] == ["fallback", "definition"]
    assert not catalog.build(PROVIDERS, models).has_model("claude-1")


# --- calls ----------------------------------------------------------------------------------------


@pytest.fixture
def records(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> list[UsageEntry]:
    handed: list[UsageEntry] = []
    monkeypatch.setattr(recorder, "record", handed.append)
    return handed


FAST = f"fast-{uuid4().hex}"
"""Limits count by name, in a cache that other tests use."""
SITE = {
    "PROVIDERS": {"echo": {}},
    "MODELS": {
        FAST: {"TARGETS": [{"PROVIDER": "echo", "MODEL": "small"}]},
        "claude-*": {"ALIAS": FAST},
        "gpt-*": {"TARGETS": [{"PROVIDER": "echo", "MODEL": "big"}]},
    },
}


def call(model: str, **caller: Any) -> Any:
    chat: Any = {"model": model, "messages": [{"role": "user", "content": "Hi"}]}
    return asyncio.run(gateway.complete(chat, Caller(**caller)))


def test_the_record_has_the_requested_name_and_the_totals_the_routes(
    records: list[UsageEntry],
) -> None:
    with override_settings(NATIVE_API=SITE):
        call("claude-haiku-4-5")
        call("claude-made-up")
        call("gpt-made-up")
    assert [(each.model, each.counted_as, each.provider_model) for each in records] == [
        ("claude-haiku-4-5", FAST, "small"),
        ("claude-made-up", FAST, "small"),
        ("gpt-made-up", "gpt-*", "big"),
    ]


@each(
    "allowed, model, is_allowed",
    [
        ((FAST,), "claude-x", True),
        (("claude-*",), "claude-x", False),
        (("gpt-*",), "gpt-x", True),
        ((FAST,), "gpt-x", False),
    ],
)
def test_access_is_that_to_the_route(
    allowed: tuple[str, ...], model: str, is_allowed: bool, records: list[UsageEntry]
) -> None:
    with override_settings(NATIVE_API=SITE):
        if is_allowed:
            call(model, allowed_models=allowed)
        else:
            with pytest.raises(ModelNotAllowed, match=model):
                call(model, allowed_models=allowed)


def test_a_limit_of_the_route_covers_all_its_names(records: list[UsageEntry]) -> None:
    limit = {"SUBJECT": "everyone", "METRIC": "requests", "AMOUNT": 2, "WINDOW": "day"}
    with override_settings(NATIVE_API={**SITE, "LIMITS": [{**limit, "MODELS": FAST}]}):
        call("claude-1")
        call("claude-2")
        for model in ("claude-3", FAST):
            with pytest.raises(RateLimited):
                call(model)
        call("gpt-1")


@pytest.mark.usefixtures("transactional_db")
def test_a_row_may_have_a_pattern_as_its_name() -> None:
    row = ModelRoute.objects.create(name="claude-*")
    Target.objects.create(route=row, provider="echo", model="small")
    with override_settings(NATIVE_API={"PROVIDERS": {"echo": {}}}):
        catalog.clear()
        assert [str(each) for each in catalog.current().targets("claude-opus-4-8")] == [
            "echo/small"
        ]
        assert catalog.route_problems("gpt-*", row.definition()) == []
    catalog.clear()
