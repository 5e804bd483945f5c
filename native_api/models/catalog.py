"""Providers, routes and targets as rows. `native_api.catalog` merges them with those of the
settings.

`definition` returns a row in the form that settings have, so both are read by the same code. Fields
for routing may be missing from an INSERT (they are null or have a `db_default`), because scripts
and older versions that still run during an upgrade do not know them.
"""

from __future__ import annotations

from typing import Any

from django.core.validators import MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from native_api.exceptions import UnreadableSecret
from native_api.models.fields import EncryptedTextField
from native_api.types import Secret
from native_api.types.config import STRATEGIES

PRICE_HELP = _(
    'USD per million tokens, such as {"INPUT": "0.15", "OUTPUT": "0.60"}. Leave this empty to use '
    "the vendor's published prices."
)
TIMEOUTS_HELP = _(
    'Seconds, such as {"TOTAL": 120, "CONNECT": 5, "FIRST_TOKEN": 60, "BETWEEN_TOKENS": 30}. All '
    "members are optional."
)
MODEL_RULES_HELP = _(
    "What models refuse or need that the gateway does not know, such as "
    '{"llama-4*": {"REFUSED": ["seed"]}, "prod-*": {"BASE_MODEL": "gpt-5.4"}}.'
)
BASE_MODEL_HELP = _(
    "The model that stands behind the name, such as gpt-5.4 for an Azure deployment called prod-eu."
)
OWN_ACCOUNT_HELP = _(
    "All callers may share what this provider stores under the key: files, responses, "
    "conversations. Otherwise requests that refer to stored state are refused."
)

KEY_BINDING = ("name", "preset", "dialect", "base_url", "auth", "headers", "options")
"""The fields that decide where a key is sent, and how. The name is one of them, because a provider
without a preset uses the preset of its name. A stored key is valid for these values only: when one
of them changes, the key has to be entered again."""


class Provider(models.Model):
    """Where and how to call a vendor. With a preset, only the key is required."""

    name = models.SlugField(_("name"), max_length=100, unique=True)
    preset = models.CharField(
        _("preset"),
        max_length=50,
        blank=True,
        help_text=_("A known vendor. Leave this empty to use the preset of the provider's name."),
    )
    dialect = models.CharField(_("dialect"), max_length=50, blank=True)
    base_url = models.CharField(_("base URL"), max_length=500, blank=True)
    api_key = EncryptedTextField(
        _("API key"), blank=True, default="", editable=False, bound_to=KEY_BINDING
    )
    auth = models.CharField(
        _("authentication"),
        max_length=50,
        blank=True,
        help_text=_("How the key is sent. Leave this empty to use the preset's way."),
    )
    headers = models.JSONField(
        _("headers"),
        default=dict,
        blank=True,
        help_text=_("Sent with every call. Do not enter secrets: they would be shown here."),
    )
    options = models.JSONField(
        _("options"),
        default=dict,
        blank=True,
        help_text=_("Values that only some dialects need, such as region or project."),
    )
    timeouts = models.JSONField(
        _("timeouts"), default=dict, null=True, blank=True, help_text=TIMEOUTS_HELP
    )
    retries = models.PositiveSmallIntegerField(
        _("retries"),
        null=True,
        blank=True,
        help_text=_(
            "How often the same target is tried again. Leave this empty to use the site's number."
        ),
    )
    max_concurrency = models.PositiveIntegerField(
        _("concurrency"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text=_("Concurrent calls to each target, per process."),
    )
    price = models.JSONField(_("price"), default=dict, null=True, blank=True, help_text=PRICE_HELP)
    model_rules = models.JSONField(
        _("model rules"), default=dict, null=True, blank=True, help_text=MODEL_RULES_HELP
    )
    own_account = models.BooleanField(
        _("own account"), default=False, db_default=False, help_text=OWN_ACCOUNT_HELP
    )
    enabled = models.BooleanField(_("enabled"), default=True)

    class Meta:
        verbose_name = _("provider")
        verbose_name_plural = _("providers")
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name

    def read_api_key(self) -> Secret:
        """The key in plain text. Raises UnreadableSecret, also if a field of KEY_BINDING has
        changed since the key was stored."""
        field = self._meta.get_field("api_key")
        assert isinstance(field, EncryptedTextField)
        return field.read(self)

    def api_key_or_error(self) -> Secret | UnreadableSecret:
        """The key, or the error that says why it cannot be read."""
        try:
            return self.read_api_key()
        except UnreadableSecret as error:
            return error

    def definition(self) -> dict[str, Any]:
        """The row in the form of a member of PROVIDERS, but `API_KEY` may be an
        UnreadableSecret."""
        return {
            "PRESET": self.preset,
            "DIALECT": self.dialect,
            "BASE_URL": self.base_url,
            "API_KEY": self.api_key_or_error(),
            "AUTH": self.auth,
            "HEADERS": self.headers,
            "OPTIONS": self.options,
            "TIMEOUTS": self.timeouts,
            "RETRIES": self.retries,
            "MAX_CONCURRENCY": self.max_concurrency,
            "PRICE": self.price,
            "MODEL_RULES": self.model_rules,
            "OWN_ACCOUNT": self.own_account,
        }


class ModelRoute(models.Model):
    """A public model name. Its targets serve it."""

    name = models.CharField(_("name"), max_length=200, unique=True)
    strategy = models.CharField(
        _("strategy"),
        max_length=20,
        blank=True,
        db_default="",
        choices=[(strategy, strategy) for strategy in STRATEGIES],
        help_text=_(
            "How to choose among targets of one priority. Leave this empty to choose by weight if "
            "the weights differ, or else in order."
        ),
    )
    fallbacks = models.JSONField(
        _("fallbacks"),
        default=list,
        null=True,
        blank=True,
        help_text=_("Models to try when all targets have failed."),
    )
    context_fallbacks = models.JSONField(
        _("fallbacks for long conversations"),
        default=list,
        null=True,
        blank=True,
        help_text=_("Models to try when the conversation is too long for this one."),
    )
    hedge = models.CharField(
        _("hedge after"),
        max_length=20,
        blank=True,
        db_default="",
        help_text=_(
            'Seconds without a first token after which a second target is started too, or "p95" '
            "for the route's 95th percentile. This costs more. Leave this empty to never do it."
        ),
    )
    enabled = models.BooleanField(_("enabled"), default=True)

    class Meta:
        verbose_name = _("model route")
        verbose_name_plural = _("model routes")
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name

    def definition(self) -> dict[str, Any]:
        """The row in the form of a member of MODELS."""
        return {
            **self.options(),
            "TARGETS": [target.definition() for target in self.targets.all() if target.enabled],
        }

    def options(self) -> dict[str, Any]:
        """The definition without the targets."""
        return {
            "STRATEGY": self.strategy,
            "FALLBACKS": self.fallbacks,
            "CONTEXT_FALLBACKS": self.context_fallbacks,
            "HEDGE": self.hedge,
        }


class Target(models.Model):
    """One way to serve a route. `provider` is a name, because the provider may be defined in the
    settings."""

    route = models.ForeignKey(
        ModelRoute, on_delete=models.CASCADE, related_name="targets", verbose_name=_("route")
    )
    provider = models.CharField(_("provider"), max_length=100)
    model = models.CharField(_("model"), max_length=200)
    base_model = models.CharField(
        _("base model"), max_length=200, blank=True, db_default="", help_text=BASE_MODEL_HELP
    )
    priority = models.PositiveIntegerField(
        _("priority"), default=0, help_text=_("Targets with a lower number are tried first.")
    )
    weight = models.PositiveIntegerField(_("weight"), default=1)
    timeouts = models.JSONField(
        _("timeouts"), default=dict, null=True, blank=True, help_text=TIMEOUTS_HELP
    )
    retries = models.PositiveSmallIntegerField(_("retries"), null=True, blank=True)
    max_concurrency = models.PositiveIntegerField(
        _("concurrency"), null=True, blank=True, validators=[MinValueValidator(1)]
    )
    price = models.JSONField(_("price"), default=dict, null=True, blank=True, help_text=PRICE_HELP)
    enabled = models.BooleanField(_("enabled"), default=True)

    class Meta:
        verbose_name = _("target")
        verbose_name_plural = _("targets")
        ordering = ("priority", "id")

    def __str__(self) -> str:
        return f"{self.provider}/{self.model}"

    def definition(self) -> dict[str, Any]:
        """The row in the form of a member of TARGETS."""
        return {
            "PROVIDER": self.provider,
            "MODEL": self.model,
            "BASE_MODEL": self.base_model,
            "WEIGHT": self.weight,
            "PRIORITY": self.priority,
            "TIMEOUTS": self.timeouts,
            "RETRIES": self.retries,
            "MAX_CONCURRENCY": self.max_concurrency,
            "PRICE": self.price,
        }
