"""What a Responses request refers to is put into its input, or refused by name; it is never
ignored."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from native_api.exceptions import InvalidRequest, Overloaded, UnsupportedField
from native_api.gateway import kept_responses, response_state
from native_api.gateway.response_state import ResolvedInput, resolve_state
from native_api.inbound.body_limits import SMALL_BODY, BodyMemory, bytes_in_memory
from native_api.types import Caller
from tests.gateway.kept import asks, keep, make_key_alone, response, run, says, texts

pytestmark = pytest.mark.django_db(transaction=True)

OWN = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "And now?"}]}


def refer(identity: Any) -> dict[str, Any]:
    return {"type": "item_reference", "id": identity}


def resolve(caller: Caller, **body: Any) -> ResolvedInput:
    before = copy.deepcopy(body)
    resolved = run(resolve_state(body, caller))
    assert body == before
    return resolved


def refusal(caller: Caller, **body: Any) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        resolve(caller, **body)
    return caught.value


@pytest.mark.usefixtures("keeping_site")
class TestAtASiteThatKeepsResponses:
    @pytest.fixture(autouse=True)
    def two_turns(self, keeping_site: None, alice: Caller) -> None:
        keep(alice, "resp_1", "one?", "one")
        keep(alice, "resp_2", "two?", "two", "resp_1")

    @pytest.mark.parametrize("written", ["And now?", [OWN]])
    def test_the_history_comes_before_the_own_items(self, alice: Caller, written: Any) -> None:
        resolved = resolve(alice, model="m", input=written, previous_response_id="resp_2")
        assert resolved.body.keys() == {"model", "input"}
        assert texts(resolved.body["input"]) == ["one?", "one", "two?", "two", "And now?"]
        assert resolved.input_items == [OWN]
        assert resolved.previous_response_id == "resp_2"
        assert resolved.history_length == 4
        assert resolved.added_bytes > 100

    def test_a_conversation_goes_on_without_input(self, alice: Caller) -> None:
        resolved = resolve(alice, previous_response_id="resp_2")
        assert texts(resolved.body["input"]) == ["one?", "one", "two?", "two"]
        assert resolved.input_items == []

    def test_items_take_the_place_of_their_references(self, alice: Caller) -> None:
        thought = {"id": "rs_1", "type": "reasoning", "summary": [], "encrypted_content": "nseal1."}
        run(kept_responses.keep(alice, response("resp_3", thought, says("three", "msg_3")), []))
        written = [asks("Hi"), refer("rs_1"), {"id": "msg_3"}, {"id": "msg_1", "type": None}]
        resolved = resolve(alice, input=[*written, OWN])
        expected = [asks("Hi"), thought, says("three", "msg_3"), says("one", "msg_1"), OWN]
        assert resolved.body["input"] == expected
        assert resolved.input_items == expected
        assert resolved.history_length == 0
        assert resolved.added_bytes > 100

    def test_a_later_turn_knows_the_items_that_it_referred_to(self, alice: Caller) -> None:
        resolved = resolve(alice, input=[refer("msg_1"), OWN])
        run(kept_responses.keep(alice, response("resp_9"), resolved.input_items))
        run(kept_responses.delete(alice, "resp_1"))
        assert resolve(alice, input=[refer("msg_1")]).input_items == [says("one", "msg_1")]

    def test_a_request_without_references_stays_as_it_is(self, alice: Caller) -> None:
        body = {"model": "m", "input": "And now?", "conversation": None, "background": False}
        resolved = run(resolve_state(body, alice))
        assert resolved.body == body
        assert resolved.input_items == [OWN]
        assert resolved.previous_response_id is None

    @pytest.mark.parametrize(
        ("sent", "is_kept"),
        [({}, True), ({"store": None}, True), ({"store": True}, True), ({"store": False}, False)],
    )
    def test_what_is_kept(self, alice: Caller, sent: Any, is_kept: bool) -> None:
        assert resolve(alice, input="Hi", **sent).keep is is_kept
        assert resolve(make_key_alone("one"), input="Hi", **sent).keep is is_kept
        assert not resolve(Caller(), input="Hi", **sent).keep

    def test_no_provider_is_asked_for_what_is_done_here(self, alice: Caller) -> None:
        assert resolve(alice, input="Hi", store=True).body == {"input": "Hi"}
        kept_nowhere = {"input": "Hi", "store": False}
        assert resolve(alice, **kept_nowhere).body == kept_nowhere

    def test_an_unknown_response(self, alice: Caller, bob: Caller) -> None:
        for caller, identity in ((alice, "resp_9"), (bob, "resp_2"), (Caller(), "resp_2")):
            error = refusal(caller, input="Hi", previous_response_id=identity)
            assert error.message.startswith(f"Previous response with id '{identity}' not found.")
            assert (error.status, error.code) == (400, "previous_response_not_found")

    def test_an_unknown_item(self, alice: Caller, bob: Caller) -> None:
        for caller, identity in ((alice, "msg_9"), (bob, "msg_1")):
            error = refusal(caller, input=[asks("Hi"), refer(identity)])
            assert error.message.startswith(f"Item with id '{identity}' not found.")
            assert error.param == "input[1]"

    @pytest.mark.parametrize(
        ("body", "param"),
        [
            ({"previous_response_id": 7}, "previous_response_id"),
            ({"input": [refer(7)]}, "input[0].id"),
            ({"input": [{"type": "item_reference"}]}, "input[0].id"),
        ],
    )
    def test_what_is_no_reference(self, alice: Caller, body: Any, param: str) -> None:
        assert refusal(alice, **body).param == param

    @pytest.mark.parametrize("written", [None, 7, {}, [7, None, {}, []]])
    def test_what_is_no_input_is_left_to_the_check(self, alice: Caller, written: Any) -> None:
        assert resolve(alice, input=written).body == {"input": written}

    def test_more_references_than_a_request_may_have(
        self, alice: Caller, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(response_state, "MAX_REFERENCES", 2)
        assert "at most 2" in refusal(alice, input=[refer("msg_1")] * 3).message

    @pytest.mark.parametrize("setting", ["MAX_BODY_BYTES", "MAX_JSON_VALUES"])
    def test_references_do_not_make_a_request_larger_than_it_may_be(
        self, alice: Caller, settings: Any, setting: str
    ) -> None:
        settings.NATIVE_API = {**settings.NATIVE_API, setting: 1000}
        assert resolve(alice, input=[refer("msg_1")] * 2)
        error = refusal(alice, input=[refer("msg_1")] * 400)
        assert error.code == "context_length_exceeded"

    @pytest.mark.parametrize(
        "body", [{"previous_response_id": "resp_2"}, {"input": [refer("msg_1"), refer("msg_2")]}]
    )
    def test_what_is_loaded_counts_in_the_memory_of_all_bodies(
        self, alice: Caller, settings: Any, body: Any
    ) -> None:
        with BodyMemory() as memory:
            run(resolve_state(body, alice, memory))
            loaded = memory.size
        assert loaded > 300
        with BodyMemory() as memory:
            memory.add(SMALL_BODY)
            taken = bytes_in_memory()
            settings.NATIVE_API = {**settings.NATIVE_API, "MAX_BODIES_BYTES": taken + loaded - 1}
            with pytest.raises(Overloaded):
                run(resolve_state(body, alice, memory))

    def test_places_are_those_of_the_clients_own_input(self, alice: Caller) -> None:
        resolved = resolve(alice, input=[OWN], previous_response_id="resp_2")
        error = InvalidRequest("input[4].role: no role", code="x", param="input[4].role")
        renamed = resolved.in_clients_words(error)
        assert (renamed.message, renamed.param) == ("input[0].role: no role", "input[0].role")
        assert renamed.code == "x"
        error = UnsupportedField("input[3].content", "no images")
        assert resolved.in_clients_words(error).param == "previous_response_id.content"
        assert resolve(alice, input=[OWN]).in_clients_words(error) is error
