"""How the limits of a caller stand, for `GET v1/usage`. Of budgets shared with others it says only
whether anything is left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from django.utils import timezone

from native_api.background import executors
from native_api.limits import amounts, budgets, counters, rules
from native_api.limits.budgets import BudgetLevel
from native_api.limits.cache_reservation import counter_key, slot_for
from native_api.limits.counters import CounterLevels, Slot
from native_api.limits.rules import AppliedRule
from native_api.limits.windows import WindowSpan, window_span
from native_api.types import Caller, Json

CACHE_TIMEOUT_SECONDS: Final = 1.0
REPORT_TIMEOUT_SECONDS: Final = 5.0

_cache_threads: Final = executors.cache.lane(2)


async def limit_report(caller: Caller) -> list[Json]:
    """Return one object for each limit that applies to a resolved caller: `metric`, `window`,
    `models`, `shared`, `limit`, `used`, `reserved`, `left`, `reset_at`, `has_room`.

    Amounts are numbers; those of cost are strings, in USD. `reserved` is null if running calls
    count as used. `limit` to `left` are null for money that the caller shares with others. While
    the cache is down, limits that it counts are unknown and not enforced: `used` and `left` are
    null and `has_room` is true. Raises any exception of the database,
    or ResourceUnavailable.
    """
    applied_rules = (await rules.acurrent()).for_caller(caller)
    spans = _windows(applied_rules, datetime.now(UTC))
    levels: dict[str, BudgetLevel | None] = {
        **await _cache_levels([each for each in applied_rules if each.rule.is_short], spans),
        **await _budget_levels([each for each in applied_rules if not each.rule.is_short], spans),
    }
    return [
        _describe(applied, spans.get(applied.counter), levels[applied.counter])
        for applied in applied_rules
    ]


def _windows(applied_rules: Sequence[AppliedRule], now: datetime) -> dict[str, WindowSpan]:
    zone = timezone.get_default_timezone()
    return {
        applied.counter: window_span(
            applied.rule.window, now, UTC if applied.rule.is_short else zone
        )
        for applied in applied_rules
        if applied.rule.window
    }


async def _budget_levels(
    applied_rules: Sequence[AppliedRule], spans: Mapping[str, WindowSpan]
) -> dict[str, BudgetLevel]:
    if not applied_rules:
        return {}
    budget_spans = {applied.counter: spans[applied.counter] for applied in applied_rules}
    return await executors.slow_queries.run(REPORT_TIMEOUT_SECONDS, budgets.levels, budget_spans)


async def _cache_levels(
    applied_rules: Sequence[AppliedRule], spans: Mapping[str, WindowSpan]
) -> dict[str, BudgetLevel | None]:
    """Return levels by counter; None if the cache is down."""
    if not applied_rules:
        return {}
    windowed = [applied for applied in applied_rules if applied.rule.window]
    slotted = [applied for applied in applied_rules if not applied.rule.window]
    keys = [counter_key(applied, spans[applied.counter]) for applied in windowed]
    try:
        levels = await _read_levels(keys, [slot_for(applied) for applied in slotted])
    except Exception:  # each cache backend has its own exceptions; the outage has been logged
        return dict.fromkeys((applied.counter for applied in applied_rules), None)
    return {
        applied.counter: BudgetLevel(used=level, reserved=0)
        for applied, level in zip(
            [*windowed, *slotted], [*levels.counts, *levels.slots], strict=True
        )
    }


async def _read_levels(keys: Sequence[str], slots: Sequence[Slot]) -> CounterLevels:
    if not counters.is_shared():
        return counters.store().levels(keys, slots)
    return await _cache_threads.run(CACHE_TIMEOUT_SECONDS, _store_levels, keys, slots)


def _store_levels(keys: Sequence[str], slots: Sequence[Slot]) -> CounterLevels:
    """Each thread has its own store."""
    return counters.store().levels(keys, slots)


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
