"""What a caller reads if a limit refuses a call: which limit it was, how the call stands to it, and
what to do. Amounts that belong to all stay secret."""

from __future__ import annotations

from datetime import UTC, datetime

from native_api.limits.budgets import BudgetExhausted, BudgetLevel, BudgetRequest
from native_api.limits.errors import budget_error
from native_api.limits.rules import AppliedRule, Rule
from native_api.limits.windows import EPOCH, WindowSpan
from tests.cases import each

NOW = datetime(2026, 11, 10, tzinfo=UTC)
NOVEMBER = WindowSpan(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))
FOREVER = WindowSpan(EPOCH, None)
DOLLAR = 10**12
RESETS = "The budget resets at 2026-12-01 00:00 UTC."


def message(
    used: int,
    units: int,
    amount: int,
    metric: str = "cost",
    subject: str = "user",
    span: WindowSpan = NOVEMBER,
) -> str:
    window = "month" if span is NOVEMBER else "lifetime"
    rule = Rule(subject, None, True, metric, window, "", amount, 80, subject)
    request = BudgetRequest(AppliedRule(rule, "counter"), span, units)
    return budget_error(BudgetExhausted(request, BudgetLevel(used, 0)), NOW).message


def test_a_budget_that_is_used_up_says_so_and_when_it_resets() -> None:
    said = message(used=5 * DOLLAR, units=DOLLAR, amount=5 * DOLLAR)
    assert said == f"The budget of 5 USD per month for this user is used up. {RESETS}"
    assert message(5 * DOLLAR, DOLLAR, 5 * DOLLAR, span=FOREVER) == (
        "The budget of 5 USD in total for this user is used up."
    )


def test_a_budget_that_is_too_small_for_the_call_does_not_send_it_away_to_wait() -> None:
    said = message(used=0, units=6 * DOLLAR, amount=5 * DOLLAR)
    assert said.startswith(
        "This call may cost up to 6 USD, more than the whole budget of 5 USD per month for this "
        "user. Set a lower limit of output tokens"
    )
    assert "resets" not in said


def test_what_is_left_of_a_budget_is_named_if_it_does_not_suffice() -> None:
    said = message(used=4 * DOLLAR, units=2 * DOLLAR, amount=5 * DOLLAR)
    assert said.startswith(
        "This call may cost up to 2 USD, but only 1 USD of the budget of 5 USD per month for this "
        "user are left. Set a lower limit of output tokens"
    )
    assert said.endswith(RESETS)


@each("used, units", [(0, 6 * DOLLAR), (4 * DOLLAR, 2 * DOLLAR), (5 * DOLLAR, DOLLAR)])
@each("subject", ["everyone", "group"])
def test_a_budget_that_others_share_tells_neither_its_amount_nor_its_state(
    subject: str, used: int, units: int
) -> None:
    said = message(used, units, 5 * DOLLAR, subject=subject)
    scope = {"everyone": "this site", "group": "a group"}[subject]
    assert said == (
        f"This call would exceed the budget for {scope}. "
        f"It may cost up to {units // DOLLAR} USD. {RESETS}"
    )


def test_a_limit_of_tokens_says_how_many_the_request_may_use() -> None:
    assert message(0, 20, 10, metric="tokens") == (
        "This request is larger than the limit of 10 tokens per month for this user. "
        "It may use 20. Set a lower limit of output tokens or send less."
    )
    assert message(8, 5, 10, metric="tokens", span=FOREVER) == (
        "This request would exceed the limit of 10 tokens in total for this user. "
        "It may use 5. Set a lower limit of output tokens or send less."
    )


def test_a_limit_of_requests_that_never_resets_names_who_can_raise_it() -> None:
    assert message(3, 1, 3, metric="requests", span=FOREVER) == (
        "This request would exceed the limit of 3 requests in total for this user. "
        "An operator of the site can raise it."
    )
