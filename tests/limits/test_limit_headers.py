"""What a client sees of limits: refusals, when to retry, and rate-limit headers."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import openai
import pytest
from django.conf import settings as django_settings

from native_api.limits.windows import window_span
from tests.limits.api_client import (
    COST,
    avoid_end_of_hour,
    budget,
    call,
    create_key,
    error_of,
    limit,
    limit_and_remaining,
    run_in_site,
    running_call,
    single_site,
)
from tests.limits.conftest import (
    CHAT,
    PROMPT_TOKENS,
    answer_after,
    answer_or_stream,
    native_api,
)
from tests.scripted_provider import Upstream
from tests.servers import Site, until
from tests.waiting import wait_for_next_window

AMOUNTS: dict[str, Any] = {
    "requests": 1,
    "input_tokens": PROMPT_TOKENS,
    "output_tokens": 3,
    "tokens": PROMPT_TOKENS + 3,
    "cost": f"{COST:f}",
}
"""What one call uses."""

WINDOWS = ("second", "minute", "hour", "day", "week", "month", "lifetime")
HEADED = {
    "requests": "requests",
    "input_tokens": "tokens",
    "output_tokens": "tokens",
    "tokens": "tokens",
}


LIMITS = [
    *(
        limit(f"{metric}-{window}", metric, amount, window)
        for metric, amount in AMOUNTS.items()
        for window in WINDOWS
    ),
    limit("too-large", "tokens", 11, "minute"),
    limit("too-large-a-day", "tokens", 11, "day"),
    limit("too-dear", "cost", "0.000001", "day"),
    limit("slot", "concurrent_requests", 1),
    limit("roomy", "requests", 5, "hour"),
    limit("roomy", "tokens", 100, "hour"),
    limit("overlapping*", "requests", 10, "hour"),
    limit("overlapping", "requests", 3, "day"),
    limit("overlapping-other", "tokens", 1000, "day"),
    limit("sdk-rate", "requests", 0, "day"),
    limit("sdk-budget", "cost", "0", "month"),
    limit("both", "requests", 5, "hour"),
    limit("both", "cost", f"{COST:f}", "month"),
    limit("everyone", "requests", 2, "hour", "everyone"),
    limit("everyone", "tokens", 500, "hour", "everyone"),
    limit("everyone-budget", "cost", f"{COST:f}", "month", "everyone"),
    limit("reads-on", "tokens", 1000, "month"),
    *(limit("long", "requests", 1, window) for window in ("day", "lifetime", "week")),
    *(
        limit("long-money", *of)
        for of in (
            ("requests", 1, "day"),
            ("cost", f"{COST:f}", "lifetime"),
            ("tokens", 100, "week"),
        )
    ),
    limit("never", "tokens", 11, "second"),
    limit("never*", "requests", 1, "hour"),
    limit("python", "requests", 3, "day"),
    limit("python-budget", "cost", f"{2 * COST:f}", "day"),
    limit("python-rate", "requests", 1, "hour"),
    limit("python-everyone", "requests", 1, "day", "everyone"),
]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[Site]:
    with single_site(tmp_path_factory, native_api(upstream, LIMITS)) as running:
        yield running


@pytest.fixture(autouse=True)
def scripts(upstream: Upstream) -> None:
    upstream.default_script = answer_or_stream


# --- refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("metric", AMOUNTS)
def test_the_first_refused_call_says_when_to_retry(site: Site, metric: str, window: str) -> None:
    model = f"up/{metric}-{window}"
    first, refused, left = until(
        lambda: call_twice(site, model, window), "two calls within one window"
    )
    assert first.status_code == 200
    error = error_of(refused)
    if metric == "cost":
        assert (refused.status_code, error["code"], error["type"]) == (
            402,
            "budget_exceeded",
            "budget_error",
        )
        assert "retry-after" not in refused.headers
        assert refused.headers["x-should-retry"] == "false"
        assert f"budget of {COST:f} USD" in error["message"]
    else:
        assert (refused.status_code, error["code"], error["type"]) == (
            429,
            "rate_limit_exceeded",
            "rate_limit_error",
        )
        per = {"lifetime": "in total"}.get(window, f"per {window}")
        assert f"{AMOUNTS[metric]} {metric.replace('_', ' ')} {per} for" in error["message"]
        assert_retry_after(refused, left)
        assert limit_and_remaining(refused, HEADED[metric]) == (str(AMOUNTS[metric]), "0")
    assert f"for this user and models {model}" in error["message"]


Left = tuple[float, float] | None
"""Seconds left of the window, at most and at least; None if it has no end."""


def call_twice(
    site: Site, model: str, window: str
) -> tuple[httpx.Response, httpx.Response, Left] | None:
    """Two calls, and what was left of the window at the second; None if it ended meanwhile."""
    began, at_most = current_window(window)
    first = call(site, model)
    second = call(site, model)
    ended, at_least = current_window(window)
    if began != ended:
        wait_for_next_window(1)  # the last call counts in the current window
        return None
    return first, second, None if at_most is None or at_least is None else (at_most, at_least)


def current_window(window: str) -> tuple[datetime, float | None]:
    """When it began, and the seconds left of it."""
    now = datetime.now(UTC)
    zone = UTC if window in ("second", "minute", "hour") else ZoneInfo(django_settings.TIME_ZONE)
    span = window_span(window, now, zone)
    return span.start, span.seconds_left(now)


def assert_retry_after(refused: httpx.Response, left: Left) -> None:
    if left is None:
        assert "retry-after" not in refused.headers
        assert refused.headers["x-should-retry"] == "false"
        return
    seconds, (at_most, at_least) = int(refused.headers["retry-after"]), left
    assert math.ceil(at_least) <= seconds <= math.ceil(at_most)
    assert refused.headers.get("x-should-retry") == ("false" if seconds > 60 else None)


@pytest.mark.parametrize("model", ["up/too-large", "up/too-large-a-day"])
def test_a_request_larger_than_its_limit_has_no_retry_after(site: Site, model: str) -> None:
    refused = call(site, model)
    assert refused.status_code == 429
    assert "is larger than the limit of 11 tokens" in error_of(refused)["message"]
    assert "retry-after" not in refused.headers
    assert refused.headers["x-should-retry"] == "false"
    assert limit_and_remaining(refused, "tokens") == ("11", "11")


def test_a_request_larger_than_its_budget_is_refused(site: Site, upstream: Upstream) -> None:
    refused = call(site, "up/too-dear")
    assert (refused.status_code, error_of(refused)["code"]) == (402, "budget_exceeded")
    assert f"may cost up to {COST:f} USD" in error_of(refused)["message"]
    assert upstream.requests_for("too-dear") == []


def test_the_exhausted_limit_that_resets_last_decides_when_to_retry(
    site: Site,
) -> None:
    assert call(site, "up/long").status_code == 200
    refused = call(site, "up/long")
    assert "1 requests in total" in error_of(refused)["message"]
    assert "retry-after" not in refused.headers
    assert call(site, "up/long-money").status_code == 200
    over = call(site, "up/long-money")
    assert (over.status_code, error_of(over)["code"]) == (402, "budget_exceeded")
    assert (limit_and_remaining(over, "requests"), limit_and_remaining(over, "tokens")) == (
        ("1", "0"),
        ("100", "88"),
    )


def test_an_impossible_request_is_reported_before_an_exhausted_limit(site: Site) -> None:
    avoid_end_of_hour()
    assert [call(site, "up/never-mind").status_code for _ in range(2)] == [200, 429]
    refused = call(site, "up/never")
    assert "is larger than the limit" in error_of(refused)["message"]
    assert "retry-after" not in refused.headers


def test_a_refusal_by_a_slot_may_be_retried_soon(site: Site, upstream: Upstream) -> None:
    gate = upstream.gate()
    upstream.script("slot", answer_after(gate))
    with running_call(site, "up/slot", upstream):
        refused = call(site, "up/slot")
        gate.open()
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
    assert (
        "Too many concurrent requests: the limit for this user and models up/slot is 1."
        in error_of(refused)["message"]
    )
    until(lambda: call(site, "up/slot").status_code == 200, "the slot")


def test_the_sdk_raises_what_it_raises_with_openai(site: Site, upstream: Upstream) -> None:
    with openai.OpenAI(base_url=f"{site.url}/v1", api_key=site.key, timeout=60) as sdk:
        with pytest.raises(openai.RateLimitError):
            sdk.chat.completions.create(model="up/sdk-rate", **CHAT)
        with pytest.raises(openai.APIStatusError) as caught:
            sdk.chat.completions.create(model="up/sdk-budget", **CHAT)
    assert (caught.value.status_code, caught.value.code) == (402, "budget_exceeded")
    assert len(site.wait_for_usage(1, model="up/sdk-budget")) == 1
    assert upstream.requests_for("sdk-budget") == upstream.requests_for("sdk-rate") == []


# --- headers -------------------------------------------------------------------------------------


def test_every_answer_has_rate_limit_headers(site: Site) -> None:
    avoid_end_of_hour()
    answers = [call(site, "up/roomy") for _ in range(6)]
    assert [limit_and_remaining(answer, "requests") for answer in answers] == [
        ("5", left) for left in ("4", "3", "2", "1", "0", "0")
    ]
    assert [limit_and_remaining(answer, "tokens")[1] for answer in answers[:5]] == [
        "88",
        "76",
        "64",
        "52",
        "40",
    ]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429]
    assert all(answer.headers["x-ratelimit-reset-tokens"].endswith("s") for answer in answers)


def test_a_refused_call_does_not_lower_the_remaining_requests(site: Site) -> None:
    """The rate admits the call and the budget does not: the headers show the rate unchanged."""
    avoid_end_of_hour()
    answers = [call(site, "up/both") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 402, 402]
    assert [limit_and_remaining(answer, "requests") for answer in answers] == [("5", "4")] * 3


def test_the_tightest_of_two_limits_is_enforced_and_shown(site: Site) -> None:
    avoid_end_of_hour()
    answers = [call(site, "up/overlapping") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert [limit_and_remaining(answer, "requests") for answer in answers] == [
        ("3", left) for left in ("2", "1", "0", "0")
    ]
    other = call(site, "up/overlapping-other")
    assert limit_and_remaining(other, "requests") == ("10", "6")
    assert limit_and_remaining(other, "tokens") == ("1000", "988")


def test_without_limits_the_headers_show_the_callers_rate(site: Site) -> None:
    answer = call(site, "up/unlimited")
    assert answer.headers["x-ratelimit-limit-requests"] == "100000"
    assert limit_and_remaining(answer, "tokens") == (None, None)


def test_a_stream_has_rate_limit_headers(site: Site) -> None:
    answer = call(site, "up/reads-on", stream=True)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert limit_and_remaining(answer, "tokens") == ("1000", "988")
    assert answer.headers["x-ratelimit-limit-requests"] == "100000"


def test_a_shared_rate_is_shown(site: Site) -> None:
    avoid_end_of_hour()
    answers = [call(site, "up/everyone") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert [limit_and_remaining(answer, "requests") for answer in answers] == [
        ("2", "1"),
        ("2", "0"),
        ("2", "0"),
    ]
    assert limit_and_remaining(answers[1], "tokens") == ("500", "476")
    assert error_of(answers[2])["message"].startswith(
        "The limit of 2 requests per hour for this site and models up/everyone has been reached."
    )


def test_the_amount_of_a_shared_budget_is_not_shown(site: Site) -> None:
    budget = [call(site, "up/everyone-budget") for _ in range(2)][1]
    assert budget.status_code == 402
    assert error_of(budget)["message"].startswith(
        "This call would exceed the budget for this site and models up/everyone-budget."
    )


# --- other ways in -------------------------------------------------------------------------------

CALLING = f"""
import json
from native_api import gateway
from native_api.exceptions import NativeError
from native_api.types import Caller
from native_api.usage import recorder
CHAT = {CHAT!r}
def ask(model, caller):
    try:
        return gateway.complete_sync({{"model": model, **CHAT}}, caller).completion["object"]
    except NativeError as error:
        return error.code
alice, task = Caller(user_id=1, user_name="alice"), Caller(user_name="a task")
calls = [("up/python", alice)] * 3 + [("up/python-budget", alice)] * 2
calls += [("up/python-rate", alice)] * 2 + [("up/python-everyone", task)] * 2
results = [ask(model, caller) for model, caller in calls]
recorder.flush()
print(json.dumps(results))
"""


def test_the_same_limits_apply_to_python_callers(site: Site) -> None:
    """From another process, after HTTP calls by the same user."""
    avoid_end_of_hour()
    assert [call(site, model).status_code for model in ("up/python", "up/python-budget")] == [
        200,
        200,
    ]
    done, rate, money = "chat.completion", "rate_limit_exceeded", "budget_exceeded"
    assert json.loads(run_in_site(site, CALLING)) == [
        done,
        done,
        rate,
        done,
        money,
        done,
        rate,
        done,
        rate,
    ]
    assert [
        call(site, model).status_code
        for model in ("up/python", "up/python-budget", "up/python-everyone")
    ] == [429, 402, 429]
    until(lambda: budget(site, "up/python") == (3, 0), "the records of both")


def test_a_long_wait_is_marked_as_not_worth_a_retry(site: Site) -> None:
    key = create_key(site, "alice", "slow", throttle_rate="1/d")
    quick = create_key(site, "alice", "quick", throttle_rate="1/30s")
    refused = [call(site, "up/any", key) for _ in range(2)][1]
    assert (refused.status_code, refused.headers["x-should-retry"]) == (429, "false")
    assert int(refused.headers["retry-after"]) <= 86400
    soon = next(
        answer
        for answer in (call(site, "up/any", quick) for _ in range(9))
        if answer.status_code == 429
    )
    assert int(soon.headers["retry-after"]) <= 30
    assert "x-should-retry" not in soon.headers
