"""Adds each batch of records to the totals of its days, in the batch's own transaction.

Rules:
1. Totals are as exact as the records: a record is counted when its row is there, and never
   otherwise.
2. It is the database that adds, so any number of processes may do it at once. All of them go by the
   order of the ids, so that none waits for one that waits for it.
3. No caller makes as many rows as it can make up names (`daily_names`). The sums are the same,
   whatever a row is called.
4. No record that the database took is refused here: texts are cut like the record's own, sums stop
   at `DailyUsage.LIMIT`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from functools import cache
from hashlib import blake2b
from typing import Any, Final, cast
from uuid import UUID

import orjson
from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import IntegrityError, connections, models, transaction
from django.db.models import F
from django.db.models.functions import Greatest, Least
from django.utils import timezone

from native_api.models import DailyUsage, UsageRecord
from native_api.models.fields import units_of
from native_api.types.model_names import canonical
from native_api.usage.daily_names import UNKNOWN, is_answered
from native_api.usage.entry import UsageEntry

GROUP: Final = (
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
TEXTS: Final = (
    "user_id",
    "user_name",
    "api_key_name",
    "provider",
    "model",
    "provider_model",
    "status",
)
TOKENS: Final = (
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "cached_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
)
SUMS: Final = ("requests", *TOKENS, "cost_units", "unpriced")

Group = tuple[Any, ...]
"""Values of GROUP."""

Totals = dict[Group, list[int]]
"""Values of SUMS by group."""

HEDGED: Final = "hedged"
"""The error code of a target that was asked beside the one that answered: the site's own, so nobody
made it up."""

ROWS: Final = 500
"""In one statement, where the database sets no limit of its own."""


def add(entries: Sequence[UsageEntry], alias: str) -> None:
    """Add entries that have just been inserted. One of `writer.hooks`."""
    store(rows_of(totals_of(entries)), alias)


def totals_of(records: Iterable[Any]) -> Totals:
    totals: Totals = {}
    for record in records:
        sums = _sums(record)
        group = _group(record)
        before = totals.get(group)
        totals[group] = (
            sums if before is None else [a + b for a, b in zip(before, sums, strict=True)]
        )
    return totals


def _sums(record: Any) -> list[int]:
    cost = UsageRecord._meta.get_field("cost").to_python(record.cost)
    unpriced = cost is None and bool(record.provider)
    return [
        1,
        *[int(getattr(record, name)) for name in TOKENS],
        0 if cost is None else units_of(cost),
        int(unpriced),
    ]


def _group(record: Any) -> Group:
    models = {"model": record.counted_as or record.model, "provider_model": _provider_model(record)}
    texts = [
        _fitted(name, models[name] if name in models else getattr(record, name))
        for name in TEXTS[1:]
    ]
    key = record.api_key_id
    return (
        day_of(record.created_at),
        user_text(record.user_id),
        texts[0],
        None if key is None else int(key),
        *texts[1:],
    )


def _provider_model(record: Any) -> str:
    """Its canonical name, so that a model is one however callers spell it; "" of one that may be
    made up, since it did not answer."""
    is_real = record.counted_as != UNKNOWN and (is_answered(record) or record.error_code == HEDGED)
    return canonical(_fitted("provider_model", record.provider_model)) if is_real else ""


def user_text(user_id: Any) -> str:
    """The primary key in the one form that the database gives it back in."""
    return (
        ""
        if user_id is None
        else _fitted("user_id", str(get_user_model()._meta.pk.to_python(user_id)))
    )


def _fitted(name: str, text: Any) -> str:
    limit = _limits()[name]
    return str(text if len(text) <= limit else text[: limit - 1] + "…")


@cache
def _limits() -> dict[str, int]:
    return {name: cast(int, _field(name).max_length) for name in TEXTS}


def _field(name: str) -> models.Field[Any, Any]:
    return cast("models.Field[Any, Any]", DailyUsage._meta.get_field(name))


# --- days --------------------------------------------------------------------------------------------------


def day_of(moment: datetime) -> date:
    """The day of the site's time zone."""
    if timezone.is_naive(moment):
        return moment.date()
    try:
        return moment.astimezone(timezone.get_default_timezone()).date()
    except OverflowError:  # in the first hours of the year 1, or the last of 9999
        return moment.date()


def bounds_of(day: date) -> tuple[datetime, datetime]:
    """When the day begins and the next one does: 23 to 25 hours where clocks change."""
    return _midnight(day), _midnight(day + timedelta(days=1))


def _midnight(day: date) -> datetime:
    return datetime(
        day.year,
        day.month,
        day.day,
        tzinfo=timezone.get_default_timezone() if settings.USE_TZ else None,
    )


# --- rows --------------------------------------------------------------------------------------------------


def rows_of(totals: Totals) -> list[DailyUsage]:
    """In the order of their ids."""
    rows = [_row(group, sums) for group, sums in totals.items()]
    return sorted(rows, key=lambda row: row.id)


def _row(group: Group, sums: list[int]) -> DailyUsage:
    limited = [max(-DailyUsage.LIMIT, min(DailyUsage.LIMIT, each)) for each in sums]
    return DailyUsage(
        id=_digest(group),
        **dict(zip(GROUP, group, strict=True)),
        **dict(zip(SUMS, limited, strict=True)),
    )


def _digest(group: Group) -> UUID:
    return UUID(bytes=blake2b(orjson.dumps(group), digest_size=16).digest())


def store(rows: Sequence[DailyUsage], alias: str) -> None:
    """Add rows, which are in the order of their ids, to those that are there."""
    vendor = connections[alias].vendor
    if vendor not in ("postgresql", "sqlite"):
        for row in rows:
            _add_alone(row, alias)
        return
    limit = connections[alias].features.max_query_params
    at_once = limit // len(DailyUsage._meta.concrete_fields) if limit else ROWS
    for start in range(0, len(rows), at_once):
        _add_together(rows[start : start + at_once], alias)


def _add_together(rows: Sequence[DailyUsage], alias: str) -> None:
    connection = connections[alias]
    fields = DailyUsage._meta.concrete_fields
    values = [
        field.get_db_prep_save(getattr(row, field.attname), connection)
        for row in rows
        for field in fields
    ]
    with connection.cursor() as cursor:
        cursor.execute(_statement(alias, len(rows)), values)


@cache
def _statement(alias: str, rows: int) -> str:
    quote = connections[alias].ops.quote_name
    least, greatest = (
        ("MIN", "MAX") if connections[alias].vendor == "sqlite" else ("LEAST", "GREATEST")
    )
    table, limit = quote(DailyUsage._meta.db_table), DailyUsage.LIMIT
    columns = [quote(str(field.column)) for field in DailyUsage._meta.concrete_fields]
    sums = [quote(str(_field(name).column)) for name in SUMS]
    row = f"({', '.join(['%s'] * len(columns))})"
    changes = [
        f"{each} = {greatest}({least}({table}.{each} + EXCLUDED.{each}, {limit}), -{limit})"
        for each in sums
    ]
    return (
        f"INSERT INTO {table} ({', '.join(columns)}) VALUES {', '.join([row] * rows)} "  # noqa: S608  names of our own model
        f"ON CONFLICT ({quote('id')}) DO UPDATE SET {', '.join(changes)}"
    )


def _add_alone(row: DailyUsage, alias: str) -> None:
    """Where a database has no such statement: change the row, or make it, or change what another
    process just made."""
    limit = DailyUsage.LIMIT
    changes = {name: Greatest(Least(F(name) + getattr(row, name), limit), -limit) for name in SUMS}
    there = DailyUsage._base_manager.using(alias).filter(pk=row.pk)
    if there.update(**changes):
        return
    try:
        with transaction.atomic(using=alias):
            models.Model.save(row, force_insert=True, using=alias)
    except IntegrityError:
        there.update(**changes)
