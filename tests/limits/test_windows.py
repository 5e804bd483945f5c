"""When windows begin and end, in every time zone and across clock changes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from native_api.limits.windows import EPOCH, WindowSpan, window_span
from native_api.models import Limit

BERLIN, NEW_YORK, LORD_HOWE = (
    ZoneInfo("Europe/Berlin"),
    ZoneInfo("America/New_York"),
    ZoneInfo("Australia/Lord_Howe"),
)
SANTIAGO, CAIRO, HAVANA, APIA = (
    ZoneInfo("America/Santiago"),
    ZoneInfo("Africa/Cairo"),
    ZoneInfo("America/Havana"),
    ZoneInfo("Pacific/Apia"),
)
ZONES = [
    UTC,
    BERLIN,
    NEW_YORK,
    LORD_HOWE,
    SANTIAGO,
    CAIRO,
    HAVANA,
    ZoneInfo("Asia/Kathmandu"),
    ZoneInfo("Etc/GMT+12"),
]
ENDING = [window for window in Limit.Window.values if window != "lifetime"]


def at(text: str, zone: object = UTC) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("window", "start", "end"),
    [
        ("second", "2026-11-25 10:06:43", "2026-11-25 10:06:44"),
        ("minute", "2026-11-25 10:06:00", "2026-11-25 10:07:00"),
        ("hour", "2026-11-25 10:00:00", "2026-11-25 11:00:00"),
        ("day", "2026-11-25", "2026-11-26"),
        ("week", "2026-11-23", "2026-11-30"),
        ("month", "2026-11-01", "2026-12-01"),
    ],
)
def test_windows_in_utc(window: str, start: str, end: str) -> None:
    assert window_span(window, at("2026-11-25 10:06:43.5"), UTC) == WindowSpan(at(start), at(end))


def test_a_lifetime_has_no_end() -> None:
    span = window_span("lifetime", at("2026-11-25"), BERLIN)
    assert span == WindowSpan(EPOCH, None)
    assert span.seconds_left(at("2026-11-25")) is None


@pytest.mark.parametrize(
    ("day", "first", "following"),
    [
        ("2026-01-31", "2026-01-01", "2026-02-01"),
        ("2026-02-28", "2026-02-01", "2026-03-01"),
        ("2028-02-29", "2028-02-01", "2028-03-01"),
        ("2100-02-28", "2100-02-01", "2100-03-01"),
        ("2026-04-30", "2026-04-01", "2026-05-01"),
        ("2026-12-31", "2026-12-01", "2027-01-01"),
    ],
)
def test_a_month_ends_when_the_next_one_begins(day: str, first: str, following: str) -> None:
    assert window_span("month", at(f"{day} 23:59:59.999999", BERLIN), BERLIN) == WindowSpan(
        at(first, BERLIN), at(following, BERLIN)
    )


@pytest.mark.parametrize("day", ["2026-12-28", "2026-12-31", "2027-01-01", "2027-01-03"])
def test_a_week_begins_on_monday_even_across_new_year(day: str) -> None:
    assert window_span("week", at(f"{day} 12:00", NEW_YORK), NEW_YORK) == WindowSpan(
        at("2026-12-28", NEW_YORK), at("2027-01-04", NEW_YORK)
    )


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        (BERLIN, "2026-03-29", 23),
        (BERLIN, "2026-10-25", 25),
        (BERLIN, "2026-06-01", 24),
        (NEW_YORK, "2026-03-08", 23),
        (NEW_YORK, "2026-11-01", 25),
        (LORD_HOWE, "2026-10-04", 23.5),
        (LORD_HOWE, "2026-04-05", 24.5),
        (SANTIAGO, "2026-09-06", 23),
        (CAIRO, "2026-04-24", 23),
        (CAIRO, "2026-10-29", 25),
        (HAVANA, "2026-11-01", 25),
    ],
)
def test_a_day_on_which_the_clocks_change_is_shorter_or_longer(
    zone: ZoneInfo, day: str, hours: float
) -> None:
    span = window_span("day", at(f"{day} 12:00", zone), zone)
    assert span.end
    assert (span.end - span.start).total_seconds() == hours * 3600


@pytest.mark.parametrize(("zone", "day"), [(SANTIAGO, "2026-09-06"), (CAIRO, "2026-04-24")])
def test_a_day_without_midnight_begins_at_its_first_moment(zone: ZoneInfo, day: str) -> None:
    span = window_span("day", at(f"{day} 12:00", zone), zone)
    assert span.start.astimezone(zone) == at(f"{day} 01:00", zone)
    before = span.start - timedelta(microseconds=1)
    assert before.astimezone(zone).date() == span.start.astimezone(zone).date() - timedelta(days=1)
    assert window_span("day", before, zone).end == span.start


def test_a_day_with_two_midnights_begins_at_the_first() -> None:
    first, second = at("2026-11-01", HAVANA), at("2026-11-01", HAVANA).replace(fold=1)
    assert (
        window_span("day", second, HAVANA).start
        == window_span("day", first, HAVANA).start
        == first.astimezone(UTC)
    )
    assert second.astimezone(UTC) - first.astimezone(UTC) == timedelta(hours=1)


def test_a_skipped_day_has_no_window() -> None:
    """Samoa skipped 30 December 2011."""
    span = window_span("day", at("2011-12-29 12:00", APIA), APIA)
    assert span.end
    assert span.end.astimezone(APIA).date().isoformat() == "2011-12-31"


def test_short_windows_ignore_clock_changes() -> None:
    first, again = at("2026-10-25 02:30", BERLIN), at("2026-10-25 02:30", BERLIN).replace(fold=1)
    assert window_span("hour", first, UTC).end == window_span("hour", again, UTC).start


def test_the_month_begins_in_the_sites_time_zone() -> None:
    moment = at("2026-10-31 23:30")
    assert window_span("month", moment, BERLIN).start.astimezone(BERLIN).month == 11
    assert window_span("month", moment, NEW_YORK).start.astimezone(NEW_YORK).month == 10


@given(
    st.sampled_from(ENDING),
    st.sampled_from(ZONES),
    st.datetimes(datetime(2012, 1, 1), datetime(9000, 1, 1)),
)
def test_windows_follow_each_other_without_gaps(
    window: str, zone: ZoneInfo, naive: datetime
) -> None:
    now = naive.replace(tzinfo=UTC)
    span = window_span(window, now, zone)
    assert span.end
    assert span.start <= now < span.end
    assert window_span(window, span.start, zone) == span, "its start belongs to it"
    assert window_span(window, span.end, zone).start == span.end, "its end does not"
    assert window_span(window, span.end - timedelta(microseconds=1), zone) == span
    assert window_span(window, span.start - timedelta(microseconds=1), zone).end == span.start


@given(
    st.sampled_from(["second", "minute", "hour"]),
    st.datetimes(datetime(1900, 1, 1), datetime(9000, 1, 1)),
)
def test_short_windows_are_exact_where_floats_are_not(window: str, naive: datetime) -> None:
    now = naive.replace(tzinfo=UTC)
    span = window_span(window, now, UTC)
    assert span.end
    assert span.start <= now < span.end


def test_the_seconds_left_are_never_negative() -> None:
    span = window_span("minute", at("2026-11-25 10:06:45"), UTC)
    assert span.seconds_left(at("2026-11-25 10:06:45.25")) == 14.75
    assert span.seconds_left(at("2026-11-25 10:08:00")) == 0.0, (
        "the clock jumped, or the call took long"
    )
