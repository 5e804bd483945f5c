"""Limits and model access, which operators write, and the budgets that are counted in the database.

`native_api.limits` applies them. Money is counted in integer units of 10^-12 USD, because sums of
integers are exact in every database.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from django.conf import settings
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from native_api.models.fields import MONEY_PLACES, MomentField, MoneyField, units_of
from native_api.models.keys import validate_patterns

MAX_AMOUNTS: Final = {"cost": Decimal(1_000_000), "concurrent_requests": Decimal(100_000)}
"""The largest amount of a limit, by metric."""

MAX_OTHER_AMOUNT: Final = Decimal(10**11)


def problem_of_amount(metric: str, amount: Decimal) -> str:
    """What is wrong with the amount of a limit; "" if it is valid."""
    maximum = MAX_AMOUNTS.get(metric, MAX_OTHER_AMOUNT)
    if not amount.is_finite():
        return "must be a number"
    if amount < 0:
        return "must not be negative"
    if amount > maximum:
        return f"must be at most {maximum:,f}"
    if amount.scaleb(MONEY_PLACES if metric == "cost" else 0) % 1:
        return (
            f"must have at most {MONEY_PLACES} decimals"
            if metric == "cost"
            else "must be a whole number"
        )
    return ""


def units(metric: str, amount: Decimal) -> int:
    """An amount in the units that are counted: 10^-12 USD, tokens or requests."""
    return units_of(amount) if metric == "cost" else int(amount)


def subject_key(model: Any, verbose_name: Any) -> models.ForeignKey[Any, Any]:
    """A field for one kind of subject: the row is about this group, user or key, and is deleted
    with it."""
    return models.ForeignKey(
        model,
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="+",
        verbose_name=verbose_name,
    )


class Limit(models.Model):
    """At most `amount` of `metric` in each `window`, for a subject."""

    class Subject(models.TextChoices):
        EVERYONE = "everyone", _("everyone together")
        EACH_USER = "each_user", _("each user, unless the user has a limit of this kind")
        GROUP = "group", _("a group together")
        USER = "user", _("a user")
        KEY = "key", _("an API key")

    class Metric(models.TextChoices):
        REQUESTS = "requests", _("requests")
        INPUT_TOKENS = "input_tokens", _("input tokens")
        OUTPUT_TOKENS = "output_tokens", _("output tokens")
        TOKENS = "tokens", _("tokens")
        COST = "cost", _("cost (USD)")
        CONCURRENT_REQUESTS = "concurrent_requests", _("concurrent requests")

    class Window(models.TextChoices):
        SECOND = "second", _("second")
        MINUTE = "minute", _("minute")
        HOUR = "hour", _("hour")
        DAY = "day", _("day")
        WEEK = "week", _("week")
        MONTH = "month", _("calendar month")
        LIFETIME = "lifetime", _("lifetime")

    subject = models.CharField(_("subject"), max_length=16, choices=Subject.choices)
    group = subject_key(Group, _("group"))
    user = subject_key(settings.AUTH_USER_MODEL, _("user"))
    api_key = subject_key("native_api.ApiKey", _("API key"))
    metric = models.CharField(_("metric"), max_length=20, choices=Metric.choices)
    amount = MoneyField(_("amount"), validators=[MinValueValidator(Decimal(0))])
    window = models.CharField(
        _("window"),
        max_length=10,
        choices=Window.choices,
        blank=True,
        help_text=_("Concurrent requests have no window."),
    )
    pattern = models.CharField(
        _("models"),
        max_length=200,
        blank=True,
        help_text=_('A pattern, such as "gpt-4o*". Leave this empty for all models.'),
    )
    threshold = models.PositiveSmallIntegerField(
        _("threshold (%)"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(100)],
        help_text=_("When to warn. Leave this empty to use the site's threshold."),
    )
    enabled = models.BooleanField(_("enabled"), default=True)

    class Meta:
        verbose_name = _("limit")
        verbose_name_plural = _("limits")
        ordering = ("subject", "metric", "id")

    def __str__(self) -> str:
        amount = f"{self.amount.normalize():f}" if isinstance(self.amount, Decimal) else self.amount
        return " ".join(
            str(part)
            for part in (
                self.subject,
                self.member() or "",
                amount,
                self.metric,
                self.window,
                self.pattern,
            )
            if part
        )

    def member(self) -> Any:
        """The group, user or key that the limit is for; None if it is for nobody in particular."""
        return {"group": self.group, "user": self.user, "key": self.api_key}.get(self.subject)

    def clean(self) -> None:
        errors: dict[str, Any] = {}
        for name, subject in (("group", "group"), ("user", "user"), ("api_key", "key")):
            given = getattr(self, f"{name}_id") is not None
            if given != (self.subject == subject):
                errors[name] = _wrong_subject(subject, given)
        if bool(self.window) == (self.metric == self.Metric.CONCURRENT_REQUESTS):
            errors["window"] = (
                _("Concurrent requests have no window.") if self.window else _("Choose a window.")
            )
        problem = (
            problem_of_amount(self.metric, self.amount) if isinstance(self.amount, Decimal) else ""
        )
        if problem:
            errors["amount"] = _("The amount %(problem)s.") % {"problem": problem}
        if errors:
            raise ValidationError(errors)


def _wrong_subject(subject: str, given: bool) -> Any:
    if given:
        return _("Leave this empty unless the subject is '%s'.") % subject
    return _("Select one, because the subject is '%s'.") % subject


class Budget(models.Model):
    """How much of one limit is used in one window. Limits with a long window, and all limits on
    cost, are counted in the database.

    `used`, `reserved`, `lost` and `amount` are units: 10^-12 USD, tokens or requests. `lost` is
    what was reserved by processes that died during calls, whose cost is unknown. `amount` is the
    limit's amount when it was last used.
    """

    counter = models.CharField(max_length=32, editable=False)
    starts_at = MomentField(_("from"))
    ends_at = MomentField(_("to"), null=True, blank=True)
    subject = models.CharField(_("subject"), max_length=200)
    metric = models.CharField(_("metric"), max_length=20, choices=Limit.Metric.choices)
    window = models.CharField(_("window"), max_length=10, choices=Limit.Window.choices)
    pattern = models.CharField(_("models"), max_length=200, blank=True)
    amount = models.BigIntegerField()
    used = models.BigIntegerField(default=0)
    reserved = models.BigIntegerField(default=0)
    lost = models.BigIntegerField(default=0)
    threshold = models.PositiveSmallIntegerField(_("threshold (%)"), default=80)
    threshold_at = MomentField(_("threshold reached at"), null=True, blank=True)
    reached_at = MomentField(_("limit reached at"), null=True, blank=True)

    class Meta:
        verbose_name = _("budget")
        verbose_name_plural = _("budgets")
        ordering = ("-starts_at", "-id")
        constraints = [
            models.UniqueConstraint(fields=["counter", "starts_at"], name="native_budget_of_window")
        ]

    def __str__(self) -> str:
        return f"{self.subject} {self.metric} {self.window} {self.starts_at:%Y-%m-%d}"


class Reservation(models.Model):
    """A part of a budget that a running call may need. It ends with the call's record, or at
    `expires_at` if the process died."""

    record_id = models.UUIDField()
    # There is no database constraint, because the database would check it while a call waits. A
    # reservation of a deleted budget expires like any other.
    budget = models.ForeignKey(
        Budget, on_delete=models.CASCADE, related_name="reservations", db_constraint=False
    )
    amount = models.BigIntegerField()
    expires_at = MomentField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["record_id", "budget"], name="native_reservation_of_call"
            )
        ]
        indexes = [models.Index(fields=["expires_at"], name="native_reservation_expiry")]


class ModelAccess(models.Model):
    """The models that a group or a user may use. Users without such a row may use those of
    `DEFAULT_MODEL_ACCESS`."""

    group = subject_key(Group, _("group"))
    user = subject_key(settings.AUTH_USER_MODEL, _("user"))
    patterns = models.JSONField(
        _("models"),
        default=list,
        blank=True,
        validators=[validate_patterns],
        help_text=_("Patterns. An empty list allows no model."),
    )

    class Meta:
        verbose_name = _("model access")
        verbose_name_plural = _("model access")
        permissions = [("use_every_model", _("Can use every model"))]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(group__isnull=False, user__isnull=True)
                | models.Q(group__isnull=True, user__isnull=False),
                name="native_access_of_one",
                violation_error_message=_("Select either a group or a user."),
            )
        ]

    def __str__(self) -> str:
        return f"{self.group or self.user}: {', '.join(map(str, self.patterns))}"
