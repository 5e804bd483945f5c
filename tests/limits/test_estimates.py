"""What a call may use, guessed before it is made, and what it counts as when it is over."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from native_api.dialects import DIALECTS
from native_api.exceptions import BudgetExceeded
from native_api.limits import estimates, reservations
from native_api.limits.estimates import (
    DEFAULT_OUTPUT_TOKENS,
    MAX_UNITS,
    OUTPUT_MARGIN,
    CallEstimate,
)
from native_api.limits.rules import Rule
from native_api.routing.call_plan import CallPlan
from native_api.routing.route import make_route
from native_api.types import Provider, Target
from native_api.upstream.prepared_request import prepare
from native_api.usage import tokens
from native_api.usage.entry import UsageEntry, new_id

CHEAP: Any = {"INPUT": Decimal(1), "OUTPUT": Decimal(2)}
DEAR: Any = {"INPUT": Decimal(10), "OUTPUT": Decimal(20)}
MESSAGES = [{"role": "user", "content": "Tell me of the sea."}]
PROMPT = tokens.prompt_tokens({"model": "r", "messages": MESSAGES})
LIMIT_FIELDS = {
    "max_tokens",
    "max_completion_tokens",
    "max_output_tokens",
    "maxTokens",
    "maxOutputTokens",
    "num_predict",
}
DOLLAR = 10**12
"""Units."""


@pytest.fixture(autouse=True)
def nothing_learned() -> Iterator[None]:
    estimates._mean_output_tokens.clear()
    yield
    estimates._mean_output_tokens.clear()


def target(model: str = "m", price: Any = CHEAP) -> Target:
    return Target(Provider("p", "openai", "http://127.0.0.1:9/v1", price=None), model, price=price)


def rule(metric: str, pattern: str = "") -> Rule:
    return Rule("everyone", None, True, metric, "month", pattern, 10**6, 80, "everyone")


def demand(
    chat: dict[str, Any] | None = None, at: Target | None = None, **options: Any
) -> CallEstimate:
    """Of an attempt at this target."""
    asked: Any = {"model": "r", "messages": MESSAGES, **(chat or {})}
    prepared = prepare(asked, at or target())
    prepared.tokens = PROMPT
    return CallEstimate(asked, make_route("r", [prepared.target], **options), prepared)


def on(wire: str) -> Target:
    options = {"project": "p", "location": "l"} if wire == "anthropic_vertex" else {}
    return Target(
        Provider("p", wire, "https://api.example/v1", options=options),
        "claude-haiku-4-5" if "anthropic" in wire else "m",
    )


def set_limit(body: dict[str, Any], most: Any) -> None:
    """As if it had come into the body by a way that nobody thought of."""
    for name, value in body.items():
        if isinstance(value, dict):
            set_limit(value, most)
        elif name in LIMIT_FIELDS:
            body[name] = most


def cost(prompt: int, completion: int, price: Any) -> int:
    """Units."""
    return int((prompt * price["INPUT"] + completion * price["OUTPUT"]) * DOLLAR / 10**6)


class TestBeforeTheCall:
    @pytest.mark.parametrize(
        ("chat", "output"),
        [
            ({"max_tokens": 7}, 7),
            ({"max_completion_tokens": 9}, 9),
            ({"max_completion_tokens": 9, "max_tokens": 7}, 9),
            ({"max_tokens": 7, "n": 3}, 21),
            ({}, DEFAULT_OUTPUT_TOKENS),
            ({"n": 2}, 2 * DEFAULT_OUTPUT_TOKENS),
        ],
    )
    def test_it_counts_the_prompt_and_the_output_limit(
        self, chat: dict[str, Any], output: int
    ) -> None:
        may = demand(chat)
        assert may.amount_for(rule("input_tokens")) == PROMPT
        assert may.amount_for(rule("output_tokens")) == output
        assert may.amount_for(rule("tokens")) == PROMPT + output
        assert may.amount_for(rule("cost")) == cost(PROMPT, output, CHEAP)
        assert may.amount_for(rule("requests")) == 1

    def test_without_an_output_limit_twice_the_mean_is_expected(self) -> None:
        estimates.learn("p", "m", 300)
        assert demand().amount_for(rule("output_tokens")) == OUTPUT_MARGIN * 300
        assert (
            demand(None, target("other")).amount_for(rule("output_tokens")) == DEFAULT_OUTPUT_TOKENS
        )

    def test_the_mean_follows_the_answers(self) -> None:
        for _ in range(200):
            estimates.learn("p", "m", 1000)
        for _ in range(200):
            estimates.learn("p", "m", 10)
        assert OUTPUT_MARGIN * 10 <= demand().amount_for(rule("output_tokens")) < OUTPUT_MARGIN * 11

    def test_at_least_one_output_token_is_expected(self) -> None:
        estimates.learn("p", "m", 0)
        assert demand().amount_for(rule("output_tokens")) == 1

    def test_the_number_of_remembered_targets_is_limited(self) -> None:
        for number in range(estimates.MAX_TARGETS + 5):
            estimates.learn("p", f"m{number}", 1)
        assert len(estimates._mean_output_tokens) == estimates.MAX_TARGETS
        assert demand(None, target("m0")).amount_for(rule("output_tokens")) == DEFAULT_OUTPUT_TOKENS

    @pytest.mark.parametrize(("price", "dollars"), [(CHEAP, CHEAP), (DEAR, DEAR)])
    def test_the_price_of_the_target_is_used(self, price: Any, dollars: Any) -> None:
        assert demand({"max_tokens": 100}, target("b", price)).amount_for(rule("cost")) == cost(
            PROMPT, 100, dollars
        )

    @pytest.mark.parametrize("metric", ["input_tokens", "output_tokens", "tokens", "cost"])
    def test_hedging_doubles_tokens_and_cost_but_not_requests(self, metric: str) -> None:
        hedging = demand({"max_tokens": 100}, hedge_after=0.1)
        assert hedging.amount_for(rule(metric)) == 2 * demand({"max_tokens": 100}).amount_for(
            rule(metric)
        )
        assert hedging.amount_for(rule("requests")) == 1

    @pytest.mark.parametrize("wire", DIALECTS)
    @pytest.mark.parametrize("most", [0, -1, None, "100000", 100000.0, True])
    def test_an_invalid_output_limit_is_ignored(self, wire: str, most: Any) -> None:
        sent = demand({"max_tokens": 1, **({"max_tokens": most} if most is None else {})}, on(wire))
        set_limit(sent._prepared.body, most)
        assert sent.amount_for(rule("output_tokens")) >= DEFAULT_OUTPUT_TOKENS

    @pytest.mark.parametrize("wire", DIALECTS)
    def test_the_output_limit_that_is_sent_counts_on_every_wire(self, wire: str) -> None:
        assert demand({"max_tokens": 7}, on(wire)).amount_for(rule("output_tokens")) == 7
        assert demand(None, on(wire)).amount_for(rule("output_tokens")) == DEFAULT_OUTPUT_TOKENS

    def test_the_price_of_the_service_tier_is_used(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked = []

        def of(target: Target, speed: str = "", tier: str = "") -> Any:
            asked.append(tier)
            return DEAR if tier == "priority" else CHEAP

        monkeypatch.setattr("native_api.pricing.lookup.price_of", of)
        assert demand({"max_tokens": 5, "service_tier": "priority"}).amount_for(
            rule("cost")
        ) == cost(PROMPT, 5, DEAR)
        assert demand({"max_tokens": 5, "service_tier": "auto"}).amount_for(rule("cost")) == cost(
            PROMPT, 5, CHEAP
        )
        assert asked == ["priority", ""]

    @pytest.mark.parametrize("wire", ["openai", "openai_responses", "gemini", "bedrock"])
    def test_the_service_tier_is_read_on_every_wire(self, wire: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(
            "native_api.pricing.lookup.price_of",
            lambda target, speed="", tier="": DEAR if tier == "priority" else CHEAP,
        )
        assert demand({"max_tokens": 5, "service_tier": "priority"}, on(wire)).amount_for(
            rule("cost")
        ) == cost(PROMPT, 5, DEAR)

    def test_a_target_without_a_price_is_refused(self) -> None:
        with pytest.raises(BudgetExceeded) as refusal:
            _ = demand(None, target("unpriced", None)).amount_for(rule("cost"))
        assert refusal.value.code == "price_unknown"
        assert "p/unpriced" in str(refusal.value)

    def test_limits_on_tokens_need_no_price(self) -> None:
        assert (
            demand({"max_tokens": 5}, target("unpriced", None)).amount_for(rule("tokens"))
            == PROMPT + 5
        )

    def test_the_fallback_price_is_used_for_a_target_without_a_price(self, settings: Any) -> None:
        settings.NATIVE_API = {
            **settings.NATIVE_API,
            "FALLBACK_PRICE": {"INPUT": "10", "OUTPUT": "20"},
        }
        assert demand({"max_tokens": 5}, target("unpriced", None)).amount_for(rule("cost")) == cost(
            PROMPT, 5, DEAR
        )

    @pytest.mark.parametrize("most", [10**12, 10**16, 10**18, 10**30])
    @pytest.mark.parametrize("metric", ["output_tokens", "tokens", "cost"])
    def test_absurd_output_limits_exceed_any_limit_and_fit_the_database(
        self, most: int, metric: str
    ) -> None:
        for limit, answers in ((most, 1), (most, most), (1, most)):
            sent = demand({"max_tokens": 1, "n": 2}, hedge_after=0.1)
            sent._prepared.body.update(max_tokens=limit, n=answers)
            assert 10**11 < sent.amount_for(rule(metric)) <= MAX_UNITS < 2**63


def entry(**values: Any) -> UsageEntry:
    told = {
        "model": "r",
        "provider": "p",
        "provider_model": "m",
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "total_tokens": 15,
    }
    return UsageEntry(**{**told, "cost": Decimal("0.25"), **values})


def used(metric: str, told: UsageEntry, reserved: int = 77, pattern: str = "") -> int:
    return estimates.used_amount(rule(metric, pattern), told, "fallback", reserved)


NOTHING: dict[str, Any] = {
    "prompt_tokens": 0,
    "completion_tokens": 0,
    "total_tokens": 0,
    "cost": None,
}


class TestAfterTheCall:
    @pytest.mark.parametrize(
        ("metric", "units"),
        [
            ("requests", 1),
            ("input_tokens", 10),
            ("output_tokens", 5),
            ("tokens", 15),
            ("cost", DOLLAR // 4),
        ],
    )
    def test_the_numbers_of_the_record_count(self, metric: str, units: int) -> None:
        assert used(metric, entry()) == units

    @pytest.mark.parametrize(
        "metric", ["requests", "input_tokens", "output_tokens", "tokens", "cost"]
    )
    @pytest.mark.parametrize("status", ["upstream_error", "refused", "error"])
    def test_a_failure_without_usage_counts_as_zero(self, metric: str, status: str) -> None:
        assert used(metric, entry(status=status, **NOTHING)) == 0

    def test_an_interrupted_call_counts_as_a_request_with_its_usage(self) -> None:
        broken = entry(status="upstream_error")
        assert [used(metric, broken) for metric in ("requests", "tokens", "cost")] == [
            1,
            15,
            DOLLAR // 4,
        ]

    def test_the_loser_of_a_hedge_is_not_a_separate_request(self) -> None:
        lost = entry(
            status="client_closed", error_code="hedged", completion_tokens=0, total_tokens=10
        )
        assert [used(metric, lost) for metric in ("requests", "tokens", "cost")] == [
            0,
            10,
            DOLLAR // 4,
        ]

    def test_a_call_whose_client_left_counts_as_a_request(self) -> None:
        assert used("requests", entry(status="client_closed")) == 1

    def test_the_larger_of_total_and_sum_counts(self) -> None:
        assert used("tokens", entry(total_tokens=40)) == 40
        assert used("tokens", entry(total_tokens=0)) == 15

    def test_the_reservation_counts_if_the_price_disappeared(self) -> None:
        assert used("cost", entry(cost=None), reserved=77) == 77
        assert used("cost", entry(**NOTHING), reserved=77) == 0

    def test_the_fallback_price_counts_if_the_price_disappeared(self, settings: Any) -> None:
        settings.NATIVE_API = {
            **settings.NATIVE_API,
            "FALLBACK_PRICE": {"INPUT": "10", "OUTPUT": "20"},
        }
        assert used("cost", entry(cost=None)) == cost(10, 5, DEAR)

    @pytest.mark.parametrize("pattern", ["r", "R", "fallback", "p/m", "p/*", "p/M", "m"])
    def test_a_pattern_covers_the_requested_and_the_answering_model(self, pattern: str) -> None:
        assert used("tokens", entry(), pattern=pattern) == 15

    @pytest.mark.parametrize("pattern", ["x", "p", "q/*", "m/*"])
    def test_a_model_that_is_not_covered_counts_as_zero(self, pattern: str) -> None:
        assert used("tokens", entry(), pattern=pattern) == 0

    @pytest.mark.parametrize("metric", ["input_tokens", "output_tokens", "tokens", "cost"])
    def test_absurd_usage_is_capped_to_what_fits(self, metric: str) -> None:
        absurd = entry(prompt_tokens=10**30, completion_tokens=10**30, cost=Decimal(10) ** 12)
        assert used(metric, absurd) == MAX_UNITS


class TestSettlingACall:
    def test_hedged_attempts_are_claimed_on_the_first_record(self) -> None:
        own, lost = (
            entry(cost=Decimal("0.25")),
            entry(cost=Decimal("0.5"), error_code="hedged", status="client_closed"),
        )
        reservation = holding(reserved=DOLLAR)
        reservation.settle([own, lost], "r")
        assert own.claims == {"5": DOLLAR * 3 // 4}
        assert lost.claims is None

    def test_hedged_attempts_without_a_price_claim_the_reservation_once(self) -> None:
        own, lost = entry(cost=None), entry(cost=None, error_code="hedged")
        reservation = holding(reserved=DOLLAR)
        reservation.settle([own, lost], "r")
        assert own.claims == {"5": DOLLAR}

    def test_a_call_without_budgets_has_no_claims(self) -> None:
        own = entry()
        hold_of_a_call().settle([own], "r")
        assert own.claims is None

    def test_a_call_that_reserved_in_vain_has_empty_claims(self) -> None:
        own, reservation = entry(status="error", **NOTHING), hold_of_a_call()
        reservation.has_asked_database = True
        reservation.settle([own], "r")
        assert own.claims == {}

    def test_the_mean_is_per_answer(self) -> None:
        reservation = hold_of_a_call()
        reservation.answers = 3
        reservation.settle([entry(completion_tokens=300)], "r")
        assert demand().amount_for(rule("output_tokens")) == OUTPUT_MARGIN * 100

    @pytest.mark.parametrize("status", ["client_closed", "upstream_error", "error"])
    def test_only_complete_answers_change_the_mean(self, status: str) -> None:
        hold_of_a_call().settle([entry(status=status, completion_tokens=3)], "r")
        assert demand().amount_for(rule("output_tokens")) == DEFAULT_OUTPUT_TOKENS

    def test_absurd_claims_survive_json(self) -> None:
        own, reservation = entry(cost=Decimal(999_999_999_999)), holding(reserved=DOLLAR)
        reservation.settle([own], "r")
        assert UsageEntry.from_json(own.to_json()).claims == {"5": MAX_UNITS}


def hold_of_a_call() -> reservations.CallReservation:
    chat: Any = {"model": "r", "messages": MESSAGES}
    return reservations.CallReservation(chat, CallPlan(make_route("r", [target()])), new_id())


def holding(reserved: int) -> reservations.CallReservation:
    """Of the budget whose key is 5, on cost."""
    from native_api.limits.budgets import BudgetLevel, BudgetRequest
    from native_api.limits.rules import AppliedRule
    from native_api.limits.windows import EPOCH, WindowSpan

    reservation = hold_of_a_call()
    reservation.has_asked_database = True
    reservation.reserved = {
        5: (
            BudgetRequest(AppliedRule(rule("cost"), "c"), WindowSpan(EPOCH, None), reserved),
            BudgetLevel(0, 0),
        )
    }
    return reservation
