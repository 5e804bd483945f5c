"""What a call counts in the end: what its records say, and nothing if it failed."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import httpx
import pytest

from tests.limits.api_client import (
    COST,
    avoid_end_of_hour,
    budget,
    call,
    error_of,
    get_limits,
    limit,
    single_site,
    units,
)
from tests.limits.conftest import (
    CHAT,
    PROMPT_TOKENS,
    answer_or_stream,
    answer_with_usage,
    native_api,
)
from tests.scripted_provider import (
    DONE,
    HELLO,
    Upstream,
    event,
    hello,
    pauses,
    says,
    streams,
)
from tests.servers import Site, until

FAILING = ("fails-True", "fails-False")
LIMITS: list[dict[str, Any]] = [
    *(limit(model, "requests", 1, "hour") for model in FAILING),
    *(limit(model, "tokens", 12, "hour") for model in FAILING),
    *(limit(model, "cost", f"{COST:f}", "month") for model in FAILING),
    *(limit(model, "concurrent_requests", 1) for model in FAILING),
    limit("leaves", "concurrent_requests", 1),
    limit("leaves", "cost", "1", "month"),
    limit("tells-twice", "cost", "1", "month"),
    limit("tells-nothing", "cost", "1", "month"),
    {
        "SUBJECT": "each_user",
        "METRIC": "cost",
        "AMOUNT": "1",
        "WINDOW": "month",
        "MODELS": "unpriced/*",
    },
    {
        "SUBJECT": "each_user",
        "METRIC": "cost",
        "AMOUNT": "1",
        "WINDOW": "month",
        "MODELS": "hedged",
    },
]
MODELS = {
    "hedged": {
        "TARGETS": [{"PROVIDER": "up", "MODEL": "late"}, {"PROVIDER": "up", "MODEL": "early"}],
        "HEDGE": 0.2,
    }
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[Site]:
    settings = native_api(
        upstream, LIMITS, MODELS=MODELS, ATTEMPTS={"RETRIES": 0, "MAX": 2, "START_WITHIN": 5}
    )
    with single_site(tmp_path_factory, settings) as running:
        yield running


@pytest.fixture(autouse=True)
def scripts(upstream: Upstream) -> None:
    upstream.default_script = answer_or_stream


# --- giving back ---------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
def test_a_call_that_its_provider_failed_counts_nothing(
    site: Site, upstream: Upstream, stream: bool
) -> None:
    avoid_end_of_hour()
    model = f"fails-{stream}"
    upstream.script(model, says({"error": {"message": "no"}}, 500))
    for _ in range(2):
        failed = call(site, f"up/{model}", stream=stream)
        assert failed.status_code == 502
        [record] = site.wait_for_usage(request_id=failed.headers["x-request-id"])
        assert (record["status"], record["cost"]) == ("upstream_error", None)
    assert [status["left"] for status in get_limits(site, f"up/{model}")] == [1, 12, f"{COST:f}", 1]
    assert budget(site, f"up/{model}") == (0, 0)
    upstream.script(model, answer_with_usage)
    assert call(site, f"up/{model}").status_code == 200


def test_an_abandoned_stream_counts_what_was_produced_and_frees_its_slot(
    site: Site, upstream: Upstream
) -> None:
    upstream.script(
        "leaves", streams(*(event({"content": "word "}) for _ in range(20)), upstream.gate(), DONE)
    )
    body = {"model": "up/leaves", "stream": True, **CHAT}
    with httpx.stream(
        "POST",
        f"{site.url}/v1/chat/completions",
        headers=site.headers,
        json=body,
        trust_env=False,
        timeout=60,
    ) as answer:
        pieces = answer.iter_text()
        assert "word" in next(pieces)
        assert call(site, "up/leaves").status_code == 429
    until(lambda: not upstream.is_answering("leaves"), "the provider to notice")
    upstream.script("leaves", answer_with_usage)
    until(lambda: call(site, "up/leaves").status_code == 200, "the slot")
    [left] = site.wait_for_usage(model="up/leaves", status="client_closed")
    [whole] = site.wait_for_usage(model="up/leaves", status="ok")
    assert (left["prompt_tokens"], left["completion_tokens"] > 0, left["estimated"]) == (
        PROMPT_TOKENS,
        True,
        1,
    )
    until(
        lambda: (
            budget(site, "up/leaves") == (units(Decimal(left["cost"]) + Decimal(whole["cost"])), 0)
        ),
        "the budget",
    )


@pytest.mark.parametrize(("model", "usages"), [("tells-twice", 2), ("tells-nothing", 0)])
@pytest.mark.parametrize("stream", [True, False])
def test_the_budget_equals_the_records_however_usage_is_reported(
    site: Site, upstream: Upstream, model: str, usages: int, stream: bool
) -> None:
    usage = {"prompt_tokens": 20, "completion_tokens": 10, "total_tokens": 30}
    whole = {"id": "c", "object": "chat.completion", "created": 1, "model": "m"}
    choices = [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Hello there"},
            "finish_reason": "stop",
        }
    ]
    upstream.script(model, streams(*HELLO[:-2], *[event(usage=usage)] * usages, DONE))
    if not stream:
        upstream.script(
            model, says({**whole, "choices": choices, **({"usage": usage} if usages else {})})
        )
    answer = call(site, f"up/{model}", stream=stream)
    assert answer.status_code == 200
    [record] = site.wait_for_usage(request_id=answer.headers["x-request-id"])
    counted = record["prompt_tokens"], record["completion_tokens"], record["estimated"]
    assert counted == ((20, 10, 0) if usages else (PROMPT_TOKENS, 3, 1))
    spent = sum(Decimal(row["cost"]) for row in site.usage(model=f"up/{model}"))
    until(lambda: budget(site, f"up/{model}") == (units(spent), 0), "the budget")


def test_a_hedged_call_counts_both_its_records(site: Site, upstream: Upstream) -> None:
    upstream.script("late", streams(pauses(1), *HELLO))
    upstream.script("early", hello)
    assert call(site, "hedged", stream=True).status_code == 200
    records = site.wait_for_usage(2, model="hedged")
    assert {record["error_code"] for record in records} == {"", "hedged"}
    until(
        lambda: (
            budget(site, "hedged") == (units(sum(Decimal(record["cost"]) for record in records)), 0)
        ),
        "the budget",
    )


# --- unknown prices ------------------------------------------------------------------------------


def test_a_budget_admits_no_call_without_a_price(site: Site, upstream: Upstream) -> None:
    refused = call(site, "unpriced/m")
    assert (refused.status_code, error_of(refused)["code"], error_of(refused)["type"]) == (
        402,
        "price_unknown",
        "budget_error",
    )
    assert "The price of unpriced/m is unknown" in error_of(refused)["message"]
    assert refused.headers["x-should-retry"] == "false"
    assert upstream.requests_for("m") == []
    [record] = site.wait_for_usage(request_id=refused.headers["x-request-id"])
    assert (record["status"], record["error_code"], record["cost"]) == (
        "refused",
        "price_unknown",
        None,
    )


def test_a_fallback_price_counts_but_is_not_recorded_as_cost(
    tmp_path_factory: pytest.TempPathFactory, upstream: Upstream
) -> None:
    settings = native_api(upstream, LIMITS[-2:], FALLBACK_PRICE={"INPUT": "10", "OUTPUT": "20"})
    with single_site(tmp_path_factory, settings) as running:
        assert call(running, "unpriced/m").status_code == 200
        [record] = running.wait_for_usage(model="unpriced/m")
        assert (record["cost"], record["price"]) == (None, None)
        until(
            lambda: budget(running, "unpriced/*") == ((PROMPT_TOKENS * 10 + 3 * 20) * 10**6, 0),
            "the budget",
        )
