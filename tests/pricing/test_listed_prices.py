"""When a price of a published list applies."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from native_api.pricing import listed_prices

offsets = st.none() | st.builds(
    lambda minutes: timezone(timedelta(minutes=minutes)), st.integers(-23 * 60, 23 * 60)
)
times = st.builds(lambda naive, offset: naive.replace(tzinfo=offset), st.times(), offsets)
moments = st.datetimes(timezones=st.just(UTC))


@given(times, times, moments)
def test_hours_of_the_day_in_any_time_zone(start: time, end: time, moment: datetime) -> None:
    from genai_prices import types

    constraint = {"start_time": start.isoformat(), "end_time": end.isoformat()}
    prices = listed_prices.parse([{"prices": {}, "constraint": constraint}], None)
    expected = types.TimeOfDateConstraint(start, end).active(moment)
    assert prices.standard[0].apply_at(moment) == expected


def test_the_last_price_that_applies_counts_and_the_first_if_none_does() -> None:
    later = {"prices": {"input_mtok": 2}, "constraint": {"start_date": "2026-02-01"}}
    last = {"prices": {"input_mtok": 3}, "constraint": {"start_date": "2026-03-01"}}
    prices = listed_prices.parse([later, last], None)
    assert [
        prices.at(datetime(2026, month, 1, tzinfo=UTC))["input_mtok"] for month in (1, 2, 3)
    ] == [2, 2, 3]


def test_the_first_variant_that_applies_counts_for_each_price() -> None:
    fast = [
        {"when": {"speed": "fast"}, "prices": {"input_mtok": "5"}},
        {"when": {"speed": "fast"}, "prices": {"input_mtok": "6", "output_mtok": "7"}},
        {"when": {"speed": "fast", "route": "eu"}, "prices": {"input_mtok": "8"}},
    ]
    prices = listed_prices.parse({"input_mtok": "1", "cache_read_mtok": "2"}, fast)
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert prices.at(now, {"speed": "fast"}) == {
        "input_mtok": Decimal(5),
        "output_mtok": Decimal(7),
        "cache_read_mtok": Decimal(2),
    }


@pytest.mark.parametrize(
    "definition",
    [
        {"input_mtok": True},
        {"input_mtok": [1]},
        {"input_mtok": {"base": 1, "tiers": [{"start": "10", "price": 1}]}},
        [{"prices": {}, "constraint": {"start_date": "tomorrow"}}],
    ],
    ids=str,
)
def test_what_is_no_price_is_refused(definition: object) -> None:
    with pytest.raises(ValueError, match=r"must be a decimal|must start at|Invalid isoformat"):
        listed_prices.parse(definition, None)
