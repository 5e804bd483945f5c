"""Budgets in the database: what is reserved, settled, given back and lost."""

from __future__ import annotations

import time
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
    Standing,
    call,
    failing_at_its_end,
    held,
    record,
    standing,
    want,
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("as_a_new_process")]


class TestReserving:
    def test_a_budget_is_never_exceeded(self) -> None:
        for _ in range(10):
            call(want(units=10, amount=100))
        with pytest.raises(BudgetExhausted) as refusal:
            call(want(units=1, amount=100))
        assert refusal.value.level == (0, 100)
        assert standing() == Standing(0, 100)
        assert held() == 10

    def test_all_budgets_are_reserved_or_none(self) -> None:
        call(want("b", 95))
        with pytest.raises(BudgetExhausted) as refusal:
            call(want("a"), want("b"), want("c"))
        assert refusal.value.request.applied.counter == "b"
        assert [standing(counter) for counter in "abc"] == [(0, 0, 0), (0, 95, 0), (0, 0, 0)]
        assert held() == 1

    def test_the_new_levels_are_returned(self) -> None:
        record(call(want(metric="tokens")).entry(used=4))
        reserved = budgets.reserve(new_id(), [want(metric="tokens")], datetime.now(UTC))
        assert [level for _, level in reserved.values()] == [(4, 10)]

    def test_a_limit_of_zero_admits_only_free_calls(self) -> None:
        call(want(units=0, amount=0))
        with pytest.raises(BudgetExhausted):
            call(want(units=1, amount=0))
        assert standing() == Standing(0, 0)

    def test_a_limit_lowered_below_usage_admits_nothing_until_it_is_raised(self) -> None:
        record(call(want(units=50)).entry(used=50))
        for units in (0, 1):
            with pytest.raises(BudgetExhausted):
                call(want(units=units, amount=49))
        call(want(units=50, amount=100))
        assert standing() == Standing(50, 50)
        assert Budget.objects.get().amount == 100

    def test_windows_are_counted_separately(self) -> None:
        call(want(units=100, span=NOVEMBER))
        call(want(units=100, span=DECEMBER))
        assert standing(span=NOVEMBER) == standing(span=DECEMBER) == Standing(0, 100)

    def test_one_call_has_one_reservation_of_a_budget(self) -> None:
        record_id = new_id()
        budgets.reserve(record_id, [want()], datetime.now(UTC))
        with pytest.raises(DatabaseError):
            budgets.reserve(record_id, [want()], datetime.now(UTC))
        assert standing() == Standing(0, 10)

    def test_a_deleted_budget_is_created_again(self) -> None:
        call(want())
        Budget.objects.all().delete()
        call(want(units=20), want("b"))
        assert standing() == Standing(0, 20)
        assert held() == 2

    def test_budgets_are_not_confused_after_a_restore_from_backup(self) -> None:
        call(want())
        Budget.objects.filter(counter="a").update(counter="b")
        call(want(units=20))
        assert (standing(), standing("b")) == (Standing(0, 20), Standing(0, 10))

    @pytest.mark.parametrize("counters", ["a", "ab"])
    def test_few_queries_are_made(self, counters: str, django_assert_max_num_queries: Any) -> None:
        call(*map(want, counters))
        with django_assert_max_num_queries(2 + 2 * len(counters)) as captured:
            call(*map(want, counters))
        if connection.vendor == "postgresql":
            assert len(captured) <= {"a": 1, "ab": 4}[counters]


class TestAdding:
    """What a call needs more for another attempt."""

    def add(self, made: Any, *wants: Any, held: int = 10) -> budgets.ReservedBudgets:
        return budgets.reserve(made.id, wants, datetime.now(UTC), dict.fromkeys(made.keys, held))

    def test_the_missing_units_are_added_to_budget_and_reservation(self) -> None:
        made = call(want(), want("b"))
        added = self.add(made, want(units=25), want("b", units=10), want("c", units=5))
        assert [(level, each.units) for each, level in added.values()] == [
            ((0, 25), 25),
            ((0, 10), 10),
            ((0, 5), 5),
        ]
        assert [standing(counter).reserved for counter in "abc"] == [25, 10, 5]
        assert held() == 3
        record(made.entry(used=3))
        assert [standing(counter) for counter in "ab"] == [(3, 0, 0)] * 2

    def test_all_budgets_are_extended_or_none(self) -> None:
        made = call(want(), want("b"))
        call(want("b", 85))
        with pytest.raises(BudgetExhausted) as refusal:
            self.add(made, want(units=20), want("b", units=16), want("c"))
        assert (refusal.value.request.applied.counter, refusal.value.request.reserved) == ("b", 10)
        assert [standing(counter) for counter in "abc"] == [(0, 10, 0), (0, 95, 0), (0, 0, 0)]
        self.add(made, want(units=20), want("b", units=15))
        assert [standing(counter).reserved for counter in "ab"] == [20, 100]

    def test_a_reservation_of_zero_can_be_extended(self) -> None:
        made = call(want(units=0))
        self.add(made, want(units=7), held=0)
        assert (standing(), held()) == ((0, 7, 0), 1)

    def test_an_ended_reservation_is_not_extended(self) -> None:
        made = call(want())
        settlement.release(made.id)
        with pytest.raises(DatabaseError, match="has ended"):
            self.add(made, want(units=20))
        assert (standing(), held()) == ((0, 0, 0), 0)

    def test_expired_reservations_make_room(self) -> None:
        made = call(want())
        call(want(units=80), seconds=-1)
        self.add(made, want(units=60))
        assert standing() == Standing(0, 60, lost=80)


class TestOtherDatabases:
    """What Django makes of it, where we have no words of our own."""

    @pytest.fixture(autouse=True)
    def without_our_words(self, monkeypatch: pytest.MonkeyPatch) -> None:
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
            new_id(), [want(units=60), want("b")], datetime.now(UTC) + timedelta(minutes=1)
        )
        assert [level for _, level in reserved.values()] == [(0, 60), (0, 10)]
        with pytest.raises(BudgetExhausted):
            call(want("b"), want(units=41))
        assert (standing(), standing("b"), held()) == (Standing(0, 60), Standing(0, 10), 2)


class TestSettling:
    @pytest.mark.parametrize("used", [0, 3, 10])
    def test_the_reservation_is_removed_and_usage_added(self, used: int) -> None:
        record(call(want(), want("b")).entry(used))
        assert standing() == standing("b") == Standing(used, 0)
        assert held() == 0

    def test_usage_above_the_reservation_counts_in_full(self) -> None:
        record(call(want(units=10, amount=100)).entry(used=130))
        assert standing() == Standing(130, 0)
        with pytest.raises(BudgetExhausted):
            call(want(units=0, amount=100))

    def test_usage_below_the_reservation_makes_room(self) -> None:
        first = call(want(units=100))
        record(first.entry(used=40))
        call(want(units=60))
        with pytest.raises(BudgetExhausted):
            call(want(units=1))

    def test_a_record_written_twice_settles_once(self) -> None:
        entry = call(want()).entry(used=7)
        record(entry)
        record(entry, entry, may_be_written=True)
        record(entry)
        assert standing() == Standing(7, 0)

    def test_a_batch_that_failed_settles_once_when_retried(self) -> None:
        entries = [call(want()).entry(used=7) for _ in range(3)]
        with failing_at_its_end(), pytest.raises(writer.HookFailed):
            record(*entries)
        assert standing() == Standing(0, 30)
        record(*entries, may_be_written=True)
        assert standing() == Standing(21, 0)

    def test_a_batch_with_an_invalid_entry_settles_the_others(self) -> None:
        entries = [call(want()).entry(used=7) for _ in range(4)]
        bad = call(want()).entry(used=7, latency_ms=-1)
        assert [
            entry for entry, _ in writer.write([*entries, bad], "default", may_be_written=False)
        ] == [bad]
        assert standing() == Standing(28, 10)

    def test_usage_in_one_batch_is_summed(self) -> None:
        record(
            call(want(), want("b")).entry(1),
            call(want("b"), want("c")).entry(2),
            UsageEntry(),
            call(want("c")).entry(4),
        )
        assert [standing(counter) for counter in "abc"] == [(1, 0, 0), (3, 0, 0), (6, 0, 0)]

    def test_a_call_counts_in_the_window_in_which_it_began(self) -> None:
        begun = call(want(span=NOVEMBER))
        call(want(span=DECEMBER))
        record(begun.entry(used=9))
        assert standing(span=NOVEMBER) == Standing(9, 0)
        assert standing(span=DECEMBER) == Standing(0, 10)

    def test_a_call_whose_budget_was_deleted_is_recorded(
        self,
    ) -> None:
        begun = call(want(), want("b"))
        Budget.objects.filter(counter="a").delete()
        call(want())
        record(begun.entry(used=5))
        assert standing() == Standing(0, 10)
        assert standing("b") == Standing(5, 0)
        assert UsageRecord.objects.count() == 1

    def test_a_record_without_claims_keeps_reservations(self) -> None:
        record(call(want()).entry(claims=None))
        assert standing() == Standing(0, 10)

    @pytest.mark.parametrize("late", [True, False], ids=["record first", "reservation first"])
    def test_a_late_reservation_of_a_cancelled_call_is_released(
        self, late: bool
    ) -> None:
        cancelled = UsageEntry(status="client_closed", claims={})
        steps: list[Callable[[], Any]] = [
            lambda: record(cancelled),
            lambda: budgets.reserve(
                cancelled.id, [want()], datetime.now(UTC) + timedelta(minutes=1)
            ),
        ]
        for step in steps if late else steps[::-1]:
            step()
        assert standing().reserved == (10 if late else 0)
        settlement.release(cancelled.id)
        settlement.release(cancelled.id)
        assert standing() == Standing(0, 0)

    def test_a_large_batch_takes_few_queries(self, django_assert_max_num_queries: Any) -> None:
        entries = [
            call(want(f"user {number % 150}"), want("all", amount=10**6)).entry(used=1)
            for number in range(200)
        ]
        with django_assert_max_num_queries(30):
            record(*entries)
        assert standing("all") == Standing(200, 0)
        assert standing("user 0") == Standing(2, 0)


class TestExpiry:
    def test_the_reservation_of_a_dead_process_is_counted_as_lost(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        call(want(), seconds=-1)
        call(want())
        assert settlement.expire("default") == 1
        assert standing() == Standing(0, 10, lost=10)
        assert "1 reservations" in caplog.text
        assert "everyone" not in caplog.text

    def test_an_exhausted_budget_is_searched_for_expired_reservations(self) -> None:
        call(want(units=100), seconds=-1)
        call(want(units=100))
        assert standing() == Standing(0, 100, lost=100)

    def test_other_budgets_are_not_searched_while_reserving(self) -> None:
        call(want("b"), seconds=-1)
        call(want(units=100))
        with pytest.raises(BudgetExhausted):
            call(want())
        assert standing("b") == Standing(0, 10)

    def test_the_recorder_searches_once_a_minute(self, monkeypatch: pytest.MonkeyPatch) -> None:
        now = 1000.0
        monkeypatch.setattr(time, "monotonic", lambda: now)
        monkeypatch.setattr(settlement, "_next_expiry", 0.0)
        for seconds, lost in [(0, 10), (59, 10), (60, 30)]:
            call(want(), seconds=-1)
            now = 1000.0 + seconds
            record(UsageEntry())
            assert standing().lost == lost

    def test_a_late_record_is_added_and_the_lost_units_stay(self) -> None:
        begun = call(want(), seconds=-1)
        settlement.expire("default")
        record(begun.entry(used=8))
        assert standing() == Standing(8, 0, lost=10)

    def test_a_reservation_expires_once(self) -> None:
        call(want(), seconds=-1)
        assert [settlement.expire("default") for _ in range(2)] == [1, 0]
        assert standing() == Standing(0, 0, lost=10)

    def test_after_a_clock_jump_the_records_of_expired_calls_count(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        begun = call(want(), seconds=600)
        monkeypatch.setattr(settlement, "datetime", clock_ahead(timedelta(days=40)))
        settlement.expire("default")
        record(begun.entry(used=6))
        assert standing() == Standing(6, 0, lost=10)

    def test_a_clock_that_goes_back_continues_the_earlier_window(self) -> None:
        record(call(want(units=90, span=NOVEMBER)).entry(used=90))
        call(want(span=DECEMBER))
        with pytest.raises(BudgetExhausted):
            call(want(units=11, span=NOVEMBER))
        call(want(units=10, span=NOVEMBER))

    def test_a_failing_search_does_not_fail_the_batch(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(alias: str) -> None:
            raise OSError

        monkeypatch.setattr(settlement, "_expire_if_due", fail)
        record(call(want()).entry(used=3))
        assert standing() == Standing(3, 0)


def clock_ahead(by: timedelta) -> Any:
    class Ahead(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.now(tz) + by

    return Ahead
