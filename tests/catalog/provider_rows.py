"""Values and helpers for tests of provider rows with a stored key."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.test import override_settings

from native_api.catalog import catalog

SECRET = "sk-plain-text-of-a-key"
ROW: dict[str, Any] = {"name": "p", "dialect": "openai", "base_url": "http://127.0.0.1:1/v1"}
PAGE = "/admin/native_api/provider/"
FORM = {**ROW, "headers": "{}", "options": "{}", "price": "{}", "enabled": "on"}


@contextmanager
def other_secret_key() -> Iterator[None]:
    with override_settings(
        SECRET_KEY="another key, long enough to satisfy every check of Django's"
    ):
        yield


def form(**changes: Any) -> dict[str, Any]:
    return {
        **FORM,
        **{
            name: json.dumps(value) if isinstance(value, dict) else value
            for name, value in changes.items()
        },
    }


def current() -> catalog.Catalog:
    catalog.forget()
    return catalog.current()
