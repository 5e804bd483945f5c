"""Providers and models: settings and rows in one snapshot, secrets out of sight."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test import Client, override_settings

from native_api.catalog import catalog
from native_api.catalog.providers import build_provider
from native_api.dialects import DIALECTS
from native_api.exceptions import ModelNotFound, UnsupportedField
from native_api.models import ModelRoute, Provider, Target
from native_api.types import Target as TargetValue
from native_api.upstream.auth import methods
from tests.upstream.keys import service_account

LOCAL = {"DIALECT": "openai", "BASE_URL": "http://127.0.0.1:1/v1/", "API_KEY": "sk-in-settings"}


@pytest.fixture
def admin(db: None, client: Client) -> Client:
    client.force_login(
        get_user_model().objects.create_superuser("root", "root@example.com", "root")
    )
    return client


def current(**native_api: Any) -> catalog.Catalog:
    with override_settings(NATIVE_API=native_api):
        catalog.forget()
        return catalog.current()


def test_a_preset_needs_only_a_key() -> None:
    [provider] = catalog.build({"openai": {"API_KEY": "k"}}, {}).providers.values()
    assert (provider.dialect, provider.base_url, provider.auth) == (
        "openai",
        "https://api.openai.com/v1",
        "bearer",
    )


@pytest.mark.parametrize(
    ("definition", "model", "url"),
    [
        ({"PRESET": "azure"}, "gpt-4o", "https://x.openai.azure.com/openai/v1/chat/completions"),
        (
            {"PRESET": "azure-deployments", "OPTIONS": {"api_version": "2024-10-21"}},
            "my-gpt",
            "https://x.openai.azure.com/openai/deployments/my-gpt/chat/completions?api-version=2024-10-21",
        ),
        (
            {"PRESET": "cloudflare", "OPTIONS": {"account_id": "abc"}},
            "@cf/meta/llama",
            "https://api.cloudflare.com/client/v4/accounts/abc/ai/v1/chat/completions",
        ),
        (
            {"PRESET": "azure", "BASE_URL": "https://proxy.example/azure", "OPTIONS": {}},
            "m",
            "https://proxy.example/azure/chat/completions",
        ),
    ],
    ids=lambda value: value.get("PRESET") if isinstance(value, dict) else "",
)
def test_a_base_url_is_filled_from_options(
    definition: dict[str, Any], model: str, url: str
) -> None:
    options = {"endpoint": "https://x.openai.azure.com/", **definition.get("OPTIONS", {})}
    provider = build_provider("p", {"API_KEY": "k", **definition, "OPTIONS": options})
    chat: Any = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
    assert DIALECTS["openai"].request(chat, TargetValue(provider, model)).url == url


@pytest.mark.parametrize("model", ["..", ".", "a/b", "a?b", "a#b", "%2e%2e", "", " ", "a\n"])
def test_a_model_cannot_change_the_path_of_a_url(model: str) -> None:
    options = {"endpoint": "https://x.openai.azure.com", "api_version": "1"}
    provider = build_provider(
        "p", {"PRESET": "azure-deployments", "API_KEY": "k", "OPTIONS": options}
    )
    with pytest.raises(UnsupportedField):
        DIALECTS["openai"].request({"model": "m", "messages": []}, TargetValue(provider, model))


def test_a_key_may_be_a_json_document_and_is_stripped() -> None:
    document = {
        "type": "service_account",
        "client_email": "a",
        "private_key": "b",
        "token_uri": "c",
    }
    vertex = build_provider(
        "vertex", {"API_KEY": document, "OPTIONS": {"project": "p", "location": "global"}}
    )
    assert json.loads(vertex.api_key) == document
    assert (
        build_provider("openai", {"API_KEY": " sk-read-from-a-file\n"}).api_key
        == "sk-read-from-a-file"
    )


def test_targets_come_in_order_of_priority() -> None:
    targets = [
        {"PROVIDER": "p", "MODEL": "second", "PRIORITY": 1},
        {"PROVIDER": "p", "MODEL": "first"},
    ]
    built = catalog.build({"p": LOCAL}, {"m": {"TARGETS": targets}})
    assert [target.model for target in built.targets("m")] == ["first", "second"]


def test_direct_models_can_be_disabled() -> None:
    assert str(catalog.build({"p": LOCAL}, {}).targets("p/some/model")[0]) == "p/some/model"
    with pytest.raises(ModelNotFound):
        catalog.build({"p": LOCAL}, {}, allow_direct=False).targets("p/some/model")


def test_an_invalid_provider_does_not_affect_the_others() -> None:
    built = catalog.build({"p": LOCAL, "q": {"DIALECT": "latin"}}, {})
    assert list(built.providers) == ["p"]
    assert [problem.path for problem in built.problems] == ["PROVIDERS['q']"]


def test_a_providers_timeouts_override_the_sites() -> None:
    built = catalog.build(
        {
            "a": {**LOCAL, "TIMEOUT": 30},
            "b": {**LOCAL, "TIMEOUTS": {"CONNECT": 1}},
            "c": {**LOCAL, "TIMEOUT": 30, "TIMEOUTS": {"CONNECT": 1}},
        },
        {},
    )
    assert (built.providers["a"].timeouts.total, built.providers["a"].timeouts.connect) == (30, 5)
    assert (built.providers["b"].timeouts.total, built.providers["b"].timeouts.connect) == (600, 1)
    assert (built.providers["c"].timeouts.total, built.providers["c"].timeouts.connect) == (30, 1)


def test_stored_state_is_shared_only_with_own_account() -> None:
    built = catalog.build(
        {"a": LOCAL, "b": {**LOCAL, "OWN_ACCOUNT": True}, "c": {**LOCAL, "OWN_ACCOUNT": "yes"}}, {}
    )
    assert {name: provider.own_account for name, provider in built.providers.items()} == {
        "a": False,
        "b": True,
    }
    assert [problem.message for problem in built.problems] == ["OWN_ACCOUNT must be True or False"]


def test_the_admin_sets_whether_a_provider_is_shared(admin: Client) -> None:
    admin.post("/admin/native_api/provider/add/", {**FORM, "own_account": "on"})
    assert current().providers["p"].own_account is True
    admin.post(f"/admin/native_api/provider/{Provider.objects.get().pk}/change/", FORM)
    assert current().providers["p"].own_account is False


def test_no_repr_shows_a_secret() -> None:
    built = catalog.build(
        {"p": {**LOCAL, "HEADERS": {"x-secret": "hidden-header"}}},
        {"m": {"TARGETS": [{"PROVIDER": "p", "MODEL": "x"}]}},
    )
    assert "sk-in-settings" not in repr(built)
    assert "hidden-header" not in repr(built)


@pytest.mark.django_db
def test_settings_take_precedence_over_rows_of_the_same_name() -> None:
    Provider.objects.create(name="p", dialect="openai", base_url="http://row/v1", api_key="sk-row")
    Provider.objects.create(
        name="q", dialect="openai", base_url="http://row/v1", api_key="sk-row", options={"a": 1}
    )
    Provider.objects.create(name="off", dialect="openai", base_url="http://row/v1", enabled=False)
    route = ModelRoute.objects.create(name="m")
    Target.objects.create(route=route, provider="q", model="x")
    Target.objects.create(route=route, provider="q", model="y", enabled=False)
    snapshot = current(PROVIDERS={"p": LOCAL})
    assert snapshot.providers["p"].base_url == "http://127.0.0.1:1/v1"
    assert snapshot.providers["q"].api_key == "sk-row"
    assert "off" not in snapshot.providers
    assert [target.model for target in snapshot.targets("m")] == ["x"]


@pytest.mark.django_db
def test_a_providers_key_is_encrypted_in_the_database_and_survives_a_change_of_keys() -> None:
    with override_settings(NATIVE_API={"SECRET_KEYS": ["old key"]}):
        Provider.objects.create(name="p", api_key="sk-row")
    with connection.cursor() as cursor:
        cursor.execute("SELECT api_key FROM native_api_provider")
        assert "sk-row" not in cursor.fetchone()[0]
    with override_settings(NATIVE_API={"SECRET_KEYS": ["new key", "old key"]}):
        assert Provider.objects.get().read_api_key() == "sk-row"
        Provider.objects.get().save()
    with override_settings(NATIVE_API={"SECRET_KEYS": ["new key"]}):
        assert Provider.objects.get().read_api_key() == "sk-row", (
            "a row that is saved is encrypted with the first key"
        )


AZURE = {"base_url": "https://x.openai.azure.com/openai/v1", "auth": "azure"}
FORM = {
    "name": "p",
    "dialect": "openai",
    "base_url": "http://127.0.0.1:1/v1",
    "headers": "{}",
    "options": "{}",
    "enabled": "on",
}


def test_the_admin_accepts_a_key_and_never_shows_it(admin: Client) -> None:
    admin.post("/admin/native_api/provider/add/", {**FORM, "new_api_key": "sk-typed-in"})
    provider = Provider.objects.get()
    assert provider.read_api_key() == "sk-typed-in"
    url = f"/admin/native_api/provider/{provider.pk}/change/"
    for page in (
        url,
        "/admin/native_api/provider/",
        f"/admin/native_api/provider/{provider.pk}/history/",
    ):
        assert "sk-typed-in" not in admin.get(page).content.decode()
    admin.post(url, {**FORM, "new_api_key": "", "retries": "3"})
    assert (Provider.objects.get().read_api_key(), Provider.objects.get().retries) == (
        "sk-typed-in",
        3,
    )
    admin.post(url, {**FORM, "remove_api_key": "on"})
    assert Provider.objects.get().api_key == ""


def test_the_admin_says_what_is_wrong_with_a_provider(admin: Client) -> None:
    page = admin.post(
        "/admin/native_api/provider/add/", {**FORM, "dialect": "latin"}
    ).content.decode()
    assert "unknown dialect" in page
    page = admin.post(
        "/admin/native_api/provider/add/", {**FORM, "timeouts": '{"READ": 3}'}
    ).content.decode()
    assert "unknown member &#x27;READ&#x27; of TIMEOUTS" in page
    assert not Provider.objects.exists()


def test_the_admin_accepts_a_service_account_and_never_shows_it(admin: Client) -> None:
    document = service_account("https://oauth2.googleapis.com/token")
    form = {
        "name": "vertex",
        "headers": "{}",
        "options": '{"project": "p", "location": "global"}',
        "enabled": "on",
    }
    admin.post("/admin/native_api/provider/add/", {**form, "new_api_key": document})
    provider = Provider.objects.get()
    assert json.loads(provider.read_api_key()) == json.loads(document)
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM native_api_provider")
        stored = str(cursor.fetchall())
    pages = [f"/admin/native_api/provider/{provider.pk}/{page}/" for page in ("change", "history")]
    shown = "".join(
        admin.get(page).content.decode() for page in [*pages, "/admin/native_api/provider/"]
    )
    for hidden in ("PRIVATE KEY", "gateway@a-project"):
        assert hidden not in stored + shown + repr(build_provider("vertex", provider.definition()))


def test_the_admin_names_an_option_that_the_preset_requires(admin: Client) -> None:
    page = admin.post(
        "/admin/native_api/provider/add/", {**FORM, "name": "vertex", "dialect": "", "base_url": ""}
    ).content.decode()
    assert "project" in page
    assert not Provider.objects.exists()


def test_the_admin_refuses_a_provider_whose_extra_is_not_installed(
    admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(methods.EXTRAS, "azure", methods.Extra("azure", "azure.nowhere"))
    page = admin.post("/admin/native_api/provider/add/", {**FORM, **AZURE}).content.decode()
    assert "django-native-api[azure]" in page
    assert not Provider.objects.exists()


def test_the_admin_lists_routes_with_their_targets(admin: Client) -> None:
    Target.objects.create(route=ModelRoute.objects.create(name="m"), provider="p", model="<b>x</b>")
    page = admin.get("/admin/native_api/modelroute/").content.decode()
    assert "p/&lt;b&gt;x&lt;/b&gt;" in page
