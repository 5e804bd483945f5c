"""Providers, routes and targets. A provider's key can be set, replaced and removed here, never seen."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from native_api import catalog
from native_api.engine import credentials
from native_api.models import ModelRoute, Provider, Target

BUILT_FROM = ("preset", "dialect", "base_url", "auth", "headers", "options", "timeout")


class ProviderForm(forms.ModelForm):
    new_api_key = forms.CharField(
        label=_("API key"),
        required=False,
        widget=forms.PasswordInput(render_value=False, attrs={"autocomplete": "new-password"}),
        help_text=_("Or a service account's JSON. Stored encrypted and never shown again. Leave empty to keep the present one."),
    )
    remove_api_key = forms.BooleanField(label=_("Remove the API key"), required=False)

    class Meta:
        model = Provider
        fields = ("name", "preset", "dialect", "base_url", "auth", "headers", "options", "timeout", "enabled")

    def clean(self) -> dict[str, Any]:
        """Build the provider as the catalog will, so that what is wrong is said here and not in the log."""
        cleaned = super().clean() or {}
        if self.errors:
            return cleaned
        definition = {name.upper(): cleaned.get(name) for name in BUILT_FROM}
        try:
            provider = catalog.provider_of(cleaned["name"], {**definition, "API_KEY": self._key_after(cleaned)})
        except ValueError as problem:
            raise forms.ValidationError(str(problem).replace(" | ", ". ")) from None
        if credentials.is_missing(provider.auth):
            raise forms.ValidationError(f"{credentials.needs(provider.auth)}.")
        return cleaned

    def _key_after(self, cleaned: dict[str, Any]) -> str:
        return "" if cleaned["remove_api_key"] else cleaned["new_api_key"] or self.instance.api_key

    def save(self, commit: bool = True) -> Provider:
        self.instance.api_key = self._key_after(self.cleaned_data)
        provider: Provider = super().save(commit)
        return provider


@admin.register(Provider)
class ProviderAdmin(admin.ModelAdmin):
    form = ProviderForm
    list_display = ("name", "preset", "dialect", "base_url", "has_key", "enabled")
    list_filter = ("enabled",)
    search_fields = ("name",)

    @admin.display(boolean=True, description=_("key"))
    def has_key(self, provider: Provider) -> bool:
        return bool(provider.api_key)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        catalog.forget()


class TargetInline(admin.TabularInline):
    model = Target
    extra = 1


@admin.register(ModelRoute)
class ModelRouteAdmin(admin.ModelAdmin):
    list_display = ("name", "served_by", "enabled")
    list_filter = ("enabled",)
    search_fields = ("name",)
    inlines = (TargetInline,)

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).prefetch_related("targets")

    @admin.display(description=_("served by"))
    def served_by(self, route: ModelRoute) -> str:
        return ", ".join(str(target) for target in route.targets.all())

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        catalog.forget()
