"""Lists of published prices: which one is used.

Deleting the newest goes back to the list before it, or to that of the release.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from native_api.models import PriceList


@admin.register(PriceList)
class PriceListAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("fetched_at", "source")
    fields = ("fetched_at", "source")

    def get_queryset(self, request: HttpRequest) -> Any:
        """Without the lists themselves, which are megabytes."""
        return super().get_queryset(request).defer("data")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
