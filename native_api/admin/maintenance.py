"""The state of maintenance, read-only: what ran when, where and with which result."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from native_api.admin.uncounted import ReadOnlyAdmin
from native_api.maintenance.jobs import JOBS
from native_api.models import MaintenanceJob


@admin.register(MaintenanceJob)
class MaintenanceJobAdmin(ReadOnlyAdmin):
    list_display = (
        "name", "is_on", "finished_at", "succeeded", "result", "due_at", "holder",
        "lease_expires_at",
    )  # fmt: skip
    readonly_fields = ("description", "is_on")

    @admin.display(description=_("what it does"))
    def description(self, row: MaintenanceJob) -> Any:
        return JOBS[row.name].description if row.name in JOBS else ""

    @admin.display(description=_("on"), boolean=True)
    def is_on(self, row: MaintenanceJob) -> bool:
        return row.name in JOBS and JOBS[row.name].is_on

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return (
            "name", "description", "is_on", "finished_at", "succeeded", "result", "due_at",
            "holder", "lease_expires_at",
        )  # fmt: skip
