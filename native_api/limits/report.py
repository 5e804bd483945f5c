"""How the limits of a caller stand, for `GET v1/usage`. Of budgets shared with others it tells only
whether they have room."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from django.utils import timezone

from native_api import background
from native_api.limits import budgets, counters, headers, rules
from native_api.limits.reservations import count_key, slot_of
from native_api.limits.rules import Bound
from native_api.limits.windows import Span, span
from native_api.logs import get_logger
from native_api.types import Caller, Json

logger = get_logger("native_api.limits")

PATIENCE: Final = 5.0

_threads: Final = background.Threads("native-api-statements", 2)


async def limit_report(caller: Caller) -> list[Json]:
    """One object for each limit that binds a resolved caller: `metric`, `window`, `models`,
    `shared`, `limit`, `used`, `reserved`, `left`, `reset_at`, `has_room`.

    Amounts are numbers, of cost text in USD. `reserved` is null where what runs is counted as used;
    `limit` to `left` are null where it is money that the caller shares with others. While the cache
    is away, what is counted there is not known, and not enforced: `used` and `left` are null, and
    there is room. Raises what the database raises.
    """
    bounds = (await rules.acurrent()).bounds(caller)
    return await _threads.run(PATIENCE, _statements, bounds, datetime.now(UTC))


def _statements(bounds: Sequence[Bound], now: datetime) -> list[Json]:
    zone = timezone.get_default_timezone()
    spans = {
        bound.counter: span(bound.rule.window, now, UTC if bound.rule.is_short else zone)
        for bound in bounds
        if bound.rule.window
    }
    short = [bound for bound in bounds if bound.rule.is_short]
    long = [bound for bound in bounds if not bound.rule.is_short]
    levels = (
        {
            **_counted(short, spans),
            **budgets.levels({bound.counter: spans[bound.counter] for bound in long}),
        }
        if bounds
        else {}
    )
    return [_statement(bound, spans.get(bound.counter), levels[bound.counter]) for bound in bounds]


def _counted(bounds: Sequence[Bound], spans: dict[str, Span]) -> dict[str, budgets.Level | None]:
    """None where the cache cannot say."""
    windowed = [bound for bound in bounds if bound.rule.window]
    slotted = [bound for bound in bounds if not bound.rule.window]
    if not bounds:
        return {}
    keys, slots = (
        [count_key(bound, spans[bound.counter]) for bound in windowed],
        [slot_of(bound) for bound in slotted],
    )
    try:
        levels = counters.store().levels(keys, slots)
    except Exception as error:  # each cache backend has exceptions of its own
        logger.warning(
            "The cache cannot say how limits of short windows stand (%s).", type(error).__name__
        )
        return dict.fromkeys((bound.counter for bound in bounds), None)
    held = [*levels.counts, *levels.slots]
    return {
        bound.counter: budgets.Level(level, 0)
        for bound, level in zip([*windowed, *slotted], held, strict=True)
    }


def _statement(bound: Bound, window: Span | None, level: budgets.Level | None) -> Json:
    rule = bound.rule
    left = None if level is None else max(0, rule.amount - level.used - level.reserved)
    reserved = None if level is None or rule.is_short else level.reserved
    amounts = {
        "limit": rule.amount,
        "used": None if level is None else level.used,
        "reserved": reserved,
        "left": left,
    }
    return {
        "metric": rule.metric,
        "window": rule.window or None,
        "models": rule.pattern or None,
        "shared": rule.subject in headers.SHARED,
        **{
            name: None if headers.is_secret(rule) or units is None else _shown(rule.metric, units)
            for name, units in amounts.items()
        },
        "reset_at": window.end.isoformat() if window and window.end else None,
        "has_room": left is None or left > 0,
    }


def _shown(metric: str, units: int) -> Any:
    return headers.number(metric, units) if metric == "cost" else units
