"""Adds totals to the rows of `DailyUsage`.

The database adds, so any number of processes may do it at once. All of them write rows in the order
of their ids, so that they never wait for each other in a circle.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from hashlib import blake2b
from typing import Any, Final, cast
from uuid import UUID

import orjson
from django.db import IntegrityError, connections, models, transaction
from django.db.models import F
from django.db.models.functions import Greatest, Least

from native_api.models import DailyUsage

GROUP_FIELDS: Final = (
    "day",
    "user_id",
    "user_name",
    "api_key_id",
    "api_key_name",
    "provider",
    "model",
    "provider_model",
    "status",
)
TOKEN_FIELDS: Final = (
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "cached_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
)
SUM_FIELDS: Final = ("requests", *TOKEN_FIELDS, "cost_units", "unpriced")

Group = tuple[Any, ...]
"""The values of GROUP_FIELDS."""

Totals = dict[Group, list[int]]
"""The values of SUM_FIELDS by group."""

MAX_ROWS_PER_STATEMENT: Final = 500
"""If the database has no limit on parameters."""


def to_rows(totals: Totals) -> list[DailyUsage]:
    """In the order of their ids."""
    rows = [_to_row(group, sums) for group, sums in totals.items()]
    return sorted(rows, key=lambda row: row.id)


def _to_row(group: Group, sums: list[int]) -> DailyUsage:
    limited = [max(-DailyUsage.LIMIT, min(DailyUsage.LIMIT, each)) for each in sums]
    return DailyUsage(
        id=_row_id(group),
        **dict(zip(GROUP_FIELDS, group, strict=True)),
        **dict(zip(SUM_FIELDS, limited, strict=True)),
    )


def _row_id(group: Group) -> UUID:
    """A hash with the version of names, because MariaDB refuses UUIDs of unknown versions, and some
    of version 8 (10.11, 2026-11)."""
    return UUID(bytes=blake2b(orjson.dumps(group), digest_size=16).digest(), version=5)


def add(rows: Sequence[DailyUsage], alias: str) -> None:
    """Add `rows`, in the order of their ids, to the existing ones."""
    if connections[alias].vendor not in ("postgresql", "sqlite"):
        for row in rows:
            _add_one(row, alias)
        return
    max_parameters = connections[alias].features.max_query_params
    count = (
        max_parameters // len(DailyUsage._meta.concrete_fields)
        if max_parameters
        else MAX_ROWS_PER_STATEMENT
    )
    for start in range(0, len(rows), count):
        _upsert(rows[start : start + count], alias)


def _upsert(rows: Sequence[DailyUsage], alias: str) -> None:
    connection = connections[alias]
    fields = DailyUsage._meta.concrete_fields
    values = [
        field.get_db_prep_save(getattr(row, field.attname), connection)
        for row in rows
        for field in fields
    ]
    with connection.cursor() as cursor:
        cursor.execute(_upsert_statement(alias, len(rows)), values)


@cache
def _upsert_statement(alias: str, rows: int) -> str:
    quote = connections[alias].ops.quote_name
    least, greatest = (
        ("MIN", "MAX") if connections[alias].vendor == "sqlite" else ("LEAST", "GREATEST")
    )
    table, limit = quote(DailyUsage._meta.db_table), DailyUsage.LIMIT
    columns = [quote(str(field.column)) for field in DailyUsage._meta.concrete_fields]
    sums = [quote(_column(name)) for name in SUM_FIELDS]
    row = f"({', '.join(['%s'] * len(columns))})"
    changes = [
        f"{each} = {greatest}({least}({table}.{each} + EXCLUDED.{each}, {limit}), -{limit})"
        for each in sums
    ]
    return (
        f"INSERT INTO {table} ({', '.join(columns)}) VALUES {', '.join([row] * rows)} "  # noqa: S608  names of our own model
        f"ON CONFLICT ({quote('id')}) DO UPDATE SET {', '.join(changes)}"
    )


def _column(name: str) -> str:
    return str(cast("models.Field[Any, Any]", DailyUsage._meta.get_field(name)).column)


def _add_one(row: DailyUsage, alias: str) -> None:
    """Update the row, else insert it, else update what another process has just inserted.

    For databases without an upsert that adds.
    """
    limit = DailyUsage.LIMIT
    changes = {
        name: Greatest(Least(F(name) + getattr(row, name), limit), -limit) for name in SUM_FIELDS
    }
    existing = DailyUsage._base_manager.using(alias).filter(pk=row.pk)
    if existing.update(**changes):
        return
    try:
        with transaction.atomic(using=alias):
            models.Model.save(row, force_insert=True, using=alias)
    except IntegrityError:
        existing.update(**changes)
