"""Change lists for tables of millions of rows that only the gateway writes.

No page counts the rows: a page reads one row more than it shows, and so knows whether there is an
older one.
"""

from __future__ import annotations

from typing import Any, Final

from django.contrib import admin
from django.contrib.admin.views.main import PAGE_VAR, ChangeList
from django.core.paginator import Paginator
from django.http import HttpRequest
from django.utils.functional import cached_property

MAX_PAGE_DIGITS: Final = 7


class UncountedPaginator(Paginator):  # type: ignore[type-arg]
    """Counts the rows up to the current page, and one more if there is a next page."""

    current_page = 1

    @cached_property
    def count(self) -> int:
        before = (self.current_page - 1) * self.per_page
        rows = self.object_list.values_list("pk", flat=True)[before : before + self.per_page + 1]  # type: ignore[attr-defined]
        return before + len(rows)


class UncountedChangeList(ChangeList):
    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        if not self.multi_page:
            # Django reads all rows if there is only one page, and a page number beyond the end
            # looks the same.
            self.result_list = self.result_list[: self.list_per_page]
        # With equal counts, the search form does not show a total, which nobody knows.
        self.full_result_count = self.result_count


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
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
        if page.isascii() and page.isdigit() and len(page) <= MAX_PAGE_DIGITS:
            paginator.current_page = max(1, int(page))
        return paginator
