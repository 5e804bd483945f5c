"""Fixtures for tests of provider rows."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from native_api.models import Provider
from tests.catalog.provider_rows import ROW, SECRET


@pytest.fixture
def row(db: None) -> Provider:
    return Provider.objects.create(**ROW, api_key=SECRET)


@pytest.fixture
def staff(db: None, client: Client) -> Client:
    """May change providers, and nothing else."""
    user = User.objects.create_user("staff", is_staff=True)
    user.user_permissions.set(
        Permission.objects.filter(codename__in=["change_provider", "add_provider"])
    )
    client.force_login(user)
    return client
