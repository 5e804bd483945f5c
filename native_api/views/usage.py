"""`GET v1/usage`: what the caller used, by day and model, and how the caller's limits stand.

`?days=30` sets the number of days, including today.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from django.db import Error as DatabaseError
from django.db.models import Sum
from django.http import HttpResponse
from django.utils import timezone
from rest_framework.request import Request

from native_api.access.model_access import resolve_caller
from native_api.background import ResourceUnavailable, executors
from native_api.exceptions import DatabaseUnavailable
from native_api.limits import report
from native_api.limits.amounts import format_units
from native_api.models import DailyUsage
from native_api.types import Json
from native_api.usage import totals
from native_api.usage.journal import location
from native_api.usage.totals_rows import SUM_FIELDS, TOKEN_FIELDS
from native_api.views.base import NativeView
from native_api.views.query import read_number

DATABASE_TIMEOUT_SECONDS: Final = 5.0
DEFAULT_DAYS: Final = 30
MAX_DAYS: Final = 366


class UsageView(NativeView):
    """`GET v1/usage`: what the caller's user used with all keys.

    `cost` is text, in USD, without the `unpriced_requests`.
    """

    async def get(self, request: Request) -> HttpResponse:
        first = totals.site_date(datetime.now(UTC)) - timedelta(
            days=read_number(request.query_params.get("days"), "days", DEFAULT_DAYS, MAX_DAYS) - 1
        )
        caller = await resolve_caller(await self.get_caller(request))
        try:
            rows = await executors.slow_queries.run(
                DATABASE_TIMEOUT_SECONDS, _rows, caller.user_id, first
            )
            limits = await report.limit_report(caller)
        except (ResourceUnavailable, DatabaseError):
            raise DatabaseUnavailable(
                "Usage cannot be read right now. Try again shortly.", headers={"retry-after": "5"}
            ) from None
        return self.json(
            {
                "object": "usage",
                "user": caller.user_name or None,
                "from": first.isoformat(),
                "time_zone": timezone.get_default_timezone_name(),
                "data": [
                    {"day": row["day"].isoformat(), "model": row["model"], **_totals_of(row)}
                    for row in rows
                ],
                "total": _totals_of({name: sum(row[name] for row in rows) for name in SUM_FIELDS}),
                "limits": limits,
            }
        )


def _rows(user_id: Any, first: date) -> list[dict[str, Any]]:
    if user_id is None:
        return []
    days: Any = DailyUsage.objects.using(location.database_alias()).filter(
        user_id=totals.user_id_text(user_id), day__gte=first
    )
    return list(
        days.order_by("-day", "model")
        .values("day", "model")
        .annotate(**{name: Sum(name) for name in SUM_FIELDS})
    )


def _totals_of(sums: dict[str, Any]) -> Json:
    return {
        "requests": sums["requests"],
        **{name: sums[name] for name in TOKEN_FIELDS},
        "cost": format_units("cost", int(sums["cost_units"])),
        "unpriced_requests": sums["unpriced"],
    }
