"""Usage: one row per request that reached routing, and the totals of each day.

Only `native_api.usage` writes these tables.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from native_api.models.fields import UNITS, MomentField, MoneyField


class UsageRecord(models.Model):
    """Tokens, cost, timing and status of one request. Contains no prompt or answer text.

    `id` is a UUIDv7 made in the process that served the request, so writing a record twice is
    harmless.
    """

    class Status(models.TextChoices):
        OK = "ok", _("ok")
        CLIENT_CLOSED = "client_closed", _("client closed")
        UPSTREAM_ERROR = "upstream_error", _("upstream error")
        REFUSED = "refused", _("refused")
        ERROR = "error", _("error")

    id = models.UUIDField(primary_key=True, editable=False)
    request_id = models.CharField(_("request id"), max_length=128)
    created_at = MomentField(_("created at"))
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        on_delete=models.SET_NULL,
        db_index=False,
        related_name="+",
        verbose_name=_("user"),
    )
    user_name = models.CharField(_("user name"), max_length=150, blank=True)
    api_key = models.ForeignKey(
        "native_api.ApiKey",
        null=True,
        on_delete=models.SET_NULL,
        db_index=False,
        related_name="+",
        verbose_name=_("API key"),
    )
    api_key_name = models.CharField(_("API key name"), max_length=120, blank=True)
    endpoint = models.CharField(_("endpoint"), max_length=64)
    model = models.CharField(_("model"), max_length=200)
    counted_as = models.CharField(
        _("counted as"),
        max_length=200,
        blank=True,
        help_text=_("The model's name in the daily totals, if it differs from the model."),
    )
    provider = models.CharField(_("provider"), max_length=100, blank=True)
    provider_model = models.CharField(_("provider's model"), max_length=200, blank=True)
    stream = models.BooleanField(_("stream"), default=False)
    status = models.CharField(_("status"), max_length=16, choices=Status.choices)
    error_code = models.CharField(_("error code"), max_length=64, blank=True)
    finish_reason = models.CharField(_("finish reason"), max_length=32, blank=True)
    prompt_tokens = models.PositiveBigIntegerField(_("prompt tokens"), default=0)
    completion_tokens = models.PositiveBigIntegerField(_("completion tokens"), default=0)
    total_tokens = models.PositiveBigIntegerField(_("total tokens"), default=0)
    cached_tokens = models.PositiveBigIntegerField(_("cached tokens"), default=0)
    cache_write_tokens = models.PositiveBigIntegerField(_("cache write tokens"), default=0)
    reasoning_tokens = models.PositiveBigIntegerField(_("reasoning tokens"), default=0)
    estimated = models.BooleanField(
        _("estimated"),
        default=False,
        help_text=_("The provider sent no reliable counts, so these are estimates."),
    )
    cost = MoneyField(_("cost (USD)"), null=True, blank=True)
    price = models.JSONField(
        _("price"),
        null=True,
        blank=True,
        help_text=_("The prices that the cost was computed with."),
    )
    latency_ms = models.PositiveIntegerField(_("latency (ms)"), default=0)
    ttft_ms = models.PositiveIntegerField(_("time to first token (ms)"), null=True, blank=True)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    metadata = models.JSONField(_("metadata"), default=dict, blank=True)

    class Meta:
        verbose_name = _("usage record")
        verbose_name_plural = _("usage records")
        ordering = ("-id",)
        # An id begins with the time, so each of these serves "the newest rows with …" and "the rows
        # of a period with …" in one walk.
        indexes = [
            models.Index(fields=["user", "-id"], name="native_usage_user"),
            models.Index(fields=["api_key", "-id"], name="native_usage_key"),
            models.Index(fields=["model", "-id"], name="native_usage_model"),
            models.Index(fields=["provider", "-id"], name="native_usage_provider"),
            models.Index(fields=["status", "-id"], name="native_usage_status"),
            models.Index(fields=["stream", "-id"], name="native_usage_stream"),
            models.Index(fields=["endpoint", "-id"], name="native_usage_endpoint"),
            models.Index(fields=["request_id"], name="native_usage_request"),
            models.Index(fields=["created_at"], name="native_usage_created"),
        ]

    def __str__(self) -> str:
        return f"{self.model} {self.status} {self.id}"


class DailyUsage(models.Model):
    """The sums over a day's records of one user, key, provider, model, provider's model and status.

    Models have the names of `usage.totals_names`. `provider_model` is empty if the provider did not
    answer. Users and keys are values, not references, because the totals outlive them and the
    records. `user_id` is the user's primary key as text, empty for calls without a user. `id` is a
    digest of the grouped columns, so a row is found without a query.
    """

    LIMIT: Final = 2**62 - 1
    """A sum stops there: 4.6 million USD per day and row. The sum of two still fits in the column,
    so adding never fails."""

    id = models.UUIDField(primary_key=True, editable=False)
    day = models.DateField(_("day"), help_text=_("In the site's time zone."))
    user_id = models.CharField(_("user id"), max_length=255, blank=True)
    user_name = models.CharField(_("user name"), max_length=150, blank=True)
    api_key_id = models.BigIntegerField(_("API key id"), null=True, blank=True)
    api_key_name = models.CharField(_("API key name"), max_length=120, blank=True)
    provider = models.CharField(_("provider"), max_length=100, blank=True)
    model = models.CharField(_("model"), max_length=200)
    provider_model = models.CharField(_("provider's model"), max_length=200, blank=True)
    status = models.CharField(_("status"), max_length=16, choices=UsageRecord.Status.choices)
    requests = models.PositiveBigIntegerField(_("requests"), default=0)
    prompt_tokens = models.PositiveBigIntegerField(_("prompt tokens"), default=0)
    completion_tokens = models.PositiveBigIntegerField(_("completion tokens"), default=0)
    total_tokens = models.PositiveBigIntegerField(_("total tokens"), default=0)
    cached_tokens = models.PositiveBigIntegerField(_("cached tokens"), default=0)
    cache_write_tokens = models.PositiveBigIntegerField(_("cache write tokens"), default=0)
    reasoning_tokens = models.PositiveBigIntegerField(_("reasoning tokens"), default=0)
    cost_units = models.BigIntegerField(_("cost (10⁻¹² USD)"), default=0)
    unpriced = models.PositiveBigIntegerField(
        _("unpriced requests"),
        default=0,
        help_text=_("Requests that reached a provider and whose cost is not known."),
    )
    pruned = models.BooleanField(
        _("pruned"),
        default=False,
        help_text=_("Records of this day were deleted; the totals still count them."),
    )

    class Meta:
        verbose_name = _("daily usage")
        verbose_name_plural = _("daily usage")
        ordering = ("-day", "-id")
        # Only the sums are updated, never the indexed columns, so updates do not touch these
        # indexes.
        indexes = [
            models.Index(fields=["user_id", "day", "model"], name="native_daily_user"),
            models.Index(fields=["api_key_id", "day", "model"], name="native_daily_key"),
            models.Index(fields=["model", "day", "id"], name="native_daily_model"),
            models.Index(fields=["provider", "day", "id"], name="native_daily_provider"),
            models.Index(fields=["day", "id"], name="native_daily_day"),
        ]

    def __str__(self) -> str:
        return f"{self.day} {self.user_name} {self.model} {self.status}"

    @property
    def cost(self) -> Decimal:
        """US dollars, exact."""
        return self.cost_units * UNITS
