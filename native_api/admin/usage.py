"""Usage records: to look at, never to change. Stays fast on a table of millions.

Rules:
1. No page counts rows. A page asks for one row more than it shows, and so knows whether there is an
   older one.
2. Every filter is served by an index that ends with the id, the id begins with the time, and the
   list is in its order: a page is one short walk along one index. A period is a range of ids.
3. The choices of a filter are found by jumping from value to value along the index; models by a
   look at the newest totals, since callers make up any number of names.
4. A search is for one exact thing, looked for in one indexed place after the other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django.contrib import admin
from django.contrib.admin.views.main import PAGE_VAR, ChangeList
from django.contrib.auth import get_user_model
from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _

from native_api.models import ApiKey, DailyUsage, UsageRecord
from native_api.usage.daily_names import UNKNOWN
from native_api.usage.entry import first_id_of

MAX_CHOICES: Final = 50
"""Values that a filter offers."""

SAMPLE: Final = 5000
"""Daily totals that are looked at for the models that were used of late. Within a day they come in
the order of digests, so by chance."""

MAX_PAGE_DIGITS: Final = 7

PERIODS: Final = {
    "1h": (_("Past hour"), timedelta(hours=1)),
    "24h": (_("Past 24 hours"), timedelta(hours=24)),
    "7d": (_("Past 7 days"), timedelta(days=7)),
    "30d": (_("Past 30 days"), timedelta(days=30)),
}


class UncountedPaginator(Paginator):  # type: ignore[type-arg]
    """Knows the rows up to the present page and whether there is another one after it."""

    present = 1

    @cached_property
    def count(self) -> int:
        before = (self.present - 1) * self.per_page
        rows = self.object_list.values_list("pk", flat=True)[before : before + self.per_page + 1]  # type: ignore[attr-defined]
        return before + len(rows)


class UncountedChangeList(ChangeList):
    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        if not self.multi_page:
            # Django takes all rows where there is one page, and a page number beyond the end looks
            # like that too.
            self.result_list = self.result_list[: self.list_per_page]
        # Equal counts keep the search form from telling how many there are, which nobody knows.
        self.full_result_count = self.result_count


class PeriodFilter(admin.SimpleListFilter):
    title = _("time")
    parameter_name = "period"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [(value, label) for value, (label, _length) in PERIODS.items()]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[UsageRecord]
    ) -> QuerySet[UsageRecord]:
        period = PERIODS.get(self.value() or "")
        return (
            queryset.filter(pk__gte=first_id_of(timezone.now() - period[1])) if period else queryset
        )


class IndexedFilter(admin.SimpleListFilter):
    """The values of an indexed text column, which is also the parameter's name."""

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


class ModelFilter(IndexedFilter):
    """Offers the models that were used most of late. Any other is found by a search for its
    name."""

    title = _("model")
    parameter_name = column = "model"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in used_models()]


class StreamFilter(admin.SimpleListFilter):
    """Django's own filter asks `WHERE stream`, for which SQLite takes no index."""

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
    """Up to MAX_CHOICES values in order, each found by one index lookup. The empty one is left
    out."""
    last = ""
    for _number in range(MAX_CHOICES):
        rows = model._default_manager.filter(**{f"{column}__gt": last}).order_by(column)
        following = rows.values_list(column, flat=True).first()
        if following is None:
            return
        last = following
        yield last


def used_models() -> list[str]:
    """Up to MAX_CHOICES models that answered, by the requests that the newest daily totals count.
    UNKNOWN is none of them."""
    newest = DailyUsage.objects.order_by("-day", "-id").values_list("model", "status", "requests")[
        :SAMPLE
    ]
    requests: Counter[str] = Counter()
    for model, status, count in newest:
        if status == UsageRecord.Status.OK and model != UNKNOWN:
            requests[model] += count
    return sorted(model for model, _count in requests.most_common(MAX_CHOICES))


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Of a table of millions that only the recorder writes."""

    sortable_by = ()
    list_per_page = 100
    list_max_show_all = 0
    list_select_related = False
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    actions = None

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return UncountedChangeList

    def get_paginator(
        self, request: HttpRequest, queryset: Any, per_page: int, *args: Any, **kwargs: Any
    ) -> UncountedPaginator:
        paginator = UncountedPaginator(queryset, per_page)
        page = request.GET.get(PAGE_VAR, "")
        paginator.present = (
            max(1, int(page))
            if page.isascii() and page.isdigit() and len(page) <= MAX_PAGE_DIGITS
            else 1
        )
        return paginator


@admin.register(UsageRecord)
class UsageRecordAdmin(ReadOnlyAdmin):
    list_display = (
        "created_at", "model", "provider", "user_name", "api_key_name", "stream", "status", "prompt_tokens", "completion_tokens",
        "estimated", "cost", "latency_ms", "ttft_ms",
    )  # fmt: skip
    list_filter = (PeriodFilter, "status", ProviderFilter, ModelFilter, StreamFilter)
    search_fields = ("request_id",)
    search_help_text = _("The exact request id, record id, user name, key prefix, or model.")
    readonly_fields = ("id",)
    ordering = ("-id",)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[UsageRecord], search_term: str
    ) -> tuple[QuerySet[UsageRecord], bool]:
        term = search_term.strip()
        return (queryset.filter(**found(term)) if term else queryset), False


def found(term: str) -> dict[str, Any]:
    """The condition that `term` stands for: the first place that knows it, asked by one index
    lookup each."""
    records = UsageRecord.objects
    identity = _uuid(term)
    if identity and records.filter(pk=identity).exists():
        return {"pk": identity}
    if records.filter(request_id=term).exists():
        return {"request_id": term}
    users = (
        get_user_model()
        ._base_manager.filter(**{get_user_model().USERNAME_FIELD: term})
        .values_list("pk", flat=True)
    )
    if user := users.first():
        return {"user": user}
    if key := ApiKey.objects.filter(prefix=term).values_list("pk", flat=True).first():
        return {"api_key": key}
    return {"model": term}


def _uuid(term: str) -> UUID | None:
    try:
        return UUID(term)
    except ValueError:
        return None
