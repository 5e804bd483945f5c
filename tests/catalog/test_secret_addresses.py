"""Secrets in addresses: refused by `manage.py check` and the form, and never shown."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission, User
from django.core.checks import run_checks
from django.test import Client, override_settings

from native_api.models import Provider
from tests.catalog.provider_rows import PAGE, current, form

ADDRESSES = [
    "https://user:pass-word-1@llm.example.com/v1",
    "https://pass-word-1@llm.example.com/v1",
    "https://llm.example.com/v1?key=pass-word-1",
    "https://llm.example.com/v1?api-version=1&api_key=pass-word-1",
    "https://llm.example.com/v1?X-Amz-Signature=pass-word-1",
    "https://llm.example.com/v1#access_token=pass-word-1",
]


@pytest.mark.parametrize("url", ADDRESSES)
def test_an_address_with_a_secret_in_it_is_refused_by_check_and_form_and_never_shown(
    staff: Client, row: Provider, url: str
) -> None:
    with override_settings(
        NATIVE_API={"PROVIDERS": {"q": {"DIALECT": "openai", "BASE_URL": url, "API_KEY": "k"}}}
    ):
        [message] = [
            message
            for message in run_checks(tags=["native_api"])
            if message.id == "native_api.E007"
        ]
    assert "API_KEY" in str(message.hint)
    answer = staff.post(f"{PAGE}add/", {**form(name="q", base_url=url), "new_api_key": "k"})
    [problem] = answer.context["adminform"].form.non_field_errors()
    assert "is a secret" in problem
    assert "pass-word-1" not in f"{message} {problem}"


@pytest.mark.parametrize("url", [*ADDRESSES, "user:pass-word-1@host/v1"])
@pytest.mark.parametrize("permission", ["change_provider", "view_provider"])
def test_an_address_that_is_in_the_database_already_is_shown_without_its_secret(
    staff: Client, row: Provider, url: str, permission: str
) -> None:
    Provider.objects.update(base_url=url, options={"endpoint": url})
    user = User.objects.create_user("looks", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename=permission))
    staff.force_login(user)
    for page in (PAGE, f"{PAGE}{row.pk}/change/", f"{PAGE}{row.pk}/history/"):
        assert "pass-word-1" not in staff.get(page).content.decode()
    assert "pass-word-1" not in str(current().problems)
