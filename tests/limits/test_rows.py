"""Limits as rows: how they are read and validated, and how soon a change takes effect."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.db import OperationalError, connection
from django.test import override_settings

from native_api.access.keys import create_key
from native_api.exceptions import DatabaseUnavailable
from native_api.limits import rules
from native_api.limits.rules import Rule, parse_rule
from native_api.models import Limit, ModelAccess
from tests.limits.test_rules import ALICE, ONE

pytestmark = pytest.mark.usefixtures("fresh_rules")


@contextmanager
def database_down() -> Iterator[None]:
    def fail(*args: Any) -> None:
        raise OperationalError("gone")

    with connection.execute_wrapper(fail):
        yield


@pytest.fixture
def alice(db: None) -> Any:
    return get_user_model().objects.create_user("alice")


def row(**changes: Any) -> Limit:
    return Limit.objects.create(
        **{
            "subject": "everyone",
            "metric": "requests",
            "amount": Decimal(20),
            "window": "minute",
            **changes,
        }
    )


def test_rows_are_read_in_addition_to_settings(alice: Any) -> None:
    group, key = Group.objects.create(name="staff"), create_key(alice, "k")[0]
    row(
        subject="group",
        group=group,
        metric="cost",
        amount=Decimal("0.000000000001"),
        window="month",
        pattern="gpt*",
        threshold=50,
    )
    row(subject="key", api_key=key)
    row(subject="user", user=alice)
    row(enabled=False)
    with override_settings(NATIVE_API={"LIMITS": [ONE]}):
        current = rules.current()
    assert current.needs_groups
    assert set(current.rules) == {
        parse_rule(ONE),
        Rule("group", group.pk, False, "cost", "month", "gpt*", 1, 50, "group:staff"),
        Rule("key", key.pk, False, "requests", "minute", "", 20, 80, f"key:{key}"),
        Rule("user", alice.pk, False, "requests", "minute", "", 20, 80, "user:alice"),
    }


@pytest.mark.django_db
def test_a_row_continues_the_count_of_an_equal_setting() -> None:
    row(amount=Decimal(30))
    (read,) = rules.current().rules
    assert read.counter(ALICE) == parse_rule(ONE).counter(ALICE)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("changes", "read"),
    [
        ({"amount": Decimal(-5)}, (0, "minute", 80)),
        ({"amount": Decimal("2.9")}, (2, "minute", 80)),
        ({"amount": Decimal(10**11 + 7)}, (10**11, "minute", 80)),
        ({"window": ""}, (20, "lifetime", 80)),
        ({"window": "fortnight"}, (20, "lifetime", 80)),
        ({"metric": "concurrent_requests"}, (20, "", 80)),
        ({"threshold": 0}, (20, "minute", 1)),
        ({"threshold": 900}, (20, "minute", 100)),
    ],
)
def test_invalid_rows_are_read_as_the_tightest_rule(
    changes: dict[str, Any], read: tuple[int, str, int]
) -> None:
    row(**changes)
    (rule,) = rules.current().rules
    assert (rule.amount, rule.window, rule.threshold) == read


def test_an_amount_that_is_not_a_number_admits_nothing() -> None:
    """PostgreSQL's numeric type can hold NaN."""
    limit = Limit(subject="everyone", metric="cost", amount=Decimal("NaN"), window="day")
    assert rules._rule_from_row(limit).amount == 0


@pytest.mark.django_db
@pytest.mark.parametrize("model", [Limit, ModelAccess])
def test_groups_are_needed_if_a_limit_or_access_is_for_a_group(model: Any) -> None:
    assert not rules.current().needs_groups
    group = Group.objects.create(name="staff")
    row(subject="group", group=group) if model is Limit else ModelAccess.objects.create(
        group=group, patterns=["*"]
    )
    assert rules.current().needs_groups


# --- validation of rows --------------------------------------------------------------------------


def problems(**changes: Any) -> dict[str, list[str]]:
    try:
        Limit(
            **{
                "subject": "everyone",
                "metric": "requests",
                "amount": Decimal(20),
                "window": "minute",
                **changes,
            }
        ).full_clean()
    except ValidationError as error:
        return error.message_dict
    return {}


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("changes", "field", "expected"),
    [
        ({"amount": Decimal(-1)}, "amount", "must not be negative"),
        ({"amount": Decimal("NaN")}, "amount", "decimal number"),
        ({"amount": Decimal("Infinity")}, "amount", "decimal number"),
        ({"amount": Decimal("1.5")}, "amount", "must be a whole number"),
        ({"amount": Decimal(10**11 + 1)}, "amount", "at most 100,000,000,000"),
        ({"metric": "cost", "amount": Decimal(10**6 + 1)}, "amount", "at most 1,000,000"),
        (
            {"metric": "concurrent_requests", "amount": Decimal(10**5 + 1), "window": ""},
            "amount",
            "at most 100,000",
        ),
        ({"metric": "concurrent_requests"}, "window", "Concurrent requests have no window."),
        ({"window": ""}, "window", "Choose a window."),
        ({"subject": "group"}, "group", "Select one, because the subject is 'group'."),
        ({"subject": "user"}, "user", "Select one, because the subject is 'user'."),
        ({"subject": "key"}, "api_key", "Select one, because the subject is 'key'."),
        ({"threshold": 0}, "threshold", "greater than or equal to 1"),
        ({"threshold": 101}, "threshold", "less than or equal to 100"),
        ({"subject": "somebody"}, "subject", "not a valid choice"),
        ({"metric": "words"}, "metric", "not a valid choice"),
        ({"window": "year"}, "window", "not a valid choice"),
    ],
)
def test_invalid_rows_are_refused(changes: dict[str, Any], field: str, expected: str) -> None:
    assert any(expected in message for message in problems(**changes)[field])


@pytest.mark.django_db
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"amount": Decimal(0)},
        {"metric": "cost", "amount": Decimal("0.000000000001")},
        {"metric": "concurrent_requests", "window": ""},
        {"window": "lifetime", "pattern": "openai/*", "threshold": 100},
    ],
)
def test_valid_rows_are_accepted(changes: dict[str, Any]) -> None:
    assert problems(**changes) == {}


def test_the_member_must_fit_the_subject(alice: Any) -> None:
    assert problems(subject="user", user=alice) == {}
    assert problems(subject="everyone", user=alice) == {
        "user": ["Leave this empty unless the subject is 'user'."]
    }


# --- caching -------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_change_takes_effect_at_once_in_this_process() -> None:
    assert rules.current().rules == ()
    limit = row()
    assert [read.amount for read in rules.current().rules] == [20]
    limit.amount = Decimal(30)
    limit.save()
    assert [read.amount for read in rules.current().rules] == [30]
    limit.delete()
    assert rules.current().rules == ()


@pytest.mark.django_db
def test_a_change_by_another_process_takes_effect_within_five_seconds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    row()
    assert [read.amount for read in rules.current().rules] == [20]
    Limit.objects.update(amount=Decimal(30))  # sends no signal, like a change by another process
    assert [read.amount for read in rules.current().rules] == [20]
    clock = time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: clock() + 5)
    assert [read.amount for read in rules.current().rules] == [30]


@pytest.mark.django_db
def test_a_change_while_the_rules_are_being_read_is_not_missed() -> None:
    def change_first(execute: Any, query: str, *arguments: Any) -> Any:
        if "modelaccess" in query:  # the limits have been read before
            row()
        return execute(query, *arguments)

    with connection.execute_wrapper(change_first):
        assert len(rules.current().rules) == 0
    assert len(rules.current().rules) == 1


@pytest.mark.django_db
def test_changed_settings_take_effect_at_once() -> None:
    with override_settings(NATIVE_API={"LIMITS": [ONE]}):
        assert len(rules.current().rules) == 1
    assert rules.current().rules == ()


@pytest.mark.django_db
def test_the_last_rules_stay_in_use_while_the_database_is_down(
    caplog: pytest.LogCaptureFixture,
) -> None:
    row()
    current = rules.current()
    with database_down():
        for _ in range(3):
            rules.forget()
            assert rules.current() is current
    assert [record.getMessage() for record in caplog.records] == [
        "The limits cannot be read (OperationalError: gone). Those that were read last stay in use."
    ]
    rules.forget()
    assert rules.current() is not current


@pytest.mark.django_db
def test_without_any_rules_calls_are_refused() -> None:
    rules._current.clear()
    with database_down(), pytest.raises(DatabaseUnavailable) as caught:
        rules.current()
    assert caught.value.headers == {"retry-after": "5"}


def test_event_loops_read_the_same_rules(transactional_db: None) -> None:
    row()
    assert [read.amount for read in asyncio.run(rules.acurrent()).rules] == [20]
