"""What was used: one row per request that reached routing. Written by `native_api.usage` alone."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _


class UsageRecord(models.Model):
    """Tokens, cost, timing and end of one request. Holds no prompt or answer text.

    `id` is a UUIDv7 made in the process that served the request, which is what makes writing it twice harmless.
    """

    class Status(models.TextChoices):
        OK = "ok", _("ok")
        CLIENT_CLOSED = "client_closed", _("client closed")
        UPSTREAM_ERROR = "upstream_error", _("upstream error")
        REFUSED = "refused", _("refused")
        ERROR = "error", _("error")

    id = models.UUIDField(primary_key=True, editable=False)
    request_id = models.CharField(_("request id"), max_length=128)
    created_at = models.DateTimeField(_("created at"))
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, db_index=False, related_name="+", verbose_name=_("user")
    )
    user_name = models.CharField(_("user name"), max_length=150, blank=True)
    api_key = models.ForeignKey(
        "native_api.ApiKey", null=True, on_delete=models.SET_NULL, db_index=False, related_name="+", verbose_name=_("API key")
    )
    api_key_name = models.CharField(_("API key name"), max_length=120, blank=True)
    endpoint = models.CharField(_("endpoint"), max_length=64)
    model = models.CharField(_("model"), max_length=200)
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
    estimated = models.BooleanField(_("estimated"), default=False, help_text=_("The provider told no usage; the counts are estimates."))
    cost = models.DecimalField(_("cost (USD)"), max_digits=24, decimal_places=12, null=True, blank=True)
    price = models.JSONField(_("price"), null=True, blank=True, help_text=_("What the cost was worked out with."))
    latency_ms = models.PositiveIntegerField(_("latency (ms)"), default=0)
    ttft_ms = models.PositiveIntegerField(_("time to first token (ms)"), null=True, blank=True)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    metadata = models.JSONField(_("metadata"), default=dict, blank=True)

    class Meta:
        verbose_name = _("usage record")
        verbose_name_plural = _("usage records")
        ordering = ("-id",)
        # An id begins with the time: each of these serves "the newest where …" and "of a period where …" in one walk.
        indexes = [
            models.Index(fields=["user", "-id"], name="native_usage_user"),
            models.Index(fields=["api_key", "-id"], name="native_usage_key"),
            models.Index(fields=["model", "-id"], name="native_usage_model"),
            models.Index(fields=["provider", "-id"], name="native_usage_provider"),
            models.Index(fields=["status", "-id"], name="native_usage_status"),
            models.Index(fields=["stream", "-id"], name="native_usage_stream"),
            models.Index(fields=["request_id"], name="native_usage_request"),
            models.Index(fields=["created_at"], name="native_usage_created"),
        ]

    def __str__(self) -> str:
        return f"{self.model} {self.status} {self.id}"
