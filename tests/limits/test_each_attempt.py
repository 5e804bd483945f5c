"""Over HTTP: each attempt is reserved for before it is made, by what is sent and what it costs."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from tests.limits.api_client import (
    COST,
    budget,
    call,
    error_of,
    get_limits,
    limit,
    single_site,
    units,
)
from tests.limits.conftest import answer_with_usage, call_concurrently, native_api
from tests.scripted_provider import Upstream, says
from tests.servers import Site, until

DEAR = 10
"""Price of `dear`, in multiples of the price of `up`."""

ROOM_FOR_DEAR = 5

BODIES: dict[str, Any] = {
    "messages": {"messages": [{"role": "user", "content": "many words " * 50_000}]},
    "an unheard-of member": {"documents": ["many words " * 50_000]},
}


def of_route(name: str, metric: str, amount: Any, window: str) -> dict[str, Any]:
    return {**limit("", metric, amount, window), "MODELS": name}


LIMITS = [
    of_route("no-room", "cost", f"{COST * 2:f}", "month"),
    of_route("no-room", "requests", 100, "hour"),
    of_route("unpriced-first", "cost", "1", "month"),
    of_route("at-once", "cost", f"{COST * DEAR * ROOM_FOR_DEAR:f}", "month"),
    of_route("nobody", "requests", 5, "hour"),
    of_route("nobody", "cost", "1", "month"),
    limit("stuffed", "cost", "0.05", "month"),
    limit("dear-fallback", "cost", "0", "month"),
]


def served_by(first: str, second: str) -> dict[str, Any]:
    return {"TARGETS": [target_of(first, 0), target_of(second, 1)]}


def target_of(name: str, priority: int) -> dict[str, Any]:
    provider, _, model = name.partition("/")
    return {"PROVIDER": provider, "MODEL": model, "PRIORITY": priority}


MODELS = {
    "no-room": served_by("up/fails", "dear/answers"),
    "unpriced-first": served_by("unpriced/answers", "up/answers"),
    "at-once": served_by("up/fails", "dear/answers"),
    "nobody": served_by("up/toolless", "up/toolless-too"),
    "with-limited-fallback": served_by("up/answers", "up/dear-fallback"),
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[Site]:
    settings = native_api(
        upstream, LIMITS, MODELS=MODELS, ATTEMPTS={"RETRIES": 0, "MAX": 3, "START_WITHIN": 5}
    )
    up = settings["PROVIDERS"]["up"]
    price = {name: str(Decimal(amount) * DEAR) for name, amount in up["PRICE"].items()}
    settings["PROVIDERS"]["dear"] = {**up, "PRICE": price}
    with single_site(tmp_path_factory, settings) as running:
        yield running


@pytest.fixture(autouse=True)
def scripts(upstream: Upstream) -> None:
    upstream.default_script = answer_with_usage
    upstream.script("fails", says({"error": {"message": "out of sorts"}}, 404))


def test_a_target_that_would_exceed_the_budget_is_not_called(
    site: Site, upstream: Upstream
) -> None:
    before = len(upstream.requests_for("answers"))
    failed = call(site, "no-room")
    assert (failed.status_code, len(upstream.requests_for("answers"))) == (502, before)
    site.wait_for_usage(request_id=failed.headers["x-request-id"])
    until(lambda: budget(site, "no-room") == (0, 0), "the budget")
    assert [
        limit_status["left"]
        for limit_status in get_limits(site, "no-room")
        if limit_status["metric"] == "requests"
    ] == [100]


def test_a_target_without_a_price_is_skipped(site: Site) -> None:
    answered = call(site, "unpriced-first")
    assert (answered.status_code, answered.headers["x-native-provider"]) == (200, "up")
    site.wait_for_usage(request_id=answered.headers["x-request-id"])
    until(lambda: budget(site, "unpriced-first") == (units(COST), 0), "the budget")


def test_a_limit_on_a_fallback_applies_when_it_is_tried(site: Site, upstream: Upstream) -> None:
    assert call(site, "with-limited-fallback").status_code == 200
    assert call(site, "up/dear-fallback").status_code == 402
    assert upstream.requests_for("dear-fallback") == []


def test_concurrent_fallbacks_never_exceed_the_budget(site: Site, upstream: Upstream) -> None:
    calls = 40
    statuses = Counter(asyncio.run(call_concurrently([site], "at-once", calls)))
    assert statuses[200] <= ROOM_FOR_DEAR
    until(lambda: len(site.usage(model="at-once")) == calls, "the records")
    until(lambda: budget(site, "at-once") == (units(COST * DEAR) * statuses[200], 0), "the budget")


@pytest.mark.parametrize("way", BODIES)
def test_a_prompt_in_provider_options_is_reserved_for(
    site: Site, upstream: Upstream, way: str
) -> None:
    statuses = Counter(
        asyncio.run(
            call_concurrently([site], "up/stuffed", 10, provider_options={"up": BODIES[way]})
        )
    )
    assert statuses == {402: 10}
    assert upstream.requests_for("stuffed") == []
    assert budget(site, "up/stuffed") == (0, 0)


def test_a_request_that_no_target_can_express_holds_nothing(site: Site) -> None:
    refused = call(site, "nobody", provider_options={"up": {"max_tokens": 5}})
    assert (refused.status_code, error_of(refused)["code"]) == (400, "unsupported_field")
    assert [limit_status["left"] for limit_status in get_limits(site, "nobody")] == [5, "1"]
