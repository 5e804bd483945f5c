"""Providers, routes and targets as rows. `native_api.catalog` merges them with the settings of the same meaning."""

from __future__ import annotations

from django.core.validators import MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from native_api.models.fields import EncryptedTextField


class Provider(models.Model):
    """Where and how to call a vendor. With a preset, everything but the key may stay empty."""

    name = models.SlugField(_("name"), max_length=100, unique=True)
    preset = models.CharField(_("preset"), max_length=50, blank=True, help_text=_("A known vendor; empty means the one of this name."))
    dialect = models.CharField(_("dialect"), max_length=50, blank=True)
    base_url = models.CharField(_("base URL"), max_length=500, blank=True)
    api_key = EncryptedTextField(_("API key"), blank=True, default="")
    auth = models.CharField(
        _("authentication"), max_length=50, blank=True, help_text=_("How the key is sent; empty means as the preset says.")
    )
    headers = models.JSONField(_("headers"), default=dict, blank=True, help_text=_("Sent with every call. Not for secrets: shown here."))
    options = models.JSONField(_("options"), default=dict, blank=True, help_text=_("What only some dialects need: region, project, …"))
    timeout = models.FloatField(_("timeout (s)"), null=True, blank=True, validators=[MinValueValidator(0.001)])
    enabled = models.BooleanField(_("enabled"), default=True)

    class Meta:
        verbose_name = _("provider")
        verbose_name_plural = _("providers")
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class ModelRoute(models.Model):
    """A public model name and, through its targets, who serves it."""

    name = models.CharField(_("name"), max_length=200, unique=True)
    enabled = models.BooleanField(_("enabled"), default=True)

    class Meta:
        verbose_name = _("model route")
        verbose_name_plural = _("model routes")
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class Target(models.Model):
    """One way to serve a route. `provider` is a name, since the provider may be defined in settings."""

    route = models.ForeignKey(ModelRoute, on_delete=models.CASCADE, related_name="targets", verbose_name=_("route"))
    provider = models.CharField(_("provider"), max_length=100)
    model = models.CharField(_("model"), max_length=200)
    priority = models.PositiveIntegerField(_("priority"), default=0, help_text=_("Lower is tried first."))
    weight = models.PositiveIntegerField(_("weight"), default=1)
    enabled = models.BooleanField(_("enabled"), default=True)

    class Meta:
        verbose_name = _("target")
        verbose_name_plural = _("targets")
        ordering = ("priority", "id")

    def __str__(self) -> str:
        return f"{self.provider}/{self.model}"
