"""Providers, routes and targets: the rows, what the settings define in addition, and the state of
both.

A provider's key can be set, replaced and removed here, but never seen. It is valid for the address,
options and other values that it was entered with: whoever changes one of them has to enter the key
again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any, Final

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_post_parameters

from native_api import background
from native_api.admin.catalog_forms import (
    ModelRouteForm,
    ProviderForm,
    TargetFormSet,
    redact_options,
)
from native_api.catalog import catalog
from native_api.conf import setting_errors, usable_settings
from native_api.exceptions import ModelNotFound, SettingError, UnreadableSecret
from native_api.gateway import connection_test
from native_api.logs import new_request_id
from native_api.models import ModelRoute, Provider, Target
from native_api.routing.health_states import Incident
from native_api.routing.health_sync import refresh_health, target_pool
from native_api.types import Caller
from native_api.types import Provider as ProviderValue
from native_api.types import Target as TargetValue
from native_api.types.model_names import canonical
from native_api.upstream.redaction import redact_url

MAX_SHOWN_ERRORS: Final = 3
"""Invalid settings that a page names. `manage.py check` names all."""

MAX_TESTED_TARGETS: Final = 50
"""Targets that one "Test connection" calls."""

TEST_TIMEOUT_SECONDS: Final = 15.0

INCIDENT_LABELS: Final = {
    "circuit_open": _("circuit open"),
    "rate_limited": _("rate-limited"),
    "auth_failed": _("key refused"),
}


def _current_catalog() -> catalog.Catalog:
    """The catalog; an empty one while a setting is invalid, so that the rows can still be read."""
    try:
        return catalog.current()
    except SettingError:
        return catalog.Catalog()


# --- states --------------------------------------------------------------------------------------


def describe_provider_state(provider: ProviderValue | None) -> str:
    """The state of its key and of the targets with incidents; "" if it is not in the catalog."""
    if provider is None:
        return ""
    if provider.unusable:
        return provider.unusable
    incidents = sorted(target_pool.health.incidents_for(provider).items())
    return _join_incidents(_describe_incident(model, incident) for model, incident in incidents)


def describe_route_state(targets: Iterable[TargetValue]) -> str:
    descriptions = []
    for target in targets:
        incidents = target_pool.health.incidents_for(target.provider)
        incident = incidents.get(canonical(target.model)) or incidents.get("")
        if incident is not None:
            descriptions.append(_describe_incident(str(target), incident))
    return _join_incidents(descriptions)


def _join_incidents(descriptions: Iterable[str]) -> str:
    return "; ".join(descriptions) or str(_("ok"))


def _describe_incident(name: str, incident: Incident) -> str:
    return f"{name + ': ' if name else ''}{INCIDENT_LABELS[incident.kind]} ({incident.code})"


class CatalogAdmin(admin.ModelAdmin):
    """Shows what the settings define in addition to the rows, and can call targets to test them."""

    actions = ("test_connection",)
    change_list_template = "admin/native_api/catalog/change_list.html"

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> Any:
        refresh_health()
        for error in islice(setting_errors(), MAX_SHOWN_ERRORS):
            self.message_user(request, str(error), messages.ERROR)
        entries = self.settings_entries(_current_catalog())
        return super().changelist_view(
            request, {**(extra_context or {}), "settings_entries": entries}
        )

    def settings_entries(self, snapshot: catalog.Catalog) -> list[Mapping[str, Any]]:
        """`name`, `definition` and `state` of each entry of the settings."""
        raise NotImplementedError

    def targets_of(self, snapshot: catalog.Catalog, row: Any) -> Iterable[TargetValue]:
        raise NotImplementedError

    @admin.action(description=_("Test connection"), permissions=["change"])
    def test_connection(self, request: HttpRequest, queryset: QuerySet) -> HttpResponse | None:
        """Call each target of the selected rows once, and show the results."""
        catalog.forget()
        snapshot = _current_catalog()
        targets = {
            target.key: target for row in queryset for target in self.targets_of(snapshot, row)
        }
        if not targets:
            self.message_user(
                request,
                _("There is no target to call: none of the selected rows serves a model."),
                messages.WARNING,
            )
            return None
        return self._test_response(request, list(targets.values()))

    def _test_response(self, request: HttpRequest, targets: list[TargetValue]) -> HttpResponse:
        caller = Caller(request.user.pk, request.user.get_username())
        outcomes = background.run(
            connection_test.probe_all(
                targets[:MAX_TESTED_TARGETS], caller, new_request_id(), TEST_TIMEOUT_SECONDS
            )
        )
        context = {
            **self.admin_site.each_context(request),
            "title": _("Test connection"),
            "opts": self.opts,
            "outcomes": outcomes,
            "untested_targets": targets[MAX_TESTED_TARGETS:],
        }
        return TemplateResponse(request, "admin/native_api/catalog/tested.html", context)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        catalog.forget()

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        catalog.forget()


# --- providers -----------------------------------------------------------------------------------


@admin.register(Provider)
class ProviderAdmin(CatalogAdmin):
    form = ProviderForm
    list_display = ("name", "preset", "dialect", "address", "has_key", "enabled", "state")
    list_filter = ("enabled",)
    search_fields = ("name",)

    @method_decorator(sensitive_post_parameters("new_api_key"))
    def changeform_view(self, *arguments: Any, **options: Any) -> Any:
        return super().changeform_view(*arguments, **options)

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Provider | None:
        """Users who may only view see the row itself and not the form, so it is redacted here."""
        provider: Provider | None = super().get_object(request, object_id, from_field)
        if provider is not None and not self.has_change_permission(request, provider):
            provider.base_url = redact_url(provider.base_url)
            provider.options = redact_options(provider.options)
        return provider

    @admin.display(description=_("base URL"), ordering="base_url")
    def address(self, provider: Provider) -> str:
        return redact_url(provider.base_url)

    @admin.display(description=_("key"))
    def has_key(self, provider: Provider) -> Any:
        key = provider.api_key_or_error()
        if isinstance(key, UnreadableSecret):
            return _("cannot be read")
        return _("stored") if key else _("none")

    @admin.display(description=_("state"))
    def state(self, provider: Provider) -> str:
        if provider.name in usable_settings.PROVIDERS:
            return str(_("not used: the settings define it"))
        key = provider.api_key_or_error()
        if isinstance(key, UnreadableSecret):
            return str(key)
        return describe_provider_state(_current_catalog().providers.get(provider.name))

    def settings_entries(self, snapshot: catalog.Catalog) -> list[Mapping[str, Any]]:
        providers = {
            name: snapshot.providers.get(name) for name in sorted(usable_settings.PROVIDERS)
        }
        return [
            {
                "name": name,
                "definition": _describe_provider(provider),
                "state": describe_provider_state(provider),
            }
            for name, provider in providers.items()
        ]

    def targets_of(self, snapshot: catalog.Catalog, row: Provider) -> Iterable[TargetValue]:
        targets = (target for route in snapshot.routes.values() for target in route.targets)
        return (target for target in targets if target.provider.name == row.name)


def _describe_provider(provider: ProviderValue | None) -> str:
    if provider is None:
        return str(_("cannot be used; see manage.py check"))
    return f"{provider.dialect}, {redact_url(provider.base_url)}"


# --- routes --------------------------------------------------------------------------------------


class TargetInline(admin.TabularInline):
    model = Target
    formset = TargetFormSet
    extra = 1


@admin.register(ModelRoute)
class ModelRouteAdmin(CatalogAdmin):
    form = ModelRouteForm
    list_display = ("name", "strategy", "served_by", "enabled", "state")
    list_filter = ("enabled",)
    search_fields = ("name",)
    inlines = (TargetInline,)

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).prefetch_related("targets")

    @admin.display(description=_("served by"))
    def served_by(self, route: ModelRoute) -> str:
        return ", ".join(str(target) for target in route.targets.all())

    @admin.display(description=_("state"))
    def state(self, route: ModelRoute) -> str:
        if route.name in usable_settings.MODELS:
            return str(_("not used: the settings define it"))
        if not route.enabled:
            return ""
        return describe_route_state(self.targets_of(_current_catalog(), route))

    def settings_entries(self, snapshot: catalog.Catalog) -> list[Mapping[str, Any]]:
        routes = {
            name: snapshot.routes[name]
            for name in sorted(usable_settings.MODELS)
            if name in snapshot.routes
        }
        return [
            {
                "name": name,
                "definition": f"{route.strategy}: {', '.join(map(str, route.targets))}",
                "state": describe_route_state(route.targets),
            }
            for name, route in routes.items()
        ]

    def targets_of(self, snapshot: catalog.Catalog, row: ModelRoute) -> Iterable[TargetValue]:
        try:
            return snapshot.targets(row.name)
        except ModelNotFound:
            return ()
