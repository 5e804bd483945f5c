"""Rows and requests for tests, with as little to write as possible."""

from __future__ import annotations

from itertools import count
from typing import Any, Final

from django.contrib.auth import get_user_model
from rest_framework.test import APIClient

from native_api.access import keys
from native_api.models import ApiKey, ModelRoute, Provider, Target
from native_api.types import Json, Secret

_numbers: Final = count(1)


def chat(content: Any = "Hi", **fields: Any) -> Json:
    """The request of a chat whose only message is `content`, of a user.

    `fields` are the request's: its `model`, and `messages` if there are more.
    """
    return {"messages": [{"role": "user", "content": content}], **fields}


def create_user(**fields: Any) -> Any:
    """A user of the site, with a name (the USERNAME_FIELD) of its own and without a password."""
    model = get_user_model()
    name = f"user{next(_numbers)}@example.com"
    user: Any = model(**{model.USERNAME_FIELD: name, **fields})
    user.set_unusable_password()
    user.save()
    return user


def create_key(owner: Any = None, **fields: Any) -> tuple[ApiKey, Secret]:
    """An API key: its row and its text. `fields` are the row's, such as `allowed_models`.

    Without an `owner`, one is created.
    """
    name = fields.pop("name", "test")
    return keys.create_key(create_user() if owner is None else owner, name, **fields)


def create_provider(name: str = "scripted", **fields: Any) -> Provider:
    """A provider, as the admin keeps it."""
    defaults = {"dialect": "openai", "base_url": "https://provider.invalid/v1"}
    provider = Provider(name=name, **({} if "preset" in fields else defaults) | fields)
    provider.full_clean()
    provider.save()
    return provider


def create_route(name: str, *targets: str, **fields: Any) -> ModelRoute:
    """A model that clients may name, served by `targets`: `"openai/gpt-4o-mini"`, in the order in
    which they are tried."""
    route = ModelRoute(name=name, **fields)
    route.full_clean()
    route.save()
    for priority, target in enumerate(targets):
        provider, _, model = target.partition("/")
        row = Target(route=route, provider=provider, model=model, priority=priority)
        row.full_clean()
        row.save()
    return route


def client(caller: Any = None, **fields: Any) -> APIClient:
    """A DRF test client that sends an API key: the key with this text; else a new one of this user,
    or of a new user. `fields` are the new key's."""
    text = caller if isinstance(caller, str) else create_key(caller, **fields)[1]
    made = APIClient()
    made.credentials(HTTP_AUTHORIZATION=f"Bearer {text}")
    return made
