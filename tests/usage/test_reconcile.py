"""`native_totals`: comparing and rebuilding totals, also while other processes record."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import psycopg
import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection, transaction

from native_api.models import ApiKey, DailyUsage, UsageRecord
from native_api.usage import reconcile
from native_api.usage import totals as totals_module
from tests.fork_server import start_python
from tests.load import LOAD
from tests.servers import manage, until
from tests.usage.conftest import Deployment
from tests.usage.totals_factory import DAY, NOON, entry, random_entry, totals, write


@pytest.mark.usefixtures("transactional_db")
class TestCommand:
    def test_it_lists_the_days_that_differ(self, capsys: pytest.CaptureFixture[str]) -> None:
        write(entry(), entry(created_at=NOON + timedelta(days=1)))
        call_command("native_totals")
        DailyUsage.objects.filter(day=DAY).update(cost_units=1)
        with pytest.raises(CommandError, match="1 of 2 days"):
            call_command("native_totals")
        assert "2026-03-04: the totals have 1 requests" in capsys.readouterr().out
        call_command("native_totals", "--since", "2026-03-05")
        assert capsys.readouterr().out == "Days compared: 1. The totals are correct.\n"
        with pytest.raises(CommandError, match="1 of 1 days"):
            call_command("native_totals", "--day", "2026-03-04")

    @pytest.mark.parametrize("wrong", ["missing", "too_much", "other_group"])
    def test_a_rebuild_corrects_totals(self, wrong: str) -> None:
        write(*(random_entry() for _ in range(50)), entry(created_at=NOON + timedelta(days=1)))
        expected = totals()
        if wrong == "missing":
            DailyUsage.objects.filter(day=DAY).delete()
        elif wrong == "too_much":
            DailyUsage.objects.filter(day=DAY).update(requests=77, cost_units=5)
        else:
            totals_module.add([entry(model="never asked")], "default")
        call_command("native_totals", "--rebuild")
        assert totals() == expected
        call_command("native_totals")

    def test_a_rebuild_keeps_the_ids_of_deleted_users_and_keys(self) -> None:
        user = get_user_model().objects.create(username="alice")
        key = ApiKey.objects.create(owner=user, name="k", prefix="nk_a", digest="0" * 64)
        write(entry(user_id=user.pk, user_name="alice", api_key_id=key.pk, api_key_name="k"))
        ids = (str(user.pk), key.pk)
        user.delete()
        call_command("native_totals")
        DailyUsage.objects.update(requests=2)
        call_command("native_totals", "--rebuild")
        assert DailyUsage.objects.values_list("user_id", "api_key_id", "requests").get() == (
            *ids,
            1,
        )

    def test_days_with_deleted_records_are_not_rebuilt(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        write(entry(), entry(), entry(created_at=NOON + timedelta(days=1)))
        UsageRecord.objects.filter(created_at__gt=NOON).delete()
        DailyUsage.objects.filter(day=DAY).update(pruned=True)
        UsageRecord.objects.first().delete()  # type: ignore[union-attr]
        before = list(DailyUsage.objects.values())
        call_command("native_totals", "--rebuild")
        assert list(DailyUsage.objects.values()) == before
        assert (
            capsys.readouterr().out.count("not rebuilt, because records of this day were deleted")
            == 2
        )


COUNT, BATCHES = 60 * LOAD, 10 * LOAD
MAKE_WRONG = "UPDATE native_api_dailyusage SET requests = requests + 1, cost_units = 5"
RECORDS = "SELECT count(*), sum(prompt_tokens) FROM native_api_usagerecord"
TOTALS = "SELECT sum(requests), sum(prompt_tokens) FROM native_api_dailyusage"


def test_processes_that_record_in_parallel_count_every_record(deployment: Deployment) -> None:
    children = [deployment.child() for _ in range(4)]
    for child in children:
        for model in ("a", "b", "c", "d"):
            child.send(
                "record", count=COUNT, model=model, prompt_tokens=3, cost="1234.123456789012"
            )
    for child in children:
        assert all(len(child.receive()) == COUNT for _ in range(4))
        child.ask("flush", timeout=60)
    deployment.catch_up()
    assert deployment.query(RECORDS) == deployment.query(TOTALS) == [(16 * COUNT, 48 * COUNT)]
    manage(deployment.environment, "native_totals")
    costs = deployment.query("SELECT sum(cost_units) FROM native_api_dailyusage GROUP BY model")
    assert costs == [(4 * COUNT * 1_234_123_456_789_012,)] * 4


def test_a_rebuild_while_others_record_counts_every_record_once(
    deployment: Deployment,
) -> None:
    children = [deployment.child() for _ in range(2)]
    for child in children:
        assert child.ask("record", count=100)
        child.ask("flush", timeout=60)
        for _ in range(BATCHES):
            child.send("record", count=100, prompt_tokens=3)
    for _ in range(3):
        deployment.query(MAKE_WRONG)
        manage(deployment.environment, "native_totals", "--rebuild")
    for child in children:
        assert all(len(child.receive()) == 100 for _ in range(BATCHES))
        child.ask("flush", timeout=60)
    deployment.catch_up()
    assert (
        deployment.query(RECORDS)
        == deployment.query(TOTALS)
        == [(200 + 200 * BATCHES, 600 * BATCHES)]
    )
    manage(deployment.environment, "native_totals")


ADD_RECORD = """INSERT INTO native_api_usagerecord
    SELECT (json_populate_record(record, '{"id": "01900000-0000-7000-8000-000000000001"}')).*
    FROM native_api_usagerecord AS record"""
COUNT_RECORD = """UPDATE native_api_dailyusage
    SET requests = requests + 1, prompt_tokens = prompt_tokens + 3, unpriced = unpriced + 1"""
WAITING_FOR_LOCK = (
    "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
)


@pytest.mark.parametrize("counted_before", [True, False])
def test_a_rebuild_during_a_batch_waits_for_it_or_leaves_it_out(
    postgres: Deployment, counted_before: bool
) -> None:
    """The statements of a recorder's transaction, with the rebuild between them."""
    child = postgres.child()
    child.ask("record", prompt_tokens=3)
    child.ask("flush", timeout=60)
    postgres.query(MAKE_WRONG)
    with psycopg.connect(postgres.url) as batch:
        batch.execute(ADD_RECORD)
        if counted_before:
            batch.execute(COUNT_RECORD)
        rebuild = start_python(["-m", "django", "native_totals", "--rebuild"], postgres.environment)
        until(
            lambda: rebuild.poll() is not None or postgres.query(WAITING_FOR_LOCK),
            "the rebuild to wait or end",
            30,
        )
        if not counted_before:
            assert rebuild.wait(60) == 0
            batch.execute(COUNT_RECORD)
    assert rebuild.wait(60) == 0
    assert postgres.query(RECORDS) == postgres.query(TOTALS) == [(2, 6)]
    manage(postgres.environment, "native_totals")


LOCK_TIMEOUTS = {
    "postgresql": "SET lock_timeout = '100ms'",
    "mysql": "SET innodb_lock_wait_timeout = 1",
}


@pytest.mark.usefixtures("transactional_db")
@pytest.mark.parametrize("is_empty", [True, False])
def test_nobody_else_can_add_to_a_locked_day(is_empty: bool) -> None:
    if connection.vendor not in LOCK_TIMEOUTS:
        pytest.skip("SQLite locks the whole database.")
    if not is_empty:
        write(entry())

    def add() -> None:
        try:
            with connection.cursor() as cursor:
                cursor.execute(LOCK_TIMEOUTS[connection.vendor])
            totals_module.add([entry(model="other")], "default")
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as others, reconcile.locked_day(DAY, "default"):
        error = others.submit(add).exception()
    assert isinstance(error, OperationalError)


@pytest.mark.usefixtures("transactional_db")
def test_a_day_is_compared_within_a_transaction_too() -> None:
    write(entry())
    with transaction.atomic():
        DailyUsage.objects.update(requests=2)
        assert not reconcile.compare(DAY, "default").agrees
