"""The totals of each day: read-only, with the same rules as the usage records."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any, Final

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from native_api.admin.uncounted import ReadOnlyAdmin
from native_api.admin.usage import ModelFilter, ProviderFilter, key_with_prefix, user_named
from native_api.models import DailyUsage
from native_api.usage.totals_names import UNKNOWN_MODEL

DAYS_TO_NEXT_PERIOD: Final = {"year": 366, "month": 31, "day": 1}
"""So many days after the first day of a period lies a day of the next one."""


class IndexedDays(QuerySet):
    """Finds the periods of the date hierarchy with one index lookup each.

    Django's own `dates` reads every row of the index.
    """

    def dates(self, field_name: str, kind: str, order: str = "ASC") -> list[date]:  # type: ignore[override]
        periods: list[date] = []
        days = self.order_by(field_name).values_list(field_name, flat=True)
        following = days.first()
        while following is not None:
            periods.append(_first_day(kind, following))
            next_period = _first_day(kind, periods[-1] + timedelta(DAYS_TO_NEXT_PERIOD[kind]))
            following = days.filter(**{f"{field_name}__gte": next_period}).first()
        return periods


def _first_day(kind: str, day: date) -> date:
    """The first day of the year, month or day that contains `day`."""
    return day.replace(
        month=1 if kind == "year" else day.month, day=day.day if kind == "day" else 1
    )


class DailyModelFilter(ModelFilter):
    """Offers UNKNOWN_MODEL too."""

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [*super().lookups(request, model_admin), (UNKNOWN_MODEL, UNKNOWN_MODEL)]


@admin.register(DailyUsage)
class DailyUsageAdmin(ReadOnlyAdmin):
    list_display = (
        "day", "model", "provider", "user_name", "api_key_name", "status", "requests",
        "prompt_tokens", "completion_tokens", "total_tokens", "cost_usd", "unpriced",
    )  # fmt: skip
    list_filter = ("status", ProviderFilter, DailyModelFilter)
    date_hierarchy = "day"
    search_fields = ("model",)
    search_help_text = _("The exact user name, user id, key prefix, or model.")
    readonly_fields = ("id", "cost_usd")
    ordering = ("-day", "-id")

    def get_queryset(self, request: HttpRequest) -> QuerySet[DailyUsage]:
        rows = IndexedDays(self.model, using=self.model._default_manager.db)
        return rows.order_by(*self.ordering)

    @admin.display(description=_("cost (USD)"))
    def cost_usd(self, totals: DailyUsage) -> str:
        return f"{totals.cost:f}"

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[DailyUsage], search_term: str
    ) -> tuple[QuerySet[DailyUsage], bool]:
        term = search_term.strip()
        return (queryset.filter(**_search_condition(term)) if term else queryset), False


def _search_condition(term: str) -> dict[str, Any]:
    """A condition on what the term names. Deleted users are found by their id."""
    if user := user_named(term):
        return {"user_id": str(user)}
    if key := key_with_prefix(term):
        return {"api_key_id": key}
    if DailyUsage.objects.filter(user_id=term).exists():
        return {"user_id": term}
    return {"model": term}
