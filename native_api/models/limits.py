"""Who may use how much, and which models: rows that operators write, and the budgets that are
counted in the database.

`native_api.limits` gives them meaning. Money is counted in whole units of 10^-12 USD: sums of whole
numbers are exact in every database.
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

MOST: Final = {"cost": Decimal(1_000_000), "concurrent_requests": Decimal(100_000)}
MOST_OF_OTHERS: Final = Decimal(10**11)


def problem_of_amount(metric: str, amount: Decimal) -> str:
    """What is wrong with the amount of a limit; "" where nothing is."""
    most = MOST.get(metric, MOST_OF_OTHERS)
    if not amount.is_finite():
        return "must be a number"
    if amount < 0:
        return "must not be negative"
    if amount > most:
        return f"must be at most {most:,f}"
    if amount.scaleb(MONEY_PLACES if metric == "cost" else 0) % 1:
        return (
            f"must have at most {MONEY_PLACES} decimals"
            if metric == "cost"
            else "must be a whole number"
        )
    return ""


def units(metric: str, amount: Decimal) -> int:
    """An amount in what is counted: 10^-12 USD, tokens or requests."""
    return units_of(amount) if metric == "cost" else int(amount)


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
    group = models.ForeignKey(
        Group,
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="+",
        verbose_name=_("group"),
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="+",
        verbose_name=_("user"),
    )
    api_key = models.ForeignKey(
        "native_api.ApiKey",
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="+",
        verbose_name=_("API key"),
    )
    metric = models.CharField(_("metric"), max_length=20, choices=Metric.choices)
    amount = MoneyField(_("amount"), validators=[MinValueValidator(Decimal(0))])
    window = models.CharField(
        _("window"),
        max_length=10,
        choices=Window.choices,
        blank=True,
        help_text=_("Not for concurrent requests."),
    )
    pattern = models.CharField(
        _("models"),
        max_length=200,
        blank=True,
        help_text=_('A pattern such as "gpt-4o*"; empty means all.'),
    )
    threshold = models.PositiveSmallIntegerField(
        _("threshold (%)"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(100)],
        help_text=_("Where a warning is given; empty means the site's."),
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
        """The group, user or key that is meant, where it is one."""
        return {"group": self.group, "user": self.user, "key": self.api_key}.get(self.subject)

    def clean(self) -> None:
        wrong: dict[str, Any] = {}
        for name, subject in (("group", "group"), ("user", "user"), ("api_key", "key")):
            given = getattr(self, f"{name}_id") is not None
            if given != (self.subject == subject):
                wrong[name] = _("Name it here.") if not given else _("The subject is another one.")
        if bool(self.window) == (self.metric == self.Metric.CONCURRENT_REQUESTS):
            wrong["window"] = (
                _("Concurrent requests have no window.") if self.window else _("Choose one.")
            )
        problem = (
            problem_of_amount(self.metric, self.amount) if isinstance(self.amount, Decimal) else ""
        )
        if problem:
            wrong["amount"] = _("The amount %(problem)s.") % {"problem": problem}
        if wrong:
            raise ValidationError(wrong)


class Budget(models.Model):
    """What was used of one limit in one window, for limits that are counted in the database: long
    windows and all that limit cost.

    `used`, `reserved`, `lost` and `amount` are units: 10^-12 USD, tokens or requests. `lost` is
    what was reserved by processes that died in the middle of calls: nobody knows what those cost.
    `amount` is the limit as it last was.
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
    """A part of a budget that a running call may need. It ends with the call's record, or, where
    its process died, at `expires_at`."""

    record_id = models.UUIDField()
    # Without a constraint, which the database would check while a call waits. A reservation of a
    # budget that is gone expires as any other.
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
    """The models that a group or a user may use. Who has no such row may use what
    `DEFAULT_MODEL_ACCESS` says."""

    group = models.ForeignKey(
        Group,
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="+",
        verbose_name=_("group"),
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="+",
        verbose_name=_("user"),
    )
    patterns = models.JSONField(
        _("models"),
        default=list,
        blank=True,
        validators=[validate_patterns],
        help_text=_("Patterns; an empty list allows none."),
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
                violation_error_message=_("Name either a group or a user."),
            )
        ]

    def __str__(self) -> str:
        return f"{self.group or self.user}: {', '.join(map(str, self.patterns))}"
