"""How kept responses are stored: encrypted with the site's keys, within bounds, and never at the cost
of a reply."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.core.management import call_command
from django.db import DataError, OperationalError
from django.db.models.signals import post_delete

from native_api.background import executors
from native_api.exceptions import DatabaseUnavailable, InvalidRequest, NotFound
from native_api.gateway import keeping, kept_content, kept_responses, kept_rows
from native_api.inbound.json_structure import count_structure
from native_api.models import KeptResponse
from native_api.types import Caller
from tests.gateway.kept import (
    SECRET_WORDS,
    asks,
    keep,
    load,
    response,
    run,
    says,
    set_responses,
)
from tests.waiting import HANG_SECONDS, auntil, until

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("keeping_site"),
]


def test_no_row_is_decrypted_for_an_item_once_there_were_enough_bytes() -> None:
    def read_rows() -> Iterator[tuple[UUID, bytes]]:
        for number in (1, 2):
            row = UUID(int=number)
            text = kept_content.encode_turn(kept_content.make_turn([asks("a" * 1000)], []))
            yield row, kept_content.encrypt(row, text)
        pytest.fail("a third row was read")

    rows: Any = read_rows()
    assert kept_responses._find_items(rows, ["msg_1"], 1500) == {}


class TestEncryption:
    def test_neither_the_tables_nor_a_dump_nor_the_journal_nor_the_log_have_the_words(
        self, alice: Caller, caplog: pytest.LogCaptureFixture, settings: Any, tmp_path: Path
    ) -> None:
        caplog.set_level(logging.DEBUG)
        settings.NATIVE_API = {**settings.NATIVE_API, "JOURNAL_DIR": str(tmp_path)}
        keep(alice, "resp_1", SECRET_WORDS, SECRET_WORDS)
        load(alice, "resp_1")
        row = KeptResponse.objects.get()
        assert SECRET_WORDS.encode() not in bytes(row.items) + bytes(row.response)
        dump = StringIO()
        call_command("dumpdata", "native_api", stdout=dump)
        assert "resp_1" in dump.getvalue()
        assert "cheese" not in dump.getvalue()
        assert "cheese" not in caplog.text
        assert not list(tmp_path.iterdir())

    def test_a_dump_can_be_loaded(self, alice: Caller, tmp_path: Path) -> None:
        keep(alice, "resp_1", "one?", "one")
        dump = tmp_path / "dump.json"
        call_command("dumpdata", "auth.user", "native_api", output=str(dump))
        KeptResponse.objects.all().delete()
        call_command("loaddata", str(dump), verbosity=0)
        assert load(alice, "resp_1") == ["one?", "one"]
        assert len(run(kept_responses.load_items(alice, ["msg_1"]))) == 1

    def test_content_of_another_row_is_not_there(self, alice: Caller, bob: Caller) -> None:
        keep(alice, "resp_1", "one?", "one")
        keep(bob, "resp_1", "two?", "two")
        stolen = KeptResponse.objects.get(user=alice.user_id)
        KeptResponse.objects.filter(user=bob.user_id).update(
            items=stolen.items, response=stolen.response
        )
        with pytest.raises(NotFound):
            run(kept_responses.get(bob, "resp_1"))
        assert run(kept_responses.load_items(bob, ["msg_1"])) == {}

    def test_keys_can_be_rotated(
        self, alice: Caller, settings: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        def use(*keys: str) -> None:
            settings.NATIVE_API = {**settings.NATIVE_API, "SECRET_KEYS": list(keys)}

        use("old")
        keep(alice, "resp_1", "one?", "one")
        use("new", "old")
        keep(alice, "resp_2", "two?", "two", "resp_1")
        assert load(alice, "resp_2") == ["one?", "one", "two?", "two"]
        use("new")
        kept_content._interval.reset()
        assert_gone_for_good = pytest.raises(InvalidRequest, match="resp_2' not found")
        with assert_gone_for_good:
            load(alice, "resp_2")
        assert run(kept_responses.get(alice, "resp_2"))["id"] == "resp_2"
        assert caplog.text.count("cannot be read with this site's keys") == 1


class TestBounds:
    def test_more_turns_than_a_conversation_may_have(
        self, alice: Caller, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(kept_responses, "MAX_TURNS", 2)
        keep(alice, "resp_1", "one?", "one")
        keep(alice, "resp_2", "two?", "two", "resp_1")
        keep(alice, "resp_3", "three?", "three", "resp_2")
        assert len(load(alice, "resp_2")) == 4
        assert_too_long(lambda: load(alice, "resp_3"), "2 responses")

    def test_more_bytes_than_a_request_may_have(self, alice: Caller, settings: Any) -> None:
        settings.NATIVE_API = {**settings.NATIVE_API, "MAX_BODY_BYTES": 2000}
        keep(alice, "resp_1", "x" * 1500, "one")
        keep(alice, "resp_2", "y" * 500, "two", "resp_1")
        assert len(load(alice, "resp_1")) == 2
        assert_too_long(lambda: load(alice, "resp_2"), "2000 bytes")

    def test_more_values_than_a_request_may_have(self, alice: Caller, settings: Any) -> None:
        keep(alice, "resp_1", "one?", "one")
        turn = kept_content.make_turn([asks("one?")], [says("one")])
        values = count_structure(kept_content.encode_turn(turn)).values
        settings.NATIVE_API = {**settings.NATIVE_API, "MAX_JSON_VALUES": 2 * values}
        keep(alice, "resp_2", "two?", "two", "resp_1")
        keep(alice, "resp_3", "three?", "three", "resp_2")
        assert len(load(alice, "resp_2")) == 4
        assert_too_long(lambda: load(alice, "resp_3"), "JSON values")

    def test_a_response_that_is_too_large_is_not_kept(self, alice: Caller, settings: Any) -> None:
        settings.NATIVE_API = {**settings.NATIVE_API, "MAX_BODY_BYTES": 1000}
        assert not keep(alice, "resp_1", "x" * 1000, "one")
        set_responses(settings, MAX_BYTES=1000)
        assert not keep(alice, "resp_1", "one?", "one")
        assert not KeptResponse.objects.exists()

    def test_the_oldest_make_room_for_the_newest(
        self, alice: Caller, bob: Caller, settings: Any
    ) -> None:
        keep(bob, "resp_0", "?", "!")
        keep(alice, "resp_0", "?", "!")
        size = KeptResponse.objects.filter(user=alice.user_id).get().size
        set_responses(settings, MAX_BYTES=10 * size)
        for number in range(1, 25):
            assert keep(alice, f"resp_{number}", "?", "!")
            taken = KeptResponse.objects.filter(user=alice.user_id)
            assert sum(taken.values_list("size", flat=True)) <= 10 * size
            assert load(alice, f"resp_{number}") == ["?", "!"]
        assert 8 <= KeptResponse.objects.filter(user=alice.user_id).count() <= 10
        assert load(bob, "resp_0") == ["?", "!"]

    def test_what_others_processes_have_added_counts_after_a_while(
        self, alice: Caller, settings: Any
    ) -> None:
        for number in range(10):
            keep(alice, f"resp_{number}", "?", "!")
        size = KeptResponse.objects.first().size  # type: ignore[union-attr]
        set_responses(settings, MAX_BYTES=4 * size)
        kept_rows._sums.clear()
        keep(alice, "resp_new", "?", "!")
        assert KeptResponse.objects.count() <= 4

    def test_items_of_one_response_that_can_be_referred_to(
        self, alice: Caller, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(keeping, "MAX_ITEM_IDS", 2)
        old = [{"id": f"in_{number}", **asks("Hi")} for number in range(5)]
        run(kept_responses.keep(alice, response("resp_1", says("Hello")), old))
        known = [each for each in ("msg_1", "in_0", "in_4") if self.is_known(alice, each)]
        assert known == ["msg_1", "in_4"]

    def is_known(self, caller: Caller, identity: str) -> bool:
        return bool(run(kept_responses.load_items(caller, [identity])))

    def test_only_so_much_is_read_for_single_items(self, alice: Caller, settings: Any) -> None:
        for number in range(6):
            keep(alice, f"resp_{number}", "x" * 5000, "one")
        settings.NATIVE_API = {**settings.NATIVE_API, "MAX_BODY_BYTES": 3000}
        wanted = [f"msg_{number}" for number in range(6)]
        assert list(run(kept_responses.load_items(alice, wanted))) == ["msg_5", "msg_4"]
        digests = [kept_rows.item_digest(alice, each) for each in wanted]
        size = KeptResponse.objects.first().size  # type: ignore[union-attr]
        assert len(kept_rows.read_items(digests, 3 * size + 99)) == 3


def assert_too_long(call: Callable[[], Any], reason: str) -> None:
    with pytest.raises(InvalidRequest, match=reason) as caught:
        call()
    assert caught.value.code == "context_length_exceeded"
    assert caught.value.param == "previous_response_id"


def test_the_stored_columns_are_what_the_size_says(alice: Caller) -> None:
    keep(alice, "resp_1", json.dumps(list(range(1000))), "one")
    row = KeptResponse.objects.get()
    stored = len(row.items) + len(row.response)
    assert stored < row.size < stored + 2000


class TestOutages:
    """None costs a reply more than a short wait."""

    @pytest.fixture
    def gate(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
        """The database writes nothing until it is set."""
        opened, write = threading.Event(), kept_rows.write

        def write_late(new: kept_rows.NewRow) -> bool:
            assert opened.wait(HANG_SECONDS)
            return write(new)

        monkeypatch.setattr(kept_rows, "write", write_late)
        monkeypatch.setattr(keeping, "SECONDS", 0.05)
        yield opened
        opened.set()

    def test_what_is_written_too_late_is_deleted(
        self, alice: Caller, gate: threading.Event, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Its reply has said that it is not kept."""
        assert not keep(alice, "resp_1", "one?", "one")
        assert caplog.messages == ["A response could not be kept (CallTimeout)."]
        deleted = threading.Event()
        post_delete.connect(lambda **_: deleted.set(), KeptResponse, weak=False, dispatch_uid="t")
        try:
            gate.set()
            assert deleted.wait(HANG_SECONDS)
        finally:
            post_delete.disconnect(sender=KeptResponse, dispatch_uid="t")
        until(lambda: not KeptResponse.objects.exists(), "the commit")

    def test_a_client_that_leaves_meanwhile_has_nothing_kept(
        self, alice: Caller, gate: threading.Event, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(keeping, "SECONDS", 60)

        async def leave() -> None:
            answered = response("resp_1", says("one"))
            keeping_it = asyncio.ensure_future(kept_responses.keep(alice, answered, []))
            await auntil(lambda: bool(executors.database._pool.pending_calls()), "the call")
            keeping_it.cancel()
            with pytest.raises(asyncio.CancelledError):
                await keeping_it

        run(leave())
        gate.set()
        until(lambda: not executors.database._pool.pending_calls(), "the end of the calls")
        assert not KeptResponse.objects.exists()

    def test_a_database_that_is_down_is_not_waited_for(
        self, alice: Caller, gate: threading.Event, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def probe() -> None:
            raise OperationalError("gone")

        outage = executors.database.outage
        assert outage is not None
        monkeypatch.setattr(outage, "_probe", probe)
        outage.begin(OperationalError("gone"))
        monkeypatch.setattr(keeping, "SECONDS", 60)
        assert not keep(alice, "resp_1", "one?", "one")
        for call in (
            kept_responses.get(alice, "resp_1"),
            kept_responses.delete(alice, "resp_1"),
            kept_responses.load_history(alice, "resp_1"),
            kept_responses.load_items(alice, ["msg_1"]),
        ):
            with pytest.raises(DatabaseUnavailable) as caught:
                run(call)
            assert caught.value.headers == {"retry-after": "5"}

    @pytest.mark.parametrize("error", [OperationalError("database is locked"), DataError("x")])
    def test_a_database_that_refuses(
        self, alice: Caller, monkeypatch: pytest.MonkeyPatch, error: Exception
    ) -> None:
        def refuse(*arguments: Any) -> None:
            raise error

        for name in ("write", "read"):
            monkeypatch.setattr(kept_rows, name, refuse)
        assert not keep(alice, "resp_1", "one?", "one")
        with pytest.raises(DatabaseUnavailable):
            run(kept_responses.get(alice, "resp_1"))

    def test_a_failure_of_our_own_fails_no_reply(
        self, alice: Caller, caplog: pytest.LogCaptureFixture
    ) -> None:
        answered = response("resp_1", metadata={"a": object()})
        assert not run(kept_responses.keep(alice, answered, []))
        assert "A response could not be kept (TypeError)." in caplog.text
        assert "Traceback" in caplog.text

    def test_a_write_whose_answer_was_lost_is_repeated(
        self, alice: Caller, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write = kept_rows.write

        def write_twice(new: kept_rows.NewRow) -> bool:
            return write(new) and write(new)

        monkeypatch.setattr(kept_rows, "write", write_twice)
        assert keep(alice, "resp_1", "one?", "one")
        assert load(alice, "resp_1") == ["one?", "one"]
