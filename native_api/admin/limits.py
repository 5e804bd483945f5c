"""The admin of limits and model access, and a read-only view of budgets: how much of each limit is
used in its window."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from native_api.admin.fields import LinesField
from native_api.admin.uncounted import ReadOnlyAdmin
from native_api.limits.amounts import format_units
from native_api.models import Budget, Limit, ModelAccess


@admin.register(Limit)
class LimitAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("subject", "whose", "shown_amount", "metric", "window", "pattern", "enabled")
    list_filter = ("subject", "metric", "window", "enabled")
    list_select_related = ("group", "user", "api_key")
    raw_id_fields = ("user", "api_key")
    fields = (
        "subject",
        "group",
        "user",
        "api_key",
        "metric",
        "amount",
        "window",
        "pattern",
        "threshold",
        "enabled",
    )

    @admin.display(description=_("whose"))
    def whose(self, limit: Limit) -> str:
        return str(limit.member() or "")

    @admin.display(description=_("amount"), ordering="amount")
    def shown_amount(self, limit: Limit) -> str:
        return f"{limit.amount.normalize():f}"


class LevelFilter(admin.SimpleListFilter):
    title = _("level")
    parameter_name = "level"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("threshold", _("Threshold reached")), ("reached", _("Has refused calls"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Budget]) -> QuerySet[Budget]:
        reached = {"threshold": "threshold_at", "reached": "reached_at"}.get(self.value() or "")
        return queryset.filter(**{f"{reached}__isnull": False}) if reached else queryset


@admin.register(Budget)
class BudgetAdmin(ReadOnlyAdmin):
    list_display = (
        "subject", "metric", "window", "pattern", "starts_at", "ends_at",
        "shown_amount", "shown_used", "shown_reserved", "shown_lost",
        "level", "threshold_at", "reached_at",
    )  # fmt: skip
    list_filter = (LevelFilter, "metric", "window")
    search_fields = ("subject",)
    fields = list_display

    @admin.display(description=_("limit"), ordering="amount")
    def shown_amount(self, budget: Budget) -> str:
        return format_units(budget.metric, budget.amount)

    @admin.display(description=_("used"), ordering="used")
    def shown_used(self, budget: Budget) -> str:
        return format_units(budget.metric, budget.used)

    @admin.display(description=_("reserved"), ordering="reserved")
    def shown_reserved(self, budget: Budget) -> str:
        return format_units(budget.metric, budget.reserved)

    @admin.display(description=_("lost"), ordering="lost")
    def shown_lost(self, budget: Budget) -> str:
        """Reserved by calls whose process died: they may have cost up to this much."""
        return format_units(budget.metric, budget.lost)

    @admin.display(description=_("level"))
    def level(self, budget: Budget) -> str:
        percentage = f"{budget.used * 100 // budget.amount} %" if budget.amount else "100 %"
        return f"{percentage} ⚠" if budget.threshold_at is not None else percentage


class ModelAccessForm(forms.ModelForm):  # type: ignore[type-arg]
    patterns = LinesField(
        label=_("models"),
        required=False,
        help_text=_('Patterns, one per line, such as "gpt-4o*". Empty allows no model.'),
    )

    class Meta:
        model = ModelAccess
        fields = ("group", "user", "patterns")


@admin.register(ModelAccess)
class ModelAccessAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    form = ModelAccessForm
    list_display = ("group", "user", "shown_patterns")
    list_select_related = ("group", "user")
    raw_id_fields = ("user",)

    @admin.display(description=_("models"))
    def shown_patterns(self, access: ModelAccess) -> str:
        return ", ".join(map(str, access.patterns))
