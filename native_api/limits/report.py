"""How the limits of a caller stand, for `GET v1/usage`. Of budgets shared with others it says only
whether anything is left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from django.utils import timezone

from native_api import background
from native_api.limits import amounts, budgets, counters, rules
from native_api.limits.budgets import BudgetLevel
from native_api.limits.cache_reservation import counter_key, slot_for
from native_api.limits.rules import AppliedRule
from native_api.limits.windows import WindowSpan, window_span
from native_api.logs import get_logger
from native_api.types import Caller, Json

logger = get_logger("native_api.limits")

REPORT_TIMEOUT_SECONDS: Final = 5.0

_threads: Final = background.WorkerThreads("native-api-limit-reports", 2)


async def limit_report(caller: Caller) -> list[Json]:
    """Return one object for each limit that applies to a resolved caller: `metric`, `window`,
    `models`, `shared`, `limit`, `used`, `reserved`, `left`, `reset_at`, `has_room`.

    Amounts are numbers; those of cost are strings, in USD. `reserved` is null if running calls
    count as used. `limit` to `left` are null for money that the caller shares with others. While
    the cache is down, limits that it counts are unknown and not enforced: `used` and `left` are
    null and `has_room` is true. Raises any exception of the database.
    """
    applied_rules = (await rules.acurrent()).for_caller(caller)
    return await _threads.run(REPORT_TIMEOUT_SECONDS, _report, applied_rules, datetime.now(UTC))


def _report(applied_rules: Sequence[AppliedRule], now: datetime) -> list[Json]:
    if not applied_rules:
        return []
    zone = timezone.get_default_timezone()
    spans = {
        applied.counter: window_span(
            applied.rule.window, now, UTC if applied.rule.is_short else zone
        )
        for applied in applied_rules
        if applied.rule.window
    }
    short = [applied for applied in applied_rules if applied.rule.is_short]
    budget_spans = {
        applied.counter: spans[applied.counter]
        for applied in applied_rules
        if not applied.rule.is_short
    }
    levels = {**_cache_levels(short, spans), **budgets.levels(budget_spans)}
    return [
        _describe(applied, spans.get(applied.counter), levels[applied.counter])
        for applied in applied_rules
    ]


def _cache_levels(
    applied_rules: Sequence[AppliedRule], spans: Mapping[str, WindowSpan]
) -> dict[str, BudgetLevel | None]:
    """Return levels by counter; None if the cache is down."""
    if not applied_rules:
        return {}
    windowed = [applied for applied in applied_rules if applied.rule.window]
    slotted = [applied for applied in applied_rules if not applied.rule.window]
    keys = [counter_key(applied, spans[applied.counter]) for applied in windowed]
    try:
        levels = counters.store().levels(keys, [slot_for(applied) for applied in slotted])
    except Exception as error:  # each cache backend has its own exceptions
        logger.warning(
            "The cache cannot be read, so the usage of short windows is not known (%s).",
            type(error).__name__,
        )
        return dict.fromkeys((applied.counter for applied in applied_rules), None)
    return {
        applied.counter: BudgetLevel(used=level, reserved=0)
        for applied, level in zip(
            [*windowed, *slotted], [*levels.counts, *levels.slots], strict=True
        )
    }


def _describe(applied: AppliedRule, window: WindowSpan | None, level: BudgetLevel | None) -> Json:
    rule = applied.rule
    left = None if level is None else max(0, rule.amount - level.used - level.reserved)
    reserved = None if level is None or rule.is_short else level.reserved
    units = {
        "limit": rule.amount,
        "used": None if level is None else level.used,
        "reserved": reserved,
        "left": left,
    }
    is_hidden = amounts.is_confidential(rule)
    return {
        "metric": rule.metric,
        "window": rule.window or None,
        "models": rule.pattern or None,
        "shared": rule.subject in amounts.SHARED_SUBJECTS,
        **{
            name: None if is_hidden or amount is None else _format(rule.metric, amount)
            for name, amount in units.items()
        },
        "reset_at": window.end.isoformat() if window and window.end else None,
        "has_room": left is None or left > 0,
    }


def _format(metric: str, units: int) -> Any:
    return amounts.format_units(metric, units) if metric == "cost" else units
