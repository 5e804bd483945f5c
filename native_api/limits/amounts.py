"""Amounts of limits as text."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from native_api.limits.rules import Rule
from native_api.models.fields import MONEY_PLACES

SHARED_SUBJECTS: Final = frozenset({"everyone", "group"})


def is_confidential(rule: Rule) -> bool:
    """Whether amounts are hidden from callers: those of site-wide and group budgets in USD."""
    return rule.metric == "cost" and rule.subject in SHARED_SUBJECTS


def format_units(metric: str, units: int) -> str:
    """Return units as people write them: USD without trailing zeros, else the number."""
    if metric != "cost":
        return str(units)
    return f"{Decimal(units).scaleb(-MONEY_PLACES).normalize():f}"


def format_dollars(units: int) -> str:
    return f"{format_units('cost', units)} USD"


def format_amount(rule: Rule) -> str:
    """Return `20 requests per minute` or `12.5 USD per month`."""
    period = {"": "", "lifetime": " in total"}.get(rule.window, f" per {rule.window}")
    if rule.metric == "cost":
        return f"{format_dollars(rule.amount)}{period}"
    return f"{rule.amount} {rule.metric.replace('_', ' ')}{period}"


def format_scope(rule: Rule) -> str:
    """Return whose limit it is and for which models: `for this user and models gpt-5*`."""
    subject = {"everyone": "this site", "group": "a group", "key": "this key"}.get(
        rule.subject, "this user"
    )
    return f"for {subject} and models {rule.pattern}" if rule.pattern else f"for {subject}"
