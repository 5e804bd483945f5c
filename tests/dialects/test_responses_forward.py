"""A client's own body goes on to a provider of the Responses API as it was written, but for the
edits that have a test here."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest

from native_api.dialects.openai_responses.state import STATE_WAY_ROUND
from native_api.exceptions import UnsupportedField
from native_api.types import Quirks
from tests.cases import each
from tests.dialects.responses_bodies import (
    CALL,
    DIALECT,
    FUNCTION,
    MESSAGE,
    REASONING,
    RESULT,
    USER,
    WRITTEN,
    forward,
    make_target,
    send,
)

ENCRYPTED = "reasoning.encrypted_content"


def test_a_body_goes_on_as_it_was_written() -> None:
    request = forward(WRITTEN, make_target("m"))
    assert json.loads(request.content) == {**WRITTEN, "model": "m"}
    assert request.omitted == ()
    assert request.url == "https://api.example/v1/responses"


def test_the_gateways_own_fields_stay_here() -> None:
    own = {"fallbacks": ["m"], "conversation_id": "c", "tier": "simple", "provider_options": {}}
    assert send({"input": "Hi", **own}) == send({"input": "Hi"})


# --- options -------------------------------------------------------------------------------------


def test_options_are_added_for_the_provider_that_they_name() -> None:
    options = {"p": {"truncation": "auto", "tools": [{"type": "x"}], "include": ["a"]}, "q": {}}
    sent = send({"input": "Hi", "tools": [FUNCTION], "provider_options": options})
    assert sent["truncation"] == "auto"
    assert sent["tools"] == [FUNCTION, {"type": "x"}]
    assert sent["include"] == ["a"]


def test_options_cannot_set_what_the_gateway_owns() -> None:
    with pytest.raises(UnsupportedField, match=r"^provider_options\.p\.max_output_tokens"):
        forward({"input": "Hi", "provider_options": {"p": {"max_output_tokens": 5}}})


OWNED: dict[str, Any] = {
    "models": ["a"],
    "background": True,
    "prompt": {"id": "pmpt_1"},
    "plugins": [{"id": "web"}],
    "base_url": "http://10.0.0.1",
    "api_key": "k",
    "extra_body": {"model": "other"},
    "max_tokens": 5,
    "n": 2,
    "inference_geo": "us",
}


@each("name", OWNED)
def test_a_client_cannot_set_what_the_gateway_owns(name: str) -> None:
    with pytest.raises(UnsupportedField) as caught:
        forward({"input": "Hi", name: OWNED[name]})
    assert caught.value.param == name


SPELLINGS = [
    "Model",
    "serviceTier",
    "SERVICE-TIER",
    "maxOutputTokens",
    "Stream",
    "Store",
    "providerOptions",
]


@each("name", SPELLINGS)
def test_a_field_that_was_read_has_no_other_spelling(name: str) -> None:
    with pytest.raises(UnsupportedField, match="write it as") as caught:
        forward({"input": "Hi", name: "x"})
    assert caught.value.param == name


@each("tool", [
    {"type": "image_generation", "model": "gpt-image-2"},
    {"type": "openrouter:advisor", "parameters": {"model": "expensive"}},
    {"type": "namespace", "tools": [{"type": "advisor", "model": "expensive"}]},
])  # fmt: skip
def test_a_tool_cannot_choose_a_model(tool: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedField, match="which model answers"):
        forward({"input": "Hi", "tools": [tool]})


@each("item", [
    {"type": "additional_tools", "role": "user", "tools": [{"type": "advisor", "model": "x"}]},
    {"type": "tool_search_output", "tools": [{"type": "image_generation", "model": "x"}]},
])  # fmt: skip
def test_nor_can_one_that_comes_with_the_conversation(item: dict[str, Any]) -> None:
    listed = {"type": "mcp_list_tools", "tools": [{"name": "f", "annotations": {"model": "x"}}]}
    own = {"type": "additional_tools", "role": "user", "tools": [FUNCTION]}
    forward({"input": [USER, listed, own]})
    with pytest.raises(UnsupportedField, match="which model answers") as caught:
        forward({"input": [USER, item]})
    assert caught.value.param == "input[1].tools[0].model"
    with pytest.raises(UnsupportedField, match=r"^provider_options\.p\.input\[0\]"):
        forward({"input": "Hi", "provider_options": {"p": {"input": [item]}}})


def test_options_have_no_account_of_another_gateway() -> None:
    for name in ("api_base", "api_key", "headers"):
        with pytest.raises(UnsupportedField, match=rf"^provider_options\.p\.{name}"):
            forward({"input": "Hi", "provider_options": {"p": {name: "http://x"}}})


# --- state at the provider -----------------------------------------------------------------------

STATE: dict[str, Any] = {
    "previous_response_id": {"previous_response_id": "resp_1"},
    "conversation": {"conversation": "conv_1"},
    "input[1]": {"input": [USER, {"type": "item_reference", "id": "rs_1"}]},
    "input[0]": {"input": [{"id": "rs_1"}]},
}


@each("place", STATE)
def test_what_is_stored_at_the_provider_is_refused_with_the_way_round(place: str) -> None:
    with pytest.raises(UnsupportedField) as caught:
        forward({"input": "Hi", **STATE[place]})
    assert (caught.value.param, caught.value.reason) == (place, STATE_WAY_ROUND)


@each("place", STATE)
def test_it_goes_on_to_a_providers_own_account(place: str) -> None:
    body = {"input": "Hi", **STATE[place], "store": True}
    assert send(body, make_target(own_account=True)) == {**body, "model": "gpt-4.1"}


@each("part", [
    {"type": "input_file", "file_id": "file_1"},
    {"type": "input_image", "file_id": "file_1", "detail": "auto"},
    {"type": "of tomorrow", "FileID": "file_1"},
])  # fmt: skip
def test_files_of_the_shared_key_are_refused_wherever_they_are(part: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedField, match="shared by all callers") as caught:
        forward({"input": [{**RESULT, "output": [part]}]})
    assert (caught.value.param or "").startswith("input[0].output[0].")


@each("item", [
    {"type": "of_tomorrow", "input": [{"file_id": "file_1"}]},
    {"type": "message", "role": "user", "text": {"file_id": "file_1"}},
    {"type": "message", "role": "user", "content": {"file_id": "file_1"}},
    {"type": "message", "role": "user", "content": [[{"file_id": "file_1"}]]},
    {"type": "function_call_output", "call_id": "c", "output": [{"container": "cntr_1"}]},
])  # fmt: skip
def test_such_an_id_is_found_in_items_that_look_plain(item: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedField, match="shared by all callers"):
        forward({"input": [item]})
    plenty = [USER] * 20
    with pytest.raises(UnsupportedField, match="shared by all callers"):
        forward({"input": [*plenty, item]})


@each("stored, sent, omitted", [
    ({}, False, ()),
    ({"store": None}, False, ()),
    ({"store": False}, False, ()),
    ({"store": True}, False, ("store",)),
])  # fmt: skip
def test_nothing_is_stored(stored: Any, sent: bool, omitted: tuple[str, ...]) -> None:
    request = forward({"input": "Hi", **stored})
    assert (request.body["store"], request.omitted) == (sent, omitted)


# --- reasoning and compaction --------------------------------------------------------------------


def test_reasoning_goes_back_to_its_issuer_without_the_mark() -> None:
    turn = [USER, {**REASONING, "issued_by": "p"}, MESSAGE]
    request = forward({"input": turn}, make_target("gpt-5"))
    assert request.body["input"] == [USER, REASONING, MESSAGE]
    assert request.omitted == ()


@each("members", [
    {"issued_by": "q"},
    {"restored": {"reasoning_details": []}, "encrypted_content": ""},
    {"encrypted_content": None},
    {"encrypted_content": "not marked"},
])  # fmt: skip
def test_other_reasoning_is_left_out_and_reported(members: dict[str, Any]) -> None:
    request = forward({"input": [USER, {**REASONING, **members}, MESSAGE]}, make_target("gpt-5"))
    assert request.body["input"] == [USER, MESSAGE]
    assert request.omitted == ("input.reasoning",)


def test_reasoning_that_is_not_encrypted_goes_on() -> None:
    shown = {
        "type": "reasoning",
        "summary": [],
        "content": [{"type": "reasoning_text", "text": "h"}],
    }
    assert send({"input": [USER, shown, MESSAGE]})["input"] == [USER, shown, MESSAGE]


def test_a_stored_conversation_knows_its_reasoning_by_the_id() -> None:
    turn = [USER, {**REASONING, "encrypted_content": None}, MESSAGE]
    target = make_target("gpt-5", own_account=True)
    assert send({"input": turn}, target)["input"] == turn
    assert send({"input": turn, "store": False}, target)["input"] == [USER, MESSAGE]


def test_the_reasoning_of_a_turn_that_was_cut_is_left_out() -> None:
    request = forward({"input": [USER, {**REASONING, "issued_by": "p"}, USER]})
    assert (request.body["input"], request.omitted) == ([USER, USER], ("input.reasoning",))


@each("kind", ["program", "web_search_call", "of_tomorrow"])
def test_what_another_item_encrypts_goes_back_to_its_issuer_only(kind: str) -> None:
    item = {"type": kind, "id": "x_1", "mood": 3}
    marked = {**item, "encrypted_content": "x", "issued_by": "p"}
    assert send({"input": [USER, marked]})["input"][1] == {**item, "encrypted_content": "x"}
    other = forward({"input": [USER, {**marked, "issued_by": "q"}]})
    assert other.body["input"] == [USER, item]
    assert other.omitted == ("input.encrypted_content",)


def test_a_compaction_goes_back_to_its_issuer_only() -> None:
    compaction = {"type": "compaction", "id": "cmp_1", "encrypted_content": "x"}
    kept = forward({"input": [{**compaction, "issued_by": "p"}, USER]})
    assert kept.body["input"] == [compaction, USER]
    with pytest.raises(UnsupportedField, match="compacted by another provider") as caught:
        forward({"input": [USER, {**compaction, "issued_by": "q"}]})
    assert caught.value.param == "input[1].encrypted_content"


@each("model, body, include", [
    ("gpt-5", {}, [ENCRYPTED]),
    ("gpt-5", {"include": ["a"]}, ["a", ENCRYPTED]),
    ("gpt-5", {"include": [ENCRYPTED]}, [ENCRYPTED]),
    ("gpt-4.1", {}, None),
    ("unknown", {}, None),
    ("unknown", {"reasoning": {"effort": "low"}}, [ENCRYPTED]),
    ("unknown", {"input": [{**REASONING, "issued_by": "p"}, MESSAGE]}, [ENCRYPTED]),
])  # fmt: skip
def test_reasoning_comes_encrypted(model: str, body: Any, include: Any) -> None:
    assert send({"input": "Hi", **body}, make_target(model)).get("include") == include


def test_stored_reasoning_need_not_be_encrypted() -> None:
    sent = send({"input": "Hi", "store": True}, make_target("gpt-5", own_account=True))
    assert "include" not in sent


# --- what the model and the vendor refuse --------------------------------------------------------


def test_a_model_that_never_reasons_is_not_asked_to() -> None:
    """Codex always asks."""
    body = {"input": "Hi", "reasoning": {"summary": "auto"}, "include": [ENCRYPTED]}
    request = forward(body, make_target("gpt-4o"))
    assert "reasoning" not in request.body
    assert request.body["include"] == []
    assert request.omitted == ("reasoning", "include")
    silent = forward({"input": "Hi", "reasoning": {"effort": "none"}}, make_target("gpt-4o"))
    assert ("reasoning" in silent.body, silent.omitted) == (False, ())


def test_an_effort_that_the_model_lacks_is_the_nearest() -> None:
    written = {"effort": "xhigh", "summary": "auto"}
    request = forward({"input": "Hi", "reasoning": written}, make_target("gpt-5"))
    assert request.body["reasoning"] == {"effort": "high", "summary": "auto"}
    assert request.omitted == ("reasoning.effort",)


def test_sampling_that_the_model_refuses_is_left_out_and_reported() -> None:
    body = {"input": "Hi", "temperature": 0.2, "top_p": 1, "text": {"verbosity": "low"}}
    request = forward(body, make_target("gpt-5"))
    assert request.body.keys().isdisjoint({"temperature", "top_p"})
    assert request.omitted == ("temperature",)
    while_off = {**body, "reasoning": {"effort": "none"}}
    assert send(while_off, make_target("gpt-5.1"))["temperature"] == 0.2


def test_what_the_vendor_does_not_take_is_left_out_or_refused_in_the_clients_words() -> None:
    quirks = Quirks(unsupported=frozenset({"verbosity", "response_format", "prompt_cache_key"}))
    target = make_target(quirks=quirks)
    body = {"input": "Hi", "text": {"verbosity": "low"}, "prompt_cache_key": "k"}
    request = forward(body, target)
    assert request.body.keys().isdisjoint({"text", "prompt_cache_key"})
    assert request.omitted == ("prompt_cache_key", "text.verbosity")
    with pytest.raises(UnsupportedField) as caught:
        forward({"input": "Hi", "text": {"format": {"type": "json_schema"}}}, target)
    assert caught.value.param == "text.format"


def test_roles_are_those_that_the_model_takes() -> None:
    body = {"input": [{"role": "developer", "content": "a"}, USER]}
    assert send(body, make_target("o1-mini"))["input"][0] == {"role": "user", "content": "a"}


def test_an_id_that_is_too_long_is_the_same_in_call_and_result() -> None:
    long = {"call_id": "c" * 65}
    call, result = send({"input": [{**CALL, **long}, {**RESULT, **long}]})["input"]
    assert call["call_id"] == result["call_id"]
    assert len(call["call_id"]) <= 64


# --- replies -------------------------------------------------------------------------------------


def test_a_reply_without_encrypted_content_is_the_same_object() -> None:
    own_account = make_target(own_account=True)
    for reply in ({"output": [MESSAGE, CALL]}, {"error": {}}, {"output": 3}, {"output": ["x"]}):
        assert DIALECT.forward_reply(reply, own_account) is reply
        unstored = {**reply, "store": False}
        assert DIALECT.forward_reply(unstored, make_target()) is unstored


@each("said", [{}, {"store": None}, {"store": True}])
def test_a_reply_says_that_nothing_is_stored(said: dict[str, Any]) -> None:
    reply: dict[str, Any] = {"output": [MESSAGE], **said}
    assert DIALECT.forward_reply(reply, make_target()) == {**reply, "store": False}
    assert DIALECT.forward_reply(reply, make_target(own_account=True)) is reply


def test_encrypted_content_is_marked_in_a_copy() -> None:
    reply: dict[str, Any] = {"id": "r", "store": False, "output": [REASONING, MESSAGE]}
    before = deepcopy(reply)
    marked = DIALECT.forward_reply(reply, make_target())
    assert marked == {**reply, "output": [{**REASONING, "issued_by": "p"}, MESSAGE]}
    assert reply == before
