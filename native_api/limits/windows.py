"""When a window begins and ends. No state.

Seconds, minutes and hours are counted from the epoch. Days, weeks (from Monday) and months begin at
midnight of the site's TIME_ZONE, so a day on which the clocks change has 23 or 25 hours. A lifetime
has no end.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final, NamedTuple

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
SECONDS: Final = {"second": 1, "minute": 60, "hour": 3600}
"""The windows that are counted in the cache, unless they limit cost."""


class Span(NamedTuple):
    """From `start` until just before `end`; `end` is None where there is none."""

    start: datetime
    end: datetime | None

    def seconds_left(self, now: datetime) -> float | None:
        return None if self.end is None else max(0.0, (self.end - now).total_seconds())


def span(window: str, now: datetime, zone: tzinfo) -> Span:
    """The window of this kind that holds `now`, which is aware."""
    seconds = SECONDS.get(window)
    if seconds is not None:
        length = timedelta(seconds=seconds)
        start = EPOCH + (now - EPOCH) // length * length
        return Span(start, start + length)
    if window == "lifetime":
        return Span(EPOCH, None)
    today = now.astimezone(zone).replace(
        hour=0, minute=0, second=0, microsecond=0, fold=0, tzinfo=None
    )
    first = {
        "day": today,
        "week": today - timedelta(days=today.weekday()),
        "month": today.replace(day=1),
    }[window]
    return Span(_midnight(first, zone), _midnight(_following(window, first), zone))


def _following(window: str, first: datetime) -> datetime:
    if window == "month":
        return (first + timedelta(days=31)).replace(day=1)
    return first + timedelta(days=7 if window == "week" else 1)


def _midnight(day: datetime, zone: tzinfo) -> datetime:
    """The moment, in UTC, so that differences are true."""
    return day.replace(tzinfo=zone).astimezone(UTC)
