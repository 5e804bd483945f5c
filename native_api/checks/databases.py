"""Checks of the databases that the gateway's tables are in."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.apps import apps
from django.contrib.auth import get_user_model
from django.core.checks import CheckMessage, Error, register
from django.db import router


@register("native_api")
def check_database_of_users(app_configs: Any, **kwargs: Any) -> Iterable[CheckMessage]:
    """Keys, limits and usage records refer to users, and a row can only refer to one in its own
    database."""
    users = router.db_for_write(get_user_model())
    for model in apps.get_app_config("native_api").get_models():
        alias = router.db_for_write(model)
        if alias != users:
            yield Error(
                f"{model._meta.label} is written to the database {alias!r}, and users to "
                f"{users!r}.",
                hint="Let DATABASE_ROUTERS send the app native_api to the database of the users.",
                id="native_api.E011",
            )
            return
