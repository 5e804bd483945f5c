"""When a window begins and ends. No state.

Seconds, minutes and hours are counted from the epoch. Days, weeks (from Monday) and months begin at
midnight in the site's TIME_ZONE, so a day on which the clocks change has 23 or 25 hours. A lifetime
has no end.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final, NamedTuple

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

SHORT_WINDOW_SECONDS: Final = {"second": 1, "minute": 60, "hour": 3600}
"""The windows that are counted in the cache, unless they limit cost."""


class WindowSpan(NamedTuple):
    """From `start` until just before `end`, which is None if the window has no end."""

    start: datetime
    end: datetime | None

    def seconds_left(self, now: datetime) -> float | None:
        return None if self.end is None else max(0.0, (self.end - now).total_seconds())


def window_span(window: str, now: datetime, zone: tzinfo) -> WindowSpan:
    """Return the window of this kind that contains `now`, an aware datetime."""
    seconds = SHORT_WINDOW_SECONDS.get(window)
    if seconds is not None:
        length = timedelta(seconds=seconds)
        start = EPOCH + (now - EPOCH) // length * length
        return WindowSpan(start, start + length)
    if window == "lifetime":
        return WindowSpan(EPOCH, None)
    today = now.astimezone(zone).replace(
        hour=0, minute=0, second=0, microsecond=0, fold=0, tzinfo=None
    )
    first_day = {
        "day": today,
        "week": today - timedelta(days=today.weekday()),
        "month": today.replace(day=1),
    }[window]
    return WindowSpan(_midnight(first_day, zone), _midnight(_next_start(window, first_day), zone))


def _next_start(window: str, first_day: datetime) -> datetime:
    if window == "month":
        return (first_day + timedelta(days=31)).replace(day=1)
    return first_day + timedelta(days=7 if window == "week" else 1)


def _midnight(day: datetime, zone: tzinfo) -> datetime:
    """Return midnight in UTC, so that differences are exact."""
    return day.replace(tzinfo=zone).astimezone(UTC)
