"""Checks of the databases that the gateway's tables are in."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from django.apps import apps
from django.contrib.auth import get_user_model
from django.core.checks import CheckMessage, Error, Warning, register
from django.db import DatabaseError, connections, router

from native_api.models import UsageRecord

TESTED: Final = ("PostgreSQL", "SQLite", "MariaDB")


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


@register("native_api")
def check_kind_of_database(app_configs: Any, **kwargs: Any) -> Iterable[CheckMessage]:
    alias = router.db_for_write(UsageRecord)
    kind = _kind(connections[alias]) if alias in connections else ""
    if kind not in (*TESTED, ""):
        yield Warning(
            f"The gateway is not tested with {kind}. Limits, totals and keys may fail.",
            hint=f"Use one of {', '.join(TESTED)}.",
            id="native_api.W005",
        )


def _kind(connection: Any) -> str:
    """Django's name of the database; "" if it cannot be asked whether it is MySQL or MariaDB."""
    try:
        is_mariadb = connection.vendor == "mysql" and connection.mysql_is_mariadb
    except (DatabaseError, RuntimeError):  # RuntimeError: a test that may not use the database
        return ""
    return "MariaDB" if is_mariadb else str(connection.display_name)
