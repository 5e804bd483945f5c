"""What a call may use, estimated before it is made."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from native_api.dialects import DIALECTS
from native_api.exceptions import BudgetExceeded
from native_api.limits import estimates
from native_api.limits.estimates import (
    DEFAULT_OUTPUT_TOKENS,
    MAX_UNITS,
    OUTPUT_MARGIN,
    CallEstimate,
)
from native_api.limits.rules import Rule
from native_api.routing.route import make_route
from native_api.types import Provider, Target
from native_api.upstream.prepared_request import prepare
from native_api.usage import tokens

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


pytestmark = pytest.mark.usefixtures("nothing_learned")


def target(model: str = "m", price: Any = CHEAP) -> Target:
    return Target(Provider("p", "openai", "http://127.0.0.1:9/v1", price=None), model, price=price)


def rule(metric: str, pattern: str = "") -> Rule:
    return Rule("everyone", None, True, metric, "month", pattern, 10**6, 80, "everyone")


def estimate_for(
    chat: dict[str, Any] | None = None, to: Target | None = None, **options: Any
) -> CallEstimate:
    """The estimate for an attempt at this target."""
    request: Any = {"model": "r", "messages": MESSAGES, **(chat or {})}
    prepared = prepare(request, to or target())
    prepared.tokens = PROMPT
    return CallEstimate(request, make_route("r", [prepared.target], **options), prepared)


def target_on(wire: str) -> Target:
    options = {"project": "p", "location": "l"} if wire == "anthropic_vertex" else {}
    return Target(
        Provider("p", wire, "https://api.example/v1", options=options),
        "claude-haiku-4-5" if "anthropic" in wire else "m",
    )


def set_limit(body: dict[str, Any], limit_value: Any) -> None:
    """Change the limit in the body that is sent, wherever the wire has it."""
    for name, value in body.items():
        if isinstance(value, dict):
            set_limit(value, limit_value)
        elif name in LIMIT_FIELDS:
            body[name] = limit_value


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
        estimate = estimate_for(chat)
        assert estimate.amount_for(rule("input_tokens")) == PROMPT
        assert estimate.amount_for(rule("output_tokens")) == output
        assert estimate.amount_for(rule("tokens")) == PROMPT + output
        assert estimate.amount_for(rule("cost")) == cost(PROMPT, output, CHEAP)
        assert estimate.amount_for(rule("requests")) == 1

    def test_without_an_output_limit_twice_the_mean_is_expected(self) -> None:
        estimates.learn("p", "m", 300)
        assert estimate_for().amount_for(rule("output_tokens")) == OUTPUT_MARGIN * 300
        assert (
            estimate_for(None, target("other")).amount_for(rule("output_tokens"))
            == DEFAULT_OUTPUT_TOKENS
        )

    def test_the_mean_follows_the_answers(self) -> None:
        for _ in range(200):
            estimates.learn("p", "m", 1000)
        for _ in range(200):
            estimates.learn("p", "m", 10)
        assert (
            OUTPUT_MARGIN * 10
            <= estimate_for().amount_for(rule("output_tokens"))
            < OUTPUT_MARGIN * 11
        )

    def test_at_least_one_output_token_is_expected(self) -> None:
        estimates.learn("p", "m", 0)
        assert estimate_for().amount_for(rule("output_tokens")) == 1

    def test_the_number_of_remembered_targets_is_limited(self) -> None:
        for number in range(estimates.MAX_TARGETS + 5):
            estimates.learn("p", f"m{number}", 1)
        assert len(estimates._mean_output_tokens) == estimates.MAX_TARGETS
        assert (
            estimate_for(None, target("m0")).amount_for(rule("output_tokens"))
            == DEFAULT_OUTPUT_TOKENS
        )

    @pytest.mark.parametrize(("price", "dollars"), [(CHEAP, CHEAP), (DEAR, DEAR)])
    def test_the_price_of_the_target_is_used(self, price: Any, dollars: Any) -> None:
        assert estimate_for({"max_tokens": 100}, target("b", price)).amount_for(
            rule("cost")
        ) == cost(PROMPT, 100, dollars)

    @pytest.mark.parametrize("metric", ["input_tokens", "output_tokens", "tokens", "cost"])
    def test_hedging_doubles_tokens_and_cost_but_not_requests(self, metric: str) -> None:
        hedged = estimate_for({"max_tokens": 100}, hedge_after=0.1)
        assert hedged.amount_for(rule(metric)) == 2 * estimate_for({"max_tokens": 100}).amount_for(
            rule(metric)
        )
        assert hedged.amount_for(rule("requests")) == 1

    @pytest.mark.parametrize("wire", DIALECTS)
    @pytest.mark.parametrize("limit_value", [0, -1, None, "100000", 100000.0, True])
    def test_an_invalid_output_limit_is_ignored(self, wire: str, limit_value: Any) -> None:
        estimate = estimate_for(
            {"max_tokens": 1, **({"max_tokens": limit_value} if limit_value is None else {})},
            target_on(wire),
        )
        set_limit(estimate._prepared.body, limit_value)
        assert estimate.amount_for(rule("output_tokens")) >= DEFAULT_OUTPUT_TOKENS

    @pytest.mark.parametrize("wire", DIALECTS)
    def test_the_output_limit_that_is_sent_counts_on_every_wire(self, wire: str) -> None:
        assert (
            estimate_for({"max_tokens": 7}, target_on(wire)).amount_for(rule("output_tokens")) == 7
        )
        assert (
            estimate_for(None, target_on(wire)).amount_for(rule("output_tokens"))
            == DEFAULT_OUTPUT_TOKENS
        )

    def test_the_price_of_the_service_tier_is_used(self, monkeypatch: pytest.MonkeyPatch) -> None:
        tiers = []

        def price_of(target: Target, speed: str = "", tier: str = "") -> Any:
            tiers.append(tier)
            return DEAR if tier == "priority" else CHEAP

        monkeypatch.setattr("native_api.pricing.lookup.price_of", price_of)
        assert estimate_for({"max_tokens": 5, "service_tier": "priority"}).amount_for(
            rule("cost")
        ) == cost(PROMPT, 5, DEAR)
        assert estimate_for({"max_tokens": 5, "service_tier": "auto"}).amount_for(
            rule("cost")
        ) == cost(PROMPT, 5, CHEAP)
        assert tiers == ["priority", ""]

    @pytest.mark.parametrize("wire", ["openai", "openai_responses", "gemini", "bedrock"])
    def test_the_service_tier_is_read_on_every_wire(
        self, wire: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(
            "native_api.pricing.lookup.price_of",
            lambda target, speed="", tier="": DEAR if tier == "priority" else CHEAP,
        )
        assert estimate_for(
            {"max_tokens": 5, "service_tier": "priority"}, target_on(wire)
        ).amount_for(rule("cost")) == cost(PROMPT, 5, DEAR)

    def test_a_target_without_a_price_is_refused(self) -> None:
        with pytest.raises(BudgetExceeded) as refusal:
            _ = estimate_for(None, target("unpriced", None)).amount_for(rule("cost"))
        assert refusal.value.code == "price_unknown"
        assert "p/unpriced" in str(refusal.value)

    def test_limits_on_tokens_need_no_price(self) -> None:
        assert (
            estimate_for({"max_tokens": 5}, target("unpriced", None)).amount_for(rule("tokens"))
            == PROMPT + 5
        )

    def test_the_fallback_price_is_used_for_a_target_without_a_price(self, settings: Any) -> None:
        settings.NATIVE_API = {
            **settings.NATIVE_API,
            "FALLBACK_PRICE": {"INPUT": "10", "OUTPUT": "20"},
        }
        assert estimate_for({"max_tokens": 5}, target("unpriced", None)).amount_for(
            rule("cost")
        ) == cost(PROMPT, 5, DEAR)

    @pytest.mark.parametrize("limit_value", [10**12, 10**16, 10**18, 10**30])
    @pytest.mark.parametrize("metric", ["output_tokens", "tokens", "cost"])
    def test_absurd_output_limits_exceed_any_limit_and_fit_the_database(
        self, limit_value: int, metric: str
    ) -> None:
        for limit, answers in ((limit_value, 1), (limit_value, limit_value), (1, limit_value)):
            estimate = estimate_for({"max_tokens": 1, "n": 2}, hedge_after=0.1)
            estimate._prepared.body.update(max_tokens=limit, n=answers)
            assert 10**11 < estimate.amount_for(rule(metric)) <= MAX_UNITS < 2**63
