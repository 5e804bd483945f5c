"""`GET v1/usage`: usage of the caller by day and model, and the state of the caller's limits."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.conf import settings as django_settings

from native_api.limits.windows import window_span
from tests.limits.api_client import (
    COST,
    avoid_end_of_hour,
    call,
    create_key,
    error_of,
    get,
    get_limits,
    limit,
    run_in_site,
    running_call,
    single_site,
    units,
    user_with_key,
)
from tests.limits.conftest import (
    PROMPT_TOKENS,
    answer_after,
    answer_with_usage,
    completion,
    native_api,
)
from tests.scripted_provider import Exchange, Upstream
from tests.servers import Site, until

TOKENS = (
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "cached_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
)
LIMITS = [
    limit("stand", "requests", 3, "hour"),
    limit("stand", "tokens", 100, "day"),
    limit("stand", "cost", "0.5", "month"),
    limit("stand", "concurrent_requests", 2),
    limit("share", "requests", 1, "hour", "everyone"),
    limit("share-budget", "cost", f"{COST:f}", "lifetime", "everyone"),
    {"SUBJECT": "user:carol", "METRIC": "cost", "AMOUNT": "7.25", "WINDOW": "lifetime"},
]
ZONE = ZoneInfo(django_settings.TIME_ZONE)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[Site]:
    with single_site(tmp_path_factory, native_api(upstream, LIMITS)) as running:
        yield running


@pytest.fixture(autouse=True)
def scripts(upstream: Upstream) -> None:
    upstream.default_script = answer_with_usage


def usage(site: Site, key: str = "", query: str = "") -> dict[str, Any]:
    answer = get(site, f"usage{query}", key)
    assert answer.status_code == 200
    usage_report: dict[str, Any] = answer.json()
    return usage_report


def usage_after(site: Site, key: str, requests: int) -> dict[str, Any]:
    """Wait until the usage contains this many requests: records are written after the answers."""
    until(lambda: usage(site, key)["total"]["requests"] == requests, f"{requests} requests")
    return usage(site, key)


# --- what was used -------------------------------------------------------------------------------


def test_a_new_user_has_no_usage(site: Site) -> None:
    answer = usage(site, user_with_key(site, "nobody"))
    today = datetime.now(UTC).astimezone(ZONE).date()
    assert (answer["object"], answer["user"], answer["data"]) == ("usage", "nobody", [])
    assert (answer["from"], answer["time_zone"]) == (
        (today - timedelta(days=29)).isoformat(),
        django_settings.TIME_ZONE,
    )
    assert answer["total"] == {
        "requests": 0,
        **dict.fromkeys(TOKENS, 0),
        "cost": "0",
        "unpriced_requests": 0,
    }


def test_all_keys_of_a_user_count_together(site: Site) -> None:
    first, other = user_with_key(site, "dora"), user_with_key(site, "emil")
    second = create_key(site, "dora", "second")
    for key, model in (
        (first, "up/one"),
        (second, "up/one"),
        (second, "up/two"),
        (other, "up/one"),
    ):
        assert call(site, model, key).status_code == 200
    answer = usage_after(site, first, 3)
    assert usage(site, second) == answer
    assert {
        row["model"]: (row["requests"], row["total_tokens"], row["cost"]) for row in answer["data"]
    } == {
        "up/one": (2, 24, f"{2 * COST:f}"),
        "up/two": (1, 12, f"{COST:f}"),
    }
    assert answer["total"]["cost"] == f"{3 * COST:f}"
    assert usage_after(site, other, 1)["user"] == "emil"


def test_totals_equal_the_records_to_the_last_digit(site: Site, upstream: Upstream) -> None:
    """With costs that no float can hold, a refused call, and a call without a price."""
    key = user_with_key(site, "fred")

    async def odd(exchange: Exchange) -> None:
        number = len(upstream.requests_for("odd"))
        await exchange.json(
            completion(
                1_000_003 * number,
                7,
                prompt_tokens_details={"cached_tokens": number},
                completion_tokens_details={"reasoning_tokens": 5},
            )
        )

    upstream.script("odd", odd)
    statuses = [
        call(site, model, key).status_code
        for model in ("up/odd", "up/odd", "unpriced/odd", "up/odd", "missing")
    ]
    assert statuses == [200, 200, 200, 200, 404]
    answer = usage_after(site, key, 5)
    records = site.usage(user_name="fred")
    for name in TOKENS:
        assert (
            answer["total"][name]
            == sum(record[name] for record in records)
            == sum(row[name] for row in answer["data"])
        )
    costs = [Decimal(record["cost"]) for record in records if record["cost"] is not None]
    assert len(costs) == 3
    assert (
        Decimal(answer["total"]["cost"])
        == sum(costs)
        == sum(Decimal(row["cost"]) for row in answer["data"])
    )
    assert answer["total"]["unpriced_requests"] == 1
    assert [record["cost"] for record in records if record["model"] == "unpriced/odd"] == [None]


def test_only_the_requested_days_are_returned_newest_first(site: Site) -> None:
    key = user_with_key(site, "gerd")
    assert call(site, "up/m", key).status_code == 200
    usage_after(site, key, 1)
    code = "\n".join(
        (
            "row = DailyUsage.objects.get(user_name='gerd')",
            "today = row.day",
            "for days in (1, 2, 40):",
            "    row.pk, row.day = uuid4(), today - timedelta(days=days)",
            "    row.save(force_insert=True)",
        )
    )
    run_in_site(site, f"{IMPORTS}\n{code}")
    today = datetime.now(UTC).astimezone(ZONE).date()
    days = [row["day"] for row in usage(site, key, "?days=366")["data"]]
    assert days == sorted(days, reverse=True)
    assert len(days) == 4
    assert [row["day"] for row in usage(site, key, "?days=1")["data"]] == [today.isoformat()]
    assert [row["day"] for row in usage(site, key, "?days=2")["data"]] == [
        today.isoformat(),
        (today - timedelta(days=1)).isoformat(),
    ]
    assert len(usage(site, key)["data"]) == 3


IMPORTS = (
    "from datetime import timedelta; from uuid import uuid4; "
    "from native_api.models import DailyUsage;"
)


@pytest.mark.parametrize(
    "days", ["0", "367", "-1", "1.5", "", "x", "1e2", "9" * 400, "%D9%A3", "+3", "3 ", "null"]
)
def test_invalid_days_are_refused(site: Site, days: str) -> None:
    answer = get(site, f"usage?days={days}")
    assert (answer.status_code, error_of(answer)["code"], error_of(answer)["param"]) == (
        400,
        "invalid_request",
        "days",
    )


def test_an_unknown_caller_sees_nothing(site: Site) -> None:
    assert get(site, "usage", "nk_wrong").status_code == 401


def test_a_caller_without_a_user_sees_no_usage(
    tmp_path_factory: pytest.TempPathFactory, upstream: Upstream
) -> None:
    open_to_all = {
        "DEFAULT_AUTHENTICATION_CLASSES": [],
        "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.AllowAny"],
    }
    with single_site(tmp_path_factory, native_api(upstream, LIMITS, **open_to_all)) as running:
        assert call(running, "up/stand").status_code == 200
        running.wait_for_usage(model="up/stand")
        answer = usage(running)
    assert (answer["user"], answer["data"], answer["total"]["requests"]) == (None, [], 0)
    assert {limit["models"] for limit in answer["limits"]} == {"up/share", "up/share-budget"}


# --- limits --------------------------------------------------------------------------------------


def test_the_callers_limits_with_used_and_left(site: Site, upstream: Upstream) -> None:
    avoid_end_of_hour()
    key = user_with_key(site, "hugo")
    assert call(site, "up/stand", key).status_code == 200
    usage_after(site, key, 1)
    now = datetime.now(UTC)
    common = {"models": "up/stand", "shared": False, "has_room": True}
    assert get_limits(site, "up/stand", key) == [
        {
            **common,
            "metric": "requests",
            "window": "hour",
            "limit": 3,
            "used": 1,
            "reserved": None,
            "left": 2,
            "reset_at": end("hour", now, UTC),
        },
        {
            **common,
            "metric": "tokens",
            "window": "day",
            "limit": 100,
            "used": 12,
            "reserved": 0,
            "left": 88,
            "reset_at": end("day", now, ZONE),
        },
        {
            **common,
            "metric": "cost",
            "window": "month",
            "limit": "0.5",
            "used": f"{COST:f}",
            "reserved": "0",
            "left": f"{Decimal('0.5') - COST:f}",
            "reset_at": end("month", now, ZONE),
        },
        {
            **common,
            "metric": "concurrent_requests",
            "window": None,
            "limit": 2,
            "used": 0,
            "reserved": None,
            "left": 2,
            "reset_at": None,
        },
    ]


def end(window: str, now: datetime, zone: Any) -> str:
    until_ = window_span(window, now, zone).end
    assert until_ is not None
    return until_.isoformat()


def test_the_units_of_a_running_call_are_reserved(site: Site, upstream: Upstream) -> None:
    gate = upstream.gate()
    upstream.script("stand", answer_after(gate))
    with running_call(site, "up/stand", upstream):
        tokens, cost, slots = get_limits(site, "up/stand")[1:]
        gate.open()
    assert (tokens["used"], tokens["reserved"], tokens["left"]) == (
        0,
        PROMPT_TOKENS + 3,
        100 - PROMPT_TOKENS - 3,
    )
    assert (cost["used"], cost["reserved"], cost["left"]) == (
        "0",
        f"{COST:f}",
        f"{Decimal('0.5') - COST:f}",
    )
    assert (slots["used"], slots["left"]) == (1, 1)
    upstream.scripts.pop("stand")


def test_of_shared_budgets_only_has_room_is_shown(site: Site) -> None:
    key = user_with_key(site, "ida")
    nothing = {"shared": True, **dict.fromkeys(("limit", "used", "reserved", "left"))}
    [before] = get_limits(site, "up/share-budget", key)
    assert call(site, "up/share-budget").status_code == 200
    until(
        lambda: not get_limits(site, "up/share-budget", key)[0]["has_room"],
        "the limit to be reached",
    )
    [then] = get_limits(site, "up/share-budget", key)
    assert before["has_room"]
    assert before.items() >= nothing.items() <= then.items()


def test_other_shared_limits_are_shown(site: Site) -> None:
    avoid_end_of_hour()
    assert call(site, "up/share").status_code == 200
    [answer] = get_limits(site, "up/share", user_with_key(site, "ina"))
    assert (
        answer.items()
        >= {"shared": True, "limit": 1, "used": 1, "left": 0, "has_room": False}.items()
    )


def test_limits_of_others_are_not_shown(site: Site) -> None:
    carol, other = user_with_key(site, "carol"), user_with_key(site, "kurt")
    assert [limit["limit"] for limit in get_limits(site, None, carol)] == ["7.25"]  # type: ignore[arg-type]
    assert get_limits(site, None, other) == []  # type: ignore[arg-type]
    assert units(Decimal("7.25")) == 7_250_000_000_000


def test_limits_of_the_key_and_of_the_user_are_shown(site: Site) -> None:
    key = user_with_key(site, "lena")
    second = create_key(site, "lena", "unlimited")
    run_in_site(
        site,
        "from native_api.models import *; from django.contrib.auth.models import User;"
        "row = dict(metric='requests', window='week', pattern='up/of-rows');"
        "key = ApiKey.objects.get(name='of lena'); user = User.objects.get(username='lena');"
        "Limit.objects.create(subject='key', api_key=key, amount=5, **row);"
        "Limit.objects.create(subject='user', user=user, amount=9, **row);"
        "Limit.objects.create(subject='each_user', amount=2, enabled=False, **row)",
    )
    until(lambda: len(get_limits(site, "up/of-rows", key)) == 2, "the rows")
    assert call(site, "up/of-rows", key).status_code == 200
    until(
        lambda: sorted(limit["left"] for limit in get_limits(site, "up/of-rows", key)) == [4, 8],
        "the use",
    )
    until(
        lambda: [limit["left"] for limit in get_limits(site, "up/of-rows", second)] == [8],
        "the use",
    )
