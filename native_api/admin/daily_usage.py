"""The totals of each day: to look at, never to change. They keep the rules of the usage records."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any, Final

from django.contrib import admin
from django.contrib.auth import get_user_model
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from native_api.admin.usage import ModelFilter, ProviderFilter, ReadOnlyAdmin
from native_api.models import ApiKey, DailyUsage
from native_api.usage.daily_names import UNKNOWN

LONGEST: Final = {"year": 366, "month": 31, "day": 1}
"""Days from the first of one period to somewhere in the next."""


class JumpingDays(QuerySet):
    """Finds the periods that the date hierarchy links to by jumping along the index, where Django
    reads every row of it."""

    def dates(self, field_name: str, kind: str, order: str = "ASC") -> list[date]:  # type: ignore[override]
        found: list[date] = []
        days = self.order_by(field_name).values_list(field_name, flat=True)
        following = days.first()
        while following is not None:
            found.append(_first_of(kind, following))
            following = days.filter(
                **{f"{field_name}__gte": _first_of(kind, found[-1] + timedelta(LONGEST[kind]))}
            ).first()
        return found


def _first_of(kind: str, day: date) -> date:
    return day.replace(
        month=1 if kind == "year" else day.month, day=day.day if kind == "day" else 1
    )


class DailyModelFilter(ModelFilter):
    """Offers what nobody here knows too: its totals are under one name."""

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [*super().lookups(request, model_admin), (UNKNOWN, UNKNOWN)]


@admin.register(DailyUsage)
class DailyUsageAdmin(ReadOnlyAdmin):
    list_display = (
        "day", "model", "provider", "user_name", "api_key_name", "status", "requests", "prompt_tokens", "completion_tokens",
        "total_tokens", "dollars", "unpriced",
    )  # fmt: skip
    list_filter = ("status", ProviderFilter, DailyModelFilter)
    date_hierarchy = "day"
    search_fields = ("model",)
    search_help_text = _("The exact user name, user id, key prefix, or model.")
    readonly_fields = ("id", "dollars")
    ordering = ("-day", "-id")

    def get_queryset(self, request: HttpRequest) -> QuerySet[DailyUsage]:
        return JumpingDays(self.model, using=self.model._default_manager.db).order_by(
            *self.ordering
        )

    @admin.display(description=_("cost (USD)"))
    def dollars(self, totals: DailyUsage) -> str:
        return f"{totals.cost:f}"

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[DailyUsage], search_term: str
    ) -> tuple[QuerySet[DailyUsage], bool]:
        term = search_term.strip()
        return (queryset.filter(**found(term)) if term else queryset), False


def found(term: str) -> dict[str, Any]:
    """The condition that `term` stands for. Users and keys that are gone are found by id."""
    users = (
        get_user_model()
        ._base_manager.filter(**{get_user_model().USERNAME_FIELD: term})
        .values_list("pk", flat=True)
    )
    if user := users.first():
        return {"user_id": str(user)}
    if key := ApiKey.objects.filter(prefix=term).values_list("pk", flat=True).first():
        return {"api_key_id": key}
    return (
        {"user_id": term} if DailyUsage.objects.filter(user_id=term).exists() else {"model": term}
    )
