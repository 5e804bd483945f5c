"""Budgets in the database: reserving, extending, settling, releasing and expiring."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import DatabaseError, connection

from native_api.limits import budget_update, budgets, settlement
from native_api.limits.budgets import BudgetExhausted
from native_api.models import Budget, UsageRecord
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
    reservation_count,
    write_records,
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("as_a_new_process")]


class TestReserving:
    def test_a_budget_is_never_exceeded(self) -> None:
        for _ in range(10):
            call(budget_request(units=10, amount=100))
        with pytest.raises(BudgetExhausted) as refusal:
            call(budget_request(units=1, amount=100))
        assert refusal.value.level == (0, 100)
        assert budget_state() == BudgetState(0, 100)
        assert reservation_count() == 10

    def test_all_budgets_are_reserved_or_none(self) -> None:
        call(budget_request("b", 95))
        with pytest.raises(BudgetExhausted) as refusal:
            call(budget_request("a"), budget_request("b"), budget_request("c"))
        assert refusal.value.request.applied.counter == "b"
        assert [budget_state(counter) for counter in "abc"] == [(0, 0, 0), (0, 95, 0), (0, 0, 0)]
        assert reservation_count() == 1

    def test_the_new_levels_are_returned(self) -> None:
        write_records(call(budget_request(metric="tokens")).entry(used=4))
        reserved = budgets.reserve(new_id(), [budget_request(metric="tokens")], datetime.now(UTC))
        assert [level for _, level in reserved.values()] == [(4, 10)]

    def test_a_limit_of_zero_admits_only_free_calls(self) -> None:
        call(budget_request(units=0, amount=0))
        with pytest.raises(BudgetExhausted):
            call(budget_request(units=1, amount=0))
        assert budget_state() == BudgetState(0, 0)

    def test_a_limit_lowered_below_usage_admits_nothing_until_it_is_raised(self) -> None:
        write_records(call(budget_request(units=50)).entry(used=50))
        for units in (0, 1):
            with pytest.raises(BudgetExhausted):
                call(budget_request(units=units, amount=49))
        call(budget_request(units=50, amount=100))
        assert budget_state() == BudgetState(50, 50)
        assert Budget.objects.get().amount == 100

    def test_windows_are_counted_separately(self) -> None:
        call(budget_request(units=100, span=NOVEMBER))
        call(budget_request(units=100, span=DECEMBER))
        assert budget_state(span=NOVEMBER) == budget_state(span=DECEMBER) == BudgetState(0, 100)

    def test_one_call_has_one_reservation_of_a_budget(self) -> None:
        record_id = new_id()
        budgets.reserve(record_id, [budget_request()], datetime.now(UTC))
        with pytest.raises(DatabaseError):
            budgets.reserve(record_id, [budget_request()], datetime.now(UTC))
        assert budget_state() == BudgetState(0, 10)

    def test_a_deleted_budget_is_created_again(self) -> None:
        call(budget_request())
        Budget.objects.all().delete()
        call(budget_request(units=20), budget_request("b"))
        assert budget_state() == BudgetState(0, 20)
        assert reservation_count() == 2

    def test_budgets_are_not_confused_after_a_restore_from_backup(self) -> None:
        call(budget_request())
        Budget.objects.filter(counter="a").update(counter="b")
        call(budget_request(units=20))
        assert (budget_state(), budget_state("b")) == (BudgetState(0, 20), BudgetState(0, 10))

    @pytest.mark.parametrize("counters", ["a", "ab"])
    def test_few_queries_are_made(self, counters: str, django_assert_max_num_queries: Any) -> None:
        call(*map(budget_request, counters))
        # MariaDB has no UPDATE … RETURNING, so it is asked for the new level.
        statements = 3 if connection.vendor == "mysql" else 2
        with django_assert_max_num_queries(2 + statements * len(counters)) as captured:
            call(*map(budget_request, counters))
        if connection.vendor == "postgresql":
            assert len(captured) <= {"a": 1, "ab": 4}[counters]


class TestExtending:
    """A call needs more for another attempt."""

    def extend(self, existing: Any, *requests: Any, reserved: int = 10) -> budgets.ReservedBudgets:
        return budgets.reserve(
            existing.id, requests, datetime.now(UTC), dict.fromkeys(existing.keys, reserved)
        )

    def test_the_missing_units_are_added_to_budget_and_reservation(self) -> None:
        existing = call(budget_request(), budget_request("b"))
        added = self.extend(
            existing,
            budget_request(units=25),
            budget_request("b", units=10),
            budget_request("c", units=5),
        )
        assert [(level, each.units) for each, level in added.values()] == [
            ((0, 25), 25),
            ((0, 10), 10),
            ((0, 5), 5),
        ]
        assert [budget_state(counter).reserved for counter in "abc"] == [25, 10, 5]
        assert reservation_count() == 3
        write_records(existing.entry(used=3))
        assert [budget_state(counter) for counter in "ab"] == [(3, 0, 0)] * 2

    def test_all_budgets_are_extended_or_none(self) -> None:
        existing = call(budget_request(), budget_request("b"))
        call(budget_request("b", 85))
        with pytest.raises(BudgetExhausted) as refusal:
            self.extend(
                existing,
                budget_request(units=20),
                budget_request("b", units=16),
                budget_request("c"),
            )
        assert (refusal.value.request.applied.counter, refusal.value.request.reserved) == ("b", 10)
        assert [budget_state(counter) for counter in "abc"] == [(0, 10, 0), (0, 95, 0), (0, 0, 0)]
        self.extend(existing, budget_request(units=20), budget_request("b", units=15))
        assert [budget_state(counter).reserved for counter in "ab"] == [20, 100]

    def test_a_reservation_of_zero_can_be_extended(self) -> None:
        existing = call(budget_request(units=0))
        self.extend(existing, budget_request(units=7), reserved=0)
        assert (budget_state(), reservation_count()) == ((0, 7, 0), 1)

    def test_an_ended_reservation_is_not_extended(self) -> None:
        existing = call(budget_request())
        settlement.release(existing.id)
        with pytest.raises(DatabaseError, match="has ended"):
            self.extend(existing, budget_request(units=20))
        assert (budget_state(), reservation_count()) == ((0, 0, 0), 0)

    def test_expired_reservations_make_room(self) -> None:
        existing = call(budget_request())
        call(budget_request(units=80), seconds=-1)
        self.extend(existing, budget_request(units=60))
        assert budget_state() == BudgetState(0, 60, lost=80)


class TestOtherDatabases:
    """The ORM instead of our own SQL."""

    @pytest.fixture(autouse=True)
    def without_our_sql(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(
            "native_api.limits.budget_update._reserve_in_one_statement",
            budget_update._reserve_with_orm,
        )
        monkeypatch.setattr(
            "native_api.limits.budget_update._reserve_in_two_statements",
            budget_update._reserve_with_orm,
        )
        monkeypatch.setattr("native_api.limits.budget_update.SINGLE_STATEMENT_VENDORS", frozenset())

    def test_budgets_work_the_same(self) -> None:
        reserved = budgets.reserve(
            new_id(),
            [budget_request(units=60), budget_request("b")],
            datetime.now(UTC) + timedelta(minutes=1),
        )
        assert [level for _, level in reserved.values()] == [(0, 60), (0, 10)]
        with pytest.raises(BudgetExhausted):
            call(budget_request("b"), budget_request(units=41))
        assert (budget_state(), budget_state("b"), reservation_count()) == (
            BudgetState(0, 60),
            BudgetState(0, 10),
            2,
        )


class TestSettling:
    @pytest.mark.parametrize("used", [0, 3, 10])
    def test_the_reservation_is_removed_and_usage_added(self, used: int) -> None:
        write_records(call(budget_request(), budget_request("b")).entry(used))
        assert budget_state() == budget_state("b") == BudgetState(used, 0)
        assert reservation_count() == 0

    def test_usage_above_the_reservation_counts_in_full(self) -> None:
        write_records(call(budget_request(units=10, amount=100)).entry(used=130))
        assert budget_state() == BudgetState(130, 0)
        with pytest.raises(BudgetExhausted):
            call(budget_request(units=0, amount=100))

    def test_usage_below_the_reservation_makes_room(self) -> None:
        first = call(budget_request(units=100))
        write_records(first.entry(used=40))
        call(budget_request(units=60))
        with pytest.raises(BudgetExhausted):
            call(budget_request(units=1))

    def test_a_record_written_twice_settles_once(self) -> None:
        entry = call(budget_request()).entry(used=7)
        write_records(entry)
        write_records(entry, entry, may_be_written=True)
        write_records(entry)
        assert budget_state() == BudgetState(7, 0)

    def test_a_batch_that_failed_settles_once_when_retried(self) -> None:
        entries = [call(budget_request()).entry(used=7) for _ in range(3)]
        with failing_commit(), pytest.raises(writer.HookFailed):
            write_records(*entries)
        assert budget_state() == BudgetState(0, 30)
        write_records(*entries, may_be_written=True)
        assert budget_state() == BudgetState(21, 0)

    def test_a_batch_with_an_invalid_entry_settles_the_others(self) -> None:
        entries = [call(budget_request()).entry(used=7) for _ in range(4)]
        bad = call(budget_request()).entry(used=7, latency_ms=-1)
        assert [
            entry for entry, _ in writer.write([*entries, bad], "default", may_be_written=False)
        ] == [bad]
        assert budget_state() == BudgetState(28, 10)

    def test_usage_in_one_batch_is_summed(self) -> None:
        write_records(
            call(budget_request(), budget_request("b")).entry(1),
            call(budget_request("b"), budget_request("c")).entry(2),
            UsageEntry(),
            call(budget_request("c")).entry(4),
        )
        assert [budget_state(counter) for counter in "abc"] == [(1, 0, 0), (3, 0, 0), (6, 0, 0)]

    def test_a_call_counts_in_the_window_in_which_it_began(self) -> None:
        running_call = call(budget_request(span=NOVEMBER))
        call(budget_request(span=DECEMBER))
        write_records(running_call.entry(used=9))
        assert budget_state(span=NOVEMBER) == BudgetState(9, 0)
        assert budget_state(span=DECEMBER) == BudgetState(0, 10)

    def test_a_call_whose_budget_was_deleted_is_recorded(
        self,
    ) -> None:
        running_call = call(budget_request(), budget_request("b"))
        Budget.objects.filter(counter="a").delete()
        call(budget_request())
        write_records(running_call.entry(used=5))
        assert budget_state() == BudgetState(0, 10)
        assert budget_state("b") == BudgetState(5, 0)
        assert UsageRecord.objects.count() == 1

    def test_a_record_without_claims_keeps_reservations(self) -> None:
        write_records(call(budget_request()).entry(claims=None))
        assert budget_state() == BudgetState(0, 10)

    @pytest.mark.parametrize("late", [True, False], ids=["record first", "reservation first"])
    def test_a_late_reservation_of_a_cancelled_call_is_released(self, late: bool) -> None:
        cancelled = UsageEntry(status="client_closed", claims={})
        steps: list[Callable[[], Any]] = [
            lambda: write_records(cancelled),
            lambda: budgets.reserve(
                cancelled.id, [budget_request()], datetime.now(UTC) + timedelta(minutes=1)
            ),
        ]
        for step in steps if late else steps[::-1]:
            step()
        assert budget_state().reserved == (10 if late else 0)
        settlement.release(cancelled.id)
        settlement.release(cancelled.id)
        assert budget_state() == BudgetState(0, 0)

    def test_a_large_batch_takes_few_queries(self, django_assert_max_num_queries: Any) -> None:
        entries = [
            call(budget_request(f"user {number % 150}"), budget_request("all", amount=10**6)).entry(
                used=1
            )
            for number in range(200)
        ]
        with django_assert_max_num_queries(30):
            write_records(*entries)
        assert budget_state("all") == BudgetState(200, 0)
        assert budget_state("user 0") == BudgetState(2, 0)


class TestExpiry:
    def test_the_reservation_of_a_dead_process_is_counted_as_lost(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        call(budget_request(), seconds=-1)
        call(budget_request())
        assert settlement.expire("default") == 1
        assert budget_state() == BudgetState(0, 10, lost=10)
        assert "1 reservations" in caplog.text
        assert "everyone" not in caplog.text

    def test_an_exhausted_budget_is_searched_for_expired_reservations(self) -> None:
        call(budget_request(units=100), seconds=-1)
        call(budget_request(units=100))
        assert budget_state() == BudgetState(0, 100, lost=100)

    def test_other_budgets_are_not_searched_while_reserving(self) -> None:
        call(budget_request("b"), seconds=-1)
        call(budget_request(units=100))
        with pytest.raises(BudgetExhausted):
            call(budget_request())
        assert budget_state("b") == BudgetState(0, 10)

    def test_a_call_is_refused_if_expired_reservations_never_suffice(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        call(budget_request(units=100))
        monkeypatch.setattr(settlement, "expire", lambda alias, keys: 1)
        with pytest.raises(BudgetExhausted):
            call(budget_request(units=1))

    def test_the_recorder_leaves_the_search_to_maintenance(
        self, django_assert_num_queries: Any
    ) -> None:
        call(budget_request(), seconds=-1)
        with django_assert_num_queries(0):
            settlement.settle([UsageEntry()], "default")
        write_records(UsageEntry())
        assert budget_state() == BudgetState(0, 10)

    def test_a_late_record_is_added_and_the_lost_units_stay(self) -> None:
        running_call = call(budget_request(), seconds=-1)
        settlement.expire("default")
        write_records(running_call.entry(used=8))
        assert budget_state() == BudgetState(8, 0, lost=10)

    def test_a_reservation_expires_once(self) -> None:
        call(budget_request(), seconds=-1)
        assert [settlement.expire("default") for _ in range(2)] == [1, 0]
        assert budget_state() == BudgetState(0, 0, lost=10)

    def test_after_a_clock_jump_the_records_of_expired_calls_count(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        running_call = call(budget_request(), seconds=600)
        monkeypatch.setattr(settlement, "datetime", clock_ahead(timedelta(days=40)))
        settlement.expire("default")
        write_records(running_call.entry(used=6))
        assert budget_state() == BudgetState(6, 0, lost=10)

    def test_a_clock_that_goes_back_continues_the_earlier_window(self) -> None:
        write_records(call(budget_request(units=90, span=NOVEMBER)).entry(used=90))
        call(budget_request(span=DECEMBER))
        with pytest.raises(BudgetExhausted):
            call(budget_request(units=11, span=NOVEMBER))
        call(budget_request(units=10, span=NOVEMBER))


def clock_ahead(by: timedelta) -> Any:
    class Ahead(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.now(tz) + by

    return Ahead
