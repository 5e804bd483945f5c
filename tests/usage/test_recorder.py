"""The recorder in real processes that are killed, forked, cut off from their database and run side
by side."""

from __future__ import annotations

import json
import os
import signal
import stat
import time
from collections import Counter

import pytest

from tests.servers import until
from tests.usage.conftest import POSTGRES, Child, Deployment, ask_postgres, refusing_connections


def said_ids(child: Child, at_least: int) -> list[str]:
    """Kill the child once it has said so many ids; all that it had said by then. A torn last line
    was not said."""
    heard = [child.hear() for _ in range(at_least)]
    *lines, _torn = child.kill().split("\n")
    return heard + [json.loads(line) for line in lines]


@pytest.mark.parametrize("after", [1, 300, 3000])
def test_a_killed_process_loses_and_doubles_nothing_that_was_recorded(
    deployment: Deployment, after: int
) -> None:
    child = deployment.child()
    child.tell("storm", threads=4)
    said = said_ids(child, after)

    assert deployment.catch_up()["backlog"] == 0

    written = Counter(deployment.ids())
    assert set(said) <= set(written)
    assert set(written.values()) == {1}
    # Each thread may have been killed between recording and saying so.
    assert len(written) - len(said) <= 4
    assert not deployment.files()


def test_a_process_killed_while_it_catches_up_leaves_the_rest_to_the_next(
    deployment: Deployment,
) -> None:
    first = deployment.child()
    first.tell("storm", threads=2)
    said = said_ids(first, 5000)
    second = deployment.child()
    second.tell("start_and_flush", timeout=60)
    until(lambda: len(deployment.ids()) > 1000, "the second process to write")
    second.kill()

    deployment.catch_up()

    assert Counter(deployment.ids()).most_common(1)[0][1] == 1
    assert set(said) <= set(deployment.ids())


def test_an_ordinary_end_writes_everything_and_leaves_no_file(deployment: Deployment) -> None:
    child = deployment.child()
    ids = child.ask("record", count=700)
    child.leave()
    assert deployment.ids() == sorted(ids)
    assert not deployment.files()


def test_recording_goes_on_after_stop(deployment: Deployment) -> None:
    child = deployment.child()
    ids = child.ask("record", count=3)
    assert child.ask("stop") is True
    ids += child.ask("record", count=3)
    assert child.ask("flush", timeout=10) is True
    assert deployment.ids() == sorted(ids)


def test_records_are_written_without_being_asked_for(deployment: Deployment) -> None:
    child = deployment.child()
    ids = child.ask("record", count=5)
    until(lambda: deployment.ids() == sorted(ids), "the records")


def test_several_processes_adopting_at_once_write_every_record_once(deployment: Deployment) -> None:
    said: list[str] = []
    for _ in range(3):
        killed = deployment.child()
        killed.tell("storm", threads=2)
        said += said_ids(killed, 800)
    adopting = [deployment.child() for _ in range(3)]
    for child in adopting:
        child.tell("start_and_flush", timeout=60)
    assert [child.hear() for child in adopting] == [True] * 3
    for child in adopting:
        child.leave()

    written = Counter(deployment.ids())
    assert set(said) <= set(written)
    assert set(written.values()) == {1}
    assert not deployment.files()


def test_the_journal_of_a_living_process_is_left_alone(deployment: Deployment) -> None:
    deployment.query("ALTER TABLE native_api_usagerecord RENAME TO elsewhere")
    living = deployment.child()
    living.ask("record", count=3)
    [file] = deployment.files()
    other = deployment.child()
    assert other.ask("start_and_flush", timeout=2) is True
    assert deployment.files() == [file]
    deployment.query("ALTER TABLE elsewhere RENAME TO native_api_usagerecord")


def test_a_preforking_server_records_in_every_process(deployment: Deployment) -> None:
    child = deployment.child()
    ids = child.ask("prefork", children=3, count=50)
    child.kill()
    deployment.catch_up()
    assert len(ids) == 6 * 50
    assert deployment.ids() == sorted(ids)


def test_a_child_that_lives_on_does_not_hold_the_records_of_its_killed_parent(
    postgres: Deployment,
) -> None:
    parent = postgres.child()
    with refusing_connections(postgres.url):
        ids = parent.ask("record", count=3)
        orphan = parent.ask("fork_one_that_stays")
        parent.kill()
    try:
        postgres.catch_up()
        assert postgres.ids() == sorted(ids)
    finally:
        os.kill(orphan, signal.SIGKILL)


def test_a_missing_table_delays_records_and_is_told(deployment: Deployment) -> None:
    deployment.query("ALTER TABLE native_api_usagerecord RENAME TO elsewhere")
    child = deployment.child()
    ids = child.ask("record", count=1200)
    told = until(
        lambda: (health := child.ask("health"))["error"] and health, "the outage to be noticed"
    )
    assert told["backlog"] == 1200
    assert told["oldest_seconds"] > 0
    assert told["writable"] is True
    assert told["error"] in ("OperationalError", "ProgrammingError")

    deployment.query("ALTER TABLE elsewhere RENAME TO native_api_usagerecord")
    assert child.ask("flush", timeout=20) is True
    assert child.ask("health") == {
        "backlog": 0,
        "oldest_seconds": 0.0,
        "writable": True,
        "error": None,
        "rejected": 0,
    }
    assert deployment.ids() == sorted(ids)
    # Once when it began, once when it was over.
    assert child.leave().count('"logger":"native_api.usage"') == 2


def test_a_database_that_goes_away_under_load_delays_records_and_no_more(
    postgres: Deployment,
) -> None:
    child = postgres.child()
    child.tell("storm", threads=2, limit=4000)
    said = [child.hear() for _ in range(1000)]
    with refusing_connections(postgres.url):
        said += [child.hear() for _ in range(7000)]
    assert child.hear() is None
    assert child.ask("flush", timeout=30) is True
    assert postgres.ids() == sorted(said)


def test_ending_during_an_outage_leaves_the_records_to_the_next_start(postgres: Deployment) -> None:
    child = postgres.child()
    with refusing_connections(postgres.url):
        ids = child.ask("record", count=10)
        began = time.monotonic()
        child.leave()
        assert time.monotonic() - began < 8
    assert postgres.ids() == []
    postgres.catch_up()
    assert postgres.ids() == sorted(ids)


def test_a_record_that_the_database_refuses_is_put_aside_and_the_others_are_written(
    deployment: Deployment,
) -> None:
    child = deployment.child()
    good = child.ask("record", count=100)
    [bad] = child.ask("record", request_id="the-bad-one", prompt_tokens=-1)
    good += child.ask("record", count=100)
    assert child.ask("flush", timeout=20) is True
    health = child.ask("health")
    assert (health["backlog"], health["rejected"], health["error"]) == (0, 1, None)
    log = child.leave()

    assert deployment.ids() == sorted(good)
    [rejected] = deployment.files("rejected")
    assert json.loads(json.loads(rejected.read_text())["record"])["id"].replace("-", "") == bad
    assert '"request_id":"the-bad-one"' in log
    assert stat.S_IMODE(rejected.stat().st_mode) == 0o600


def test_texts_that_a_column_cannot_hold_are_made_to_fit(deployment: Deployment) -> None:
    child = deployment.child()
    child.ask(
        "record", model="m" * 5000, request_id="a\0b", metadata={"k\0": "v\0", "half": "\ud800"}
    )
    assert child.ask("flush", timeout=20) is True
    assert child.ask("health")["rejected"] == 0
    [(model, request_id)] = deployment.query("SELECT model, request_id FROM native_api_usagerecord")
    assert model == "m" * 199 + "…"
    assert request_id == "a\ufffdb"


def test_a_user_and_key_that_are_gone_become_null_and_their_names_stay(
    deployment: Deployment,
) -> None:
    child = deployment.child()
    user, key = child.ask("make_caller")
    child.ask("record", user_id=user, user_name="alice", api_key_id=key, api_key_name="k")
    child.ask(
        "record", user_id=user + 1000, user_name="bob", api_key_id=key + 1000, api_key_name="lost"
    )
    assert child.ask("flush", timeout=20) is True
    rows = deployment.query(
        "SELECT user_id, user_name, api_key_id, api_key_name FROM native_api_usagerecord ORDER BY user_name"
    )
    assert [tuple(row) for row in rows] == [(user, "alice", key, "k"), (None, "bob", None, "lost")]


def test_the_use_of_a_key_is_written_at_most_once_a_minute(deployment: Deployment) -> None:
    child = deployment.child()
    _user, key = child.ask("make_caller")
    child.ask("touch", key_id=key, times=100)
    assert child.ask("flush", timeout=20) is True
    [(first,)] = deployment.query("SELECT last_used_at FROM native_api_apikey")
    assert first is not None
    other = deployment.child()
    other.ask("touch", key_id=key, times=1)
    assert other.ask("flush", timeout=20) is True
    assert deployment.query("SELECT last_used_at FROM native_api_apikey") == [(first,)]


def test_a_full_disk_is_told_and_loses_nothing(postgres: Deployment) -> None:
    child = postgres.child()
    with refusing_connections(postgres.url):
        child.ask("limit_file_size", size=2000)
        ids = child.ask("record", count=50)
        told = child.ask("health")
        assert told["writable"] is False
        assert told["backlog"] == 50
    assert child.ask("flush", timeout=20) is True
    assert postgres.ids() == sorted(ids)


def test_nobody_else_can_read_the_journal(deployment: Deployment) -> None:
    deployment.query("ALTER TABLE native_api_usagerecord RENAME TO elsewhere")
    child = deployment.child()
    child.ask("record")
    [file] = deployment.files()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(deployment.journal.stat().st_mode) == 0o700
    deployment.query("ALTER TABLE elsewhere RENAME TO native_api_usagerecord")


def test_an_idle_process_holds_no_connection(postgres: Deployment) -> None:
    child = postgres.child()
    ids = child.ask("record", count=3)
    until(lambda: postgres.ids() == sorted(ids), "the records")
    name = postgres.url.rpartition("/")[2]
    count = f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{name}'"
    until(lambda: ask_postgres(POSTGRES, count) == [(0,)], "the connection to be closed")
