"""Checks of Django and Django REST Framework: whether the gateway was tested with them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.core.checks import CheckMessage, Warning, register

from native_api.views import private_api


@register("native_api")
def check_versions(app_configs: Any, **kwargs: Any) -> Iterable[CheckMessage]:
    for name, version, newest in private_api.newer_versions():
        yield Warning(
            f"{name} {version} is newer than {newest}, the newest version that this release was "
            "tested with.",
            hint="Upgrade django-native-api, or run your own tests against the gateway. Under "
            "native_api.asgi, requests go through the whole middleware with such a Django.",
            id="native_api.W004",
        )
