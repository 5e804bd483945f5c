"""The cost in the records of calls: complete, streamed, cut off, refused, hedged."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from native_api.exceptions import NativeError, UpstreamError
from native_api.gateway.call_record import CallRecord
from native_api.gateway.connection_test import ProbeResult
from native_api.models import UsageRecord
from native_api.pricing import lookup
from native_api.routing.route import blended_price
from native_api.types import Caller, ChatRequest, Target, Usage
from native_api.usage.entry import UsageEntry
from tests.usage.usage_factory import make_target, make_usage

CHAT: ChatRequest = {
    "model": "m",
    "messages": [{"role": "user", "content": "Hello there, how are you?"}],
}
GPT, CLAUDE = make_target("openai", "gpt-4o"), make_target("anthropic", "claude-haiku-4-5")


def call_record(target: Target | None = GPT) -> CallRecord:
    made = CallRecord(CHAT, Caller(), "r")
    made.attempts.target = target
    made.attempts.count = 0 if target is None else 1
    return made


def completion(usage: Usage, tier: str | None = None) -> Any:
    message = {"role": "assistant", "content": "Well."}
    return {
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": usage,
        "service_tier": tier,
    }


def test_a_complete_reply_is_charged_at_the_price_of_its_target(records: list[UsageEntry]) -> None:
    with call_record() as call:
        call.on_reply(completion(make_usage(1000, 500, cached=200)))
    [entry] = records
    assert entry.cost == Decimal("0.00725")
    assert entry.price == {"INPUT": "2.5", "OUTPUT": "10", "CACHED": "1.25", "WEB_SEARCH": "0.01"}


def test_a_stream_is_charged_by_the_last_usage(records: list[UsageEntry]) -> None:
    with call_record() as call:
        call.on_chunks([], make_usage(1000, 0))
        call.on_chunks([], make_usage(1000, 500))
        call.on_usage(call.usage)
    assert [entry.cost for entry in records] == [Decimal("0.0075")]


def test_a_call_that_breaks_off_is_charged_by_its_estimate(records: list[UsageEntry]) -> None:
    call = call_record()
    call.on_first_token()
    with pytest.raises(UpstreamError), call:
        raise UpstreamError("It broke off.")
    [entry] = records
    assert entry.estimated
    assert entry.prompt_tokens > 0
    assert entry.cost == Decimal("0.0000025") * entry.prompt_tokens


@pytest.mark.parametrize("target", [None, GPT])
def test_a_call_that_used_nothing_has_no_cost(
    records: list[UsageEntry], target: Target | None
) -> None:
    with pytest.raises(NativeError), call_record(target):
        raise NativeError("No.")
    assert [(entry.cost, entry.price) for entry in records] == [(None, None)]


def test_each_hedged_target_is_charged_at_its_own_price(records: list[UsageEntry]) -> None:
    unknown = make_target("vllm", "m")
    with call_record() as call:
        call.attempts.hedged += [
            (CLAUDE, make_usage(1000, 10)),
            (CLAUDE, None),
            (unknown, make_usage(1000, 10)),
        ]
        call.on_reply(completion(make_usage(1000, 500)))
    winner, with_usage, without_usage, unpriced = records
    assert (winner.cost, with_usage.cost, unpriced.cost) == (
        Decimal("0.0075"),
        Decimal("0.00105"),
        None,
    )
    assert with_usage.price is not None
    assert (with_usage.price["INPUT"], unpriced.price) == ("1", None)
    assert without_usage.cost == Decimal("0.000001") * without_usage.prompt_tokens > 0


@pytest.mark.parametrize(
    ("tier", "expected"),
    [
        (None, "0.01125"),
        ("default", "0.01125"),
        ("flex", "0.005625"),
        ("priority", "0.0225"),
        ("scale", "0.01125"),
    ],
)
def test_the_service_tier_of_the_reply_determines_the_price(
    records: list[UsageEntry], tier: str | None, expected: str
) -> None:
    with call_record(make_target("openai", "gpt-5")) as call:
        call.on_reply(completion(make_usage(1000, 1000), tier))
    with call_record(make_target("openai", "gpt-5")) as call:
        call.on_chunks(
            [
                {
                    "id": "",
                    "object": "chat.completion.chunk",
                    "created": 0,
                    "model": "",
                    "choices": [],
                    "service_tier": tier,
                }
            ],
            None,
        )
        call.on_chunks([], make_usage(1000, 1000))
    assert [entry.cost for entry in records] == [Decimal(expected)] * 2


def test_the_maximum_cost_is_for_the_requested_tier() -> None:
    maximums = [
        lookup.max_cost(make_target("openai", "gpt-5"), 1000, 1000, tier)
        for tier in ("", "auto", "flex", "priority")
    ]
    assert maximums == [
        Decimal("0.01125"),
        Decimal("0.01125"),
        Decimal("0.005625"),
        Decimal("0.0225"),
    ]


def test_models_of_another_vendor_have_ordinary_prices_in_all_tiers(
    records: list[UsageEntry],
) -> None:
    with call_record(make_target("azure", "gpt-4.1-2025-04-14")) as call:
        call.on_reply(completion(make_usage(1000, 0), "priority"))
    assert [entry.cost for entry in records] == [Decimal("0.002")]


def test_a_call_whose_cost_cannot_be_computed_is_recorded(
    records: list[UsageEntry], caplog: pytest.LogCaptureFixture
) -> None:
    broken = make_target("openai", "m", {"INPUT": "not a number", "OUTPUT": None})
    with call_record(broken) as call:
        call.on_reply(completion(make_usage(1000, 500)))
    assert [(entry.cost, entry.price) for entry in records] == [(None, None)]
    assert "could not be computed" in caplog.text


def test_a_connection_test_reports_the_same_cost() -> None:
    assert lookup.cost(GPT, make_usage(9, 3)) == Decimal("0.0000525")
    assert lookup.cost(make_target("vllm", "m"), make_usage(9, 3)) is ProbeResult(GPT).cost is None


def test_the_price_of_an_entry_survives_the_journal() -> None:
    entry = UsageEntry()
    entry.cost, entry.price = lookup.cost_and_price(
        make_target("gemini", "gemini-2.5-pro"), make_usage(300_000, 1)
    )
    back = UsageEntry.from_json(entry.to_json())
    assert (back.price, back.cost) == (entry.price, entry.cost)
    assert back.price is not None
    assert back.price["ABOVE"] == {"200000": {"INPUT": "2.5", "OUTPUT": "15", "CACHED": "0.25"}}


def test_the_admin_shows_the_price_of_a_record(client: Client, db: None) -> None:
    client.force_login(
        get_user_model().objects.create_superuser("root", "root@example.com", "root")
    )
    entry = UsageEntry(model="m")
    entry.cost, entry.price = lookup.cost_and_price(GPT, make_usage(1000, 500))
    UsageRecord.objects.create(
        id=entry.id, created_at=entry.created_at, model="m", cost=entry.cost, price=entry.price
    )
    body = client.get(f"/admin/native_api/usagerecord/{entry.id}/change/").content.decode()
    assert "0.007500000000" in body
    assert "&quot;INPUT&quot;: &quot;2.5&quot;" in body


# --- routes that choose by price -----------------------------------------------------------------


def targets_of(name: str, route: dict[str, Any]) -> tuple[Target, ...]:
    from native_api.catalog import catalog

    providers = {name: {"API_KEY": "sk-test"} for name in ("openai", "anthropic")} | {
        "own": {"DIALECT": "openai", "BASE_URL": "http://127.0.0.1:9"}
    }
    built = catalog.build(providers, {name: route})
    assert built.problems == ()
    return built.targets(name)


LISTED = [
    {"PROVIDER": "own", "MODEL": "gpt-4o"},
    {"PROVIDER": "anthropic", "MODEL": "claude-opus-4-1"},
    {"PROVIDER": "openai", "MODEL": "gpt-4o-mini"},
    {"PROVIDER": "openai", "MODEL": "gpt-4o", "PRICE": {"INPUT": "1", "OUTPUT": "1"}},
]


def test_the_cheapest_strategy_uses_published_prices() -> None:
    chosen = targets_of("m", {"STRATEGY": "cheapest", "TARGETS": LISTED})
    assert [str(target) for target in chosen] == [
        "openai/gpt-4o-mini",
        "openai/gpt-4o",
        "anthropic/claude-opus-4-1",
        "own/gpt-4o",
    ]
    assert [blended_price(target) for target in chosen] == [
        Decimal("0.2625"),
        Decimal(1),
        Decimal(30),
        None,
    ]


def test_tiers_use_published_prices() -> None:
    assert [target.cost for target in targets_of("simple", {"TARGETS": LISTED})] == [
        None,
        Decimal(30),
        Decimal("0.2625"),
        Decimal(1),
    ]


def test_other_routes_look_up_no_prices() -> None:
    assert {target.cost for target in targets_of("m", {"TARGETS": LISTED})} == {None}
    assert {blended_price(target) for target in targets_of("m", {"TARGETS": LISTED})} == {
        None,
        Decimal(1),
    }
