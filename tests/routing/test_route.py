"""Routes as a site writes them, in settings and as rows: what they become, and what the admin makes
of them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client, override_settings

from native_api.catalog import catalog
from native_api.exceptions import ModelNotFound
from native_api.models import ModelRoute, Provider, Target
from native_api.routing.health_states import Incident
from native_api.routing.health_sync import target_pool
from native_api.types import Timeouts
from native_api.views import health

LOCAL = {"DIALECT": "openai", "BASE_URL": "http://127.0.0.1:1/v1", "API_KEY": "sk-in-settings"}
X = {"PROVIDER": "p", "MODEL": "x"}


def build(models: dict[str, Any], **provider: Any) -> catalog.Catalog:
    return catalog.build({"p": {**LOCAL, **provider}}, models)


def test_a_targets_options_override_its_providers() -> None:
    provider = {
        "TIMEOUTS": {"CONNECT": 1, "TOTAL": 90},
        "RETRIES": 3,
        "MAX_CONCURRENCY": 8,
        "PRICE": {"INPUT": "1", "OUTPUT": "2"},
    }
    own = {
        **X,
        "TIMEOUTS": {"FIRST_TOKEN": 7},
        "RETRIES": 0,
        "MAX_CONCURRENCY": 2,
        "PRICE": {"INPUT": "0.10", "CACHED": "0.01"},
    }
    first, second = build({"m": {"TARGETS": [own, {**X, "MODEL": "y"}]}}, **provider).targets("m")
    assert first.timeouts == Timeouts(connect=1, first_token=7, between_tokens=30, total=90)
    assert (first.retries, first.max_concurrency) == (0, 2)
    assert first.price == {"INPUT": Decimal("0.10"), "CACHED": Decimal("0.01")}
    assert second.timeouts == Timeouts(connect=1, total=90)
    assert (second.retries, second.max_concurrency, second.price) == (
        3,
        8,
        {"INPUT": Decimal(1), "OUTPUT": Decimal(2)},
    )


def test_the_sites_retries_are_the_default() -> None:
    with override_settings(NATIVE_API={"ATTEMPTS": {"RETRIES": 4, "MAX": 9}}):
        snapshot = build({"m": {"TARGETS": [X]}})
    assert (
        snapshot.targets("m")[0].retries,
        snapshot.attempt_limits.max_attempts,
        snapshot.attempt_limits.start_within,
    ) == (4, 9, 120)


def test_a_route_is_weighted_by_default_if_the_weights_differ() -> None:
    models = {
        "even": {"TARGETS": [X, {**X, "MODEL": "y"}]},
        "uneven": {"TARGETS": [{**X, "WEIGHT": 3}, {**X, "MODEL": "y"}]},
    }
    snapshot = build(models)
    assert [snapshot.route(name).strategy for name in ("even", "uneven")] == ["ordered", "weighted"]


def test_fallbacks_are_followed_in_order_and_each_once() -> None:
    models = {
        "a": {"TARGETS": [X], "FALLBACKS": ["b", "c", "gone"], "CONTEXT_FALLBACKS": ["wide"]},
        "b": {"TARGETS": [X], "FALLBACKS": ["d", "a"]},
        "c": {"TARGETS": [X], "FALLBACKS": ["p/direct"]},
        "d": {"TARGETS": [X]},
        "wide": {"TARGETS": [X]},
    }
    snapshot = build(models)
    assert [route.name for route in snapshot.fallback_routes("a")] == ["b", "c", "d", "p/direct"]
    assert [route.name for route in snapshot.fallback_routes("a", for_long_context=True)] == [
        "wide"
    ]
    assert list(snapshot.fallback_routes("p/any")) == []


def test_a_route_with_invalid_options_keeps_its_targets() -> None:
    snapshot = build({"m": {"TARGETS": [X], "STRATEGY": "best"}})
    assert [target.model for target in snapshot.targets("m")] == ["x"]
    assert [problem.path for problem in snapshot.problems] == ["MODELS['m']"]


def test_a_new_key_or_address_is_a_new_identity_that_reveals_neither() -> None:
    identities = {
        build({}, **changed).providers["p"].identity
        for changed in ({}, {"API_KEY": "sk-2"}, {"BASE_URL": "http://127.0.0.1:2/v1"})
    }
    assert len(identities) == 3
    assert "sk-" not in str(identities)
    assert build({}).providers["p"].identity in identities


def test_a_snapshot_caches_a_bounded_number_of_direct_routes() -> None:
    snapshot = build({})
    assert snapshot.route("p/x") is snapshot.route("p/x")
    for number in range(catalog.MAX_DIRECT_ROUTES + 10):
        snapshot.route(f"p/{number}")
    assert len(snapshot._direct) == catalog.MAX_DIRECT_ROUTES
    with pytest.raises(ModelNotFound):
        snapshot.route("q/x")


@pytest.mark.django_db
def test_rows_have_the_same_options_as_settings() -> None:
    price = {"INPUT": "0.15", "OUTPUT": "0.60"}
    Provider.objects.create(
        name="p",
        dialect="openai",
        base_url="http://127.0.0.1:1/v1",
        retries=0,
        max_concurrency=5,
        price=price,
        timeouts={"FIRST_TOKEN": 7},
    )
    route = ModelRoute.objects.create(
        name="m", strategy="cheapest", fallbacks=["n"], context_fallbacks=["n"], hedge="2.5"
    )
    Target.objects.create(
        route=route,
        provider="p",
        model="x",
        timeouts={"CONNECT": 2, "TOTAL": 30},
        retries=2,
        max_concurrency=1,
        price={"INPUT": "1"},
    )
    Target.objects.create(
        route=ModelRoute.objects.create(name="n", hedge="p95"), provider="p", model="y"
    )
    with override_settings(NATIVE_API={}):
        catalog.forget()
        snapshot = catalog.current()
    assert snapshot.problems == ()
    made, [x], [y] = snapshot.route("m"), snapshot.targets("m"), snapshot.targets("n")
    assert (made.strategy, made.fallbacks, made.context_fallbacks, made.hedge_after) == (
        "cheapest",
        ("n",),
        ("n",),
        2.5,
    )
    assert (x.timeouts.connect, x.timeouts.first_token, x.timeouts.total) == (2, 7, 30)
    assert (x.retries, x.max_concurrency, x.price) == (2, 1, {"INPUT": Decimal(1)})
    assert (y.retries, y.max_concurrency, y.price) == (
        0,
        5,
        {"INPUT": Decimal("0.15"), "OUTPUT": Decimal("0.60")},
    )
    assert snapshot.route("n").hedge_after == "p95"


# --- the admin -----------------------------------------------------------------------------------


@pytest.fixture
def admin(db: None, client: Client) -> Client:
    client.force_login(
        get_user_model().objects.create_superuser("root", "root@example.com", "root")
    )
    Provider.objects.create(
        name="p", dialect="openai", base_url="http://127.0.0.1:1/v1", api_key="sk-row"
    )
    catalog.forget()
    return client


@pytest.fixture(autouse=True)
def no_incidents() -> Any:
    yield
    target_pool.health.incidents.clear()


def form(*targets: dict[str, Any], **values: Any) -> dict[str, Any]:
    """The form of a route and its targets."""
    sent = {
        "name": "m",
        "strategy": "",
        "fallbacks": "",
        "context_fallbacks": "",
        "hedge": "",
        "enabled": "on",
        **values,
    }
    sent |= {"targets-TOTAL_FORMS": len(targets), "targets-INITIAL_FORMS": 0}
    for position, target in enumerate(targets):
        fields = {
            "provider": "p",
            "model": "x",
            "priority": 0,
            "weight": 1,
            "price": "{}",
            "enabled": "on",
            **target,
        }
        sent |= {f"targets-{position}-{name}": value for name, value in fields.items()}
    return sent


def post_route(client: Client, *targets: dict[str, Any], **values: Any) -> str:
    return client.post(
        "/admin/native_api/modelroute/add/", form(*targets, **values)
    ).content.decode()


def test_the_admin_makes_a_route(admin: Client) -> None:
    post_route(
        admin,
        {"retries": "0"},
        {"model": "y", "priority": 1},
        strategy="fastest",
        fallbacks="p/one\n p/two \n",
        hedge="p95",
    )
    route = ModelRoute.objects.get()
    assert (route.strategy, route.fallbacks, route.hedge) == ("fastest", ["p/one", "p/two"], "p95")
    assert [target.model for target in catalog.current().targets("m")] == ["x", "y"]


@pytest.mark.parametrize(
    ("targets", "values", "message"),
    [
        ([], {}, "no usable target"),
        ([{"provider": "gone"}], {}, "no usable provider &#x27;gone&#x27;"),
        ([{"price": '{"INPUT": 0.5}'}], {}, "is not a valid price"),
        ([{"timeouts": "[5]"}], {}, "TIMEOUTS must be a dictionary"),
        ([{"timeouts": '{"READ": 5}'}], {}, "unknown member &#x27;READ&#x27; of TIMEOUTS"),
        ([{}], {"strategy": "best"}, "not one of the available choices"),
        ([{}], {"hedge": "soon"}, "is neither seconds nor"),
        ([{}], {"fallbacks": "gone"}, "there is no model &#x27;gone&#x27;"),
        ([{}], {"fallbacks": "m"}, "fallbacks form a cycle: m &gt; m"),
        ([{}], {"fallbacks": "n"}, "fallbacks form a cycle: m &gt; n &gt; m"),
    ],
)
def test_the_admin_shows_what_is_wrong_with_a_route(
    admin: Client, targets: Any, values: Any, message: str
) -> None:
    Target.objects.create(
        route=ModelRoute.objects.create(name="n", fallbacks=["m"]), provider="p", model="x"
    )
    assert message in post_route(admin, *targets, **values)
    assert not ModelRoute.objects.filter(name="m").exists()


def test_a_disabled_route_may_be_incomplete(admin: Client) -> None:
    post_route(admin, enabled="")
    assert not ModelRoute.objects.get().enabled


SETTINGS = {
    "PROVIDERS": {"s": {**LOCAL, "HEADERS": {"x": "hidden-header"}}},
    "MODELS": {"<b>": {"TARGETS": [{"PROVIDER": "s", "MODEL": "x"}]}},
}


@pytest.mark.parametrize(
    ("page", "text_shown"),
    [("provider", "openai, http://127.0.0.1:1/v1"), ("modelroute", "ordered: s/x")],
)
def test_the_admin_shows_what_the_settings_define_without_secrets(
    admin: Client, page: str, text_shown: str
) -> None:
    with override_settings(NATIVE_API=SETTINGS):
        text = admin.get(f"/admin/native_api/{page}/").content.decode()
    assert "Defined in the settings" in text
    assert text_shown in text
    assert "<b>" not in text.replace("<br>", "")
    assert "sk-in-settings" not in text
    assert "hidden-header" not in text


def test_the_admin_shows_that_settings_override_a_row(admin: Client) -> None:
    with override_settings(NATIVE_API={"PROVIDERS": {"p": LOCAL}}):
        assert (
            "not used: the settings define it"
            in admin.get("/admin/native_api/provider/").content.decode()
        )


def test_the_admin_shows_incidents(admin: Client) -> None:
    Target.objects.create(route=ModelRoute.objects.create(name="m"), provider="p", model="x")
    catalog.forget()
    [target] = catalog.current().targets("m")
    assert "ok" in admin.get("/admin/native_api/provider/").content.decode()
    target_pool.health.incidents[target.key] = Incident(
        "circuit_open", target_pool.health._clock() + 30, code="connection_failed"
    )
    target_pool.health.incidents[target.provider.identity] = Incident(
        "auth_failed", target_pool.health._clock() + 30, code="401"
    )
    assert (
        "key refused (401); x: circuit open (connection_failed)"
        in admin.get("/admin/native_api/provider/").content.decode()
    )
    assert (
        "p/x: circuit open (connection_failed)"
        in admin.get("/admin/native_api/modelroute/").content.decode()
    )


def test_readiness_counts_unhealthy_targets_without_names(
    admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "RESULT_SECONDS", 0.0)
    Target.objects.create(route=ModelRoute.objects.create(name="m"), provider="p", model="x")
    catalog.forget()
    [target] = catalog.current().targets("m")

    def provider_checks() -> Any:
        return admin.get("/native/health/ready").json()["checks"]["providers"]

    healthy = {
        "status": "ok",
        "count": 1,
        "targets": 1,
        "circuit_open": 0,
        "rate_limited": 0,
        "auth_failed": 0,
        "keys_unreadable": 0,
    }
    assert provider_checks() == healthy
    target_pool.health.incidents[target.key] = Incident(
        "circuit_open", target_pool.health._clock() + 30
    )
    target_pool.health.incidents[target.provider.identity] = Incident(
        "auth_failed", target_pool.health._clock() + 30
    )
    assert provider_checks() == {
        **healthy,
        "status": "degraded",
        "circuit_open": 1,
        "auth_failed": 1,
    }
