"""The usage records: read-only, and fast on a table of millions.

Rules:
1. No page counts rows (`uncounted`).
2. Every filter uses an index that ends with the id. The id begins with the time, and the list is in
   its order, so a page is one short walk along one index. A period is a range of ids.
3. The choices of a filter are found with one index lookup each; models from the newest totals,
   because callers can invent any number of names.
4. A search looks for one exact term, in one indexed column after the other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django.contrib import admin
from django.contrib.auth import get_user_model
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from native_api.admin.uncounted import ReadOnlyAdmin
from native_api.models import ApiKey, DailyUsage, UsageRecord
from native_api.usage.entry import first_id_at
from native_api.usage.totals_names import UNKNOWN_MODEL

MAX_CHOICES: Final = 50
"""Values that a filter offers."""

SAMPLED_TOTALS: Final = 5000
"""Daily totals that are searched for recently used models. Within a day they are in the order of
digests, which is random."""

PERIODS: Final = {
    "1h": (_("Past hour"), timedelta(hours=1)),
    "24h": (_("Past 24 hours"), timedelta(hours=24)),
    "7d": (_("Past 7 days"), timedelta(days=7)),
    "30d": (_("Past 30 days"), timedelta(days=30)),
}


class PeriodFilter(admin.SimpleListFilter):
    title = _("time")
    parameter_name = "period"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [(value, label) for value, (label, _length) in PERIODS.items()]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[UsageRecord]
    ) -> QuerySet[UsageRecord]:
        period = PERIODS.get(self.value() or "")
        if not period:
            return queryset
        return queryset.filter(pk__gte=first_id_at(timezone.now() - period[1]))


class IndexedFilter(admin.SimpleListFilter):
    """Offers the values of an indexed text column, which is also the parameter's name."""

    column: str

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(value, value) for value in distinct_values(model_admin.model, self.column)]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[UsageRecord]
    ) -> QuerySet[UsageRecord]:
        value = self.value()
        if value is None:
            return queryset
        return queryset.none() if "\0" in value else queryset.filter(**{self.column: value})


class ProviderFilter(IndexedFilter):
    title = _("provider")
    parameter_name = column = "provider"


class EndpointFilter(IndexedFilter):
    title = _("endpoint")
    parameter_name = column = "endpoint"


class ModelFilter(IndexedFilter):
    """Offers the models that were used most recently. Search for the name of any other."""

    title = _("model")
    parameter_name = column = "model"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in recent_models()]


class StreamFilter(admin.SimpleListFilter):
    """Django's own filter queries `WHERE stream`, for which SQLite does not use the index."""

    title = _("stream")
    parameter_name = "stream"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("1", _("Yes")), ("0", _("No"))]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[UsageRecord]
    ) -> QuerySet[UsageRecord]:
        value = self.value()
        return queryset.filter(stream__in=[value == "1"]) if value in ("0", "1") else queryset


def distinct_values(model: type[Model], column: str) -> Iterable[str]:
    """Up to MAX_CHOICES values in order, except the empty one, with one index lookup each."""
    last = ""
    for _number in range(MAX_CHOICES):
        rows = model._default_manager.filter(**{f"{column}__gt": last}).order_by(column)
        following = rows.values_list(column, flat=True).first()
        if following is None:
            return
        last = following
        yield last


def recent_models() -> list[str]:
    """Up to MAX_CHOICES models with the most successful requests in the newest daily totals.

    Without UNKNOWN_MODEL.
    """
    newest = DailyUsage.objects.order_by("-day", "-id").values_list("model", "status", "requests")
    requests: Counter[str] = Counter()
    for model, status, count in newest[:SAMPLED_TOTALS]:
        if status == UsageRecord.Status.OK and model != UNKNOWN_MODEL:
            requests[model] += count
    return sorted(model for model, _count in requests.most_common(MAX_CHOICES))


def user_named(name: str) -> Any:
    """The primary key of the user with this name, or None."""
    users = get_user_model()._base_manager.filter(**{get_user_model().USERNAME_FIELD: name})
    return users.values_list("pk", flat=True).first()


def key_with_prefix(prefix: str) -> int | None:
    """The primary key of the API key with this prefix, or None."""
    return ApiKey.objects.filter(prefix=prefix).values_list("pk", flat=True).first()


@admin.register(UsageRecord)
class UsageRecordAdmin(ReadOnlyAdmin):
    list_display = (
        "created_at", "endpoint", "model", "provider", "user_name", "api_key_name", "stream",
        "status", "prompt_tokens", "completion_tokens", "estimated", "cost", "latency_ms",
        "ttft_ms",
    )  # fmt: skip
    list_filter = (
        PeriodFilter,
        "status",
        ProviderFilter,
        ModelFilter,
        EndpointFilter,
        StreamFilter,
    )
    search_fields = ("request_id",)
    search_help_text = _("The exact request id, record id, user name, key prefix, or model.")
    readonly_fields = ("id",)
    ordering = ("-id",)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[UsageRecord], search_term: str
    ) -> tuple[QuerySet[UsageRecord], bool]:
        term = search_term.strip()
        return (queryset.filter(**_search_condition(term)) if term else queryset), False


def _search_condition(term: str) -> dict[str, Any]:
    """A condition on the first column that contains the term, with one index lookup each."""
    records = UsageRecord.objects
    identity = _parse_uuid(term)
    if identity and records.filter(pk=identity).exists():
        return {"pk": identity}
    if records.filter(request_id=term).exists():
        return {"request_id": term}
    if user := user_named(term):
        return {"user": user}
    if key := key_with_prefix(term):
        return {"api_key": key}
    return {"model": term}


def _parse_uuid(term: str) -> UUID | None:
    try:
        return UUID(term)
    except ValueError:
        return None
