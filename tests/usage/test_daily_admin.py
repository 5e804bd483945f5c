"""The totals of each day in the admin: read-only, with filters that do not read all rows."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from urllib.parse import unquote

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from native_api.admin.daily_usage import IndexedDays
from native_api.admin.usage import MAX_CHOICES, recent_models
from native_api.models import DailyUsage
from native_api.usage import writer
from native_api.usage.entry import UsageEntry
from native_api.usage.totals_names import UNKNOWN_MODEL

LIST = "/admin/native_api/dailyusage/"
FIRST = datetime(2025, 11, 30, 18, tzinfo=UTC)


@pytest.fixture
def page(transactional_db: None, client: Client) -> Client:
    user = get_user_model().objects.create_superuser("admin", "a@b.example", "admin")
    common = {"provider": "p", "user_id": user.pk, "user_name": "admin", "cost": Decimal("1e-12")}
    moments = [FIRST + timedelta(days=days) for days in (0, 1, 40, 41, 400)]
    entries = [
        UsageEntry(model=model, created_at=moment, **common)
        for moment in moments
        for model in ("m1", "m2")
    ]  # type: ignore[arg-type]
    assert not writer.write(entries, "default", may_be_written=False)
    client.force_login(user)
    return client


def body(page: Client, query: str) -> str:
    answer = page.get(LIST + query)
    assert answer.status_code == 200
    return answer.content.decode()


def rows(text: str) -> int:
    return len(re.findall(r'<th class="field-day', text))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", 10),
        ("?model=m1", 5),
        ("?provider=p", 10),
        ("?status__exact=error", 0),
        ("?day__year=2026&day__month=1", 4),
        ("?q=admin", 10),
        ("?q=m2", 5),
        ("?q=nothing", 0),
    ],
)
def test_filters_and_searches_find_the_expected_rows(
    page: Client, query: str, expected: int
) -> None:
    assert rows(body(page, query)) == expected


def test_the_filter_offers_the_models_that_answered_most_not_invented_names(
    page: Client,
) -> None:
    moment = FIRST + timedelta(days=400)
    real = [
        UsageEntry(model=f"real-{number}", created_at=moment)
        for number in range(MAX_CHOICES - 2)
        for _ in range(2)
    ]
    failing = [
        UsageEntry(model=f"a-failing-{number}", created_at=moment, status="upstream_error")
        for number in range(100)
    ]
    once = [UsageEntry(model=f"a-once-{number}", created_at=moment) for number in range(100)]
    unknown = [
        UsageEntry(
            model=f"a-{number}", counted_as=UNKNOWN_MODEL, created_at=moment, status="refused"
        )
        for number in range(100)
    ]
    assert not writer.write([*real, *failing, *once, *unknown], "default", may_be_written=False)
    offered = set(recent_models())
    assert offered == {"m1", "m2", *(f"real-{number}" for number in range(MAX_CHOICES - 2))}
    assert set(re.findall(r"[?&](?:amp;)?model=([^&\"]+)", unquote(body(page, "")))) == {
        *offered,
        UNKNOWN_MODEL,
    }


@pytest.mark.parametrize(
    ("query", "links"),
    [
        ("", ["day__year=2025", "day__year=2026", "day__year=2027"]),
        ("?day__year=2025", ["day__month=11", "day__month=12"]),
        ("?day__year=2026&day__month=1", ["day__day=9", "day__day=10"]),
    ],
)
def test_the_date_hierarchy_links_to_existing_days(
    page: Client, query: str, links: list[str]
) -> None:
    shown = body(page, query)
    assert all(link in shown for link in links)
    assert "day__month=10" not in shown
    assert "day__day=11" not in shown


@pytest.mark.parametrize(
    ("kind", "first"),
    [("year", date(2026, 1, 1)), ("month", date(2026, 1, 1)), ("day", date(2026, 1, 9))],
)
def test_periods_equal_those_that_django_finds(page: Client, kind: str, first: date) -> None:
    periods = IndexedDays(DailyUsage).dates("day", kind)
    assert periods == list(DailyUsage.objects.dates("day", kind))  # type: ignore[arg-type]
    assert first in periods


def test_no_page_counts_rows(page: Client) -> None:
    with CaptureQueriesContext(connection) as captured:
        body(page, "")
    queries = [
        query["sql"].upper() for query in captured if "native_api_dailyusage" in query["sql"]
    ]
    assert queries
    assert not [query for query in queries if "COUNT(" in query or "DISTINCT" in query]


def test_totals_are_read_only(page: Client) -> None:
    one = DailyUsage.objects.latest("day")
    shown = page.get(f"{LIST}{one.pk}/change/")
    assert "0.000000000001" in shown.content.decode()
    assert 'name="_save"' not in shown.content.decode()
    assert (
        page.get(LIST + "add/").status_code
        == page.get(f"{LIST}{one.pk}/delete/").status_code
        == 403
    )
