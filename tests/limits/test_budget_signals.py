"""The signals of budgets, and invalid entries, which must not stop the recorder."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection

from native_api import signals
from native_api.limits import settlement
from native_api.limits.budgets import BudgetExhausted
from native_api.limits.settlement import MAX_BATCH_UNITS, MAX_USED_UNITS
from native_api.models import Budget, Reservation, UsageRecord
from native_api.usage import writer
from native_api.usage.entry import UsageEntry, new_id
from tests.limits.budget_factory import (
    DECEMBER,
    NOVEMBER,
    BudgetState,
    budget_request,
    budget_state,
    call,
    failing_commit,
    write_records,
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("as_a_new_process")]


INVALID_CLAIMS = [
    [],
    "5",
    7,
    {"": 1},
    {"x": 1},
    {"1.5": 1},
    {"0": 1},
    {"-1": 1},
    {str(2**63): 1},
    {"9" * 5000: 1},
    {"77": None},
    {"77": "many"},
    {"77": -5},
    {"77": 10**300},
    {"77": float("nan")},
    {"77": float("inf")},
    {"77": {}},
]
INVALID_REFUSALS: list[Any] = [
    [],
    "no",
    3,
    {},
    {"counter": None},
    {"counter": "a"},
    {"counter": "a", "starts_at": None},
    {"counter": "a", "starts_at": 5},
    {"counter": "a", "starts_at": "soon"},
    {"counter": "a", "starts_at": "0001-01-01T00:00:00+14:00"},
    {"counter": "a", "starts_at": "9999-12-31T23:59:59-14:00"},
    {"counter": ["a"], "starts_at": "2026-11-01T00:00:00"},
    {"counter": "a" * 5000, "starts_at": "2026-11-01T00:00:00+00:00"},
]


class TestInvalidEntries:
    """The recorder retries a batch until its hooks succeed, so no entry may make them fail."""

    @pytest.mark.parametrize("claims", INVALID_CLAIMS, ids=lambda claims: str(claims)[:20])
    def test_invalid_claims_are_skipped(self, claims: Any) -> None:
        odd, good = (
            call(budget_request()).entry(claims=claims),
            call(budget_request()).entry(used=2),
        )
        write_records(UsageEntry.from_json(odd.to_json()), UsageEntry.from_json(good.to_json()))
        assert budget_state() == BudgetState(2, 0)
        assert UsageRecord.objects.count() == 2

    @pytest.mark.parametrize(
        "refused_by", INVALID_REFUSALS, ids=lambda refused_by: str(refused_by)[:50]
    )
    def test_invalid_refusals_are_skipped(self, refused_by: Any, refusals: list[Any]) -> None:
        good = {"counter": "a", "starts_at": NOVEMBER.start.isoformat()}
        call(budget_request(span=NOVEMBER))
        write_records(UsageEntry(refused_by=refused_by), UsageEntry(refused_by=good))
        assert refusals[-1] == good
        assert Budget.objects.get(counter="a", starts_at=NOVEMBER.start).reached_at is not None

    def test_the_key_of_no_budget_is_skipped(self) -> None:
        running_call = call(budget_request())
        write_records(running_call.entry(claims={str(2**63 - 1): 5, str(running_call.keys[0]): 3}))
        assert budget_state() == BudgetState(3, 0)

    def test_absurd_units_are_capped_to_what_fits(self) -> None:
        for number in range(1, 10):
            running_call = call(budget_request(f"{number}"))
            Budget.objects.all().update(used=MAX_USED_UNITS - number)
            write_records(*(running_call.entry(id=new_id(), used=10**30) for _ in range(20)))
            assert budget_state(f"{number}").used == MAX_USED_UNITS
        write_records(call(budget_request()).entry(used=10**30))
        assert budget_state().used == MAX_BATCH_UNITS

    def test_lost_units_are_capped_to_what_fits(self) -> None:
        for _ in range(10):
            call(budget_request(units=10**18, amount=10**18), seconds=-1)
            settlement.expire("default")
        assert budget_state() == BudgetState(0, 0, lost=MAX_USED_UNITS)

    def test_the_largest_limit_can_be_full(self) -> None:
        call(budget_request(units=10**18, amount=10**18))
        with pytest.raises(BudgetExhausted):
            call(budget_request(units=10**18, amount=10**18))
        with pytest.raises(BudgetExhausted):
            call(budget_request(units=10**18, amount=0))


@pytest.fixture
def refusals() -> Iterator[list[Any]]:
    yield from received_values(signals.limit_reached, "limit")


@pytest.fixture
def thresholds() -> Iterator[list[Any]]:
    yield from received_values(signals.budget_threshold, "used")


def received_values(signal: Any, name: str) -> Iterator[list[Any]]:
    received: list[Any] = []

    def receive(**values: Any) -> None:
        assert not connection.in_atomic_block
        received.append(values[name])

    signal.connect(receive)
    yield received
    signal.disconnect(receive)


class TestSignals:
    def test_a_threshold_is_signalled_once_per_window(self, thresholds: list[int]) -> None:
        for used in (79, 1, 5):
            write_records(call(budget_request(span=NOVEMBER)).entry(used))
        assert thresholds == [80]
        write_records(call(budget_request(span=DECEMBER)).entry(used=95))
        assert thresholds == [80, 95]
        assert Budget.objects.exclude(threshold_at=None).count() == 2

    def test_reserved_units_do_not_reach_a_threshold(self, thresholds: list[int]) -> None:
        write_records(call(budget_request(units=100)).entry(used=10))
        assert thresholds == []

    def test_a_threshold_is_signalled_after_the_commit(self, thresholds: list[int]) -> None:
        entry = call(budget_request()).entry(used=90)
        with failing_commit(), pytest.raises(writer.HookFailed):
            write_records(entry)
        assert thresholds == []
        assert Budget.objects.get().threshold_at is None
        write_records(entry)
        assert thresholds == [90]

    def test_a_failing_receiver_does_not_stop_the_recorder(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        def fail(**values: Any) -> None:
            raise OSError

        signals.budget_threshold.connect(fail)
        caplog.set_level(logging.CRITICAL)
        write_records(call(budget_request()).entry(used=90))
        signals.budget_threshold.disconnect(fail)
        assert budget_state() == BudgetState(90, 0)

    def test_a_refusal_is_signalled_once_per_window_and_marked_on_the_budget(
        self, refusals: list[Any]
    ) -> None:
        for span in (NOVEMBER, DECEMBER):
            call(budget_request(span=span))
            limit = {"counter": "a", "starts_at": span.start.isoformat()}
            write_records(*(UsageEntry(refused_by=limit) for _ in range(3)))
            assert Budget.objects.get(starts_at=span.start).reached_at is not None
        assert [limit["starts_at"][:7] for limit in refusals] == ["2026-11", "2026-12"]

    def test_reservations_are_deleted_with_their_budget(self) -> None:
        call(budget_request())
        Budget.objects.all().delete()
        assert not Reservation.objects.exists()
