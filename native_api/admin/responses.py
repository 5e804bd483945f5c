"""Kept responses: whose they are, when, of which model and how large. No page shows what they say,
and no page reads it."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from native_api.admin.uncounted import ReadOnlyAdmin
from native_api.admin.usage import key_with_prefix, user_named
from native_api.models import KeptResponse

SHOWN = ("created_at", "user", "api_key", "model", "response_id", "size")


@admin.register(KeptResponse)
class KeptResponseAdmin(ReadOnlyAdmin):
    list_display = fields = SHOWN
    list_select_related = ("user", "api_key")  # type: ignore[assignment]
    search_fields = ("user",)
    search_help_text = _("The exact user name or key prefix.")
    actions = ("delete_selected",)  # type: ignore[assignment]

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).only("pk", *SHOWN)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[KeptResponse], search_term: str
    ) -> tuple[QuerySet[KeptResponse], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        if user := user_named(term):
            return queryset.filter(user=user), False
        key = key_with_prefix(term)
        return (queryset.filter(api_key=key) if key else queryset.none()), False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return admin.ModelAdmin.has_delete_permission(self, request, obj)
