"""Kept responses: what is kept, for the caller that made them only, and gone when it should be."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from native_api.exceptions import InvalidRequest, NotFound
from native_api.gateway import kept_responses, kept_rows
from native_api.models import ApiKey, KeptResponse
from native_api.models.responses import KeptItem
from native_api.types import Caller
from tests.gateway.kept import (
    asks,
    keep,
    load,
    make_key_alone,
    response,
    run,
    says,
    set_responses,
    texts,
)

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("keeping_site"),
]


def assert_gone(caller: Caller, identity: str) -> None:
    """Every way to it says the same, whatever the reason."""
    for call in (
        kept_responses.get,
        kept_responses.delete,
        kept_responses.list_input_items,
    ):
        with pytest.raises(NotFound, match=f"^Response with id '{identity}' not found"):
            run(call(caller, identity))  # type: ignore[operator]
    with pytest.raises(InvalidRequest, match=f"Previous response with id '{identity}'") as caught:
        load(caller, identity)
    assert caught.value.code == "previous_response_not_found"
    assert caught.value.param == "previous_response_id"


def make_older(days: float, **which: Any) -> None:
    KeptResponse.objects.filter(**which).update(created_at=datetime.now(UTC) - timedelta(days=days))


class TestWhatIsKept:
    def test_the_response_as_it_was_answered(self, alice: Caller) -> None:
        answered = response("resp_1", says("Hello"), usage={"input_tokens": 3}, metadata={"a": "b"})
        assert run(kept_responses.keep(alice, answered, [asks("Hi")]))
        read = run(kept_responses.get(alice, "resp_1"))
        assert read == answered
        assert list(read) == list(answered)

    def test_a_conversation_in_its_order(self, alice: Caller) -> None:
        keep(alice, "resp_1", "one?", "one")
        keep(alice, "resp_2", "two?", "two", "resp_1")
        keep(alice, "resp_3", "three?", "three", "resp_2")
        keep(alice, "resp_2b", "other?", "other", "resp_1")
        assert load(alice, "resp_3") == ["one?", "one", "two?", "two", "three?", "three"]
        assert load(alice, "resp_2b") == ["one?", "one", "other?", "other"]
        assert load(alice, "resp_1") == ["one?", "one"]

    def test_a_long_conversation_takes_two_queries(self, alice: Caller) -> None:
        for number in range(1, 20):
            previous = f"resp_{number - 1}" if number > 1 else None
            keep(alice, f"resp_{number}", f"{number}?", str(number), previous)
        with CaptureQueriesContext(connection) as queries:
            found = kept_rows.read_chain(kept_rows.response_digest(alice, "resp_19"), 1000, 10**6)
        assert found is not None
        assert len(found.turns) == 19
        assert len(queries) == 2

    def test_items_come_back_as_they_were_written(self, alice: Caller) -> None:
        """Ids that only the list of input items shows do not reach a provider."""
        written = [asks("Hi"), {"type": "function_call_output", "call_id": "c", "output": "3"}]
        thought = {"id": "rs_1", "type": "reasoning", "summary": [], "encrypted_content": "nseal1."}
        run(kept_responses.keep(alice, response("resp_1", thought), written))
        assert run(kept_responses.load_history(alice, "resp_1")).items == [*written, thought]

    def test_items_are_found_by_their_ids(self, alice: Caller) -> None:
        call = {"id": "fc_1", "type": "function_call", "call_id": "c", "name": "f"}
        sent = {"id": "msg_0", **asks("Hi")}
        run(kept_responses.keep(alice, response("resp_1", call, says("Hello")), [sent]))
        found = run(kept_responses.load_items(alice, ["msg_1", "fc_1", "msg_0", "fc_2"]))
        assert found == {"msg_1": says("Hello"), "fc_1": call, "msg_0": sent}

    def test_of_two_items_with_one_id_the_newest_is_meant(self, alice: Caller) -> None:
        for number in (1, 2, 3):
            answer = says(f"answer {number}", "msg_same")
            run(kept_responses.keep(alice, response(f"resp_{number}", answer), [asks("Hi")]))
        found = run(kept_responses.load_items(alice, ["msg_same"]))
        assert texts([found["msg_same"]]) == ["answer 3"]

    @pytest.mark.parametrize("identity", [None, "", 7, "x" * 256, "resp_\0"])
    def test_an_id_that_cannot_be_kept(self, alice: Caller, identity: Any) -> None:
        assert not run(kept_responses.keep(alice, {**response("x"), "id": identity}, []))

    def test_items_that_have_no_proper_id(self, alice: Caller) -> None:
        odd = [{"type": "message", "id": 7}, {"type": "message", "id": None}, {"type": "x"}]
        assert run(kept_responses.keep(alice, response("resp_1", *odd), odd))
        assert len(run(kept_responses.load_history(alice, "resp_1")).items) == 6


class TestWhoseTheyAre:
    def test_another_callers_are_not_there(self, alice: Caller, bob: Caller) -> None:
        keep(alice, "resp_1", "one?", "one")
        assert_gone(bob, "resp_1")
        assert run(kept_responses.load_items(bob, ["msg_1"])) == {}
        assert load(alice, "resp_1") == ["one?", "one"]

    def test_nobody_replaces_or_blocks_anothers(self, alice: Caller, bob: Caller) -> None:
        keep(alice, "resp_1", "alice?", "alice")
        assert keep(bob, "resp_1", "bob?", "bob")
        assert load(alice, "resp_1") == ["alice?", "alice"]
        assert load(bob, "resp_1") == ["bob?", "bob"]
        run(kept_responses.delete(bob, "resp_1"))
        assert_gone(bob, "resp_1")
        assert texts(list(run(kept_responses.load_items(alice, ["msg_1"])).values())) == ["alice"]

    def test_a_conversation_cannot_continue_anothers(self, alice: Caller, bob: Caller) -> None:
        keep(alice, "resp_1", "one?", "one")
        assert not keep(bob, "resp_2", "two?", "two", "resp_1")
        assert_gone(bob, "resp_2")

    def test_an_id_that_a_provider_repeats_means_the_newest(self, alice: Caller) -> None:
        assert keep(alice, "resp_1", "one?", "one")
        assert keep(alice, "resp_1", "two?", "two", "resp_1")
        assert keep(alice, "resp_1", "three?", "three", "resp_1")
        assert load(alice, "resp_1") == ["one?", "one", "two?", "two", "three?", "three"]
        assert run(kept_responses.get(alice, "resp_1"))["output"] == [says("three")]
        assert run(kept_responses.load_items(alice, ["msg_1"])) == {"msg_1": says("three")}
        run(kept_responses.delete(alice, "resp_1"))
        assert_gone(alice, "resp_1")

    def test_a_user_has_them_with_every_key(self, alice: Caller) -> None:
        first, _ = create_keys(alice)
        keep(with_key(alice, first), "resp_1", "one?", "one")
        assert load(with_key(alice, create_keys(alice)[0]), "resp_1") == ["one?", "one"]
        first.delete()
        assert load(alice, "resp_1") == ["one?", "one"]

    def test_a_key_without_a_user_has_its_own(self) -> None:
        one, other = make_key_alone("one"), make_key_alone("other")
        keep(one, "resp_1", "one?", "one")
        assert load(one, "resp_1") == ["one?", "one"]
        assert_gone(other, "resp_1")
        ApiKey.objects.filter(pk=one.key_id).delete()
        assert not KeptResponse.objects.exists()

    def test_a_caller_with_neither_keeps_nothing(self) -> None:
        assert not keep(Caller(), "resp_1", "one?", "one")
        assert_gone(Caller(), "resp_1")

    @pytest.mark.parametrize("user_id", [10**6, "nobody", 1.5])
    def test_a_caller_whose_user_is_not_in_the_database(self, user_id: Any) -> None:
        assert not keep(Caller(user_id=user_id), "resp_1", "one?", "one")
        assert not KeptResponse.objects.exists()
        assert not KeptItem.objects.exists()

    def test_they_are_erased_with_their_user(self, alice: Caller, bob: Caller) -> None:
        keep(alice, "resp_1", "one?", "one")
        keep(bob, "resp_1", "one?", "one")
        with CaptureQueriesContext(connection) as queries:
            User.objects.get(pk=alice.user_id).delete()
        reads = [query["sql"] for query in queries if query["sql"].startswith("SELECT")]
        assert not any("keptresponse" in sql or "keptitem" in sql for sql in reads)
        assert KeptResponse.objects.get().user_id == bob.user_id
        assert KeptItem.objects.count() == 2


def create_keys(caller: Caller) -> tuple[ApiKey, str]:
    from native_api.access.keys import create_key

    return create_key(User.objects.get(pk=caller.user_id), "laptop")


def with_key(caller: Caller, key: ApiKey) -> Caller:
    return Caller(caller.user_id, caller.user_name, key.pk, key.name)


class TestWhatIsGone:
    def test_what_was_deleted(self, alice: Caller) -> None:
        keep(alice, "resp_1", "one?", "one")
        run(kept_responses.delete(alice, "resp_1"))
        assert_gone(alice, "resp_1")
        assert run(kept_responses.load_items(alice, ["msg_1"])) == {}
        assert not KeptItem.objects.exists()

    def test_a_conversation_with_a_missing_link(self, alice: Caller) -> None:
        keep(alice, "resp_1", "one?", "one")
        keep(alice, "resp_2", "two?", "two", "resp_1")
        run(kept_responses.delete(alice, "resp_1"))
        with pytest.raises(InvalidRequest, match="Previous response with id 'resp_2' not found"):
            load(alice, "resp_2")
        assert run(kept_responses.get(alice, "resp_2"))["id"] == "resp_2"
        assert not keep(alice, "resp_3", "three?", "three", "resp_1")

    def test_what_is_too_old_though_it_is_not_deleted_yet(
        self, alice: Caller, settings: Any
    ) -> None:
        keep(alice, "resp_1", "one?", "one")
        make_older(29)
        assert load(alice, "resp_1") == ["one?", "one"]
        make_older(31)
        assert_gone(alice, "resp_1")
        assert run(kept_responses.load_items(alice, ["msg_1"])) == {}
        assert not keep(alice, "resp_2", "two?", "two", "resp_1")
        set_responses(settings, DAYS=40)
        assert load(alice, "resp_1") == ["one?", "one"]

    def test_a_conversation_whose_first_turn_is_too_old(self, alice: Caller) -> None:
        keep(alice, "resp_1", "one?", "one")
        keep(alice, "resp_2", "two?", "two", "resp_1")
        make_older(31, response_id="resp_1")
        with pytest.raises(InvalidRequest, match="not found"):
            load(alice, "resp_2")


class TestInputItems:
    def list_ids(self, caller: Caller, **options: Any) -> list[str]:
        page = run(kept_responses.list_input_items(caller, "resp_1", **options))
        ids = [item["id"] for item in page["data"]]
        assert page["object"] == "list"
        assert [page["first_id"], page["last_id"]] == ([ids[0], ids[-1]] if ids else [None, None])
        return [*ids, *(["more"] if page["has_more"] else [])]

    @pytest.fixture(autouse=True)
    def five(self, keeping_site: None, alice: Caller) -> None:
        items = [{"id": f"msg_{number}", **asks(str(number))} for number in range(5)]
        run(kept_responses.keep(alice, response("resp_1"), items))

    def test_pages(self, alice: Caller) -> None:
        assert self.list_ids(alice) == ["msg_4", "msg_3", "msg_2", "msg_1", "msg_0"]
        assert self.list_ids(alice, order="asc", limit=2) == ["msg_0", "msg_1", "more"]
        assert self.list_ids(alice, order="asc", limit=2, after="msg_1") == [
            "msg_2", "msg_3", "more",
        ]  # fmt: skip
        assert self.list_ids(alice, limit=2, after="msg_2") == ["msg_1", "msg_0"]
        assert self.list_ids(alice, after="msg_0") == []

    def test_an_unknown_after(self, alice: Caller) -> None:
        with pytest.raises(InvalidRequest, match="after: ") as caught:
            self.list_ids(alice, after="msg_9")
        assert caught.value.param == "after"

    def test_each_item_has_an_id_that_stays(self, alice: Caller) -> None:
        items = [asks("Hi"), {"type": "function_call_output", "call_id": "c", "output": "3"}]
        run(kept_responses.keep(alice, response("resp_2"), items))
        first, again = (
            run(kept_responses.list_input_items(alice, "resp_2", "asc"))["data"] for _ in range(2)
        )
        assert first == again
        assert first[0] == {
            "type": "message",
            "status": "completed",
            "role": "user",
            "content": [{"type": "input_text", "text": "Hi"}],
            "id": first[0]["id"],
        }
        assert [item["id"].split("_")[0] for item in first] == ["msg", "fc"]
        assert run(kept_responses.load_items(alice, [first[1]["id"]])).popitem()[1] == items[1]

    def test_only_those_of_the_response_itself(self, alice: Caller) -> None:
        keep(alice, "resp_2", "two?", "two", "resp_1")
        page = run(kept_responses.list_input_items(alice, "resp_2"))
        assert texts(page["data"]) == ["two?"]
