"""Adds each batch of records to the totals of its days, in the batch's own transaction.

Rules:
1. Totals are as exact as the records: a record is counted exactly if its row is in the database.
2. A caller cannot make a row for each name it invents (`totals_names`). The sums are the same,
   whichever row a record counts in.
3. Totals never reject a record that the database has accepted: texts are truncated like the
   record's own, and sums stop at `DailyUsage.LIMIT`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from functools import cache
from typing import Any, Final

from django.conf import settings
from django.contrib.auth import get_user_model
from django.utils import timezone

from native_api.models import DailyUsage, UsageRecord
from native_api.models.fields import units_of
from native_api.types.model_names import canonical
from native_api.usage import totals_rows
from native_api.usage.entry import UsageEntry
from native_api.usage.totals_names import UNKNOWN_MODEL, is_answered
from native_api.usage.totals_rows import TOKEN_FIELDS, Group, Totals

TEXT_FIELDS: Final = (
    "user_id",
    "user_name",
    "api_key_name",
    "provider",
    "model",
    "provider_model",
    "status",
)

HEDGED: Final = "hedged"
"""The error code of a hedged target that lost. The site chose it, so no caller invented its
name."""


def add(entries: Sequence[UsageEntry], alias: str) -> None:
    """Add entries that have just been inserted. One of `writer.insert_hooks`."""
    totals_rows.add(totals_rows.to_rows(sum_by_group(entries)), alias)


def sum_by_group(records: Iterable[Any]) -> Totals:
    """The totals of records or entries."""
    totals: Totals = {}
    for record in records:
        sums = _sums_of(record)
        group = _group_of(record)
        before = totals.get(group)
        totals[group] = (
            sums if before is None else [a + b for a, b in zip(before, sums, strict=True)]
        )
    return totals


def _sums_of(record: Any) -> list[int]:
    cost = UsageRecord._meta.get_field("cost").to_python(record.cost)
    is_unpriced = cost is None and bool(record.provider)
    return [
        1,
        *[int(getattr(record, name)) for name in TOKEN_FIELDS],
        0 if cost is None else units_of(cost),
        int(is_unpriced),
    ]


def _group_of(record: Any) -> Group:
    models = {"model": record.counted_as or record.model, "provider_model": _provider_model(record)}
    texts = [
        _truncate(name, models[name] if name in models else getattr(record, name))
        for name in TEXT_FIELDS[1:]
    ]
    key = record.api_key_id
    return (
        site_date(record.created_at),
        user_id_text(record.user_id),
        texts[0],
        None if key is None else int(key),
        *texts[1:],
    )


def _provider_model(record: Any) -> str:
    """The canonical name of the provider's model, so that all spellings share a row.

    Empty if the model did not answer, because the name may be an invented one.
    """
    is_real = record.counted_as != UNKNOWN_MODEL and (
        is_answered(record) or record.error_code == HEDGED
    )
    return canonical(_truncate("provider_model", record.provider_model)) if is_real else ""


def user_id_text(user_id: Any) -> str:
    """A user's primary key as it is in the totals; "" for None."""
    if user_id is None:
        return ""
    return _truncate("user_id", str(get_user_model()._meta.pk.to_python(user_id)))


def _truncate(name: str, text: Any) -> str:
    max_length = _max_lengths()[name]
    return str(text if len(text) <= max_length else text[: max_length - 1] + "…")


@cache
def _max_lengths() -> dict[str, int]:
    return {
        each.name: each.max_length or 0
        for each in DailyUsage._meta.concrete_fields
        if each.name in TEXT_FIELDS
    }


# --- days ----------------------------------------------------------------------------------------


def site_date(moment: datetime) -> date:
    """The date in the site's time zone."""
    if timezone.is_naive(moment):
        return moment.date()
    try:
        return moment.astimezone(timezone.get_default_timezone()).date()
    except OverflowError:  # in the first hours of the year 1, or the last of 9999
        return moment.date()


def day_bounds(day: date) -> tuple[datetime, datetime]:
    """The beginnings of the day and of the next one: 23 to 25 hours apart, if clocks change."""
    return _midnight(day), _midnight(day + timedelta(days=1))


def _midnight(day: date) -> datetime:
    return datetime(
        day.year,
        day.month,
        day.day,
        tzinfo=timezone.get_default_timezone() if settings.USE_TZ else None,
    )
