"""The totals of each day: equal to the sums over the records to the last digit, whoever writes and
whatever fails."""

from __future__ import annotations

import random
import subprocess
import sys
from collections import OrderedDict
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command

from native_api.models import ApiKey, DailyUsage, UsageRecord
from native_api.types.model_names import Named
from native_api.usage import reconcile, totals_names, totals_rows, writer
from native_api.usage import totals as totals_module
from native_api.usage.entry import UsageEntry
from native_api.usage.totals_names import UNKNOWN_MODEL, name_in_totals
from native_api.usage.totals_rows import TOKEN_FIELDS
from tests.servers import ROOT, manage, until
from tests.usage.conftest import Deployment

DAY = date(2026, 3, 4)
NOON = datetime(2026, 3, 4, 18, tzinfo=UTC)


@pytest.fixture
def database(transactional_db: None) -> None:
    """With transactions that are real."""


def write(*entries: UsageEntry, may_be_written: bool = False) -> None:
    assert not writer.write(entries, "default", may_be_written=may_be_written)


def entry(**values: Any) -> UsageEntry:
    return UsageEntry(**{"model": "m", "provider": "p", "created_at": NOON, **values})


def any_entry() -> UsageEntry:
    chance = random.choice
    counts = {name: random.randrange(10**6) for name in TOKEN_FIELDS}
    cost = chance([None, Decimal(random.randrange(10**16)).scaleb(-12)])
    groups = {
        "model": chance("abc"),
        "provider": chance(["", "p"]),
        "status": chance(["ok", "error"]),
        "user_name": chance("xy"),
    }
    return entry(**groups, **counts, cost=cost)


def sums_of_records() -> dict[tuple[str, ...], list[Any]]:
    """Made in the plainest way there is."""
    sums: dict[tuple[str, ...], list[Any]] = {}
    for record in UsageRecord.objects.all():
        group = sums.setdefault(
            (record.user_name, record.provider, record.model, record.status),
            [0, Decimal(0), 0, *[0] * len(TOKEN_FIELDS)],
        )
        unpriced = record.cost is None and record.provider != ""
        for index, value in enumerate(
            [1, record.cost or 0, unpriced, *(getattr(record, name) for name in TOKEN_FIELDS)]
        ):
            group[index] += value
    return sums


def totals() -> dict[tuple[str, ...], list[Any]]:
    return {
        (row.user_name, row.provider, row.model, row.status): [
            row.requests,
            row.cost,
            row.unpriced,
            *(getattr(row, name) for name in TOKEN_FIELDS),
        ]
        for row in DailyUsage.objects.all()
    }


@pytest.mark.usefixtures("database")
class TestSums:
    def test_they_equal_those_of_the_records(self) -> None:
        for _ in range(5):
            write(*(any_entry() for _ in range(100)))
        assert totals() == sums_of_records()

    def test_a_cost_is_kept_to_its_last_digit(self) -> None:
        cost = Decimal("1234567.123456789012")
        write(entry(cost=cost), entry(cost=cost), entry(cost=Decimal("0.000000000001")))
        assert sorted(UsageRecord.objects.values_list("cost", flat=True)) == [
            Decimal("0.000000000001"),
            cost,
            cost,
        ]
        assert DailyUsage.objects.get().cost == Decimal("2469134.246913578025")

    def test_a_finer_cost_is_rounded_once(self) -> None:
        write(
            *(entry(cost=Decimal("0.0000000000005")) for _ in range(4)),
            *(entry(cost=Decimal("0.0000000000015")) for _ in range(2)),
        )
        assert (
            DailyUsage.objects.get().cost
            == sum(UsageRecord.objects.values_list("cost", flat=True))
            == Decimal("4e-12")
        )

    def test_databases_without_upsert_get_the_same(self) -> None:
        write(*(any_entry() for _ in range(50)))
        expected = totals()
        DailyUsage.objects.all().delete()
        for half in (
            UsageRecord.objects.order_by("id")[:20],
            UsageRecord.objects.order_by("id")[20:],
        ):
            for row in totals_rows.to_rows(totals_module.sum_by_group(half)):
                totals_rows._add_one(row, "default")
        assert totals() == expected

    def test_every_user_and_key_has_totals_of_its_own_which_outlive_it(self) -> None:
        users = [get_user_model().objects.create(username=name) for name in ("alice", "bob")]
        key = ApiKey.objects.create(owner=users[0], name="k", prefix="nk_a", digest="0" * 64)
        write(
            entry(user_id=users[0].pk, user_name="alice", api_key_id=key.pk, api_key_name="k"),
            entry(user_id=users[1].pk),
            entry(),
        )
        expected = {(str(users[0].pk), key.pk), (str(users[1].pk), None), ("", None)}
        for user in users:
            user.delete()
        assert set(DailyUsage.objects.values_list("user_id", "api_key_id")) == expected

    def test_many_groups_in_one_batch(self) -> None:
        write(*(entry(model=f"m{number}") for number in range(600)))
        assert DailyUsage.objects.filter(requests=1).count() == 600


@pytest.mark.usefixtures("database")
class TestTrouble:
    def test_a_batch_that_is_tried_again_counts_once(self) -> None:
        def fails(entries: Sequence[UsageEntry], alias: str) -> None:
            raise ValueError

        one = entry(prompt_tokens=3)
        writer.insert_hooks.append(fails)
        try:
            with pytest.raises(writer.HookFailed):
                write(one)
        finally:
            writer.insert_hooks.remove(fails)
        assert not DailyUsage.objects.exists()
        write(one, may_be_written=True)
        write(one, may_be_written=True)
        assert DailyUsage.objects.get().prompt_tokens == 3

    def test_records_that_are_refused_do_not_count(self) -> None:
        refused = [entry(cost=Decimal("NaN")), entry(cost=Decimal(10**12)), entry(latency_ms=-1)]
        assert len(writer.write([entry(), *refused], "default", may_be_written=False)) == 3
        assert DailyUsage.objects.get().requests == 1

    @pytest.mark.parametrize(
        "odd",
        [
            {"model": "m" * 1000, "user_name": "u" * 1000},
            {"prompt_tokens": 2**63 - 1},
            {"prompt_tokens": "7"},
            {"cost": Decimal("999999999999.999999999999")},
            {"cost": Decimal("-999999999999")},
            {"created_at": datetime(1, 1, 1, tzinfo=UTC)},
        ],
    )
    def test_no_record_that_the_database_takes_is_too_much(self, odd: dict[str, Any]) -> None:
        for _ in range(3):
            write(entry(**odd), entry(**odd))
        assert DailyUsage.objects.get().requests == UsageRecord.objects.count() == 6


@pytest.mark.usefixtures("database")
class TestDays:
    def test_they_are_those_of_the_site(self, settings: Any) -> None:
        settings.TIME_ZONE = "Pacific/Auckland"
        write(
            entry(created_at=datetime(2026, 7, 1, 11, 59, 59, 999999, UTC)),
            entry(created_at=datetime(2026, 7, 1, 12, tzinfo=UTC)),
        )
        assert sorted(DailyUsage.objects.values_list("day", flat=True)) == [
            date(2026, 7, 1),
            date(2026, 7, 2),
        ]

    @pytest.mark.parametrize(
        ("day", "begins", "hours"),
        [
            (date(2026, 3, 29), datetime(2026, 3, 28, 23, tzinfo=UTC), 23),
            (date(2026, 10, 25), datetime(2026, 10, 24, 22, tzinfo=UTC), 25),
        ],
    )
    def test_when_clocks_change_they_are_shorter_or_longer(
        self, settings: Any, day: date, begins: datetime, hours: int
    ) -> None:
        settings.TIME_ZONE = "Europe/Berlin"
        moments = [begins + timedelta(minutes=30 * number) for number in range(hours * 2)]
        outside = [begins - timedelta(microseconds=1), begins + timedelta(hours=hours)]
        write(*(entry(created_at=moment) for moment in moments + outside))
        assert DailyUsage.objects.get(day=day).requests == len(moments)
        assert all(
            reconcile.compare(each, "default").agrees
            for each in reconcile.days_with_usage("default")
        )
        assert len(reconcile.days_with_usage("default")) == 3


@pytest.mark.usefixtures("database")
class TestCommand:
    def test_it_says_which_days_differ(self, capsys: pytest.CaptureFixture[str]) -> None:
        write(entry(), entry(created_at=NOON + timedelta(days=1)))
        call_command("native_totals")
        DailyUsage.objects.filter(day=DAY).update(cost_units=1)
        with pytest.raises(CommandError, match="1 of 2 days"):
            call_command("native_totals")
        assert "2026-03-04: the totals have 1 requests" in capsys.readouterr().out
        call_command("native_totals", "--since", "2026-03-05")
        with pytest.raises(CommandError, match="1 of 1 days"):
            call_command("native_totals", "--day", "2026-03-04")

    @pytest.mark.parametrize("wrong", ["missing", "too_much", "another"])
    def test_a_rebuild_makes_them_right(self, wrong: str) -> None:
        write(*(any_entry() for _ in range(50)), entry(created_at=NOON + timedelta(days=1)))
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

    def test_a_rebuild_knows_users_and_keys_that_are_gone(self) -> None:
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

    def test_days_with_deleted_records_are_kept(self, capsys: pytest.CaptureFixture[str]) -> None:
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


CHANGES = "UPDATE native_api_dailyusage SET requests = requests + 1, cost_units = 5"
RECORDS = "SELECT count(*), sum(prompt_tokens) FROM native_api_usagerecord"
TOTALS = "SELECT sum(requests), sum(prompt_tokens) FROM native_api_dailyusage"


def test_many_processes_at_once(deployment: Deployment) -> None:
    children = [deployment.child() for _ in range(4)]
    for child in children:
        for model in ("a", "b", "c", "d"):
            child.tell("record", count=250, model=model, prompt_tokens=3, cost="1234.123456789012")
    for child in children:
        assert all(len(child.hear()) == 250 for _ in range(4))
        child.ask("flush", timeout=60)
    deployment.catch_up()
    assert deployment.query(RECORDS) == deployment.query(TOTALS) == [(4000, 12000)]
    manage(deployment.environment, "native_totals")
    costs = deployment.query("SELECT sum(cost_units) FROM native_api_dailyusage GROUP BY model")
    assert costs == [(1_234_123_456_789_012_000,)] * 4


def test_a_rebuild_while_others_record_loses_nothing_and_counts_nothing_twice(
    deployment: Deployment,
) -> None:
    children = [deployment.child() for _ in range(2)]
    for child in children:
        assert child.ask("record", count=100)
        child.ask("flush", timeout=60)
        for _ in range(30):
            child.tell("record", count=100, prompt_tokens=3)
    for _ in range(3):
        deployment.query(CHANGES)
        manage(deployment.environment, "native_totals", "--rebuild")
    for child in children:
        assert all(len(child.hear()) == 100 for _ in range(30))
        child.ask("flush", timeout=60)
    deployment.catch_up()
    assert deployment.query(RECORDS) == deployment.query(TOTALS) == [(6200, 18000)]
    manage(deployment.environment, "native_totals")


RECORDS_ONE_MORE = """INSERT INTO native_api_usagerecord
    SELECT (json_populate_record(record, '{"id": "01900000-0000-7000-8000-000000000001"}')).* FROM native_api_usagerecord AS record"""
COUNTS_ONE_MORE = "UPDATE native_api_dailyusage SET requests = requests + 1, prompt_tokens = prompt_tokens + 3, unpriced = unpriced + 1"
WAITING = (
    "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
)


@pytest.mark.parametrize("counted_before", [True, False])
def test_a_rebuild_in_the_midst_of_a_batch_waits_for_it_or_leaves_it_out(
    postgres: Deployment, counted_before: bool
) -> None:
    """What a recorder does in one transaction, done by hand so that the rebuild comes in
    between."""
    child = postgres.child()
    child.ask("record", prompt_tokens=3)
    child.ask("flush", timeout=60)
    postgres.query(CHANGES)
    with psycopg.connect(postgres.url) as batch:
        batch.execute(RECORDS_ONE_MORE)
        if counted_before:
            batch.execute(COUNTS_ONE_MORE)
        rebuild = subprocess.Popen(
            [sys.executable, "-m", "django", "native_totals", "--rebuild"],
            env=postgres.environment,
            cwd=ROOT,
        )
        until(
            lambda: rebuild.poll() is not None or postgres.query(WAITING),
            "the rebuild to wait or end",
            30,
        )
        if not counted_before:
            assert rebuild.wait(30) == 0
            batch.execute(COUNTS_ONE_MORE)
    assert rebuild.wait(30) == 0
    assert postgres.query(RECORDS) == postgres.query(TOTALS) == [(2, 6)]
    manage(postgres.environment, "native_totals")


@pytest.mark.usefixtures("database")
class TestNames:
    """Rows are as many as models that are known or answered, not as names that callers write."""

    def test_a_record_counts_under_the_name_that_it_tells(self) -> None:
        write(
            *(
                entry(
                    model=f"made-up-{number}",
                    counted_as=UNKNOWN_MODEL,
                    provider="",
                    status="refused",
                )
                for number in range(30)
            ),
            entry(),
        )
        assert dict(DailyUsage.objects.values_list("model", "requests")) == {
            UNKNOWN_MODEL: 30,
            "m": 1,
        }
        assert UsageRecord.objects.values("model").distinct().count() == 31

    def test_a_providers_model_is_one_in_every_spelling(self) -> None:
        write(
            *(
                entry(provider_model=name)
                for name in (
                    "llama3",
                    "LLAMA3",
                    "library/llama3",
                    "llama3:latest",
                    "models/" + "x" * 300,
                )
            )
        )
        assert sorted(DailyUsage.objects.values_list("provider_model", "requests"))[0] == (
            "llama3",
            4,
        )
        call_command("native_totals")

    @pytest.mark.parametrize(
        ("told", "kept"),
        [
            ({"status": "ok"}, "x"),
            ({"status": "upstream_error"}, ""),
            ({"status": "client_closed"}, ""),
            ({"status": "client_closed", "completion_tokens": 1}, "x"),
            ({"status": "upstream_error", "completion_tokens": 1}, "x"),
            ({"status": "client_closed", "error_code": "hedged"}, "x"),
            ({"status": "ok", "counted_as": UNKNOWN_MODEL}, ""),
        ],
    )
    def test_a_providers_model_that_may_be_made_up_has_no_row(
        self, told: dict[str, Any], kept: str
    ) -> None:
        write(entry(provider_model="x", **told))
        assert DailyUsage.objects.get().provider_model == kept
        call_command("native_totals")

    def test_names_are_the_same_when_totals_are_made_anew(self) -> None:
        chance = random.Random(7)
        names = [
            f"{prefix}x{number}" for prefix in ("", "models/", "LIBRARY/") for number in range(5)
        ]
        statuses = ("ok", "refused", "upstream_error", "client_closed")
        told = [
            (
                chance.choice(names),
                chance.choice(["", UNKNOWN_MODEL, "p/x"]),
                chance.choice(statuses),
            )
            for _ in range(200)
        ]
        write(
            *(
                entry(model=name, provider_model=name, counted_as=counted, status=status)
                for name, counted, status in told
            )
        )
        before = list(DailyUsage.objects.order_by("id").values())
        DailyUsage.objects.update(requests=0)
        call_command("native_totals", "--rebuild")
        assert list(DailyUsage.objects.order_by("id").values()) == before


# --- which name a call tells ---------------------------------------------------------------------------------------


@pytest.fixture
def no_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(totals_names, "_answered_names", OrderedDict())


def direct(model: str) -> Named:
    return Named(f"p/{model}", "p", model)


@pytest.mark.usefixtures("no_names")
class TestDailyName:
    def test_a_route_has_its_own(self) -> None:
        assert name_in_totals(Named("fast"), None, 1, 1) == "fast"

    def test_what_nobody_knows_has_none(self) -> None:
        assert name_in_totals(Named("x", is_known=False), None, 1, 1) == UNKNOWN_MODEL
        assert name_in_totals(None, None, 1, 1) == UNKNOWN_MODEL

    def test_a_providers_model_has_one_from_its_first_answer_of_the_day(self) -> None:
        assert name_in_totals(direct("x"), None, 1, 1) == UNKNOWN_MODEL
        assert name_in_totals(direct("models/X"), direct("models/X"), 1, 1) == "p/x"
        assert name_in_totals(direct("x"), None, 1, 1) == "p/x"
        assert name_in_totals(direct("x"), None, 1, 2) == UNKNOWN_MODEL
        assert name_in_totals(direct("x"), None, 2, 1) == UNKNOWN_MODEL

    def test_a_server_that_answers_to_every_name_makes_a_bounded_number(self) -> None:
        names = [
            name_in_totals(direct(f"x{number}"), direct(f"x{number}"), 1, 1)
            for number in range(1000)
        ]
        assert len(set(names)) == totals_names.MAX_NAMES_PER_CALLER + 1
        assert set(names[totals_names.MAX_NAMES_PER_CALLER :]) == {UNKNOWN_MODEL}
        assert name_in_totals(direct("real"), direct("real"), 2, 1) == "p/real"

    def test_neither_does_it_as_a_fallback(self) -> None:
        names = [
            name_in_totals(Named("fast"), direct(f"x{number}"), 1, 1) for number in range(1000)
        ]
        assert names == ["fast"] * totals_names.MAX_NAMES_PER_CALLER + [UNKNOWN_MODEL] * (
            1000 - totals_names.MAX_NAMES_PER_CALLER
        )

    def test_a_bounded_number_of_callers_is_remembered(self) -> None:
        for caller in range(totals_names.MAX_CALLERS + 10):
            name_in_totals(direct("x"), direct("x"), caller, 1)
        assert len(totals_names._answered_names) == totals_names.MAX_CALLERS
