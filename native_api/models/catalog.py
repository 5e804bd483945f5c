"""Providers, routes and targets as rows. `native_api.catalog.catalog` merges them with the settings
of the same meaning.

`definition` writes a row as settings are written; what it means is known in one place, where
settings are read. What is there for routing may be missing from an INSERT: a script, or an older
version still at work while a new one is rolled out, knows nothing of it.
"""

from __future__ import annotations

from typing import Any

from django.core.validators import MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from native_api.exceptions import UnreadableSecret
from native_api.models.fields import EncryptedTextField
from native_api.types import STRATEGIES, Secret

PRICE_HELP = _(
    'USD per million tokens, such as {"INPUT": "0.15", "OUTPUT": "0.60"}. Empty: what the vendor publishes.'
)
TIMEOUT_HELP = _("Seconds for a whole call.")
TIMEOUTS_HELP = _(
    'Seconds for its parts, such as {"CONNECT": 5, "FIRST_TOKEN": 60, "BETWEEN_TOKENS": 30}.'
)
OWN_ACCOUNT_HELP = _(
    "All callers may share what this provider keeps under the key: files, stored responses, conversations. If not, requests that name such "
    "state are refused."
)


def timeout_of(total: float | None, parts: Any) -> Any:
    """A row's two columns as the one TIMEOUT of settings. What is no object stays, so that it is
    found to be none."""
    if not parts or total is None:
        return parts or total
    return {**parts, "TOTAL": total} if isinstance(parts, dict) else parts


BOUND = ("name", "preset", "dialect", "base_url", "auth", "headers", "options")
"""What decides where a key is sent, and how. The name does too: without a preset, it is the
preset's. A stored key is for these values only: when one of them changes, the key has to be entered
again."""


class Provider(models.Model):
    """Where and how to call a vendor. With a preset, everything but the key may stay empty."""

    name = models.SlugField(_("name"), max_length=100, unique=True)
    preset = models.CharField(
        _("preset"),
        max_length=50,
        blank=True,
        help_text=_("A known vendor; empty means the one of this name."),
    )
    dialect = models.CharField(_("dialect"), max_length=50, blank=True)
    base_url = models.CharField(_("base URL"), max_length=500, blank=True)
    api_key = EncryptedTextField(
        _("API key"), blank=True, default="", editable=False, bound_to=BOUND
    )
    auth = models.CharField(
        _("authentication"),
        max_length=50,
        blank=True,
        help_text=_("How the key is sent; empty means as the preset says."),
    )
    headers = models.JSONField(
        _("headers"),
        default=dict,
        blank=True,
        help_text=_("Sent with every call. Not for secrets: shown here."),
    )
    options = models.JSONField(
        _("options"),
        default=dict,
        blank=True,
        help_text=_("What only some dialects need: region, project, …"),
    )
    timeout = models.FloatField(
        _("timeout (s)"),
        null=True,
        blank=True,
        validators=[MinValueValidator(0.001)],
        help_text=TIMEOUT_HELP,
    )
    timeouts = models.JSONField(
        _("more timeouts"), default=dict, null=True, blank=True, help_text=TIMEOUTS_HELP
    )
    retries = models.PositiveSmallIntegerField(
        _("retries"),
        null=True,
        blank=True,
        help_text=_("How often the same target is asked again; empty means the site's number."),
    )
    max_concurrency = models.PositiveIntegerField(
        _("concurrency"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text=_("Calls at a time of each target, per process."),
    )
    price = models.JSONField(_("price"), default=dict, null=True, blank=True, help_text=PRICE_HELP)
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
        """The key in plain text. Raises UnreadableSecret, also if the row has changed since the key
        was stored."""
        field = self._meta.get_field("api_key")
        assert isinstance(field, EncryptedTextField)
        return field.read(self)

    def known_api_key(self) -> Secret | UnreadableSecret:
        """The key, or why it cannot be read."""
        try:
            return self.read_api_key()
        except UnreadableSecret as reason:
            return reason

    def definition(self) -> dict[str, Any]:
        """`API_KEY` may be an UnreadableSecret."""
        return {
            "PRESET": self.preset,
            "DIALECT": self.dialect,
            "BASE_URL": self.base_url,
            "API_KEY": self.known_api_key(),
            "AUTH": self.auth,
            "HEADERS": self.headers,
            "OPTIONS": self.options,
            "TIMEOUT": timeout_of(self.timeout, self.timeouts),
            "RETRIES": self.retries,
            "MAX_CONCURRENCY": self.max_concurrency,
            "PRICE": self.price,
            "OWN_ACCOUNT": self.own_account,
        }


class ModelRoute(models.Model):
    """A public model name and, through its targets, who serves it."""

    name = models.CharField(_("name"), max_length=200, unique=True)
    strategy = models.CharField(
        _("strategy"),
        max_length=20,
        blank=True,
        db_default="",
        choices=[(strategy, strategy) for strategy in STRATEGIES],
        help_text=_(
            "Among targets of one priority. Empty: by weight where the weights differ, else in order."
        ),
    )
    fallbacks = models.JSONField(
        _("fallbacks"),
        default=list,
        null=True,
        blank=True,
        help_text=_("Models to try when all targets failed."),
    )
    context_fallbacks = models.JSONField(
        _("fallbacks for long conversations"),
        default=list,
        null=True,
        blank=True,
        help_text=_("Models to try when the context is too long."),
    )
    hedge = models.CharField(
        _("hedge after"),
        max_length=20,
        blank=True,
        db_default="",
        help_text=_(
            'Seconds without a first token after which a second target is started too, or "p95". Costs more. Empty: never.'
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
    """One way to serve a route. `provider` is a name, since the provider may be defined in
    settings."""

    route = models.ForeignKey(
        ModelRoute, on_delete=models.CASCADE, related_name="targets", verbose_name=_("route")
    )
    provider = models.CharField(_("provider"), max_length=100)
    model = models.CharField(_("model"), max_length=200)
    priority = models.PositiveIntegerField(
        _("priority"), default=0, help_text=_("Lower is tried first.")
    )
    weight = models.PositiveIntegerField(_("weight"), default=1)
    timeout = models.FloatField(
        _("timeout (s)"),
        null=True,
        blank=True,
        validators=[MinValueValidator(0.001)],
        help_text=TIMEOUT_HELP,
    )
    timeouts = models.JSONField(
        _("more timeouts"), default=dict, null=True, blank=True, help_text=TIMEOUTS_HELP
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
        return {
            "PROVIDER": self.provider,
            "MODEL": self.model,
            "WEIGHT": self.weight,
            "PRIORITY": self.priority,
            "TIMEOUT": timeout_of(self.timeout, self.timeouts),
            "RETRIES": self.retries,
            "MAX_CONCURRENCY": self.max_concurrency,
            "PRICE": self.price,
        }
