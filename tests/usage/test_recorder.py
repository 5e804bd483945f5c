"""The recorder in processes that are killed, forked, run in parallel or lose their database."""

from __future__ import annotations

import json
import os
import signal
import stat
from collections import Counter

import pytest

from tests.servers import until
from tests.usage.conftest import Child, Deployment, refusing_connections, session_count


def kill_after(child: Child, at_least: int) -> list[str]:
    """Kill the child when it has written so many ids. Returns all ids that it has written.

    A torn last line does not count.
    """
    received = [child.receive() for _ in range(at_least)]
    *lines, _torn = child.kill().split("\n")
    return received + [json.loads(line) for line in lines]


@pytest.mark.parametrize("after", [1, 300, 3000])
def test_a_killed_process_loses_and_duplicates_no_records(
    deployment: Deployment, after: int
) -> None:
    child = deployment.child()
    child.send("record_endlessly", threads=4)
    ids = kill_after(child, after)

    assert deployment.catch_up()["backlog"] == 0

    written = Counter(deployment.ids())
    assert set(ids) <= set(written)
    assert set(written.values()) == {1}
    # Each thread may have been killed after recording and before writing the id.
    assert len(written) - len(ids) <= 4
    assert not deployment.files()


def test_a_process_killed_while_catching_up_leaves_the_rest_to_the_next(
    deployment: Deployment,
) -> None:
    first = deployment.child()
    first.send("record_endlessly", threads=2)
    ids = kill_after(first, 5000)
    second = deployment.child()
    second.send("start_and_flush", timeout=60)
    until(lambda: len(deployment.ids()) > 1000, "the second process to write")
    second.kill()

    deployment.catch_up()

    assert Counter(deployment.ids()).most_common(1)[0][1] == 1
    assert set(ids) <= set(deployment.ids())


def test_a_normal_exit_writes_everything_and_leaves_no_file(deployment: Deployment) -> None:
    child = deployment.child()
    ids = child.ask("record", count=700)
    child.stop()
    assert deployment.ids() == sorted(ids)
    assert not deployment.files()


def test_recording_works_after_stop(deployment: Deployment) -> None:
    child = deployment.child()
    ids = child.ask("record", count=3)
    assert child.ask("stop") is True
    ids += child.ask("record", count=3)
    assert child.ask("flush", timeout=60) is True
    assert deployment.ids() == sorted(ids)


def test_records_are_written_without_a_flush(deployment: Deployment) -> None:
    child = deployment.child()
    ids = child.ask("record", count=5)
    until(lambda: deployment.ids() == sorted(ids), "the records")


def test_processes_adopting_in_parallel_write_every_record_once(deployment: Deployment) -> None:
    ids: list[str] = []
    for _ in range(3):
        killed = deployment.child()
        killed.send("record_endlessly", threads=2)
        ids += kill_after(killed, 800)
    adopting = [deployment.child() for _ in range(3)]
    for child in adopting:
        child.send("start_and_flush", timeout=60)
    assert [child.receive() for child in adopting] == [True] * 3
    for child in adopting:
        child.stop()

    written = Counter(deployment.ids())
    assert set(ids) <= set(written)
    assert set(written.values()) == {1}
    assert not deployment.files()


def test_the_journal_of_a_living_process_is_left_alone(deployment: Deployment) -> None:
    deployment.query("ALTER TABLE native_api_usagerecord RENAME TO elsewhere")
    living = deployment.child()
    living.ask("record", count=3)
    [file] = deployment.files()
    other = deployment.child()
    assert other.ask("start_and_flush", timeout=60) is True
    assert deployment.files() == [file]
    deployment.query("ALTER TABLE elsewhere RENAME TO native_api_usagerecord")


def test_every_process_of_a_preforking_server_records(deployment: Deployment) -> None:
    child = deployment.child()
    ids = child.ask("prefork", children=3, count=50)
    child.kill()
    deployment.catch_up()
    assert len(ids) == 6 * 50
    assert deployment.ids() == sorted(ids)


def test_an_orphaned_child_does_not_lock_the_records_of_its_killed_parent(
    postgres: Deployment,
) -> None:
    parent = postgres.child()
    with refusing_connections(postgres.url):
        ids = parent.ask("record", count=3)
        orphan = parent.ask("fork_idle_child")
        parent.kill()
    try:
        postgres.catch_up()
        assert postgres.ids() == sorted(ids)
    finally:
        os.kill(orphan, signal.SIGKILL)


def test_a_missing_table_delays_records_and_is_reported(deployment: Deployment) -> None:
    deployment.query("ALTER TABLE native_api_usagerecord RENAME TO elsewhere")
    child = deployment.child()
    ids = child.ask("record", count=1200)
    health = until(
        lambda: (report := child.ask("health"))["error"] and report, "the outage to be noticed"
    )
    assert health["backlog"] == 1200
    assert health["oldest_seconds"] > 0
    assert health["writable"] is True
    assert health["error"] in ("OperationalError", "ProgrammingError")

    deployment.query("ALTER TABLE elsewhere RENAME TO native_api_usagerecord")
    assert child.ask("flush", timeout=60) is True
    assert child.ask("health") == {
        "backlog": 0,
        "oldest_seconds": 0.0,
        "writable": True,
        "error": None,
        "rejected": 0,
    }
    assert deployment.ids() == sorted(ids)
    # One log line at the beginning, one at the end.
    assert child.stop().count('"logger":"native_api.usage"') == 2


def test_losing_the_database_under_load_only_delays_records(
    postgres: Deployment,
) -> None:
    child = postgres.child()
    child.send("record_endlessly", threads=2, limit=4000)
    ids = [child.receive() for _ in range(1000)]
    with refusing_connections(postgres.url):
        ids += [child.receive() for _ in range(7000)]
    assert child.receive() is None
    assert child.ask("flush", timeout=60) is True
    assert postgres.ids() == sorted(ids)


def test_an_exit_during_an_outage_leaves_the_records_to_the_next_start(
    postgres: Deployment,
) -> None:
    child = postgres.child()
    with refusing_connections(postgres.url):
        ids = child.ask("record", count=10)
        child.stop()
    assert postgres.ids() == []
    postgres.catch_up()
    assert postgres.ids() == sorted(ids)


def test_a_record_that_the_database_rejects_is_kept_in_a_file_and_others_are_written(
    deployment: Deployment,
) -> None:
    child = deployment.child()
    good = child.ask("record", count=100)
    [bad] = child.ask("record", request_id="the-bad-one", prompt_tokens=-1)
    good += child.ask("record", count=100)
    assert child.ask("flush", timeout=60) is True
    health = child.ask("health")
    assert (health["backlog"], health["rejected"], health["error"]) == (0, 1, None)
    log = child.stop()

    assert deployment.ids() == sorted(good)
    [rejected] = deployment.files("rejected")
    assert json.loads(json.loads(rejected.read_text())["record"])["id"].replace("-", "") == bad
    assert '"request_id":"the-bad-one"' in log
    assert stat.S_IMODE(rejected.stat().st_mode) == 0o600


def test_texts_that_do_not_fit_a_column_are_changed(deployment: Deployment) -> None:
    child = deployment.child()
    child.ask(
        "record", model="m" * 5000, request_id="a\0b", metadata={"k\0": "v\0", "half": "\ud800"}
    )
    assert child.ask("flush", timeout=60) is True
    assert child.ask("health")["rejected"] == 0
    [(model, request_id)] = deployment.query("SELECT model, request_id FROM native_api_usagerecord")
    assert model == "m" * 199 + "…"
    assert request_id == "a\ufffdb"


def test_deleted_users_and_keys_become_null_and_their_names_stay(
    deployment: Deployment,
) -> None:
    child = deployment.child()
    user, key = child.ask("make_caller")
    child.ask("record", user_id=user, user_name="alice", api_key_id=key, api_key_name="k")
    child.ask(
        "record", user_id=user + 1000, user_name="bob", api_key_id=key + 1000, api_key_name="lost"
    )
    assert child.ask("flush", timeout=60) is True
    rows = deployment.query(
        "SELECT user_id, user_name, api_key_id, api_key_name FROM native_api_usagerecord "
        "ORDER BY user_name"
    )
    assert [tuple(row) for row in rows] == [(user, "alice", key, "k"), (None, "bob", None, "lost")]


def test_the_use_of_a_key_is_written_at_most_once_a_minute(deployment: Deployment) -> None:
    child = deployment.child()
    _user, key = child.ask("make_caller")
    child.ask("use_key", key_id=key, times=100)
    assert child.ask("flush", timeout=60) is True
    [(first,)] = deployment.query("SELECT last_used_at FROM native_api_apikey")
    assert first is not None
    other = deployment.child()
    other.ask("use_key", key_id=key, times=1)
    assert other.ask("flush", timeout=60) is True
    assert deployment.query("SELECT last_used_at FROM native_api_apikey") == [(first,)]


def test_a_full_disk_is_reported_and_loses_nothing(postgres: Deployment) -> None:
    child = postgres.child()
    with refusing_connections(postgres.url):
        child.ask("limit_file_size", size=2000)
        ids = child.ask("record", count=50)
        health = child.ask("health")
        assert health["writable"] is False
        assert health["backlog"] == 50
    assert child.ask("flush", timeout=60) is True
    assert postgres.ids() == sorted(ids)


def test_other_users_cannot_read_the_journal(deployment: Deployment) -> None:
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
    until(lambda: session_count(postgres.url) == 0, "the connection to be closed")
