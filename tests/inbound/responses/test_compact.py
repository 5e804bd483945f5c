"""A compacted conversation: the user's messages, and a summary that only its caller's next request
opens, for every provider."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai.types.responses import CompactedResponse

from native_api.exceptions import InvalidRequest, UpstreamError
from native_api.inbound.openai.responses import CompactFormat, ResponsesFormat
from native_api.inbound.openai.responses.opened import SUMMARY_TITLE
from tests.cases import each
from tests.inbound.contexts import BOB, context_of

COMPACT, RESPONSES = CompactFormat(), ResponsesFormat()
CALL = {"type": "function_call", "call_id": "c1", "name": "look", "arguments": "{}"}
CONVERSATION: list[Any] = [
    {"role": "user", "content": "Paint the house."},
    {"role": "assistant", "content": "In which colour?"},
    {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Green."}]},
    CALL,
    {"type": "function_call_output", "call_id": "c1", "output": "no paint"},
]


def compact(written: Any, summary: Any = "It is to be green.") -> Any:
    """The compaction of this input."""
    parsed = COMPACT.parse({"model": "m", "input": written}, context_of())
    choice = {"message": {"role": "assistant", "content": summary}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 9, "completion_tokens": 7, "total_tokens": 16}
    reply = {"id": "r", "created": 5, "model": "m", "choices": [choice], "usage": usage}
    return json.loads(COMPACT.reply(parsed, reply))


def unified(**body: Any) -> Any:
    parsed = COMPACT.parse({"model": "m", **body}, context_of())
    assert parsed.client_body is not None
    return parsed.client_body.unified


def test_the_model_gets_the_conversation_and_is_asked_for_a_summary() -> None:
    messages = unified(input=CONVERSATION, instructions="Be brief.")["messages"]
    assert [message["role"] for message in messages] == [
        "system", "user", "assistant", "user", "assistant", "tool", "user",
    ]  # fmt: skip
    assert "summary" in messages[-1]["content"]


def test_no_target_gets_the_clients_own_body() -> None:
    parsed = COMPACT.parse({"model": "m", "input": "Hi"}, context_of())
    assert parsed.client_body is not None
    assert parsed.client_body.wire == ""


def test_the_output_has_the_users_messages_and_one_compaction() -> None:
    reply = compact(CONVERSATION)
    *messages, compaction = reply["output"]
    # The SDK's types know no message of a user in an output, although OpenAI sends it.
    CompactedResponse.model_validate({**reply, "output": [compaction]})
    assert [message["content"][0]["text"] for message in messages] == ["Paint the house.", "Green."]
    assert {message["role"] for message in messages} == {"user"}
    assert compaction["type"] == "compaction"
    assert "green" not in compaction["encrypted_content"]
    assert reply["usage"]["total_tokens"] == 16
    assert len({item["id"] for item in reply["output"]}) == 3


def test_the_output_is_the_next_requests_input() -> None:
    output = compact(CONVERSATION)["output"]
    parsed = RESPONSES.parse({"model": "m", "input": output}, context_of())
    assert parsed.client_body is not None
    said = parsed.client_body.body["input"][-1]
    assert said["content"] == f"{SUMMARY_TITLE}\n\nIt is to be green."
    assert parsed.client_body.unified["messages"][-1] == {
        "role": "user",
        "content": said["content"],
    }


def test_a_second_compaction_does_not_keep_the_first_summary_as_a_message() -> None:
    output = compact(CONVERSATION)["output"]
    again = compact([*output, {"role": "user", "content": "And the door?"}])
    texts = [item["content"][0]["text"] for item in again["output"][:-1]]
    assert texts == ["Paint the house.", "Green.", "And the door?"]


def test_another_callers_compaction_is_left_out_and_reported() -> None:
    output = compact(CONVERSATION)["output"]
    parsed = RESPONSES.parse({"model": "m", "input": output}, context_of(BOB))
    assert parsed.client_body is not None
    assert "green" not in str(parsed.client_body.unified).lower().replace("green.", "", 1)
    assert parsed.dropped_fields == ["input.encrypted_content"]


@each("written", [None, [], ""])
def test_there_must_be_a_conversation(written: Any) -> None:
    with pytest.raises(InvalidRequest) as refused:
        COMPACT.parse({"model": "m", "input": written}, context_of())
    assert refused.value.param == "input"


@each("summary", [None, ""])
def test_a_model_that_writes_nothing_is_an_error_of_the_provider(summary: Any) -> None:
    with pytest.raises(UpstreamError):
        compact(CONVERSATION, summary)


def test_what_says_nothing_about_a_compaction_is_not_sent() -> None:
    chat = unified(input="Hi", tools=[{"type": "function", "name": "f"}], stream=True)
    assert chat.keys() == {"model", "messages"}


def test_other_items_with_a_users_role_are_no_messages() -> None:
    tools = {"type": "additional_tools", "role": "user", "tools": []}
    reply = compact([tools, {"role": "user", "content": "Hi"}])
    assert [item["type"] for item in reply["output"]] == ["message", "compaction"]


def test_what_was_sealed_does_not_come_out_of_it() -> None:
    sealed = context_of().seal.seal({"issued_by": "p", "value": "raw"})
    message, _ = compact([{"role": "user", "content": "Hi", "encrypted_content": sealed}])["output"]
    assert message.keys() == {"id", "type", "role", "status", "content"}
