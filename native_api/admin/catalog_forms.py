"""Forms of providers, routes and targets.

A form builds the row as the catalog will, and reports what is wrong in the words of
`manage.py check`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from django import forms
from django.utils.translation import gettext_lazy as _

from native_api.admin.fields import LinesField
from native_api.catalog import catalog, plugins
from native_api.catalog.presets import PRESETS, SECRET_HEADER
from native_api.catalog.providers import build_provider
from native_api.conf import native_settings
from native_api.dialects import DIALECTS
from native_api.exceptions import ConfigurationError, SettingError, UnreadableSecret
from native_api.models import ModelRoute, Provider
from native_api.models.catalog import KEY_BINDING
from native_api.types import Secret
from native_api.types.registry import Registry
from native_api.upstream.auth import methods
from native_api.upstream.redaction import redact_url

DEFINITION_FIELDS: Final = (
    "preset", "dialect", "base_url", "auth", "headers", "options", "timeouts", "retries",
    "max_concurrency", "price", "model_rules", "own_account",
)  # fmt: skip
"""The fields of a provider that its definition is made of, but for the name and the key."""

CHOICES: Final[Mapping[str, Registry[Any]]] = {
    "preset": PRESETS,
    "dialect": DIALECTS,
    "auth": methods.AUTHORIZERS,
}
"""Fields of a provider that hold a name -> the names."""

KEY_HELP: Final = _(
    "Or a service account's JSON. It is stored encrypted and never shown again. Leave this empty "
    "to keep the present key, unless you change where or how it is sent."
)

ADDRESS_LIKE: Final = re.compile(r"://|^[^/\s]*:[^/\s]*@")


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
        fields = ("name", *DEFINITION_FIELDS, "enabled")

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        for name in CHOICES.keys() & self.fields.keys():  # there are none for those who only view
            names = _names_to_choose(CHOICES[name], getattr(self.instance, name))
            self.fields[name].widget = forms.Select(choices=[("", "---------"), *names])
        if self.instance.pk is None:
            return
        self.initial["base_url"] = redact_url(self.instance.base_url)
        self.initial["options"] = redact_options(self.instance.options)
        key = self.instance.api_key_or_error()
        if isinstance(key, UnreadableSecret):
            self.fields["new_api_key"].help_text = str(key)

    def clean_new_api_key(self) -> Secret:
        return Secret(self.cleaned_data["new_api_key"])

    def clean_headers(self) -> Any:
        headers = self.cleaned_data["headers"]
        secret = next((name for name in headers or () if SECRET_HEADER.fullmatch(str(name))), None)
        if secret:
            raise forms.ValidationError(
                _("The value of %(name)r is a secret, and the admin would show it. Enter it as the "
                  "API key."),
                params={"name": secret},
            )  # fmt: skip
        return headers

    def clean(self) -> dict[str, Any]:
        """Build the provider as the catalog will, so that what is wrong is shown here."""
        cleaned = super().clean() or {}
        if self.errors:
            return cleaned
        row = Provider(
            name=cleaned["name"],
            api_key=self._key_to_store(cleaned),
            **{name: cleaned.get(name) for name in DEFINITION_FIELDS},
        )
        key = row.api_key_or_error()
        if not isinstance(key, UnreadableSecret):
            self._check_definition(cleaned["name"], row.definition())
        elif key.moved or cleaned["enabled"]:
            self.add_error("new_api_key", self._key_error(key))
        return cleaned

    def _check_definition(self, name: str, definition: dict[str, Any]) -> None:
        try:
            provider = build_provider(name, definition)
        except ConfigurationError as error:
            raise forms.ValidationError(str(error)) from None
        if methods.is_extra_missing(provider.auth):
            raise forms.ValidationError(f"{methods.describe_missing_extra(provider.auth)}.")

    def _key_to_store(self, cleaned: dict[str, Any]) -> str:
        return "" if cleaned["remove_api_key"] else cleaned["new_api_key"] or self.instance.api_key

    def _key_error(self, key: UnreadableSecret) -> Any:
        changed = ", ".join(
            str(self.fields[name].label) for name in KEY_BINDING if name in self.changed_data
        )
        if not key.moved or not changed:
            return str(key)
        return (
            _("Enter the key again, or remove it. It was stored for other values of what you "
              "changed (%s).") % changed
        )  # fmt: skip

    def save(self, commit: bool = True) -> Provider:
        self.instance.api_key = self._key_to_store(self.cleaned_data)
        provider: Provider = super().save(commit)
        return provider


def _names_to_choose(registry: Registry[Any], present: str) -> list[tuple[str, str]]:
    """The names of a registry as choices. The present name is one of them although the site may
    have it no longer: saving a row must not change it."""
    with suppress(SettingError):  # then the names of the gateway itself
        plugins.load()
    return [(name, name) for name in sorted({*registry, *filter(None, [present])})]


def redact_options(options: Any) -> Any:
    """The options without credentials in addresses. An address may be filled from options, so they
    may contain parts of one."""
    if not isinstance(options, dict):
        return options
    return {
        name: redact_url(value) if isinstance(value, str) and ADDRESS_LIKE.search(value) else value
        for name, value in options.items()
    }


class ModelRouteForm(forms.ModelForm):
    fallbacks = LinesField(
        label=_("fallbacks"),
        required=False,
        help_text=_("Models to try when all targets have failed, one per line."),
    )
    context_fallbacks = LinesField(
        label=_("fallbacks for long conversations"),
        required=False,
        help_text=_("Models to try when the conversation is too long for this one, one per line."),
    )

    class Meta:
        model = ModelRoute
        fields = ("name", "strategy", "fallbacks", "context_fallbacks", "hedge", "enabled")


class TargetFormSet(forms.models.BaseInlineFormSet):
    """Checks the whole route, because both the route and its targets are known only here."""

    def clean(self) -> None:
        super().clean()
        route: ModelRoute = self.instance
        if any(self.errors) or not route.name or not route.enabled:
            return
        if route.name in native_settings.MODELS:  # the settings take precedence
            return
        forms_to_keep = [
            form for form in self.forms if form.cleaned_data and not form.cleaned_data.get("DELETE")
        ]
        targets = [form.instance.definition() for form in forms_to_keep if form.instance.enabled]
        problems = catalog.route_problems(route.name, {**route.options(), "TARGETS": targets})
        if problems:
            raise forms.ValidationError(
                [f"{problem.message}. {problem.hint}" for problem in problems]
            )
