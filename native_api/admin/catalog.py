"""Providers, routes and targets: the rows, and beside them, to look at, what the settings define
and how all of it is doing.

A provider's key can be set, replaced and removed here, never seen, and it is kept for the address,
the options and the other values that it was entered with: whoever changes one of those has to enter
the key again. What is wrong with a row is said in its form, in the words of `manage.py check`: it
is built as the catalog will build it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_post_parameters

from native_api import background
from native_api.admin.fields import LinesField
from native_api.catalog import catalog
from native_api.conf import native_settings
from native_api.exceptions import ConfigurationError, ModelNotFound, UnreadableSecret
from native_api.gateway import connection_test
from native_api.logs import new_request_id
from native_api.models import ModelRoute, Provider, Target
from native_api.models.catalog import BOUND
from native_api.routing.health_states import Incident
from native_api.routing.health_sync import refresh_health, target_pool
from native_api.types import Caller, Secret
from native_api.types import Provider as KnownProvider
from native_api.types import Target as KnownTarget
from native_api.types.model_names import canonical
from native_api.upstream.auth import methods
from native_api.upstream.redaction import redact_url

MOST_TESTED: Final = 50
"""Targets that one "test connection" calls."""

TEST_SECONDS: Final = 15.0

WORDS: Final = {
    "circuit_open": _("circuit open"),
    "rate_limited": _("rate-limited"),
    "auth_failed": _("key refused"),
}


# --- how they are doing ------------------------------------------------------------------------------------


def provider_state(provider: KnownProvider | None) -> str:
    """In words: its key, and the targets that are in trouble. Empty where the catalog does not have
    it."""
    if provider is None:
        return ""
    if provider.unusable:
        return provider.unusable
    told = [
        _in_words(model, incident)
        for model, incident in sorted(target_pool.health.incidents_for(provider).items())
    ]
    return "; ".join(told) or str(_("ok"))


def route_state(targets: Iterable[KnownTarget]) -> str:
    told = []
    for target in targets:
        incidents = target_pool.health.incidents_for(target.provider)
        incident = incidents.get(canonical(target.model)) or incidents.get("")
        if incident is not None:
            told.append(_in_words(str(target), incident))
    return "; ".join(told) or str(_("ok"))


def _in_words(what: str, incident: Incident) -> str:
    return f"{what + ': ' if what else ''}{WORDS[incident.kind]} ({incident.code})"


class TestedAdmin(admin.ModelAdmin):
    """Shows what the settings define beside the rows, and calls targets to see how they are."""

    actions = ("test_connection",)
    change_list_template = "admin/native_api/catalog/change_list.html"

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> Any:
        refresh_health()
        return super().changelist_view(
            request,
            {**(extra_context or {}), "from_settings": self.from_settings(catalog.current())},
        )

    def from_settings(self, snapshot: catalog.Catalog) -> list[Mapping[str, Any]]:
        raise NotImplementedError

    def targets_of(self, snapshot: catalog.Catalog, row: Any) -> Iterable[KnownTarget]:
        raise NotImplementedError

    @admin.action(description=_("Test connection"), permissions=["change"])
    def test_connection(self, request: HttpRequest, queryset: QuerySet) -> HttpResponse | None:
        """Call each target of the chosen rows once, and show what came of it."""
        catalog.forget()
        snapshot = catalog.current()
        targets = list(
            {
                target.key: target for row in queryset for target in self.targets_of(snapshot, row)
            }.values()
        )
        if not targets:
            self.message_user(
                request,
                _("There is no target to call: no model is served by these."),
                messages.WARNING,
            )
            return None
        caller = Caller(request.user.pk, request.user.get_username())
        outcomes = background.run(
            connection_test.probe_all(targets[:MOST_TESTED], caller, new_request_id(), TEST_SECONDS)
        )
        context = {
            **self.admin_site.each_context(request),
            "title": _("Test connection"),
            "opts": self.opts,
            "outcomes": outcomes,
        }
        return TemplateResponse(
            request,
            "admin/native_api/catalog/tested.html",
            {**context, "left_out": targets[MOST_TESTED:]},
        )

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        catalog.forget()

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        catalog.forget()


# --- providers ---------------------------------------------------------------------------------------------

DEFINED: Final = (
    "preset", "dialect", "base_url", "auth", "headers", "options", "timeout", "timeouts", "retries", "max_concurrency", "price",
    "own_account",
)  # fmt: skip


KEY_HELP: Final = _(
    "Or a service account's JSON. Stored encrypted and never shown again. Leave empty to keep the present one, unless you change "
    "where or how it is sent."
)

SECRET_HEADER: Final = re.compile(
    r".*(authorization|cookie|secret|password|token|api[-_]?key|[-_]key|[-_]auth)", re.IGNORECASE
)
"""The names of headers whose values are credentials."""


class ProviderForm(forms.ModelForm):
    new_api_key = forms.CharField(
        label=_("API key"),
        required=False,
        widget=forms.PasswordInput(render_value=False, attrs={"autocomplete": "new-password"}),
        help_text=KEY_HELP,
    )
    remove_api_key = forms.BooleanField(label=_("Remove the API key"), required=False)

    class Meta:
        model = Provider
        fields = ("name", *DEFINED, "enabled")

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        if self.instance.pk is None:
            return
        self.initial["base_url"] = redact_url(self.instance.base_url)
        self.initial["options"] = options_shown(self.instance.options)
        key = self.instance.known_api_key()
        if isinstance(key, UnreadableSecret):
            self.fields["new_api_key"].help_text = str(key)

    def clean_new_api_key(self) -> Secret:
        return Secret(self.cleaned_data["new_api_key"])

    def clean_headers(self) -> Any:
        headers = self.cleaned_data["headers"]
        secret = next((name for name in headers or () if SECRET_HEADER.fullmatch(str(name))), None)
        if secret:
            raise forms.ValidationError(
                _(
                    "The value of %(name)r is a secret, and it would be shown here. Give it as the API key."
                ),
                params={"name": secret},
            )
        return headers

    def clean(self) -> dict[str, Any]:
        """Build the provider as the catalog will, so that what is wrong is said here and not in the
        log."""
        cleaned = super().clean() or {}
        if self.errors:
            return cleaned
        row = Provider(
            name=cleaned["name"],
            api_key=self._key_after(cleaned),
            **{name: cleaned.get(name) for name in DEFINED},
        )
        key = row.known_api_key()
        if isinstance(key, UnreadableSecret):
            if key.moved or cleaned["enabled"]:
                self.add_error("new_api_key", self._why_again(key))
            return cleaned
        try:
            provider = catalog.provider_of(cleaned["name"], row.definition())
        except ConfigurationError as problem:
            raise forms.ValidationError(str(problem)) from None
        if methods.is_extra_missing(provider.auth):
            raise forms.ValidationError(f"{methods.describe_missing_extra(provider.auth)}.")
        return cleaned

    def _key_after(self, cleaned: dict[str, Any]) -> str:
        return "" if cleaned["remove_api_key"] else cleaned["new_api_key"] or self.instance.api_key

    def _why_again(self, key: UnreadableSecret) -> Any:
        changed = ", ".join(
            str(self.fields[name].label) for name in BOUND if name in self.changed_data
        )
        if key.moved and changed:
            return (
                _(
                    "Enter the key again, or remove it: it was stored for other values of what you changed (%s)."
                )
                % changed
            )
        return str(key)

    def save(self, commit: bool = True) -> Provider:
        self.instance.api_key = self._key_after(self.cleaned_data)
        provider: Provider = super().save(commit)
        return provider


LIKE_ADDRESS: Final = re.compile(r"://|^[^/\s]*:[^/\s]*@")


def options_shown(options: Any) -> Any:
    """An address may be filled from them, so they may hold parts of one."""
    if not isinstance(options, dict):
        return options
    addresses = {
        name: value
        for name, value in options.items()
        if isinstance(value, str) and LIKE_ADDRESS.search(value)
    }
    return {**options, **{name: redact_url(value) for name, value in addresses.items()}}


@admin.register(Provider)
class ProviderAdmin(TestedAdmin):
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
        """Those who may only look see the row itself and not the form."""
        provider: Provider | None = super().get_object(request, object_id, from_field)
        if provider is not None and not self.has_change_permission(request, provider):
            provider.base_url, provider.options = (
                redact_url(provider.base_url),
                options_shown(provider.options),
            )
        return provider

    @admin.display(description=_("base URL"), ordering="base_url")
    def address(self, provider: Provider) -> str:
        return redact_url(provider.base_url)

    @admin.display(description=_("key"))
    def has_key(self, provider: Provider) -> Any:
        key = provider.known_api_key()
        return (
            _("cannot be read")
            if isinstance(key, UnreadableSecret)
            else _("stored")
            if key
            else _("none")
        )

    @admin.display(description=_("state"))
    def state(self, provider: Provider) -> str:
        if provider.name in native_settings.PROVIDERS:
            return str(_("not used: the settings define it"))
        key = provider.known_api_key()
        if isinstance(key, UnreadableSecret):
            return str(key)
        return provider_state(catalog.current().providers.get(provider.name))

    def from_settings(self, snapshot: catalog.Catalog) -> list[Mapping[str, Any]]:
        known = [(name, snapshot.providers.get(name)) for name in sorted(native_settings.PROVIDERS)]
        return [
            {"name": name, "told": _provider_in_words(provider), "state": provider_state(provider)}
            for name, provider in known
        ]

    def targets_of(self, snapshot: catalog.Catalog, row: Provider) -> Iterable[KnownTarget]:
        served = (target for route in snapshot.routes.values() for target in route.targets)
        return (target for target in served if target.provider.name == row.name)


def _provider_in_words(provider: KnownProvider | None) -> str:
    return (
        str(_("cannot be used, see manage.py check"))
        if provider is None
        else f"{provider.dialect}, {redact_url(provider.base_url)}"
    )


# --- routes ------------------------------------------------------------------------------------------------


class ModelRouteForm(forms.ModelForm):
    fallbacks = LinesField(
        label=_("fallbacks"),
        required=False,
        help_text=_("Models to try when all targets failed, one a line."),
    )
    context_fallbacks = LinesField(
        label=_("fallbacks for long conversations"),
        required=False,
        help_text=_("Models to try when the context is too long, one a line."),
    )

    class Meta:
        model = ModelRoute
        fields = ("name", "strategy", "fallbacks", "context_fallbacks", "hedge", "enabled")


class TargetFormSet(forms.models.BaseInlineFormSet):
    """Checks the whole route, since only here both the route and its targets are known."""

    def clean(self) -> None:
        super().clean()
        route: ModelRoute = self.instance
        if (
            any(self.errors)
            or not route.enabled
            or not route.name
            or route.name in native_settings.MODELS
        ):
            return
        kept = [
            form for form in self.forms if form.cleaned_data and not form.cleaned_data.get("DELETE")
        ]
        targets = [form.instance.definition() for form in kept if form.instance.enabled]
        problems = catalog.route_problems(route.name, {**route.options(), "TARGETS": targets})
        if problems:
            raise forms.ValidationError(
                [f"{problem.message}. {problem.hint}" for problem in problems]
            )


class TargetInline(admin.TabularInline):
    model = Target
    formset = TargetFormSet
    extra = 1


@admin.register(ModelRoute)
class ModelRouteAdmin(TestedAdmin):
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
        if route.name in native_settings.MODELS:
            return str(_("not used: the settings define it"))
        return route_state(self.targets_of(catalog.current(), route)) if route.enabled else ""

    def from_settings(self, snapshot: catalog.Catalog) -> list[Mapping[str, Any]]:
        known = [(name, snapshot.routes[name]) for name in sorted(native_settings.MODELS)]
        return [
            {
                "name": name,
                "told": f"{route.strategy}: {', '.join(map(str, route.targets))}",
                "state": route_state(route.targets),
            }
            for name, route in known
        ]

    def targets_of(self, snapshot: catalog.Catalog, row: ModelRoute) -> Iterable[KnownTarget]:
        try:
            return snapshot.targets(row.name)
        except ModelNotFound:
            return ()
