"""The admin's pages of the catalog stay readable while a setting is invalid, and name it."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client, override_settings

from native_api.models import ModelRoute, Provider


@pytest.fixture
def operator(db: None, client: Client) -> Client:
    client.force_login(User.objects.create_superuser("root"))
    return client


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PROVIDERS", 3),
        ("MODELS", []),
        ("ALLOW_DIRECT_MODELS", "yes"),
        ("DIALECTS", {"a": "nowhere.Dialect"}),
        ("PRESETS", 3),
        ("AUTH_METHODS", 3),
        ("ATTEMPTS", 1),
    ],
)
def test_pages_of_the_catalog_survive_an_invalid_setting(
    operator: Client, name: str, value: Any
) -> None:
    provider = Provider.objects.create(name="up", dialect="openai", base_url="https://example.com")
    route = ModelRoute.objects.create(name="fast")
    with override_settings(NATIVE_API={name: value}):
        for page in ("provider/", "modelroute/"):
            response = operator.get(f"/admin/native_api/{page}")
            assert response.status_code == 200
            assert f"NATIVE_API[&#x27;{name}&#x27;]" in response.content.decode()
        for page in (f"provider/{provider.pk}/change/", f"modelroute/{route.pk}/change/"):
            assert operator.get(f"/admin/native_api/{page}").status_code == 200
