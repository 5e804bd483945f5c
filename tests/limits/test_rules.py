"""Limits from settings, what is invalid there, and whom a limit applies to."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.core.checks import run_checks
from django.test import override_settings

from native_api.limits import rules
from native_api.limits.rules import Rule, Rules, parse_rule
from native_api.models import Limit
from native_api.types import Caller

pytestmark = pytest.mark.usefixtures("fresh_rules")

ONE: dict[str, Any] = {
    "SUBJECT": "everyone",
    "METRIC": "requests",
    "AMOUNT": 20,
    "WINDOW": "minute",
}
ALICE = Caller(user_id=1, user_name="alice", key_id=7, groups=((3, "staff"), (4, "interns")))
BOB = Caller(user_id=2, user_name="bob", key_id=8)
NOBODY = Caller()


def rule(**changes: Any) -> Rule:
    return parse_rule({**ONE, **changes})


def amounts(*given: Rule, caller: Caller = ALICE) -> list[int]:
    return [affected.rule.amount for affected in Rules(given).for_caller(caller)]


# --- reading settings ----------------------------------------------------------------------------


def test_a_limit_is_parsed() -> None:
    read = parse_rule(
        {
            "SUBJECT": "group:staff",
            "METRIC": "cost",
            "AMOUNT": "12.50",
            "WINDOW": "month",
            "MODELS": "gpt-4o*",
            "THRESHOLD": 90,
        }
    )
    assert read == Rule(
        "group", "staff", True, "cost", "month", "gpt-4o*", 12_500_000_000_000, 90, "group:staff"
    )


def test_a_group_may_have_a_colon_in_its_name() -> None:
    assert rule(SUBJECT="group:eu:staff").member == "eu:staff"


@pytest.mark.parametrize("amount", [20, "20", Decimal(20), "2e1"])
def test_ways_to_write_an_amount(amount: Any) -> None:
    assert rule(AMOUNT=amount).amount == 20


def test_the_threshold_defaults_to_the_sites() -> None:
    with override_settings(NATIVE_API={"LIMIT_THRESHOLD": 70}):
        assert (rule().threshold, rule(THRESHOLD=5).threshold) == (70, 5)


@pytest.mark.parametrize(
    "metric", [metric for metric in Limit.Metric.values if metric != "concurrent_requests"]
)
@pytest.mark.parametrize("window", Limit.Window.values)
def test_windows_up_to_an_hour_are_short_except_for_cost(metric: str, window: str) -> None:
    assert rule(METRIC=metric, WINDOW=window).is_short is (
        window in ("second", "minute", "hour") and metric != "cost"
    )


def test_concurrent_requests_are_counted_in_the_cache() -> None:
    assert rule(METRIC="concurrent_requests", WINDOW=None).is_short


INVALID_LIMITS = [
    ("20/m", "the limit must be a dictionary", "{'SUBJECT': 'everyone'"),
    ({**ONE, "WINDOWS": "day"}, "unknown key 'WINDOWS'", "The known keys are AMOUNT, METRIC"),
    ({**ONE, 5: 5}, "unknown key '5'", "The known keys are AMOUNT, METRIC"),
    ({"METRIC": "requests", "AMOUNT": 1}, "SUBJECT is missing", "Set SUBJECT, METRIC, AMOUNT"),
    ({**ONE, "METRIC": None}, "METRIC is missing", "Set SUBJECT, METRIC, AMOUNT"),
    ({**ONE, "AMOUNT": None}, "AMOUNT is missing", "Set SUBJECT, METRIC, AMOUNT"),
    ({**ONE, "METRIC": "words"}, "unknown METRIC 'words'", "Use one of requests, input_tokens"),
    ({**ONE, "METRIC": ["requests"]}, "unknown METRIC ['requests']", "Use one of requests"),
    ({**ONE, "WINDOW": "fortnight"}, "unknown WINDOW 'fortnight'", "Use one of second, minute"),
    ({**ONE, "WINDOW": None}, "unknown WINDOW ''", "Use one of second, minute"),
    (
        {**ONE, "METRIC": "concurrent_requests"},
        "concurrent_requests must not have a WINDOW",
        "Remove WINDOW",
    ),
    ({**ONE, "SUBJECT": "everybody"}, "unknown SUBJECT 'everybody'", "'each_user'"),
    ({**ONE, "SUBJECT": "group:"}, "unknown SUBJECT 'group:'", "'group:NAME'"),
    ({**ONE, "SUBJECT": "everyone:alice"}, "unknown SUBJECT 'everyone:alice'", "'user:NAME'"),
    (
        {**ONE, "SUBJECT": "key:7"},
        "unknown SUBJECT 'key:7'",
        "Limits of keys are set in the admin",
    ),
    ({**ONE, "SUBJECT": 5}, "unknown SUBJECT 5", "'everyone'"),
    ({**ONE, "AMOUNT": -1}, "AMOUNT must not be negative", "in USD"),
    ({**ONE, "AMOUNT": "NaN"}, "AMOUNT must be a number", "in USD"),
    ({**ONE, "AMOUNT": "-Infinity"}, "AMOUNT must be a number", "in USD"),
    ({**ONE, "AMOUNT": "sNaN"}, "AMOUNT must be a number", "in USD"),
    ({**ONE, "AMOUNT": 0.5}, "AMOUNT 0.5 is not a valid amount", "whole number"),
    ({**ONE, "AMOUNT": True}, "AMOUNT True is not a valid amount", "whole number"),
    ({**ONE, "AMOUNT": "many"}, "AMOUNT 'many' is not a valid amount", "whole number"),
    ({**ONE, "AMOUNT": [1]}, "AMOUNT [1] is not a valid amount", "whole number"),
    ({**ONE, "AMOUNT": "20.5"}, "AMOUNT must be a whole number", "in USD"),
    ({**ONE, "AMOUNT": 10**12}, "AMOUNT must be at most 100,000,000,000", "in USD"),
    ({**ONE, "AMOUNT": "1e999999"}, "AMOUNT must be at most 100,000,000,000", "in USD"),
    ({**ONE, "METRIC": "cost", "AMOUNT": "1000001"}, "AMOUNT must be at most 1,000,000", "in USD"),
    (
        {**ONE, "METRIC": "cost", "AMOUNT": "0.0000000000001"},
        "AMOUNT must have at most 12 decimals",
        "in USD",
    ),
    (
        {"SUBJECT": "everyone", "METRIC": "concurrent_requests", "AMOUNT": 100_001},
        "AMOUNT must be at most 100,000",
        "in USD",
    ),
    ({**ONE, "MODELS": ["gpt-4o"]}, "MODELS ['gpt-4o'] is not a valid pattern", "'gpt-4o*'"),
    ({**ONE, "THRESHOLD": 0}, "threshold 0 is not a valid percentage", "from 1 to 100"),
    ({**ONE, "THRESHOLD": 101}, "threshold 101 is not a valid percentage", "from 1 to 100"),
    ({**ONE, "THRESHOLD": "80"}, "threshold '80' is not a valid percentage", "from 1 to 100"),
    ({**ONE, "THRESHOLD": True}, "threshold True is not a valid percentage", "from 1 to 100"),
]


def check_messages(native_api: Any) -> list[tuple[str, str, str]]:
    """Id, message and hint of each message of `manage.py check`."""
    with override_settings(NATIVE_API=native_api, DEBUG=True):
        messages = run_checks(tags=["native_api"])
    return [(message.id or "", message.msg, message.hint or "") for message in messages]


@pytest.mark.parametrize(
    ("definition", "message", "hint"),
    INVALID_LIMITS,
    ids=lambda value: str(value)[:60] if isinstance(value, str) else "",
)
def test_an_invalid_limit_is_reported_with_its_index_and_a_hint(
    definition: Any, message: str, hint: str
) -> None:
    ((name, shown_message, shown_hint),) = check_messages({"LIMITS": [ONE, definition]})
    assert name == "native_api.E020"
    assert shown_message == f"NATIVE_API['LIMITS'][1]: {message}."
    assert hint in shown_hint


@pytest.mark.parametrize("limits", [ONE, "everyone", None, 20])
def test_limits_must_be_a_list(limits: Any) -> None:
    assert check_messages({"LIMITS": limits}) == [
        (
            "native_api.E020",
            "NATIVE_API['LIMITS']: must be a list.",
            "Give a list of dictionaries.",
        )
    ]


def test_the_sites_threshold_is_checked() -> None:
    ((name, shown_message, shown_hint),) = check_messages({"LIMIT_THRESHOLD": 0})
    assert (name, shown_message) == (
        "native_api.E020",
        "NATIVE_API['LIMIT_THRESHOLD']: must be a percentage.",
    )
    assert shown_hint == "Give an integer from 1 to 100."


def test_every_invalid_limit_is_reported() -> None:
    shown_message = [
        message for _, message, _ in check_messages({"LIMITS": [{}, ONE, {**ONE, "AMOUNT": 0}, 5]})
    ]
    assert [message.partition(":")[0] for message in shown_message] == [
        "NATIVE_API['LIMITS'][0]",
        "NATIVE_API['LIMITS'][3]",
    ]


@pytest.mark.django_db
def test_an_invalid_limit_is_not_ignored() -> None:
    with (
        override_settings(NATIVE_API={"LIMITS": [ONE, {"SUBJECT": "everyone"}]}),
        pytest.raises(ValueError, match="METRIC is missing"),
    ):
        rules.current()


# --- whom a limit applies to ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("subject", "affected"),
    [
        ("everyone", [ALICE, BOB, NOBODY]),
        ("each_user", [ALICE, BOB]),
        ("user:bob", [BOB]),
        ("group:staff", [ALICE]),
        ("group:interns", [ALICE]),
        ("group:3", []),
        ("user:1", []),
    ],
)
def test_subjects_from_settings(subject: str, affected: list[Caller]) -> None:
    assert [
        caller for caller in (ALICE, BOB, NOBODY) if rule(SUBJECT=subject).applies_to(caller)
    ] == affected


@pytest.mark.parametrize(
    ("subject", "member", "affected"),
    [
        ("key", 8, [BOB]),
        ("user", 1, [ALICE]),
        ("group", 4, [ALICE]),
        ("key", None, []),
        ("user", None, []),
        ("group", None, []),
        ("nonsense", None, []),
    ],
)
def test_subjects_from_rows(subject: str, member: int | None, affected: list[Caller]) -> None:
    read = Rule(subject, member, False, "requests", "minute", "", 1, 80, subject)
    assert [caller for caller in (ALICE, BOB, NOBODY) if read.applies_to(caller)] == affected


def test_each_user_is_counted_separately_and_everyone_together() -> None:
    each, all_ = rule(SUBJECT="each_user"), rule()
    assert each.counter(ALICE) != each.counter(BOB)
    assert all_.counter(ALICE) == all_.counter(BOB)


def test_a_users_limit_overrides_the_one_for_each_user() -> None:
    each, own = rule(SUBJECT="each_user", AMOUNT=5), rule(SUBJECT="user:alice", AMOUNT=50)
    assert amounts(each, own) == [50]
    assert amounts(each, own, caller=BOB) == [5]


@pytest.mark.parametrize("other", [{"METRIC": "tokens"}, {"WINDOW": "hour"}, {"MODELS": "gpt-4o*"}])
def test_a_users_limit_overrides_no_limit_of_another_kind(other: dict[str, Any]) -> None:
    assert amounts(
        rule(SUBJECT="each_user", AMOUNT=5), rule(SUBJECT="user:alice", AMOUNT=50, **other)
    ) == [5, 50]


def test_a_users_limit_does_not_override_those_of_everyone_or_a_group() -> None:
    own = rule(SUBJECT="user:alice", AMOUNT=50)
    assert amounts(rule(AMOUNT=1), rule(SUBJECT="group:staff", AMOUNT=2), own) == [1, 2, 50]


@pytest.mark.parametrize("order", [(5, 3), (3, 5)])
def test_the_tighter_of_two_limits_with_one_counter_applies(order: tuple[int, int]) -> None:
    assert amounts(*(rule(AMOUNT=amount) for amount in order)) == [3]


@pytest.mark.parametrize("changed", [{"AMOUNT": 99}, {"THRESHOLD": 1}])
def test_raising_an_amount_keeps_the_count(changed: dict[str, Any]) -> None:
    assert rule(**changed).counter(ALICE) == rule().counter(ALICE)


@pytest.mark.parametrize(
    "changed",
    [{"SUBJECT": "user:alice"}, {"METRIC": "tokens"}, {"WINDOW": "hour"}, {"MODELS": "*"}],
)
def test_limits_of_different_kinds_are_counted_separately(changed: dict[str, Any]) -> None:
    assert rule(**changed).counter(ALICE) != rule().counter(ALICE)


@pytest.mark.parametrize(
    ("pattern", "names", "covered"),
    [
        ("", ["anything"], True),
        ("gpt-4o*", ["gpt-4o-mini"], True),
        ("gpt-4o*", ["GPT-4o"], True),
        ("gpt-4o*", ["openai/gpt-4o"], True),
        ("gpt-4o*", ["openrouter/openai/gpt-4o"], True),
        ("gpt-4o*", ["openai/ft:gpt-4o"], False),
        ("openai/*", ["fast", "openai/gpt-4o"], True),
        ("openai/*", ["fast", "eu/gpt-4o"], False),
        ("gpt-4o", ["gpt-4o-mini"], False),
        ("fast", ["fast", "openai/gpt-4o"], True),
        ("*", [], False),
    ],
)
def test_a_pattern_covers_a_call_by_any_of_its_names(
    pattern: str, names: list[str], covered: bool
) -> None:
    assert rule(MODELS=pattern).covers(names) is covered
