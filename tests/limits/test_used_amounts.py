"""What a call counts under limits when it is over, and what it claims of budgets."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from native_api.limits import estimates
from native_api.limits.budgets import BudgetLevel, BudgetRequest
from native_api.limits.estimates import DEFAULT_OUTPUT_TOKENS, MAX_UNITS, OUTPUT_MARGIN
from native_api.limits.reservations import CallReservation
from native_api.limits.rules import AppliedRule
from native_api.limits.windows import EPOCH, WindowSpan
from native_api.routing.call_plan import CallPlan
from native_api.routing.route import make_route
from native_api.usage.entry import UsageEntry, new_id
from tests.limits.test_estimates import DEAR, DOLLAR, MESSAGES, cost, estimate_for, rule, target

pytestmark = pytest.mark.usefixtures("nothing_learned")


def entry(**values: Any) -> UsageEntry:
    defaults = {
        "model": "r",
        "provider": "p",
        "provider_model": "m",
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "total_tokens": 15,
    }
    return UsageEntry(**{**defaults, "cost": Decimal("0.25"), **values})


def used(metric: str, defaults: UsageEntry, reserved: int = 77, pattern: str = "") -> int:
    return estimates.used_amount(rule(metric, pattern), defaults, "fallback", reserved)


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
        second = entry(
            status="client_closed", error_code="hedged", completion_tokens=0, total_tokens=10
        )
        assert [used(metric, second) for metric in ("requests", "tokens", "cost")] == [
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


def new_reservation() -> CallReservation:
    chat: Any = {"model": "r", "messages": MESSAGES}
    return CallReservation(chat, CallPlan(make_route("r", [target()])), new_id())


def reservation_with_budget(reserved: int) -> CallReservation:
    """A call that has reserved units of the budget with the key 5, on cost."""
    reservation = new_reservation()
    reservation.has_asked_database = True
    reservation.reserved = {
        5: (
            BudgetRequest(AppliedRule(rule("cost"), "c"), WindowSpan(EPOCH, None), reserved),
            BudgetLevel(0, 0),
        )
    }
    return reservation


class TestSettlingACall:
    def test_hedged_attempts_are_claimed_on_the_first_record(self) -> None:
        first, second = (
            entry(cost=Decimal("0.25")),
            entry(cost=Decimal("0.5"), error_code="hedged", status="client_closed"),
        )
        reservation = reservation_with_budget(reserved=DOLLAR)
        reservation.settle([first, second], "r")
        assert first.claims == {"5": DOLLAR * 3 // 4}
        assert second.claims is None

    def test_hedged_attempts_without_a_price_claim_the_reservation_once(self) -> None:
        first, second = entry(cost=None), entry(cost=None, error_code="hedged")
        reservation = reservation_with_budget(reserved=DOLLAR)
        reservation.settle([first, second], "r")
        assert first.claims == {"5": DOLLAR}

    def test_a_call_without_budgets_has_no_claims(self) -> None:
        first = entry()
        new_reservation().settle([first], "r")
        assert first.claims is None

    def test_a_call_that_reserved_in_vain_has_empty_claims(self) -> None:
        first, reservation = entry(status="error", **NOTHING), new_reservation()
        reservation.has_asked_database = True
        reservation.settle([first], "r")
        assert first.claims == {}

    def test_the_mean_is_per_answer(self) -> None:
        reservation = new_reservation()
        reservation.answers = 3
        reservation.settle([entry(completion_tokens=300)], "r")
        assert estimate_for().amount_for(rule("output_tokens")) == OUTPUT_MARGIN * 100

    @pytest.mark.parametrize("status", ["client_closed", "upstream_error", "error"])
    def test_only_complete_answers_change_the_mean(self, status: str) -> None:
        new_reservation().settle([entry(status=status, completion_tokens=3)], "r")
        assert estimate_for().amount_for(rule("output_tokens")) == DEFAULT_OUTPUT_TOKENS

    def test_absurd_claims_survive_json(self) -> None:
        first, reservation = (
            entry(cost=Decimal(999_999_999_999)),
            reservation_with_budget(reserved=DOLLAR),
        )
        reservation.settle([first], "r")
        assert UsageEntry.from_json(first.to_json()).claims == {"5": MAX_UNITS}
