"""A response that comes back with the next request is the message that the chat reply has: with all
that its provider wants back, and with the marks of who made it."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from native_api.inbound.openai.responses.reply import build_response
from native_api.inbound.openai.responses.unify_tools import ToolName, join_name
from native_api.types import Caller
from tests.cases import for_each
from tests.inbound.contexts import ALICE, BOB, context_of
from tests.inbound.recorded_replies import RecordedReply, load_replies
from tests.inbound.responses.reading import parse_request, split_events
from tests.inbound.responses.request_reading import FORMAT
from tests.inbound.responses.test_recorded_replies import write_stream

COMPARED = ("content", "tool_calls", "reasoning_details", "provider_content", "images")
OWN_TOOLS = frozenset({"computer_call", "local_shell_call", "shell_call", "apply_patch_call"})
"""Calls of OpenAI's tools that the client runs, which come back as calls of functions."""


@for_each(load_replies)
def test_a_complete_response_comes_back_as_the_message(reply: RecordedReply) -> None:
    check_message(reply, build_response(parse_request(), reply.completion))


@for_each(load_replies)
def test_a_streamed_response_comes_back_as_the_message(reply: RecordedReply) -> None:
    check_message(reply, split_events(write_stream(reply.chunks))[-1]["response"])


def check_message(reply: RecordedReply, response: Any) -> None:
    sent = reply.completion["choices"][0]["message"]
    if not any(sent.get(name) for name in (*COMPARED, "reasoning_content")):
        return  # Nothing was said.
    message, expected = send_back(response["output"]), expect(sent)
    for name in COMPARED:
        assert (message.get(name) or None) == (expected.get(name) or None), name


def send_back(output: list[Any], caller: Caller = ALICE) -> Any:
    """The unified message of these output items in the next request."""
    question = {"role": "user", "content": "?"}
    items = [item for item in deepcopy(output) if item["type"] not in OWN_TOOLS]
    body = {"model": "m", "input": [question, *items, question]}
    parsed = FORMAT.parse(body, context_of(caller))
    assert parsed.client_body is not None
    messages = parsed.client_body.unified["messages"]
    return messages[1] if len(messages) > 2 else {}


def expect(message: Any) -> Any:
    expected = deepcopy(message)
    transcript = (message.get("audio") or {}).get("transcript") or ""
    expected["content"] = (message.get("content") or "") + transcript
    for item in [*(expected.get("tool_calls") or ()), *(expected.get("images") or ())]:
        item.pop("index", None)
    for call in expected.get("tool_calls") or ():
        namespace = call.get("extra_content", {}).get("openai_responses", {}).get("namespace")
        if namespace:  # The unified name has it, too.
            call["function"]["name"] = join_name(ToolName(call["function"]["name"], namespace))
    return expected


def test_nobody_else_gets_what_was_sealed() -> None:
    message = {
        "role": "assistant",
        "content": "Hi",
        "reasoning_content": "Hm",
        "reasoning_details": [
            {
                "type": "reasoning.text",
                "text": "Hm",
                "signature": "s",
                "format": "anthropic",
                "index": 0,
                "issued_by": "p",
            }
        ],
    }
    completion = {
        "id": "chatcmpl-1",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
    }
    output = build_response(parse_request(), completion)["output"]
    assert send_back(output)["reasoning_details"] == message["reasoning_details"]
    assert "reasoning_details" not in send_back(output, BOB)
