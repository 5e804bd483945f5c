"""API keys as rows. `native_api.access.keys` creates, parses and looks them up."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from native_api.types.rates import parse_rate


def validate_rate(value: str) -> None:
    try:
        parse_rate(value)
    except ValueError:
        raise ValidationError(
            _(
                "%(value)s is not a valid rate. Write it as 60/m or 10/30s: a number, a slash, and "
                "s, m, h or d."
            ),
            params={"value": value},
        ) from None


def validate_patterns(value: Any) -> None:
    """Refuses a string, which would be read as one pattern per letter."""
    if not isinstance(value, list) or not all(
        isinstance(pattern, str) and pattern.strip() for pattern in value
    ):
        raise ValidationError(_('Enter a list of patterns, such as ["gpt-4o*"].'))


class ApiKey(models.Model):
    """A caller's key. Only its SHA-256 digest is stored. `prefix` is the readable beginning, which
    lists and commands show."""

    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        related_name="native_api_keys",
        verbose_name=_("owner"),
    )
    name = models.CharField(_("name"), max_length=100)
    prefix = models.CharField(_("prefix"), max_length=16, unique=True, editable=False)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    allowed_models = models.JSONField(
        _("allowed models"),
        default=list,
        blank=True,
        validators=[validate_patterns],
        help_text=_('Patterns, such as "gpt-4o*". An empty list allows all models.'),
    )
    throttle_rate = models.CharField(
        _("throttle rate"),
        max_length=20,
        blank=True,
        validators=[validate_rate],
        help_text=_('Requests, such as "60/m". Leave this empty to use the site\'s rate.'),
    )
    created_at = models.DateTimeField(_("created at"), default=timezone.now, editable=False)
    expires_at = models.DateTimeField(_("expires at"), null=True, blank=True)
    revoked_at = models.DateTimeField(_("revoked at"), null=True, blank=True, editable=False)
    last_used_at = models.DateTimeField(_("last used at"), null=True, blank=True, editable=False)

    class Meta:
        verbose_name = _("API key")
        verbose_name_plural = _("API keys")
        ordering = ("-created_at",)

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    @property
    def state(self) -> str:
        """`active`, `expired` or `revoked`."""
        if self.revoked_at is not None:
            return "revoked"
        return (
            "expired"
            if self.expires_at is not None and self.expires_at <= timezone.now()
            else "active"
        )

    @property
    def is_active(self) -> bool:
        return self.state == "active"
