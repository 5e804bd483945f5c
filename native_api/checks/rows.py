"""Reads rows for checks, if there is a database that can be read."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

from django.db import connections, router
from django.db.models import Model

T = TypeVar("T")


def read_or_none(model: type[Model], read: Callable[[], T]) -> T | None:
    """What `read` returns, which queries the database of `model`; None if that fails: there is no
    database, no table yet, or a test may not use the database."""
    if not _has_database(connections[router.db_for_read(model)]):
        return None
    try:
        return read()
    except Exception:
        return None


def _has_database(connection: Any) -> bool:
    """Whether there is a database to query. Querying a SQLite file that does not exist would create
    it, before `migrate` decides who may read it."""
    return (
        connection.vendor != "sqlite"
        or connection.is_in_memory_db()
        or os.path.exists(connection.settings_dict["NAME"])
    )
